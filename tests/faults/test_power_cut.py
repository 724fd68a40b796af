"""The power is cut at any moment: nothing acknowledged is lost, nothing comes half, twice only what was under way.

Each scene (scenes.py) is played once by the real programs while everything they do to files is written down
(recording/). From the record every state is made that a power cut can leave at any moment of it, by the model that
disk.py describes; each is put on disk, and the real qmail-send recovers from it (recovery.py). Then it is looked at
what became of the messages (judging.py):

- one that was acknowledged is in its mailbox or at the other host, whole, or its sender's bounce is;
- no file in a Maildir's new/ is less than a whole message;
- a message is there twice only if a delivery of it had begun before the cut and its end was not yet on disk. That is
  qmail's promise: it delivers first and notes that afterwards, so that it repeats rather than loses;
- once everything has been synced it is there once, and the queue is empty. On a file system with a journal the queue is
  emptied in any case; on one that keeps names in no order a finished message may leave files that only lie there.

What must be found is sown too: with one sync left out of the record, or made only after what relies on it, whichever it
is, there is a state in which a promise is broken.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.disk import State, cuts, moments
from tests.faults.judging import Result, judged, some, unique
from tests.faults.plays import Bug, play
from tests.faults.scenes import SCENES, Scene
from tests.harness import Processes
from tests.mail.queue.post import Post

HERE = Path(__file__).parent
WORKERS = 2
# States of a scene that are recovered from, unless $POWER_CUT_STATES says another number.
LIMIT = int(os.environ.get("POWER_CUT_STATES", "250"))
# Which states of a sown bug are looked at, until one tells of it: seed, first and last.
ROUNDS = ((0, 0, 8), (0, 8, 40), (0, 40, 200), (1, 0, 200), (2, 0, 200))


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
            task = (str(post.home), self.scene.default.encode(), self.scene.places, [each.files for each in share])
            given.write_bytes(pickle.dumps(task))
            command = [sys.executable, str(HERE / "recovery.py"), str(given), str(got)]
            env = {**Post.env(post), "PYTHONPATH": str(HERE.parents[1])}
            running.append(self.processes.start(command, env=env, stdout=None, stderr=None))
        codes = [process.wait(120 + len(states)) for process in running]
        assert codes == [0] * len(codes)
        found = [pickle.loads((post.folder / "out").read_bytes()) for post in self.posts]
        for at, state in enumerate(states):
            yield state, Result(*found[at % WORKERS][at // WORKERS])


def undetected(sown: Sequence[Bug], recoverer: Recoverer) -> list[str]:
    """The bugs of whose states none breaks a promise: a few are looked at first, more where those do not tell."""
    left = list(sown)
    for seed, begin, end in ROUNDS:
        if not left:
            break
        mixed = [(bug, bug.states(seed)) for bug in left]
        states = [(bug, state) for bug, fresh in mixed for state in some(fresh, end)[begin:]]
        results = recoverer.results([state for _, state in states])
        wrong = {
            bug.name
            for (bug, state), (_, result) in zip(states, results, strict=True)
            if judged(bug.play, state, result) is not None
        }
        left = [bug for bug in left if bug.name not in wrong]
    return [bug.name for bug in left]


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_state_that_a_power_cut_leaves_keeps_the_promise_and_every_bug_that_is_sown_breaks_it(
    scene: Scene, folder: Path, processes: Processes, record_property: Callable[[str, object], None]
) -> None:
    played = play(scene, folder / "play", processes)
    sound = unique(played, cuts(played.before, played.record))
    states = some(sound.values(), LIMIT)
    recoverer = Recoverer(scene, folder / "recover", processes)
    wrong = [
        f"after {state.at} of {len(played.record)} ({state.model}), {found}: {sorted(state.files)}: {result.log}"
        for state, result in recoverer.results(states)
        if (found := judged(played, state, result)) is not None
    ]
    assert not wrong, f"{len(wrong)} of {len(states)} states: {wrong[:5]} and {played.record}"
    sown = list(played.bugs())
    assert len(sown) >= 2
    assert undetected(sown, recoverer) == []
    possible = sum(disk.count() for disk in moments(played.before, played.record))
    record_property(
        "shown",
        f"power cut, {scene.name}: {len(played.record)} operations, {possible} states possible, {len(sound)} that"
        f" differ enumerated, {len(states)} recovered from; {len(sown)} bugs sown, all found",
    )
