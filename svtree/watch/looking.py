"""Looking at files: which paths a pattern matches, what they hold, and which directories decide about that.

Everything goes by path, every time: a path says what it leads to now, an event says what was. What a file holds is a
digest of its content; a digest is believed without reading again while the file's identity, size and times stay, unless
they are so young that a second change may hide in the same tick of the file system's clock.
"""

from __future__ import annotations

import errno
import os
import stat
from _blake2 import blake2b  # hashlib would bring OpenSSL with it, 3 MB

from svtree.formats.record import record
from svtree.formats.watchfile import Compile, is_glob
from svtree.system.errors import reason
from svtree.watch.machine import Look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from svtree.formats.watchfile import Entry
    from svtree.system.clock import Clock
    from svtree.watch.machine import Content

    Signature: TypeAlias = tuple[int, int, int, int, int, int]

WATCH = b"watch"
BLOCK = 1 << 18
# A change within this many nanoseconds of a file's last one may leave its times as they are.
TICK = 1_000_000_000
# Symbolic links on the way to one file, as many as Linux follows.
LINKS = 40
# Directories that are watched for one service, and files a pattern may match: beyond, polling has to do.
MOST_PLACES = 64
MOST_FILES = 1000

GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


@record
class Place:
    """A directory that decides what a path leads to: its identity, and the names in it that count (None: all do)."""

    identity: tuple[int, int]
    names: tuple[bytes, ...] | None


@record
class _Known:
    """What a file held when its stat was this one; `settled` if a later change cannot have the same stat."""

    signature: Signature | int
    content: Content
    settled: bool


class Eye:
    """One service's files, remembered from look to look."""

    __slots__ = ("_clock", "_folders", "_known", "directory")

    def __init__(self, directory: bytes, clock: Clock) -> None:
        """`directory` is an absolute path; it need not exist."""
        self.directory = directory
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._folders: dict[bytes, Signature | int] = {}

    def glance(self) -> bool:
        """Whether a stat of everything that was looked at last shows something new, or could hide it."""
        for path, known in self._known.items():
            if not known.settled or _signature(path) != known.signature:
                return True
        return any(_signature(path) != signature for path, signature in self._folders.items())

    def look(self, entries: Sequence[Entry]) -> Iterator[Look | None]:
        """Look at what the entries match, and at the watch file; None after each block read, in the end the Look."""
        before, self._known, self._folders = self._known, {}, {}
        yield from self._read(self.directory + b"/" + WATCH, before)
        found: dict[Entry, dict[bytes, Content]] = {}
        for entry in entries:
            holds: dict[bytes, Content] = {}
            for path in self._matches(entry.pattern):
                whole = self._whole(path)
                yield from self._read(whole, before)
                content = self._known[whole].content
                if content is not None or not is_glob(entry.pattern):
                    holds[path] = content
            found[entry] = holds
        made = [entry for entry in entries if isinstance(entry.action, Compile)]
        missing = frozenset(entry for entry in made if self._made(entry) is None)
        yield Look(found, missing, frozenset(entry for entry in made if self._is_older(entry)))

    def places(self, entries: Sequence[Entry]) -> dict[bytes, Place]:
        """The directories in which a change of a name, or of a file by that name, is a change of what entries match."""
        names: dict[bytes, set[bytes] | None] = {}
        self._folders = {}
        start = self._start()
        _trace(self.directory + b"/" + WATCH, start, names)
        for entry in entries:
            for path in self._matches(entry.pattern):
                whole = self._whole(path)
                _trace(whole, start if self._is_ours(whole) else b"/", names)
        for folder in self._folders:
            _trace(folder, start if self._is_ours(folder) else b"/", names)
            names[os.path.realpath(folder)] = None
        places: dict[bytes, Place] = {}
        for path, those in list(names.items())[:MOST_PLACES]:
            try:
                found = os.stat(path)
            except OSError:
                continue
            places[path] = Place((found.st_dev, found.st_ino), None if those is None else tuple(those))
        return places

    def _start(self) -> bytes:
        """Where the way to our files begins to be of interest.

        A directory tells by itself when it goes. Only if there is none, or a link to it, its name's directory decides.
        """
        try:
            if stat.S_ISDIR(os.lstat(self.directory).st_mode):
                return self.directory
        except OSError:
            pass
        return os.path.dirname(self.directory)

    def _is_ours(self, whole: bytes) -> bool:
        return whole.startswith(self.directory + b"/")

    def _whole(self, path: bytes) -> bytes:
        return path if path[:1] == b"/" else self.directory + b"/" + path

    def _matches(self, pattern: bytes) -> list[bytes]:
        """The paths a pattern matches; a pattern without globs matches itself, whether that exists or not."""
        if not is_glob(pattern):
            return [pattern]
        from fnmatch import fnmatchcase

        absolute = pattern[:1] == b"/"
        paths = [b"/" if absolute else b""]
        for part in pattern.strip(b"/").split(b"/"):
            if not is_glob(part):
                paths = [path + part + b"/" for path in paths]
                continue
            paths = [
                path + name + b"/"
                for path in paths
                for name in self._names(path)
                if fnmatchcase(name, part) and (name[:1] != b"." or part[:1] == b".")
            ][:MOST_FILES]
        return [path[:-1] for path in paths]

    def _names(self, path: bytes) -> list[bytes]:
        folder = self._whole(path).rstrip(b"/") or b"/"
        # The stat comes first: what changes between it and the listing is seen at the next glance.
        self._folders[folder] = _signature(folder)
        try:
            return sorted(os.listdir(folder))
        except OSError:
            return []

    def _read(self, path: bytes, before: dict[bytes, _Known]) -> Iterator[None]:
        if path in self._known:
            return
        signature = _signature(path)
        known = before.get(path)
        if known is not None and known.settled and known.signature == signature:
            self._known[path] = known
            return
        if isinstance(signature, int):
            # No file, or one that cannot be had: there is nothing a second change could hide behind.
            text = reason(OSError(signature, ""))
            self._known[path] = _Known(signature, None if signature in GONE else text, settled=True)
            return
        now = self._clock.wall_ns()
        settled = abs(now - max(signature[3], signature[4])) > TICK
        if not stat.S_ISREG(signature[5]):
            self._known[path] = _Known(signature, b"not a file", settled=True)
            return
        digest = blake2b(digest_size=16)
        try:
            for block in _blocks(path):
                digest.update(block)
                yield None
        except OSError as error:
            self._known[path] = _Known(signature, None if error.errno in GONE else reason(error), settled)
            return
        self._known[path] = _Known(signature, digest.digest() if signature[2] else b"", settled)

    def _made(self, entry: Entry) -> os.stat_result | None:
        target = entry.action.target if isinstance(entry.action, Compile) else entry.pattern
        try:
            return os.stat(self._whole(target))
        except OSError:
            return None

    def _is_older(self, entry: Entry) -> bool:
        """Whether the cdb was made before the rules became what they are (also by a rename, which is in ctime)."""
        made = self._made(entry)
        source = self._known[self._whole(entry.pattern)].signature
        return made is not None and not isinstance(source, int) and made.st_mtime_ns < max(source[3], source[4])


def _signature(path: bytes) -> Signature | int:
    """What tells one state of a file from another, as far as a stat can; the errno where there is none."""
    try:
        found = os.stat(path)
    except OSError as error:
        return error.errno or errno.EIO
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode


def _blocks(path: bytes) -> Iterator[bytes]:
    # Without O_NONBLOCK a FIFO that has taken the file's place meanwhile would hold us up.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        while block := os.read(descriptor, BLOCK):
            yield block
    finally:
        os.close(descriptor)


def _trace(path: bytes, start: bytes, names: dict[bytes, set[bytes] | None]) -> None:
    """Note every name, with its directory, that is read on the way from the directory `start` to `path`.

    Follows symbolic links as the kernel does: a link to `..data/tcp.smtp`, where `..data` is a link itself, is decided
    by three names in two directories. The root directory is left out: everything on the machine goes through it.
    """
    at = start
    todo = path[len(start) :].split(b"/")[::-1]
    links = 0
    while todo:
        name = todo.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            at = os.path.dirname(at)
            continue
        if at != b"/":
            those = names.setdefault(at, set())
            if those is not None:
                those.add(name)
        whole = at.rstrip(b"/") + b"/" + name
        try:
            leads = os.readlink(whole)
        except OSError:
            # No link: a directory, a file, or nothing, and then its directory is where it would appear.
            at = whole
            continue
        links += 1
        if links > LINKS:
            return
        todo += leads.split(b"/")[::-1]
        if leads[:1] == b"/":
            at = b"/"
