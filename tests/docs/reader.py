"""Doing what a page says: one shell for a page, in a directory of its own, with free ports in place of the page's."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import psutil

from tests.docs.blocks import Block, Command
from tests.harness import environment, free_port, until

# What a page shows of these is another each time.
CHANGING = (
    (r"\bpid \d+", "pid N"),
    (r"\bqp \d+", "qp N"),
    (r"\bok \d{9,} ", "ok N "),
    (r"\b(uid|gid) \d+", r"\1 N"),
    (r"\b(ok|end|pid|msg|delivery) \d+\b", r"\1 N"),
    (r"\bbytes \d+\b", "bytes N"),
    (r"\bup +\d+( +\d+[smhd])?\b", "up N"),
    (r"\b\d+ seconds", "N seconds"),
    (r"\b\d+[smhd] old", "N old"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "WHEN"),
    (r"@4[0-9a-f]{23}", "@STAMP"),
    (r"(127\.0\.0\.1:?):\d{4,5}\b", r"\1:N"),
    (r"<\d+\.\d+@", "<N@"),
)
DEADLINE = 90.0
# These may be asked again until they say what they are to say: what they tell of takes its time.
LOOKING = (
    "TCPREMOTEIP=",
    "cat",
    "grep",
    "head",
    "ls",
    "mconnect",
    "qmail-q",
    "svok",
    "svstat",
    "svtree logs",
    "svtree status",
    "tail",
    "tcpcat",
)
END = "end of the command"


class Reader:
    """Someone who types what a page says, block after block."""

    def __init__(self, home: Path) -> None:
        """`home` is the directory that the page's ~ stands for, where its shell begins."""
        self.home = home
        self._ports = {number: str(free_port()) for number in ("2525", "1110", "8080")}
        self._output = home.with_name(home.name + ".out")
        self._started = 0
        self._background: Path | None = None
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env={**environment(), "HOME": str(home), "EDITOR": "true"},
            start_new_session=True,
        )
        # Each background command gets a process group, so that `kill %1` ends all of a pipeline.
        self._type("set -m\n")

    def read(self, block: Block) -> None:
        """Write the file or run the commands of `block`; fails with the place and what was printed."""
        if block.file:
            path = self.home / os.path.relpath(self._local(block.file.replace("~/", "")))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._local(block.body))
            return
        for command in block.commands():
            self._do(block, command)

    def _do(self, block: Block, command: Command) -> None:
        if command.text.endswith(" &"):
            self._start(command)
            printed = self._background
            assert printed is not None
            until(
                lambda: self._fits(command, printed.read_text(errors="replace"), whole=False),
                DEADLINE,
                f"{block.place}: {command.text}",
            )
            return
        if command.text.startswith("kill %"):
            # Whoever types is slower than a process that has been told to end.
            job = command.text.split()[1]
            command = Command(f"pid=$(jobs -p {job}); {command.text}; wait $pid 2>/dev/null")
        looking = command.text.startswith(LOOKING)

        def fits() -> bool:
            text = self._run(command)
            assert self._fits(command, text), f"{block.place}: {command.text}\n{text}"
            return True

        if looking:
            until(fits, DEADLINE, f"{block.place}: {command.text}")
        else:
            fits()

    def _start(self, command: Command) -> None:
        self._started += 1
        self._background = self._output.with_suffix(f".{self._started}")
        self._background.touch()
        self._type(f"{self._local(command.text[:-2])} >{self._background} 2>&1 </dev/null &\n")

    def _run(self, command: Command) -> str:
        """Run it to its end and return what it printed, in the page's own words."""
        typed = "".join(f"{self._local(line)}\n" for line in command.typed)
        source = f"<<'{END}'\n{typed}{END}" if typed else "</dev/null"
        done = self._output.with_suffix(".done")
        done.unlink(missing_ok=True)
        self._type(f"{{ {self._local(command.text)}\n}} >{self._output} 2>&1 {source}\necho $? >{done}\n")
        until(lambda: done.exists() and done.read_text().endswith("\n"), DEADLINE, command.text)
        return self._output.read_text(errors="replace")

    def _type(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def _local(self, text: str) -> str:
        for number, here in self._ports.items():
            text = re.sub(rf"(?<!\d){number}(?!\d)", here, text)
        return text

    def _fits(self, command: Command, text: str, *, whole: bool = True) -> bool:
        """Whether `text` is what the page shows. A command of which it shows nothing may print what it likes."""
        wanted = [self._plain(self._local(line)) for line in command.printed]
        while wanted and not wanted[-1]:
            wanted.pop()
        if not wanted:
            return True
        found = "".join(self._plain(line) + "\n" for line in text.splitlines())
        pattern = "".join(
            r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in wanted
        )
        return re.fullmatch(pattern if whole else f"(?:.*\n)*?{pattern}(?:.*\n)*", found) is not None

    def _plain(self, line: str) -> str:
        line = line.rstrip().replace(str(self.home), "/home/jiro").replace("~/", "/home/jiro/")
        for changing, word in CHANGING:
            line = re.sub(changing, word, line)
        return re.sub(r" {2,}", "  ", line)

    def end(self) -> str:
        """End the shell and all that it has started, in order; return what they printed in the background."""
        everything = psutil.Process(self._shell.pid).children(recursive=True)
        for job in psutil.Process(self._shell.pid).children():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(everything, timeout=DEADLINE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        assert not left, f"still running after TERM: {left}"
        if self._background is None:
            return ""
        return "".join(path.read_text(errors="replace") for path in sorted(self._output.parent.glob("*.[0-9]*")))
