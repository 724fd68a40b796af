"""Debian machines for tests: packages built once, a minimal system made once, machines in namespaces of their own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.harness import Result, until

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "deb"
SUITE = "bookworm"
# What the packages depend on, so that dpkg -i is enough, and an init.
INCLUDED = (
    "adduser,debconf,init-system-helpers,logrotate,sysvinit-core,"
    "python3,python3-click,python3-dnspython,python3-psutil,python3-watchdog"
)
ADMINISTRATOR = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
# In seconds, for what is a matter of a few on a quiet machine.
PATIENCE = 300.0
BUILDING = 600.0
BOOTSTRAP = 900.0
BOOTING = 300.0
# A PID 1 that starts nothing and reaps what is left to it.
IDLE = ("/bin/sh", "-c", "while :; do sleep 3600; done")


def needed(*programs: str) -> None:
    """Skip the test where root, or one of these programs, is missing."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for program in programs:
        if shutil.which(program, path=ADMINISTRATOR["PATH"]) is None:
            pytest.skip(f"{program} is not installed: tests/deb/install.sh")


def administer(argv: Sequence[str | Path], *, seconds: float = PATIENCE, env: dict[str, str] | None = None) -> Result:
    """Run a command of this machine with an administrator's environment; standard error goes into `out`."""
    done = subprocess.run(
        argv,
        env={**ADMINISTRATOR, "HOME": "/root", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        check=False,
    )
    return Result(done.returncode, done.stdout, b"")


def packages(suffix: str = "") -> Path:
    """The directory with the packages of HEAD, built now if they are not there."""
    needed("dpkg-buildpackage", "dh_python3", "rst2man", "git")
    head = administer(["git", "-c", "safe.directory=*", "-C", ROOT, "rev-parse", "HEAD"])
    if head.code:
        pytest.skip("no git repository to build from")
    target = CACHE / f"{head.out.decode().strip()}{suffix}"
    with _only_one(target):
        if not list(target.glob("*.changes")):
            build(target, suffix)
    return target


def build(target: Path, suffix: str = "") -> None:
    """Build the packages of HEAD into `target`."""
    done = administer(["sh", ROOT / "packaging" / "build-deb.sh", target, *filter(None, [suffix])], seconds=BUILDING)
    assert done.code == 0, done.out.decode()


def minimal() -> Path:
    """A minimal Debian with sysvinit, in a directory; made now if it is not there."""
    needed("debootstrap")
    target = CACHE / f"debian-{SUITE}"
    with _only_one(target):
        made = target.with_name(target.name + ".made")
        if not made.exists():
            shutil.rmtree(target, ignore_errors=True)
            done = administer(
                ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, target, *_archive()],
                seconds=BOOTSTRAP,
            )
            if done.code:
                pytest.skip(f"debootstrap: {done.out.decode(errors='replace').strip().splitlines()[-1]}")
            made.touch()
    return target


def with_systemd() -> tuple[Path, Path]:
    """The same with systemd in the place of sysvinit, and a kernel for it; made now if they are not there."""
    plain = minimal()
    target = plain.with_name(plain.name + "-systemd")
    kernel = target.with_name(target.name + ".kernel")
    with _only_one(target):
        # The kernel is put into its place last.
        if not kernel.exists():
            shutil.rmtree(target, ignore_errors=True)
            script = Path(__file__).with_name("systemd.sh")
            done = administer(["unshare", "--mount", "sh", script, plain, target, kernel], seconds=BOOTSTRAP)
            if done.code:
                pytest.skip(f"no systemd from Debian: {done.out.decode(errors='replace').strip().splitlines()[-1]}")
    return target, kernel


def _archive() -> list[str]:
    """Where this machine's apt gets the suite from; nothing, and so debootstrap's own default, if it does not."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {SUITE}"]
    found = administer(asked, seconds=BUILDING)
    return found.out.decode().split()[:1] if found.code == 0 else []


@contextlib.contextmanager
def _only_one(target: Path) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Commands:
    """Of a machine: run in it as root."""

    def run(self, script: str, *, seconds: float = PATIENCE) -> Result:
        """Run a shell script in the machine; standard error goes into `out`."""
        raise NotImplementedError

    def say(self, script: str, *, seconds: float = PATIENCE) -> str:
        """What a script, which must succeed, says."""
        done = self.run(script, seconds=seconds)
        assert done.code == 0, (script, done.code, done.out.decode(errors="replace"))
        return done.out.decode(errors="replace")

    def python(self, code: str, *words: str) -> str:
        """What a Python program, which must succeed, says."""
        return self.say(shlex.join(["python3", "-c", code, *words]))

    def fine(self) -> bool:
        """Whether `svtree status` has nothing to complain of."""
        return self.run("/usr/sbin/svtree status /var/lib/svtree").code == 0

    def services(self) -> list[str]:
        """The pids of every service and logger of the tree."""
        tree = "/var/lib/svtree/service"
        return re.findall(r"pid (\d+)", self.say(f"/usr/libexec/svtree/bin/svstat {tree}/* {tree}/*/log"))


class Machine(Commands):
    """A Debian with its own processes, network, host name and files, which are in memory and vanish with it.

    `prepare` is run in it, with the files of the directory `bring` in /packages, before `init` becomes its PID 1.
    What is written below its /kept is in the directory `kept`, and stays.
    """

    def __init__(
        self,
        folder: Path,
        prepare: str = ":",
        init: Sequence[str] = IDLE,
        *,
        bring: Path | None = None,
        base: Path | None = None,
    ) -> None:
        """`base` is the Debian to begin with, `minimal()` unless said otherwise."""
        needed("unshare", "nsenter", "ip")
        self.root = folder / "root"
        self.kept = folder / "kept"
        base = base or minimal()
        for path in (self.root, self.kept):
            path.mkdir()
        words = ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"]
        self._output = folder / "machine"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*words, "sh", Path(__file__).with_name("machine.sh"), base, folder, bring or "", prepare, *init],
                env=ADMINISTRATOR,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            until(self._begun, BOOTING, "a machine in namespaces")
        except BaseException:
            self.end()
            raise

    def _begun(self) -> bool:
        if self._process.poll() is not None:
            text = self._output.read_text(errors="replace")
            if "not permitted" in text and "prepared" not in text:
                pytest.skip(f"no namespaces here: {text.strip().splitlines()[-1]}")
            pytest.fail(f"the machine ended: {text}")
        # Not what it is called: between exec and chroot(2) a command would be run in this machine's own root directory.
        return bool(self._first()) and os.stat(f"/proc/{self._first()}/root").st_dev != os.stat("/").st_dev

    def _first(self) -> str:
        """The machine's PID 1, as this machine numbers it."""
        return Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().strip()

    @property
    def words(self) -> list[str]:
        """Words to put before a command so that it is run in the machine."""
        spaces = ("--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd")
        return ["nsenter", "--target", self._first(), *spaces]

    def run(self, script: str, *, seconds: float = PATIENCE, env: dict[str, str] | None = None) -> Result:
        """Run a shell script in the machine; standard error goes into `out`."""
        return administer([*self.words, "sh", "-c", script], seconds=seconds, env=env)

    def start(self, script: str) -> subprocess.Popen[bytes]:
        """Start a shell script in the machine; the caller ends it."""
        return subprocess.Popen(
            [*self.words, "sh", "-c", script], env=ADMINISTRATOR, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )

    def copy(self, folder: Path) -> None:
        """Put the packages of a directory into the machine's /packages, in place of what is there."""
        self.say("rm -rf /packages && mkdir /packages")
        for path in folder.glob("*.deb"):
            with path.open("rb") as source:
                command = [*self.words, "sh", "-c", f"cat >'/packages/{path.name}'"]
                subprocess.run(command, env=ADMINISTRATOR, stdin=source, check=True, timeout=30)

    def log(self) -> str:
        """What the machine said on its way."""
        return self._output.read_text(errors="replace")

    def wait(self, seconds: float = BOOTING) -> None:
        """Wait until the machine has shut down by itself."""
        self._process.wait(seconds)

    def end(self) -> None:
        """Pull the plug."""
        if self._process.poll() is None:
            # By hand: who has changed its ids, as a container's PID 1 has, does not die with its parent; see prctl(2).
            try:
                os.kill(int(self._first()), signal.SIGKILL)
            except (OSError, ValueError):
                # It has none, not yet or not any more.
                self._process.kill()
        self._process.wait(BOOTING)
