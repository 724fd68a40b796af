"""Makes states of a disk real, one after the other, and lets qmail-send recover from each: `recovery.py IN OUT`.

A process of its own, so that it can fork as qmail-start does: qmail-lspawn, qmail-rspawn and qmail-clean are forked and
run as they are, their programs in this same interpreter, once for all states, since they remember nothing; qmail-send's
engine runs here, anew for each, on a clock that jumps to the moment that is waited for. Files are made 37 hours old, so
that what qmail leaves to its clean-up of abandoned files is cleaned up. Mail for other hosts goes to a server that is
forked too, and that keeps it in sent/.

IN holds a pickled (home, default delivery, folders beside queue/ that belong to the state, list of states as
path -> (file, bytes)); OUT gets a list of (folders' files, queue's files, log), one a state.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from svtree.formats import queuefiles
from svtree.mail import controls
from svtree.mail.programs import qmail_clean, qmail_lspawn, qmail_rspawn
from svtree.mail.queue import settings, store, sync
from svtree.mail.queue.channel import Channel
from svtree.mail.queue.cleaner import Cleaner
from svtree.mail.queue.log import Log
from svtree.mail.queue.manager import Manager
from svtree.system import descriptors
from svtree.system.loop import Loop
from tests.faults import sink

QUEUE = [f"queue/{family}" for family in ("mess", "intd", "todo", "info", "local", "remote", "bounce", "pid")]
AGE = 37 * 3600
# So often may what waits for a later moment have it come: enough for everything that is not stuck.
JUMPS = 6
# No message has such a number: an inode's.
NOWHERE = 23 * 10**12

Files = dict[bytes, tuple[int, bytes]]


class Noted(Log):
    """Keeps its lines."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__(2)
        self.lines: list[bytes] = []

    def __call__(self, line: bytes) -> None:
        self.lines.append(line)


class Clock:
    """The system's, and how far it was moved on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time() + self.ahead

    def wall_ns(self) -> int:
        return int(self.wall() * 1e9)


class Hurried(Loop):
    """Does not wait for a later moment, but has it come; when that brings nothing any more the manager may leave."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._jumping = clock
        self.jumps = 0
        self.manager: Manager | None = None
        self.is_empty: Callable[[], bool] = lambda: True

    def turn(self, patience: float | None = None) -> None:
        manager = self.manager
        if manager is None or not patience or not manager._idle():
            super().turn(patience)
            return
        if self.is_empty() or self.jumps == JUMPS:
            manager.leave()
        else:
            self.jumps += 1
            self._jumping.ahead += patience
        super().turn(0)


class Parts:
    """What qmail-start starts beside qmail-send: pipes to and from the two spawners and qmail-clean."""

    def __init__(self, default: bytes, environ: dict[bytes, bytes]) -> None:
        self.local = part(lambda: qmail_lspawn.main([b"qmail-lspawn", default], environ))
        self.remote = part(lambda: qmail_rspawn.main([b"qmail-rspawn"], environ))
        self.clean = part(lambda: qmail_clean.main([b"qmail-clean"], environ))
        # How many deliveries they can run at once, which they say first of all.
        self.slots = [os.read(each[1], 1)[0] for each in (self.local, self.remote)]

    def end(self) -> None:
        for descriptor in (*self.local, *self.remote, *self.clean):
            os.close(descriptor)
        for _ in range(3):
            os.wait()


def main(words: Sequence[str]) -> int:
    home, default, folders, states = pickle.loads(Path(words[1]).read_bytes())
    # What the power cut left is looked at here; nobody cuts this one's power.
    for name in ("fsync", "fdatasync"):
        setattr(os, name, lambda _: None)
    vars(sync)["syncfs"] = vars(store)["syncfs"] = lambda _: None
    environ = dict(os.environb) | {b"QMAILHOME": os.fsencode(home)}
    with another_host(Path(home)):
        parts = Parts(default, environ)
        results = [recover(Path(home), folders, state, parts, environ) for state in states]
        parts.end()
    Path(words[2]).write_bytes(pickle.dumps(results))
    return 0


@contextlib.contextmanager
def another_host(home: Path) -> Iterator[None]:
    """A server to which all mail for other hosts goes: what it has taken is in sent/, a file for a message."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (home / "control" / "smtproutes").write_text(f":[127.0.0.1]:{listener.getsockname()[1]}\n")
        (home / "sent").mkdir(exist_ok=True)

        def taken(recipient: bytes, message: bytes) -> None:
            with (home / "sent" / f"{os.fsdecode(recipient)}.{time.monotonic_ns()}").open("xb") as file:
                file.write(message)

        pid = os.fork()
        if pid == 0:
            try:
                sink.serve(listener, taken, sink.refuse)
            finally:
                os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def recover(
    home: Path, folders: Sequence[str], state: Files, parts: Parts, environ: dict[bytes, bytes]
) -> tuple[dict[str, bytes], dict[str, bytes], list[bytes]]:
    materialise(home, folders, state)
    log = Noted()
    deliver(home, parts, environ, log)
    return dict(read(home, folders)), dict(read(home, QUEUE)), log.lines


def materialise(home: Path, folders: Sequence[str], state: Files) -> None:
    """Have exactly these files in the queue and the folders; messages are numbered by the inodes that they get here."""
    for left in list(every(home, [*folders, *QUEUE])):
        left.unlink()
    numbers: dict[int, int] = {}
    made: dict[int, Path] = {}
    old = time.time() - AGE
    # A message's file first: what its other files are called depends on it.
    for path, (file, data) in sorted(state.items(), key=lambda item: not item[0].startswith(b"queue/mess/")):
        # Not by the name that it is told by: that may be another message's here.
        target = (home / os.fsdecode(path)).with_name("new file")
        if file in made and not path.startswith(b"queue/mess/"):
            os.link(made[file], renumbered(home, path, numbers))
            continue
        target.write_bytes(data)
        owner = target.parent.stat()
        os.chown(target, owner.st_uid, owner.st_gid)
        target.chmod(0o644 if path.startswith(b"queue/") else 0o600)
        os.utime(target, (old, old))
        if path.startswith(b"queue/mess/"):
            numbers[int(path.rpartition(b"/")[2])] = target.stat().st_ino
        final = renumbered(home, path, numbers)
        target.rename(final)
        made[file] = final


def renumbered(home: Path, path: bytes, numbers: dict[int, int]) -> Path:
    parts = path.split(b"/")
    family = parts[1].decode() if parts[0] == b"queue" else ""
    if family in ("", "pid"):
        return home / os.fsdecode(path)
    told = int(parts[-1])
    number = numbers.get(told, NOWHERE + told)
    name = queuefiles.split if family in queuefiles.FAMILIES else queuefiles.flat
    return home / "queue" / os.fsdecode(name(family, number))


def every(home: Path, folders: Iterable[str]) -> Iterator[Path]:
    """Every file that the folders hold, or that they are."""
    for folder in folders:
        yield from map(Path, below(f"{home}/{folder}"))


def below(path: str) -> Iterator[str]:
    """`path` itself, if it is a file, or the files below it: of some hundred directories for each state."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from below(entry.path)
                else:
                    yield entry.path
    except NotADirectoryError:
        yield path
    except FileNotFoundError:
        return


def read(home: Path, folders: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for path in every(home, folders):
        yield str(path.relative_to(home)), path.read_bytes()


def deliver(home: Path, parts: Parts, environ: dict[bytes, bytes], log: Log) -> None:
    """qmail-send, until the queue is empty or nothing moves any more."""
    loop = Hurried(Clock())
    queue = store.Store(os.fsencode(home))
    chosen = settings.read(controls.Controls(os.fsencode(home)))
    channels = [
        Channel(index, min(chosen.concurrency[index], parts.slots[index]), pipes, loop)
        for index, pipes in enumerate((parts.local, parts.remote))
    ]
    cleaner = Cleaner(*parts.clean, log)
    manager = Manager(loop, queue, channels, cleaner, log=log, chosen=chosen, environ=environ)
    loop.is_empty = lambda: not any(every(home, ["queue/todo", "queue/info", "queue/mess"]))
    loop.manager = manager
    manager.run()
    loop.close()
    queue.close()


def part(program: Callable[[], int]) -> tuple[int, int]:
    """Fork a part of qmail-send; descriptors to it and from it."""
    pipes = [*os.pipe(), *os.pipe()]
    ends = [descriptors.duplicate(end, 20) for end in pipes]
    for end in pipes:
        os.close(end)
    if os.fork() == 0:
        try:
            descriptors.place({0: ends[0], 1: ends[3]})
            os.closerange(3, 256)
            os._exit(program())
        finally:
            os._exit(111)
    os.close(ends[0])
    os.close(ends[3])
    return ends[1], ends[2]


if __name__ == "__main__":
    sys.exit(main(sys.argv))
