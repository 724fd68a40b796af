"""The power is cut at any moment: nothing acknowledged is lost, nothing comes half, twice only what was under way.

Each scene is played once by the real programs while everything they do to files is written down (recording/). From the
record every state is made that a power cut can leave at any moment of it, by the model that disk.py describes; each is
put on disk, and the real qmail-send recovers from it (recovery.py). Then it is looked at what became of the messages:

- one whose qmail-queue had exited 0 is in its mailbox, whole, or its sender's bounce is;
- no file in a Maildir's new/ is less than a whole message;
- a message is there twice only if a delivery of it had begun before the cut and its end was not yet on disk. That is
  qmail's promise: it delivers first and notes that afterwards, so that it repeats rather than loses;
- once everything has been synced it is there once, and the queue is empty. On a file system with a journal the queue is
  emptied in any case; on one that keeps names in no order a finished message may leave files that only lie there.

What must be found is sown too: with one sync left out of the record, whichever it is, something is lost.
"""

from __future__ import annotations

import os
import pickle
import random
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.disk import FREE, JOURNAL, Operation, State, cuts
from tests.faults.recovery import FAMILIES, every
from tests.harness import Processes
from tests.mail.queue.post import HOST, Post

HERE = Path(__file__).parent
WORKERS = 2
# States of a scene that are recovered from, unless $POWER_CUT_STATES says another number.
LIMIT = int(os.environ.get("POWER_CUT_STATES", "200"))
TEXT = b"Subject: about power\n\n" + b"".join(b"line %d of the message\n" % number for number in range(12))
HEAD = rb"Return-Path: <[^>]*>\nDelivered-To: %s@mail\.example\.com\nReceived: \(qmail \d+ invoked [^\n]*\n"
EARLIER = b"From somebody Thu Jan  1 00:00:00 1970\nSubject: earlier\n\nIt was here before.\n\n"


@dataclass(frozen=True)
class Scene:
    """What is played: who is there, what is sent, where it has to be in the end, in which form."""

    name: str
    default: str
    recipients: tuple[str, ...]
    folders: tuple[str, ...]
    forms: Mapping[str, bytes]
    bounces: bool = False

    def prepare(self, folder: Path, processes: Processes) -> Post:
        made = Recorded(folder, processes)
        folder.chmod(0o755)
        for name in ("jiro", "saburo"):
            home = made.user(name)
            (home / "mbox").write_bytes(EARLIER)
            os.chown(home / "mbox", home.stat().st_uid, home.stat().st_gid)
        return made


class Recorded(Post):
    """A mail system whose programs write down what they do to its files."""

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().env(
            {
                "PYTHONPATH": f"{HERE / 'recording'}:{HERE.parents[1]}",
                "POWER_CUT_ROOT": str(self.home),
                "POWER_CUT_RECORD": str(self.folder / "record"),
                **(more or {}),
            }
        )

    def record(self) -> list[Operation]:
        lines = (self.folder / "record").read_text().splitlines()
        return [eval(line, {"__builtins__": {}}) for line in lines]


def maildir(user: str) -> str:
    return f"home/{user}/Maildir"


def arrives(user: str) -> bytes:
    return HEAD % user.encode() + re.escape(TEXT)


BOUNCE = (
    HEAD % b"jiro"
    + rb"Date: .*failure notice.*<missing@mail\.example\.com>:\nSorry, no mailbox here by that name\..*"
    + rb"--- Below this line is a copy of the message\.\n\nReturn-Path: <jiro@mail\.example\.com>\nReceived: [^\n]*\n"
    + re.escape(TEXT)
)
TO_MAILDIRS = Scene(
    "to two Maildirs",
    "./Maildir/",
    ("jiro", "saburo"),
    (maildir("jiro"), maildir("saburo")),
    {maildir("jiro"): arrives("jiro"), maildir("saburo"): arrives("saburo")},
)
TO_MAILDIR = Scene("to a Maildir", "./Maildir/", ("jiro",), (maildir("jiro"),), {maildir("jiro"): arrives("jiro")})
TO_MBOX = Scene(
    "to an mbox",
    "./mbox",
    ("jiro",),
    ("home/jiro/mbox",),
    {"home/jiro/mbox": rb"From [^\n]*\n" + arrives("jiro") + rb"\n"},
)
BOUNCED = Scene("a bounce", "./Maildir/", ("missing",), (maildir("jiro"),), {maildir("jiro"): BOUNCE}, bounces=True)


@dataclass(frozen=True)
class Play:
    """A scene's record, what was on disk before it, and how many operations had been made at the acknowledgement."""

    scene: Scene
    before: dict[bytes, tuple[int, bytes]]
    record: list[Operation]
    acknowledged: int

    def without(self, dropped: int) -> Play:
        """The record as it would be if a sync had been left out."""
        assert self.record[dropped][0] == "sync"
        record = self.record[:dropped] + self.record[dropped + 1 :]
        return Play(self.scene, self.before, record, self.acknowledged - (dropped < self.acknowledged))

    def begun(self, place: str) -> int:
        """After how many operations a copy may be in the place, or on its way there, of which no record is on disk."""
        if self.scene.bounces:
            # From when the bounce is in the queue until its text, bounce/N, is out of it.
            return [at for at, (kind, *words) in enumerate(self.record) if kind == "link" and is_todo(words[1])][1]
        inode = self.before.get(place.encode(), (None,))[0]
        return next(
            at
            for at, (kind, *words) in enumerate(self.record)
            if (kind == "write" and words[0] == inode)
            or any(isinstance(word, bytes) and word.startswith(place.encode()) for word in words)
        )


def is_todo(path: object) -> bool:
    return isinstance(path, bytes) and path.startswith(b"queue/todo/")


def play(scene: Scene, folder: Path, processes: Processes) -> Play:
    """Play a scene for real."""
    folder.mkdir()
    post = scene.prepare(folder, processes)
    assert isinstance(post, Recorded)
    record = folder / "record"
    record.touch()
    record.chmod(0o666)
    before = {
        os.fsencode(path.relative_to(post.home)): (path.stat().st_ino, path.read_bytes())
        for path in every(post.home, [*scene.folders, *(f"queue/{family}" for family in FAMILIES)])
    }
    assert post.queue([f"{each}@{HOST}" for each in scene.recipients], f"jiro@{HOST}", TEXT).code == 0
    acknowledged = len(post.record())
    post.start(scene.default)
    post.empty()
    assert post.stop() == 0
    # And then nothing happens for some time.
    return Play(scene, before, [*post.record(), ("sync all",)], acknowledged)


@dataclass
class Recoverer:
    """Mail systems like the one of the scene, in which states are made real and recovered from."""

    scene: Scene
    folder: Path
    processes: Processes

    def __post_init__(self) -> None:
        self.folder.mkdir()
        places = [self.folder / str(number) for number in range(WORKERS)]
        for place in places:
            place.mkdir()
        self.posts = [self.scene.prepare(place, self.processes) for place in places]

    def results(self, states: Sequence[State]) -> Iterator[tuple[State, Result]]:
        """What qmail-send makes of each."""
        running = []
        shares = [states[number :: len(self.posts)] for number in range(len(self.posts))]
        for post, share in zip(self.posts, shares, strict=True):
            given, got = post.folder / "in", post.folder / "out"
            default = self.scene.default.encode()
            given.write_bytes(
                pickle.dumps((str(post.home), default, self.scene.folders, [each.files for each in share]))
            )
            command = [sys.executable, str(HERE / "recovery.py"), str(given), str(got)]
            env = {**Post.env(post), "PYTHONPATH": str(HERE.parents[1])}
            running.append(self.processes.start(command, env=env, stdout=None, stderr=None))
        codes = [process.wait(60 + len(states)) for process in running]
        assert codes == [0] * len(codes)
        for post, share in zip(self.posts, shares, strict=True):
            found = pickle.loads((post.folder / "out").read_bytes())
            for state, result in zip(share, found, strict=True):
                yield state, Result(*result)


@dataclass(frozen=True)
class Result:
    """After recovery: the mailboxes' files, what is left in the queue, what qmail-send said."""

    mail: dict[str, bytes]
    queue: dict[str, bytes]
    log: list[bytes]


def judged(play: Play, state: State, result: Result) -> str | None:
    """What is wrong, if anything."""
    for place, form in play.scene.forms.items():
        count, half = counted(place, form, result.mail)
        if half:
            return half
        is_over = state.at == len(play.record)
        most = 1 if play.begun(place) >= state.at or is_over else 2
        if play.scene.bounces and state.model == FREE:
            # Queued again, because its text came back, and delivered again, because the end of that did not last.
            most = 1 if is_over else 3
        if state.at >= play.acknowledged and count == 0:
            return f"lost from {place}"
        if count > most:
            return f"{count} copies in {place}, at most {most} are promised"
    left = [name for name in result.queue if not name.startswith("queue/pid/")]
    if left and (state.model == JOURNAL or state.at == len(play.record)):
        return f"left in the queue: {left}"
    return None


def counted(place: str, form: bytes, mail: Mapping[str, bytes]) -> tuple[int, str | None]:
    """How many copies of a message are there, and what is not whole."""
    whole = re.compile(form, re.DOTALL)
    if place.endswith("mbox"):
        # An append that was cut short stays as a fragment: an mbox knows no better, which is why there are Maildirs.
        text = mail.get(place, b"")
        return len(whole.findall(text)), None if text.startswith(EARLIER) else f"{place} has lost what it had"
    files = {name: data for name, data in mail.items() if name.startswith(f"{place}/new/")}
    for name, data in files.items():
        if not whole.fullmatch(data):
            return 0, f"half a message: {name}: {data[:80]!r}"
    return len(files), None


def unique(play: Play, states: Iterable[State]) -> list[State]:
    """One state of those that are alike and are judged alike; no two of them alike, all that a journal leaves first."""
    found: dict[object, State] = {}
    for each in states:
        begun = tuple(play.begun(place) < each.at for place in play.scene.forms)
        judged_by = (each.at >= play.acknowledged, begun, each.at == len(play.record), each.model == JOURNAL)
        found.setdefault((each.key(), judged_by), each)
    chosen = list(found.values())
    random.Random(len(chosen)).shuffle(chosen)
    return sorted(chosen, key=lambda state: state.model != JOURNAL)


@pytest.mark.slow
@pytest.mark.parametrize("scene", [TO_MAILDIR, TO_MAILDIRS, TO_MBOX, BOUNCED], ids=lambda scene: scene.name)
def test_every_state_that_a_power_cut_leaves_keeps_the_promise(
    scene: Scene, folder: Path, processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    played = play(scene, folder / "play", processes)
    every_state = unique(played, cuts(played.before, played.record))
    states = every_state[:LIMIT]
    wrong = [
        f"after {state.at} of {len(played.record)} ({state.model}), {found}: {sorted(state.files)}: {result.log}"
        for state, result in Recoverer(scene, folder / "recover", processes).results(states)
        if (found := judged(played, state, result)) is not None
    ]
    with capsys.disabled():
        count = f"{len(states)} of {len(every_state)} states recovered from"
        print(f"\npower cut, {scene.name}: {len(played.record)} operations, {count}")  # noqa: T201 - the number is what is asked for
    assert not wrong, f"{len(wrong)} of {len(states)} states: {wrong[:5]} and {played.record}"


SYNCED = {
    TO_MAILDIR.name: 10 * [b""],
    TO_MBOX.name: [b"home/jiro/mbox"],
    BOUNCED.name: 2 * [b"queue/bounce"],
}


@pytest.mark.slow
@pytest.mark.parametrize("scene", [TO_MAILDIR, TO_MBOX, BOUNCED], ids=lambda scene: scene.name)
def test_whichever_sync_is_left_out_something_is_wrong(scene: Scene, folder: Path, processes: Processes) -> None:
    played = play(scene, folder / "play", processes)
    recoverer = Recoverer(scene, folder / "recover", processes)
    prefixes = SYNCED[scene.name]
    syncs = [
        at
        for at, (kind, *words) in enumerate(played.record)
        if kind == "sync" and isinstance(words[0], bytes) and words[0].startswith(prefixes[0])
    ]
    assert len(syncs) == len(prefixes)
    for dropped in syncs:
        broken = played.without(dropped)
        after = [state for state in unique(broken, cuts(broken.before, broken.record)) if state.at >= dropped]
        assert first_wrong(broken, after, recoverer), f"without {played.record[dropped]} nothing is wrong"


def first_wrong(play: Play, states: Sequence[State], recoverer: Recoverer) -> str | None:
    """What is wrong after recovery from the first state of which something is."""
    for start in range(0, len(states), 50):
        for state, result in recoverer.results(states[start : start + 50]):
            wrong = judged(play, state, result)
            if wrong is not None:
                return f"{start} {wrong} ({state.model})"
    return None
