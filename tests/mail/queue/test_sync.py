"""Shared syncs: the protocol of svtree.mail.queue.sync, with real processes and locks."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.mail.queue.layout import make_queue
from svtree.mail.queue.sync import BOOT_ID, HELD, NAME, TAG, SharedSync
from tests.harness import until


@pytest.fixture
def queue(folder: Path) -> Iterator[int]:
    """A descriptor of an empty queue."""
    make_queue(os.fsencode(folder))
    descriptor = os.open(folder / "queue", os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def shared(queue: int) -> Iterator[SharedSync]:
    one = SharedSync(queue)
    yield one
    one.close()


def lock(queue: int) -> int:
    """Be somebody who is syncing just now: a descriptor of lock/sync, locked."""
    descriptor = os.open(NAME, os.O_RDWR, dir_fd=queue)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def begun(queue: int) -> int:
    """The number of the last sync that began."""
    return os.stat(NAME, dir_fd=queue).st_size


def record(queue: int, *, boot: bytes, succeeded: int, failed: int) -> None:
    descriptor = os.open(NAME, os.O_RDWR, dir_fd=queue)
    os.pwrite(descriptor, boot + succeeded.to_bytes(8, "big") + failed.to_bytes(8, "big"), 0)
    os.close(descriptor)


def boot_id() -> bytes:
    return Path(os.fsdecode(BOOT_ID)).read_bytes()[:TAG]


class Waiter:
    """A thread in `settle`, and how it ended."""

    def __init__(self, shared: SharedSync) -> None:
        self.error: OSError | None = None
        self.thread = threading.Thread(target=self._run, args=(shared,))
        self.thread.start()

    def _run(self, shared: SharedSync) -> None:
        try:
            shared.settle(())
        except OSError as error:
            self.error = error

    def waits(self, inode: int) -> bool:
        """Whether the kernel has somebody waiting for the lock on this file."""
        return any("->" in line and f":{inode} " in line for line in Path("/proc/locks").read_text().splitlines())

    def end(self) -> OSError | None:
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.error


def test_alone_one_syncs_ones_own_files_and_numbers_nothing(queue: int, shared: SharedSync, folder: Path) -> None:
    with (folder / "file").open("wb") as file:
        shared.settle([file.fileno()])
    assert begun(queue) == 0


def test_a_crowd_is_one_numbered_sync(queue: int, shared: SharedSync) -> None:
    shared.settle((), crowd=True)
    first = begun(queue)
    shared.settle((), crowd=True)
    assert begun(queue) == first + 1 > HELD


def test_who_has_waited_for_another_syncs_itself_if_no_later_sync_has(queue: int, shared: SharedSync) -> None:
    held = lock(queue)
    waiter = Waiter(shared)
    until(lambda: waiter.waits(os.fstat(held).st_ino))
    os.close(held)
    assert waiter.end() is None
    assert begun(queue) == HELD + 1


def test_who_has_waited_goes_when_a_sync_that_began_after_it_came_has_succeeded(queue: int, shared: SharedSync) -> None:
    shared.settle((), crowd=True)
    number = begun(queue)
    held = lock(queue)
    waiter = Waiter(shared)
    until(lambda: waiter.waits(os.fstat(held).st_ino))
    os.ftruncate(held, number + 1)
    record(queue, boot=boot_id(), succeeded=number + 1, failed=0)
    os.close(held)
    assert waiter.end() is None
    assert begun(queue) == number + 1


def test_a_sync_that_began_before_one_came_is_not_enough(queue: int, shared: SharedSync) -> None:
    shared.settle((), crowd=True)
    number = begun(queue)
    held = lock(queue)
    os.ftruncate(held, number + 1)
    waiter = Waiter(shared)
    until(lambda: waiter.waits(os.fstat(held).st_ino))
    record(queue, boot=boot_id(), succeeded=number + 1, failed=0)
    os.close(held)
    assert waiter.end() is None
    assert begun(queue) == number + 2


def test_a_leader_that_was_killed_is_followed_by_another(queue: int, shared: SharedSync) -> None:
    shared.settle((), crowd=True)
    number = begun(queue)
    held = lock(queue)
    waiter = Waiter(shared)
    until(lambda: waiter.waits(os.fstat(held).st_ino))
    # It has begun, and dies without a word: the kernel drops its lock.
    os.ftruncate(held, number + 1)
    os.close(held)
    assert waiter.end() is None
    assert begun(queue) == number + 2


def test_who_waited_through_a_failed_sync_fails_too(queue: int, shared: SharedSync) -> None:
    shared.settle((), crowd=True)
    number = begun(queue)
    held = lock(queue)
    waiter = Waiter(shared)
    until(lambda: waiter.waits(os.fstat(held).st_ino))
    # A failure, and after it a success that says nothing about what was lost before.
    os.ftruncate(held, number + 2)
    record(queue, boot=boot_id(), succeeded=number + 2, failed=number + 1)
    os.close(held)
    error = waiter.end()
    assert error is not None
    assert error.errno == errno.EIO
    shared.settle((), crowd=True)


def test_numbers_of_an_earlier_boot_count_for_nothing(queue: int, shared: SharedSync) -> None:
    shared.settle((), crowd=True)
    number = begun(queue)
    record(queue, boot=b"x" * TAG, succeeded=number + 1000, failed=number + 1000)
    held = lock(queue)
    waiter = Waiter(shared)
    until(lambda: waiter.waits(os.fstat(held).st_ino))
    os.close(held)
    assert waiter.end() is None
    assert begun(queue) == number + 1


def test_many_processes_share_and_none_waits_for_ever(queue: int, folder: Path) -> None:
    children = []
    for number in range(8):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                mine = os.open(folder / f"file{number}", os.O_WRONLY | os.O_CREAT, 0o600)
                one = SharedSync(queue)
                for _ in range(20):
                    os.write(mine, b"x")
                    one.settle([mine])
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 8
    # Had each of them led one, there would be 160.
    assert begun(queue) - HELD < 160
