"""kill -9 at any moment: nothing that was acknowledged is lost, and twice comes only what was being delivered."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.harness import Processes, environment, ours, until
from tests.mail.queue.post import HOST, Post

JIRO = f"jiro@{HOST}"
# What a child does in one go is a few milliseconds; a kill within so many hits any part of it.
LIFE = 0.12


@pytest.fixture
def post(folder: Path, processes: Processes) -> Iterator[Post]:
    made = Post(folder, processes)
    yield made
    if made.running is not None and made.running.poll() is None:
        made.stop()


def submit(post: Post, name: str, kill_after: float | None) -> int:
    """Run qmail-queue on a message that says its name; kill it after a while if it still runs. Its exit code."""
    out, into = os.pipe()
    os.write(into, b"Fsender@elsewhere.example\0T%s\0\0" % JIRO.encode())
    os.close(into)
    process = subprocess.Popen(
        [ours("qmail-queue")],
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.DEVNULL,
        env=environment(post.env()),
    )
    os.close(out)
    try:
        assert process.stdin is not None
        try:
            process.stdin.write(b"Subject: %s\n\n" % name.encode() + b"x" * 20_000 + b"\nend of %s\n" % name.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass
        if kill_after is not None:
            try:
                process.wait(kill_after)
            except subprocess.TimeoutExpired:
                process.kill()
        return process.wait(60)
    finally:
        process.kill()
        process.wait()


def names(messages: list[bytes]) -> Counter[str]:
    """How often each message has come; fails for one that is not whole."""
    found: Counter[str] = Counter()
    for message in messages:
        subject = re.search(rb"^Subject: (\S+)$", message, re.MULTILINE)
        assert subject is not None
        assert message.endswith(b"x\nend of %s\n" % subject[1])
        found[subject[1].decode()] += 1
    return found


@pytest.mark.slow
def test_killed_writers_leave_no_broken_message_and_lose_no_acknowledged_one(post: Post) -> None:
    post.user("jiro")
    post.start()
    chance = random.Random(20261123)
    acknowledged = set()
    for number in range(60):
        name = f"m{number}"
        if submit(post, name, chance.uniform(0, LIFE) if number % 4 else None) == 0:
            acknowledged.add(name)
    until(lambda: not post.files("todo", "info", "local"), 60)
    came = names(post.mail("jiro"))
    assert acknowledged <= set(came)
    # A writer that was killed after todo/ was linked has queued its message; but nothing comes twice.
    assert set(came.values()) == {1}
    # What killed ones left is in the states that the clean-up after 36 hours knows.
    for left in post.files():
        assert left.startswith(("mess/", "intd/", "pid/"))


@pytest.mark.slow
def test_killing_any_part_under_load_loses_nothing_and_repeats_only_what_ran(post: Post) -> None:
    post.user("jiro")
    chance = random.Random(7)
    acknowledged: set[str] = set()
    done = threading.Event()

    def load() -> None:
        for number in range(50):
            name = f"m{number}"
            if submit(post, name, None) == 0:
                acknowledged.add(name)
        done.set()

    writer = threading.Thread(target=load)
    writer.start()
    kills = 0
    try:
        while not done.is_set() or kills < 6:
            process = post.start()
            done.wait(chance.uniform(0.05, 0.5))
            kill_a_part(process.pid, chance)
            kills += 1
            process.wait(60)
            until(lambda: not parts_of(post), what="every part has ended")
    finally:
        writer.join()
    assert len(acknowledged) == 50
    runs = [line for line in post.log() if line.startswith("starting delivery")]
    post.start()
    # A delivery that was killed has been deferred, as a crash is.
    post.signal(signal.SIGALRM)
    until(lambda: not post.files("todo", "info", "local", "bounce"), 60)
    came = names(post.mail("jiro"))
    assert set(came) == acknowledged
    repeated = sum(times - 1 for times in came.values())
    # At most what ran at a kill is delivered again: ten at once is the limit.
    assert repeated <= 10 * kills
    assert len(runs) >= repeated


def kill_a_part(pid: int, chance: random.Random) -> None:
    """kill -9 of qmail-send or of one of its children or grandchildren, whichever is there."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    victim = chance.choice(family)
    with contextlib.suppress(psutil.NoSuchProcess):
        victim.send_signal(signal.SIGKILL)
    if victim.pid != pid:
        # A lost child may be a delivery, which qmail-send reports and survives, or have ended by itself.
        os.kill(pid, signal.SIGTERM)


def parts_of(post: Post) -> list[int]:
    """The processes of this tree that still run, orphans included."""
    mark = f"QMAILHOME={post.home}".encode()
    found = []
    for pid in psutil.pids():
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            # Writers go on: they are not what is killed here.
            if mark in environ and b"qmail-" in words and b"/qmail-queue\0" not in words:
                found.append(pid)
        except (OSError, psutil.Error):
            continue
    return found


@pytest.mark.slow
def test_a_server_killed_under_load_has_acknowledged_only_what_is_in_the_queue(post: Post) -> None:
    from svtree.mail.queue.client import ViaSocket
    from svtree.mail.queue.submit import SubmitError

    chance = random.Random(3)
    acknowledged: set[bytes] = set()
    stop = threading.Event()

    def clients(which: int) -> None:
        for number in range(1000):
            if stop.is_set():
                return
            name = b"c%d-%d" % (which, number)
            try:
                client = ViaSocket(os.fsencode(post.home), None, 1)
                client.write(b"Subject: %s\n\n" % name + b"x" * 3000)
                client.address(b"Fa@b\0Tc@d\0")
                client.commit()
            except SubmitError:
                continue
            acknowledged.add(name)

    workers = [threading.Thread(target=clients, args=(which,)) for which in range(6)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(6):
            server = post.processes.start([ours("qmail-queued")], env=post.env())
            before = len(acknowledged)
            until(lambda before=before: len(acknowledged) > before + 10)  # type: ignore[misc]
            time.sleep(chance.uniform(0, 0.05))
            server.kill()
            server.wait()
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    queue = post.home / "queue"
    queued = set()
    for todo in post.files("todo"):
        number = int(todo.rpartition("/")[2])
        assert (queue / todo).read_bytes().endswith(b"\0Fa@b\0Tc@d\0")
        message = (queue / "mess" / str(number % 23) / str(number)).read_bytes()
        assert message.endswith(b"x" * 3000)
        queued.add(message.split(b"Subject: ")[1].split(b"\n")[0])
    assert acknowledged <= queued
