"""A scene's record: made, held against what is on disk, and broken on purpose."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from svtree.formats import queuefiles
from tests.faults.disk import Operation, State, moments
from tests.faults.recovery import QUEUE, every
from tests.faults.scenes import SIGN, Copy, Scene
from tests.harness import Processes
from tests.mail.queue.post import Post


@dataclass(frozen=True)
class Play:
    """A scene's record, with its marks, and what was on disk before it. Moments are counts of lines of the record."""

    scene: Scene
    before: dict[bytes, tuple[int, bytes]]
    record: list[Operation]
    windows: dict[Copy, tuple[int, int, int]] = field(init=False)

    def __post_init__(self) -> None:
        windows = {each: (self.acknowledged(each), self.begun(each), self.settled(each)) for each in self.scene.copies}
        object.__setattr__(self, "windows", windows)

    def acknowledged(self, copy: Copy) -> int:
        """From when on it must not be lost. A bounce is owed from when the message is whose bounce it is."""
        sign = SIGN if copy.bounce else copy.sign
        return 1 + self.record.index(("acknowledged", sign))

    def begun(self, copy: Copy) -> int:
        """From when on there may be one of which nothing on disk says that it is there."""
        if copy.place == "sent":
            return self.record.index(("taken", copy.recipient.encode()))
        if copy.bounce:
            # From when the bounce is in the queue until its text, bounce/N, is out of it.
            return [at for at, line in enumerate(self.record) if line[0] == "link" and is_todo(line[2])][1]
        place = copy.place.encode()
        files = {inode for path, (inode, _) in self.before.items() if path.startswith(place)}
        files |= {inode for path, inode in created(self.record) if path.startswith(place)}
        return next(at for at, inode, data in written(self.record) if inode in files and copy.sign in data)

    def settled(self, copy: Copy) -> int:
        """From when on all that says it is on disk, where names come in order: after that it comes no more."""
        mark = ("settled", copy.place, copy.recipient, copy.sign)
        return self.record.index(mark) if mark in self.record else len(self.record)

    def syncs(self) -> list[int]:
        """The lines to be left out, and those that the scene's `seeds` name moved, for something wrong to be found."""
        lines = list(enumerate(self.record[:-1]))
        begin = next((at for at, line in lines if re.search(self.scene.seeded_from, repr(line))), len(lines))
        # Two messages may lie in one directory: then the other's sync does for it.
        paths = [line[1] for _, line in lines if line[0] == "sync"]
        return [
            at
            for at, line in lines[begin:]
            if any(matches(line, seed) for seed in self.scene.seeds)
            or (any(matches(line, seed) for seed in self.scene.left_out) and paths.count(line[1]) == 1)
        ]

    def bugs(self) -> Iterator[Bug]:
        """Each sync that the scene wants sown: not made, and made too late."""
        for at in self.syncs():
            kind, *words = self.record[at]
            before, rest = self.record[:at], self.record[at + 1 :]
            yield Bug(f"line {at}, no {self.record[at]}", self, self._with([*before, *rest]), at, len(self.record) + 1)
            found = self._relied(at)
            if found is not None and any(matches(self.record[at], seed) for seed in self.scene.seeds):
                # Without its token, so that it begins there, too.
                late = (kind, *words[: 0 if kind == "sync all" else 2])
                moved = [*before, *rest[:found], late, *rest[found:]]
                yield Bug(f"line {at}, late {self.record[at]}", self, self._with(moved), at, at + found + 1)

    def _with(self, record: list[Operation]) -> Play:
        return Play(self.scene, self.before, record)

    def _relied(self, at: int) -> int | None:
        """How many lines after a sync that which relies on it has been done; None where nothing does.

        A file has to be synced before it gets another name; all before something is said to be done.
        """
        kind, *words = self.record[at]
        is_file = kind != "sync all" and words[1] in {inode for _, inode in created(self.record)}
        rest = enumerate(self.record[at + 1 :], 1)
        return next((count for count, line in rest if is_end(line) or (is_file and line[0] == "link")), None)


@dataclass(frozen=True)
class Bug:
    """A record in which a sync is missing from line `at` on, until so many lines have been done."""

    name: str
    sound: Play
    play: Play
    at: int
    until: int

    def states(self, seed: int) -> list[State]:
        """States that this makes possible and that the sound record does not, at moments that correspond."""
        chance = random.Random(seed)
        sound = enumerate(moments(self.sound.before, self.sound.record))
        reached, disk = next(sound)
        found: dict[object, State] = {}
        for moment, broken in enumerate(moments(self.play.before, self.play.record)):
            while reached < moment + (self.at < moment < self.until):
                reached, disk = next(sound)
            # Where the sync is late, what tells is the moment before it, when something has relied on it already.
            if self.until <= len(self.sound.record) and moment != self.until - 1:
                continue
            if not broken.is_like(disk):
                for state in broken.states(moment, chance, 128):
                    if not disk.allows(state):
                        found.setdefault((moment, state.model, state.key()), state)
        return list(found.values())


def matches(line: Operation, seed: str) -> bool:
    """Whether a line is a sync that a seed names."""
    kind, *words = line
    if seed == "*":
        return kind == "sync all"
    wanted = "sync data" if seed.startswith("data ") else "sync"
    return kind == wanted and isinstance(words[0], bytes) and words[0].startswith(seed.removeprefix("data ").encode())


def is_end(line: Operation) -> bool:
    """Whether this says that something is done: an answer, a mark, or that what was to be done is taken away."""
    match line:
        case ("unlink", bytes(path)):
            return path.startswith((b"queue/todo/", b"queue/local/", b"queue/remote/", b"queue/bounce/"))
        case ("write", int(_), int(_), bytes(data)):
            return data == b"D"
    return line[0] == "acknowledged"


def created(record: Sequence[Operation]) -> Iterator[tuple[bytes, int]]:
    """Path and inode of each new file."""
    for line in record:
        match line:
            case ("create", bytes(path), int(inode)):
                yield path, inode


def written(record: Sequence[Operation]) -> Iterator[tuple[int, int, bytes]]:
    """Place in the record, inode and bytes of each write."""
    for at, line in enumerate(record):
        match line:
            case ("write", int(inode), int(_), bytes(data)):
                yield at, inode, data


def is_todo(path: object) -> bool:
    return isinstance(path, bytes) and path.startswith(b"queue/todo/")


def play(scene: Scene, folder: Path, processes: Processes) -> Play:
    """Play a scene for real, and see that everything was written down."""
    folder.mkdir()
    post = scene.prepare(folder, processes)
    record = folder / "record"
    record.touch()
    record.chmod(0o666)
    before = {
        path: (Path(post.home, os.fsdecode(path)).stat().st_ino, data) for path, data in held(post, scene).items()
    }
    scene.act(post)
    # And then nothing happens for some time.
    lines = [*plain(list(named(post.record()))), ("sync all",)]
    *_, last = moments(before, lines)
    assert last.now() == held(post, scene), "the record does not lead to what is on disk"
    return Play(scene, before, with_settled(scene, before, lines))


def held(post: Post, scene: Scene) -> dict[bytes, bytes]:
    """The files that a scene is about."""
    paths = every(post.home, [*scene.places, *QUEUE])
    return {os.fsencode(path.relative_to(post.home)): path.read_bytes() for path in paths}


def named(record: Sequence[Operation]) -> Iterator[Operation]:
    """The record with acknowledgements that say of which message, not to whom."""
    subjects = {words[0]: words[1] for kind, *words in record if kind == "submits"}
    for line in record:
        if line[0] == "acknowledged":
            yield ("acknowledged", subjects.get(line[1], line[1]))
        elif line[0] != "submits":
            yield line


CHANGES = frozenset({"create", "link", "rename", "unlink", "write", "truncate"})


def plain(record: Sequence[Operation]) -> Iterator[Operation]:
    """The record without beginnings and tokens of syncs while which nothing changes."""
    begun: dict[object, int] = {}
    changes = 0
    needed = set()
    for line in record:
        changes += line[0] in CHANGES
        if line[0] == "begin":
            begun[line[1]] = changes
        elif line[0] in SYNCS and begun[line[-1]] != changes:
            needed.add(line[-1])
    for line in record:
        if line[0] == "begin":
            if line[1] in needed:
                yield line
        elif line[0] in SYNCS and line[-1] not in needed:
            yield line[:-1]
        else:
            yield line


SYNCS = frozenset({"sync", "sync data", "sync all"})


def with_settled(
    scene: Scene, before: Mapping[bytes, tuple[int, bytes]], record: Sequence[Operation]
) -> list[Operation]:
    """The record with a mark where it is on disk that a recipient is done.

    That is when D is written in its place in local/N or remote/N, and todo/N, from which these are made, is gone.
    """
    marks: dict[int, list[Operation]] = {}
    for copy in scene.copies:
        if copy.bounce:
            continue
        found = done_at(copy, before, record)
        if found is not None:
            marks.setdefault(found, []).append(("settled", copy.place, copy.recipient, copy.sign))
    return [line for at, each in enumerate(record) for line in (each, *marks.get(at + 1, ()))]


def done_at(copy: Copy, before: Mapping[bytes, tuple[int, bytes]], record: Sequence[Operation]) -> int | None:
    """After which line; None where the recipients' file goes before that."""
    # The message's own file comes first, and what is called by its inode.
    number = next(inode for _, inode, data in written(record) if copy.sign in data)
    family = "remote" if copy.place == "sent" else "local"
    name, todo = (b"queue/" + each for each in (queuefiles.split(family, number), queuefiles.flat("todo", number)))
    done = b"D" + copy.recipient.encode() + b"\0"
    for at, disk in enumerate(moments(before, record)):
        file = disk.names.get(name, [None])[-1]
        if file is not None and all(done in each for each in disk.bytes_of[file]) and disk.is_gone(todo):
            return at
    return None
