"""A Debian with systemd in a virtual machine: all its files in memory, commands and their answers by a serial line.

Run by KVM where that works, else emulated.
"""

from __future__ import annotations

import base64
import os
import platform
import socket
import subprocess
from pathlib import Path

import pytest

from tests.deb.debian import ADMINISTRATOR, Commands, Machine, administer, needed, with_systemd
from tests.harness import Result, until

EMULATOR = ("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none")
KVM = ("-accel", "kvm", "-cpu", "max")
TCG = ("-accel", "tcg", "-cpu", "max")
# How long a kernel may take, by KVM, to find that it has no root file system, in seconds.
PROBE = 15.0
# In MB: the image, its files unpacked, and what runs.
MEMORY = 768
# An emulated processor takes half a minute, and ten times that on a busy machine.
BOOTING = 600.0
ANSWER = 600.0
# Looks in vain, each costing the machine what it looks at; some seconds apart.
PATIENCE = 240
KERNEL = "console=ttyS0 quiet panic=-1 mitigations=off systemd.show_status=no"
# What there is to be told where something was waited for in vain.
ACCOUNT = "svtree status /var/lib/svtree; systemctl --no-pager status svtree; journalctl --no-pager -b -n 60"
HERE = Path(__file__).parent


class VirtualMachine(Commands):
    """Runs from its making until `end`, or until it shuts down by itself.

    `prepare` is run before, in a machine of namespaces, with the packages in `bring` in its /packages.
    """

    def __init__(self, folder: Path, prepare: str, *, bring: Path) -> None:
        if platform.machine() != "x86_64":
            pytest.skip(f"no kernel is tried for {platform.machine()}")
        needed(EMULATOR[0])
        if (free := _free_memory()) < 2 * MEMORY:
            pytest.skip(f"{free} MB of memory are free, and a machine with its image takes {2 * MEMORY}")
        image, kernel = _image(folder, prepare, bring)
        self._console = folder / "console"
        self._output = folder / "emulator"
        self._line = socket.socket(socket.AF_UNIX)
        self._heard = b""
        where = folder / "line"
        argv: list[str | Path] = [
            *(*EMULATOR, *_accelerator(kernel), "-m", f"{MEMORY}", "-smp", "2"),
            *("-kernel", kernel, "-initrd", image, "-append", KERNEL),
            *("-serial", f"file:{self._console}", "-serial", f"unix:{where},server=on,wait=off"),
        ]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                argv, env=ADMINISTRATOR, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            until(
                lambda: self._line.connect_ex(str(where)) == 0 or self._ended(), BOOTING, "the emulator's serial line"
            )
            assert self._answer(BOOTING) == b"here"
        except BaseException:
            self.end()
            raise

    def run(self, script: str, *, seconds: float = 0.0) -> Result:
        """Run a shell script in the machine; standard error goes into `out`. One at a time."""
        self.ask(script)
        code, _, said = self._answer(max(seconds, ANSWER)).partition(b" ")
        return Result(int(code), base64.b64decode(said), b"")

    def until(self, script: str, what: str) -> None:
        """Wait until a script succeeds in the machine, which is asked there: to be asked from here costs it more."""
        again = f"for _ in $(seq {PATIENCE}); do ( {script} ) >/dev/null 2>&1 && exit 0; sleep 2; done; exit 1"
        if self.run(again, seconds=2 * ANSWER).code:
            pytest.fail(f"not seen: {what}\n{self.run(ACCOUNT).out.decode(errors='replace')}")

    def until_fine(self) -> None:
        """Wait until `svtree status` has nothing to complain of."""
        self.until("/usr/sbin/svtree status /var/lib/svtree", "all as wanted")

    def ask(self, script: str) -> None:
        """Have a script run, one that the machine does not outlive perhaps."""
        if self._process.poll() is not None:
            pytest.fail(f"the machine has ended: {self.log()[-4000:]}")
        self._line.sendall(base64.b64encode(script.encode()) + b"\n")

    def log(self) -> str:
        """What the emulator and the machine's console said."""
        return "".join(path.read_text(errors="replace") for path in (self._output, self._console) if path.exists())

    def wait(self, seconds: float = BOOTING) -> None:
        """Wait until the machine has shut down by itself."""
        self._process.wait(seconds)

    def end(self) -> None:
        """Pull the plug."""
        self._line.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _answer(self, seconds: float) -> bytes:
        """The next line that the machine says."""
        self._line.settimeout(seconds)
        while b"\n" not in self._heard:
            try:
                more = self._line.recv(65536)
            except TimeoutError:
                # Nor will it answer the next test, which need not wait as long to find that out.
                self.end()
                pytest.fail(f"the machine does not answer: {self.log()[-4000:]}")
            except ConnectionResetError:
                more = b""
            if not more:
                pytest.fail(f"the machine ended: {self.log()[-4000:]}")
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line.strip()

    def _ended(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"{EMULATOR[0]} ended: {self.log()}")
        return False


def _image(folder: Path, prepare: str, bring: Path) -> tuple[Path, Path]:
    """All files of a prepared machine, as the kernel unpacks them into memory; and that kernel."""
    base, kernel = with_systemd()
    agent = (HERE / "agent.sh").read_text().replace("'", "'\\''")
    made = Machine(folder, f"{prepare}\nprintf %s '{agent}' >/agent.sh", bring=bring, base=base)
    try:
        made.say((HERE / "image.sh").read_text(), seconds=ANSWER)
    finally:
        made.end()
    return made.kept / "image", kernel


def _free_memory() -> int:
    """In MB, as the kernel estimates it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def _accelerator(kernel: Path) -> tuple[str, ...]:
    """Options for KVM if a kernel gets as far with it as to miss its root file system, else for emulation.

    A virtual machine itself may have a /dev/kvm that only seems to work.
    """
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        argv: list[str | Path] = [*EMULATOR, *KVM, "-kernel", kernel, "-append", "panic=-1"]
        try:
            if administer(argv, seconds=PROBE).code == 0:
                return KVM
        except subprocess.TimeoutExpired:
            pass
    return TCG
