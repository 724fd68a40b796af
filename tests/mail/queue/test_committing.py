"""Accepting messages together: the real queue, the real loop, the real syncs."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.mail.queue import codes
from svtree.mail.queue.client import ViaSocket
from svtree.mail.queue.codes import SubmitError
from svtree.mail.queue.committing import QUICK, Applicant, Committer
from svtree.mail.queue.writer import Entry, Queue
from svtree.system.loop import Loop
from tests.harness import BIN, DEADLINE, until
from tests.mail.queue.post import MESSAGE, Post

ENVELOPE = b"Fa@b\0Tc@d\0"


@pytest.fixture
def queue(post: Post) -> Iterator[Queue]:
    opened = Queue(os.fsencode(post.home))
    yield opened
    opened.close()


def entries(queue: Queue, count: int) -> list[Entry]:
    """Messages that are complete, and in no way accepted yet."""
    made = [Entry(queue, os.getuid(), os.getpid(), b"from network") for _ in range(count)]
    for each in made:
        each.write(MESSAGE)
        each.address(ENVELOPE)
        each.ready()
    return made


def accept(queue: Queue, generations: list[list[Entry]], quick: float) -> dict[int, SubmitError | None]:
    """Have them accepted, each generation given when the one before it has been answered: the answers by number."""
    loop = Loop()
    committer = Committer(queue, loop, quick=quick)
    answers: dict[int, SubmitError | None] = {}
    end = loop.clock.monotonic() + DEADLINE
    for generation in generations:
        for entry in generation:
            committer.accept(Applicant(entry, lambda failure, number=entry.number: answers.update({number: failure})))  # type: ignore[misc]
        while not all(entry.number in answers for entry in generation):
            assert loop.clock.monotonic() < end
            loop.turn(0.1)
    descriptor = committer._ended
    committer.close()
    loop.close()
    os.close(descriptor)
    return answers


@pytest.mark.parametrize("quick", [QUICK, 0.0, float("inf")], ids=["as it comes", "side by side", "all at once"])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_who_is_told_yes_is_in_the_queue(post: Post, queue: Queue, quick: float, count: int) -> None:
    made = [entries(queue, count) for _ in range(3)]
    numbers = [each.number for generation in made for each in generation]
    answers = accept(queue, made, quick)
    assert answers == dict.fromkeys(numbers)
    assert sorted(post.files("todo")) == sorted(f"todo/{number}" for number in numbers)
    for name in post.files("mess"):
        assert (post.home / "queue" / name).read_bytes().endswith(MESSAGE)


@pytest.mark.parametrize("quick", [0.0, float("inf")], ids=["side by side", "all at once"])
def test_one_that_fails_fails_alone(post: Post, queue: Queue, quick: float) -> None:
    made = entries(queue, 5)
    unlucky = made[2].number
    # As if somebody had cleaned it away.
    (post.home / "queue" / "intd" / str(unlucky)).unlink()
    answers = accept(queue, [made], quick)
    failure = answers.pop(unlucky)
    assert isinstance(failure, SubmitError)
    assert failure.code == codes.TODO_LINK
    assert set(answers.values()) == {None}
    assert len(post.files("todo")) == 4


def test_what_was_being_written_when_a_sync_failed_is_refused(post: Post, queue: Queue) -> None:
    before = entries(queue, 3)
    # The kernel tells once, and of everything, that something could not be written.
    queue.losses += 1
    after = entries(queue, 3)
    numbers = {each.number for each in after}
    answers = accept(queue, [before + after], QUICK)
    refused = {number for number, failure in answers.items() if failure is not None and failure.code == codes.WRITE}
    assert refused == answers.keys() - numbers
    assert sorted(post.files("todo")) == sorted(f"todo/{number}" for number in numbers)
    assert len(post.files("mess")) == 3


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_sessions_that_end_together_share_their_syncs(post: Post) -> None:
    trace = post.folder / "trace"
    wanted = "linkat,fsync,fdatasync,syncfs"
    traced = f"exec strace -f -o {trace} -e trace={wanted} {BIN}/qmail-queued\n"
    post.program("traced", traced)
    process = post.processes.start([post.folder / "bin" / "traced"], env=post.env())
    until((post.home / "queue" / "socket").exists)
    one = ViaSocket(os.fsencode(post.home), None, DEADLINE)
    one.address(ENVELOPE)
    # Our own pid is the client's; the server's is the one that strace follows first.
    assert one.commit() == os.getpid()
    server = int(trace.read_text().split()[0])
    begun = trace.stat().st_size
    # Stopped, so that all of them are complete when it looks again.
    os.kill(server, signal.SIGSTOP)
    clients = [ViaSocket(os.fsencode(post.home), None, DEADLINE) for _ in range(20)]
    for client in clients:
        client.write(MESSAGE)
        client.address(ENVELOPE)
        client.end()
    os.kill(server, signal.SIGCONT)
    for client in clients:
        assert client._answer() == (0, os.getpid())
        client.abandon()
    # strace ends with it.
    os.kill(server, signal.SIGTERM)
    process.wait(DEADLINE)
    lines = trace.read_bytes()[begun:].decode().splitlines()
    syncs = [line for line in lines if re.search(r"(?:fsync|syncfs)\(", line)]
    assert sum('"todo/' in line for line in lines) == 20
    # By itself each would make four.
    assert 2 <= len(syncs) <= 4


def test_the_threads_end_with_the_committer(queue: Queue) -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    accept(queue, [entries(queue, 1)], QUICK)
    until(lambda: threads() <= before, what="no thread is left")
