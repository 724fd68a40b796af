"""The engine of qmail-lspawn and qmail-rspawn: one child a delivery, its output and its end told to qmail-send.

Follows spawn.c. A child is forked; what it runs (`Kind.deliver`) is ours in the same interpreter, or exec'ed. A report
is given when the child has ended and nothing else holds its output open, or PATIENCE after it has ended.
"""

from __future__ import annotations

import os
import stat

from svtree.mail.delivery.orders import SLOTS, Order, OrderError, Orders, check, truncated
from svtree.system.descriptors import place
from svtree.system.loop import READ, Loop
from svtree.system.streams import complain, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.system.loop import Timer

BLOCK = 65536
# What somebody's .qmail left running in the background may hold the output open for so long, in seconds.
PATIENCE = 60.0
# qmail-remote's output is bounded by what a server says; more than this is no report.
MOST = 1 << 20


class Kind:
    """What makes a spawner the local or the remote one."""

    def __init__(self, deliver: Callable[[Order], int], report: Callable[[int, bytes], bytes], limit: int) -> None:
        """`deliver` runs in the child, the message on 0, the report on 1 and 2, and returns its exit code."""
        self.deliver = deliver
        self.report = report
        self.limit = limit


class _Delivery:
    """One that runs."""

    __slots__ = ("code", "eof", "output", "pid", "pipe", "timer")

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pipe = pipe
        self.output = b""
        self.code: int | None = None
        self.eof = False
        self.timer: Timer | None = None


class Spawner:
    """Serves qmail-send on descriptors 0 and 1 until it closes them and every delivery has ended."""

    def __init__(self, kind: Kind, owner: int) -> None:
        """In the directory mess/; `owner` is whose the message files must be."""
        self._kind = kind
        self._owner = owner
        self._loop = Loop()
        self._orders = Orders()
        self._running: dict[int, _Delivery] = {}
        self._reading = True
        self._writing = True

    def run(self) -> None:
        """Serve."""
        self._write(bytes([SLOTS]))
        self._loop.watch(0, READ, self._read)
        while self._reading or self._running:
            self._loop.turn()
        self._loop.close()

    def _read(self, _: int) -> None:
        try:
            data = os.read(0, BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        try:
            orders = self._orders.feed(data)
        except ValueError:
            # Nothing that follows can be told apart any more.
            orders, data = [], b""
        for order in orders:
            try:
                self._begin(order)
            except OrderError as error:
                self._report(order.slot, error.report)
        if not data:
            self._reading = False
            self._loop.forget(0)

    def _begin(self, order: Order) -> None:
        check(order)
        if order.slot in self._running:
            raise OrderError(b"ZInternal error: delnum in use. (#4.3.5)\n")
        message = self._open(order.message)
        try:
            try:
                out, into = os.pipe2(os.O_CLOEXEC)
            except OSError as error:
                raise OrderError(b"Zqmail-spawn unable to create pipe. (#4.3.0)\n") from error
            try:
                pid = self._fork(order, message, into)
            except OSError as error:
                os.close(out)
                raise OrderError(b"Zqmail-spawn unable to fork. (#4.3.0)\n") from error
            finally:
                os.close(into)
        finally:
            os.close(message)
        self._running[order.slot] = _Delivery(pid, out)
        self._loop.watch(out, READ, lambda _: self._collect(order.slot))
        self._loop.on_exit(pid, lambda: self._ended(order.slot))

    def _open(self, message: bytes) -> int:
        try:
            descriptor = os.open(message, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise OrderError(b"Zqmail-spawn unable to open message. (#4.3.0)\n") from error
        status = os.fstat(descriptor)
        problem = b""
        if not stat.S_ISREG(status.st_mode):
            problem = b"ZSorry, message has wrong type. (#4.3.5)\n"
        elif status.st_uid != self._owner:
            problem = b"ZSorry, message has wrong owner. (#4.3.5)\n"
        if problem:
            os.close(descriptor)
            raise OrderError(problem)
        os.set_blocking(descriptor, True)
        return descriptor

    def _fork(self, order: Order, message: int, into: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 111
        try:
            # The loop's epoll is shared with the parent by the fork: closed here, it must not be touched.
            place({0: message, 1: into, 2: into})
            os.closerange(3, 65536)
            code = self._kind.deliver(order)
        except Exception as error:  # noqa: BLE001 - a defect of ours defers the delivery and says why
            complain(f"internal error: {type(error).__name__}: {error}")
        finally:
            os._exit(code)

    def _collect(self, slot: int) -> None:
        delivery = self._running[slot]
        try:
            data = os.read(delivery.pipe, BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            delivery.output = truncated(delivery.output + data, self._kind.limit)[:MOST]
            return
        delivery.eof = True
        self._loop.forget(delivery.pipe)
        self._settle(slot)

    def _ended(self, slot: int) -> None:
        delivery = self._running[slot]
        _, status = os.waitpid(delivery.pid, 0)
        delivery.code = os.waitstatus_to_exitcode(status)
        if not delivery.eof:
            delivery.timer = self._loop.after(PATIENCE, lambda: self._give_up(slot))
        self._settle(slot)

    def _give_up(self, slot: int) -> None:
        delivery = self._running[slot]
        delivery.eof = True
        self._loop.forget(delivery.pipe)
        self._settle(slot)

    def _settle(self, slot: int) -> None:
        delivery = self._running[slot]
        if delivery.code is None or not delivery.eof:
            return
        del self._running[slot]
        if delivery.timer is not None:
            delivery.timer.cancel()
        os.close(delivery.pipe)
        self._report(slot, self._kind.report(delivery.code, delivery.output))

    def _report(self, slot: int, report: bytes) -> None:
        self._write(b"%c%s\0" % (slot, report.replace(b"\0", b"")))

    def _write(self, data: bytes) -> None:
        if not self._writing:
            return
        try:
            write_all(1, data)
        except OSError:
            # qmail-send is gone; what runs is still brought to its end.
            self._writing = False
