"""What a power cut can leave of a record of changes: a model of a file system between two syncs. Pure.

The model is meant to be at least as unkind as any file system that svtree may meet. Of files it says:

- A change of a file's bytes may be on disk or not until that file is synced, in the order of the changes. A write that
  is not synced can also be there in part: its first half only, or its length but zeros for its bytes (a file whose size
  reached the disk and whose data did not).
- Syncing a file does nothing for its names; syncing a directory does nothing for the bytes of the files in it.

Of names it knows two kinds of file systems, and both are tried:

- FREE: each name by itself is as it was at its directory's last sync, or as at any moment since. Nothing is promised
  of the order of two names, be they in one directory: what POSIX says, and what ext2 or an NFS server may do.
- JOURNAL: names reach the disk in the order in which they were changed, and a sync takes with it all changes up to the
  last one of what is synced, a file or a directory: ext4, XFS and their like. A later change of a name elsewhere may
  wait for the next transaction, and fdatasync of bytes that were overwritten takes no name at all. What is left of
  unsynced bytes is as free as above.

A sync promises nothing of what is changed while it runs: where the record has ("begin", TOKEN), and the token as the
last word of a sync, what was there at that moment is synced.

What happens elsewhere (a client has its answer, another host has the mail) stands in the record as a MARK.

One link, rename or unlink is there or is not; nothing is known of times, owners and modes, nor of a disk that says it
has written and has not. Directories do not come and go.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product, repeat
from math import prod
from typing import TypeVar

FREE, JOURNAL = "free", "journal"
# Kinds of lines in a record that change nothing on this disk.
MARKS = frozenset({"acknowledged", "taken", "settled"})

Operation = tuple[object, ...]
Files = dict[bytes, tuple[int, bytes]]
Names = dict[bytes, int | None]
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


@dataclass(frozen=True)
class Moment:
    """What is there to be synced: how long each history is, and how much of the journal each file needs."""

    names: dict[bytes, int]
    bytes_of: dict[int, int]
    touched: dict[int | bytes, int]
    resized: dict[int, int]
    journal: int


@dataclass
class Disk:
    """Names and bytes, each with all it has been since the last sync: the first is on disk, the last is now."""

    names: dict[bytes, list[int | None]] = field(default_factory=dict)
    bytes_of: dict[int, list[bytes]] = field(default_factory=dict)
    # The names in their order: what the journal would write; how many it has written already, and what they made.
    journal: list[tuple[bytes, int | None]] = field(default_factory=list)
    written: int = 0
    settled: Names = field(default_factory=dict)
    # How many had to be written with the last change of a file or directory, and with the last one of a file's length.
    touched: dict[int | bytes, int] = field(default_factory=dict)
    resized: dict[int, int] = field(default_factory=dict)
    # An inode's number is given again to a new file; the file of the moment is what counts.
    inodes: dict[int, int] = field(default_factory=dict)
    # The syncs that run, by their tokens.
    running: dict[object, Moment] = field(default_factory=dict)

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
                self.resized[file] = self.touched[file]
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
                self._touch(self.inodes[inode], resized=True)
            case (str(kind), *_) if kind in MARKS:
                return
            case _:
                self._apply_sync(operation)

    def _apply_sync(self, operation: Operation) -> None:
        match operation:
            case ("begin", token):
                self.running[token] = self._moment()
            case ("sync" | "sync data" as kind, bytes(path), int(inode), *token):
                self._sync(kind, path, inode, self._begun(token))
            case ("sync all", *token):
                begun = self._begun(token)
                self._settle_names(begun.names, begun.journal, begun)
                for file in begun.bytes_of:
                    self._settle_bytes(file, begun)
            case _:
                raise ValueError(operation)

    def _name(self, path: bytes, file: int | None) -> None:
        history = self.names.setdefault(path, [None])
        before = history[-1]
        history.append(file)
        self.journal.append((path, file))
        # A link more or less is a change of the file too.
        for each in (path.rpartition(b"/")[0], file, before):
            if each is not None:
                self._touch(each)

    def _touch(self, what: int | bytes, *, resized: bool = False) -> None:
        self.touched[what] = self.written + len(self.journal)
        if resized and isinstance(what, int):
            self.resized[what] = self.touched[what]

    def _write(self, file: int, offset: int, data: bytes) -> None:
        history = self.bytes_of[file]
        now = history[-1].ljust(offset, b"\0")

        def with_bytes(piece: bytes) -> bytes:
            return now[:offset] + piece + now[offset + len(piece) :]

        if len(data) > 1:
            history += [with_bytes(bytes(len(data))), with_bytes(data[: len(data) // 2])]
        self._touch(file, resized=offset + len(data) > len(history[0]))
        history.append(with_bytes(data))

    def _moment(self) -> Moment:
        return Moment(
            {path: len(history) for path, history in self.names.items()},
            {file: len(history) for file, history in self.bytes_of.items()},
            dict(self.touched),
            dict(self.resized),
            self.written + len(self.journal),
        )

    def _begun(self, token: Sequence[object]) -> Moment:
        return self.running.pop(token[0]) if token and token[0] in self.running else self._moment()

    def _sync(self, kind: str, path: bytes, inode: int, begun: Moment) -> None:
        file = self.inodes.get(inode)
        if file is None:
            within = [name for name in begun.names if name.rpartition(b"/")[0] == path]
            self._settle_names(within, begun.touched.get(path, 0), begun)
            return
        self._settle_bytes(file, begun)
        self._settle_names((), (begun.touched if kind == "sync" else begun.resized).get(file, 0), begun)

    def _settle_bytes(self, file: int, begun: Moment) -> None:
        """Have a file's bytes of that moment, or later ones, on disk."""
        gone = begun.bytes_of.get(file, 1) - 1
        del self.bytes_of[file][:gone]
        for each in self.running.values():
            if file in each.bytes_of:
                each.bytes_of[file] = max(1, each.bytes_of[file] - gone)

    def _settle_names(self, names: Iterable[bytes], until: int, begun: Moment) -> None:
        """Have these names of that moment, or later ones, on disk; of the journal so many of all its entries."""
        for name in names:
            gone = begun.names[name] - 1
            del self.names[name][:gone]
            for each in self.running.values():
                if name in each.names:
                    each.names[name] = max(1, each.names[name] - gone)
        count = max(0, until - self.written)
        self.settled.update(self.journal[:count])
        del self.journal[:count]
        self.written += count

    def now(self) -> dict[bytes, bytes]:
        """What a process sees: path to bytes."""
        newest = {path: history[-1] for path, history in self.names.items()}
        return {path: self.bytes_of[file][-1] for path, file in newest.items() if file is not None}

    def is_gone(self, path: bytes) -> bool:
        """Whether no cut can bring this name back, where names come in order."""
        return self.settled.get(path) is None and not any(name == path and file for name, file in self.journal)

    def is_like(self, other: Disk) -> bool:
        """Whether a cut can leave the same of both."""
        return (self.names, self.bytes_of, self.journal) == (other.names, other.bytes_of, other.journal)

    def allows(self, state: State) -> bool:
        """Whether a cut now can leave that, on a file system without order."""
        names = {path: state.files[path][0] if path in state.files else None for path in self.names}
        return all(names[path] in history for path, history in self.names.items()) and all(
            data in self.bytes_of[file] for file, data in state.files.values()
        )

    # ----------------------------------------------------------------------------------------------- what may be left

    def states(self, at: int, chance: random.Random, most: int) -> Iterator[State]:
        """What a cut at this moment can leave: all of it, or, if that is more than `most`, so much of it by chance."""
        if self.count() <= most:
            for model, chosen in chain(zip(repeat(JOURNAL), self._journals()), zip(repeat(FREE), self._free())):
                there, options = self._fillings(chosen)
                for contents in product(*options):
                    yield self._state(at, model, there, contents)
            return
        for _ in range(most):
            model = chance.choice((JOURNAL, FREE))
            there, options = self._fillings(self._some_names(model, chance))
            yield self._state(at, model, there, varied(options, chance))

    def _some_names(self, model: str, chance: random.Random) -> Names:
        if model == JOURNAL:
            return self.settled | dict(self.journal[: chance.randrange(len(self.journal) + 1)])
        return dict(zip(self.names, varied([distinct(each) for each in self.names.values()], chance), strict=True))

    def _free(self) -> Iterator[Names]:
        for chosen in product(*(distinct(history) for history in self.names.values())):
            yield dict(zip(self.names, chosen, strict=True))

    def _fillings(self, names: Names) -> tuple[dict[bytes, int], list[list[bytes]]]:
        """The names that have a file, and what each of those files, in the order of their numbers, may hold."""
        there = {path: file for path, file in names.items() if file is not None}
        return there, [distinct(self.bytes_of[file]) for file in sorted(set(there.values()))]

    def _state(self, at: int, model: str, there: dict[bytes, int], contents: Sequence[bytes]) -> State:
        held = dict(zip(sorted(set(there.values())), contents, strict=True))
        return State(at, model, {path: (file, held[file]) for path, file in there.items()})

    def count(self) -> int:
        """How many states `states` would give if it left out none."""
        journal = sum(self._contents(names.values()) for names in self._journals())
        free = 1
        for group in self._linked():
            options = [distinct(self.names[path]) for path in group]
            free *= sum(self._contents(chosen) for chosen in product(*options))
        return journal + free

    def _contents(self, files: Iterable[int | None]) -> int:
        """In how many ways these files can be filled."""
        return prod(len(distinct(self.bytes_of[file])) for file in set(files) if file is not None)

    def _linked(self) -> list[set[bytes]]:
        """The names, those together that may be names of one file."""
        groups: list[tuple[set[bytes], set[int]]] = []
        for path, history in self.names.items():
            paths, files = {path}, {file for file in history if file is not None}
            for group in [each for each in groups if each[1] & files]:
                groups.remove(group)
                paths |= group[0]
                files |= group[1]
            groups.append((paths, files))
        return [paths for paths, _ in groups]

    def _journals(self) -> Iterator[Names]:
        for end in range(len(self.journal) + 1):
            yield self.settled | dict(self.journal[:end])


def distinct(history: Sequence[Value]) -> list[Value]:
    """Each value once, in the order of its first time."""
    return list(dict.fromkeys(history))


def varied(options: Sequence[Sequence[Value]], chance: random.Random) -> list[Value]:
    """One of each: all old or all new, or all but one, or each by chance. Where one differs from the rest it tells."""
    base = chance.choice((0, -1, None))
    if base is None:
        return [chance.choice(each) for each in options]
    chosen = [each[base] for each in options]
    if options and chance.random() < 0.7:
        place = chance.randrange(len(options))
        chosen[place] = chance.choice(options[place])
    return chosen


def cuts(
    before: Mapping[bytes, tuple[int, bytes]], record: Sequence[Operation], *, seed: int = 0, most: int = 128
) -> Iterator[State]:
    """Every state that a cut before, between or after the operations can leave, each once for a moment.

    Of a moment that can leave more than `most` so many are chosen, always the same for a seed.
    """
    chance = random.Random(seed)
    for at, disk in enumerate(moments(before, record)):
        seen = set()
        for state in disk.states(at, chance, most):
            key = state.key()
            if key not in seen:
                seen.add(key)
                yield state


def moments(before: Mapping[bytes, tuple[int, bytes]], record: Sequence[Operation]) -> Iterator[Disk]:
    """The disk before the first operation and after each."""
    disk = Disk.holding(before)
    yield disk
    for operation in record:
        disk.apply(operation)
        yield disk
