"""What a power cut can leave of a record of changes: a model of a file system between two syncs. Pure.

The model is meant to be at least as unkind as any file system that svtree may meet. Of files it says:

- A change of a file's bytes may be on disk or not until that file is synced, in the order of the changes. A write that
  is not synced can also be there in part: its first half only, or its length but zeros for its bytes (a file whose size
  reached the disk and whose data did not).
- Syncing a file does nothing for its names; syncing a directory does nothing for the bytes of the files in it.

Of names it knows two kinds of file systems, and both are tried:

- FREE: each name by itself is as it was at its directory's last sync, or as at any moment since. Nothing is promised
  of the order of two names, be they in one directory: what POSIX says, and what ext2 or an NFS server may do.
- JOURNAL: names reach the disk in the order in which they were changed, and a sync of anything takes all earlier
  changes of names with it: ext4, XFS and their like. What is left of unsynced bytes is as free as above.

One link, rename or unlink is there or is not; nothing is known of times, owners and modes, nor of a disk that says it
has written and has not. Directories do not come and go.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from typing import TypeVar

FREE, JOURNAL = "free", "journal"

Operation = tuple[object, ...]
Files = dict[bytes, tuple[int, bytes]]
Value = TypeVar("Value")


@dataclass(frozen=True)
class State:
    """What is on the disk: path to (file, bytes); two paths with the same file are links. `at` operations were made."""

    at: int
    model: str
    files: Files

    def key(self) -> tuple[tuple[bytes, int, bytes], ...]:
        """The same for the same files."""
        return tuple((path, file, data) for path, (file, data) in sorted(self.files.items()))


@dataclass
class Disk:
    """Names and bytes, each with all it has been since the last sync: the first is on disk, the last is now."""

    names: dict[bytes, list[int | None]] = field(default_factory=dict)
    bytes_of: dict[int, list[bytes]] = field(default_factory=dict)
    # The names in their order: what the journal would write.
    journal: list[tuple[bytes, int | None]] = field(default_factory=list)
    settled: dict[bytes, int | None] = field(default_factory=dict)
    # An inode's number is given again to a new file; the file of the moment is what counts.
    inodes: dict[int, int] = field(default_factory=dict)

    @classmethod
    def holding(cls, before: Mapping[bytes, tuple[int, bytes]]) -> Disk:
        """A disk on which these files are, with their inodes, and nothing is on its way."""
        made = cls()
        for path, (inode, data) in before.items():
            made.inodes[inode] = inode
            made.names[path] = [inode]
            made.settled[path] = inode
            made.bytes_of[inode] = [data]
        return made

    def apply(self, operation: Operation) -> None:
        """One line of the record."""
        match operation:
            case ("create", bytes(path), int(inode)):
                file = -1 - len(self.bytes_of)
                self.inodes[inode] = file
                self.bytes_of[file] = [b""]
                self._name(path, file)
            case ("link", bytes(source), bytes(target)):
                self._name(target, self.names[source][-1])
            case ("rename", bytes(source), bytes(target)):
                self._name(target, self.names[source][-1])
                self._name(source, None)
            case ("unlink", bytes(path)):
                self._name(path, None)
            case ("write" | "truncate", int(inode), *_) if inode not in self.inodes:
                # One of the files that the record is not about.
                return
            case ("write", int(inode), int(offset), bytes(data)):
                self._write(self.inodes[inode], offset, data)
            case ("truncate", int(inode), int(size)):
                history = self.bytes_of[self.inodes[inode]]
                history.append(history[-1][:size].ljust(size, b"\0"))
            case ("sync", bytes(path), int(inode)):
                self._sync(path, inode)
            case ("sync all",):
                self._settle_names()
                self.names = {path: history[-1:] for path, history in self.names.items()}
                self.bytes_of = {file: history[-1:] for file, history in self.bytes_of.items()}
            case _:
                raise ValueError(operation)

    def _name(self, path: bytes, file: int | None) -> None:
        self.names.setdefault(path, [None]).append(file)
        self.journal.append((path, file))

    def _write(self, file: int, offset: int, data: bytes) -> None:
        history = self.bytes_of[file]
        now = history[-1].ljust(offset, b"\0")

        def with_bytes(piece: bytes) -> bytes:
            return now[:offset] + piece + now[offset + len(piece) :]

        if len(data) > 1:
            history += [with_bytes(bytes(len(data))), with_bytes(data[: len(data) // 2])]
        history.append(with_bytes(data))

    def _sync(self, path: bytes, inode: int) -> None:
        file = self.inodes.get(inode)
        if file is not None:
            self.bytes_of[file] = self.bytes_of[file][-1:]
        else:
            for name, history in self.names.items():
                if name.rpartition(b"/")[0] == path:
                    self.names[name] = history[-1:]
        self._settle_names()

    def _settle_names(self) -> None:
        self.settled.update(self.journal)
        self.journal.clear()

    # ----------------------------------------------------------------------------------------------- what may be left

    def states(self, at: int, chance: random.Random, most: int) -> Iterator[State]:
        """What a cut at this moment can leave; of more than `most` by one model a choice, the simplest among it."""
        for names in self._journals():
            yield from self._with_bytes(at, JOURNAL, names, chance, most)
        open_names = {path: history for path, history in self.names.items() if len(set(history)) > 1}
        fixed = {path: history[-1] for path, history in self.names.items() if path not in open_names}
        for chosen in choices([distinct(history) for history in open_names.values()], chance, most):
            names = fixed | dict(zip(open_names, chosen, strict=True))
            yield from self._with_bytes(at, FREE, names, chance, most)

    def _journals(self) -> Iterator[dict[bytes, int | None]]:
        for end in range(len(self.journal) + 1):
            yield self.settled | dict(self.journal[:end])

    def _with_bytes(
        self, at: int, model: str, names: Mapping[bytes, int | None], chance: random.Random, most: int
    ) -> Iterator[State]:
        there = {path: file for path, file in names.items() if file is not None}
        files = sorted(set(there.values()))
        for contents in choices([distinct(self.bytes_of[file]) for file in files], chance, most):
            held = dict(zip(files, contents, strict=True))
            yield State(at, model, {path: (file, held[file]) for path, file in there.items()})


def distinct(history: Sequence[Value]) -> list[Value]:
    """Each value once, in the order of its first time."""
    return list(dict.fromkeys(history))


def choices(options: Sequence[Sequence[Value]], chance: random.Random, most: int) -> Iterator[tuple[Value, ...]]:
    """Every way to take one of each, or, where those are too many, the simplest and some by chance.

    The simplest: all old, all new, and each by itself being the only old or the only new one.
    """
    count = 1
    for each in options:
        count *= len(each)
    if count <= most:
        yield from product(*options)
        return
    old = tuple(each[0] for each in options)
    new = tuple(each[-1] for each in options)
    single = (
        (*base[:place], value, *base[place + 1 :])
        for base in (old, new)
        for place, each in enumerate(options)
        for value in each
    )
    by_chance = (tuple(chance.choice(each) for each in options) for _ in range(most))
    yield from dict.fromkeys(chain((old, new), single, by_chance))


def cuts(
    before: Mapping[bytes, tuple[int, bytes]], record: Sequence[Operation], *, seed: int = 0, most: int = 64
) -> Iterator[State]:
    """Every state that a cut before, between or after the operations can leave, each once for a moment."""
    chance = random.Random(seed)
    disk = Disk.holding(before)
    for at in range(len(record) + 1):
        if at:
            disk.apply(record[at - 1])
        seen = set()
        for state in disk.states(at, chance, most):
            key = state.key()
            if key not in seen:
                seen.add(key)
                yield state
