"""What a service says of itself: the supervisor's side of sd_notify, s6's notification-fd, runit's check.

sd_notify(3): datagrams of VARIABLE=VALUE lines to the Unix socket supervise/notify. Understood are READY=1, STATUS=,
WATCHDOG=1, FDSTORE=1 with FDNAME= and descriptors, FDSTOREREMOVE=1 with FDNAME=. The rest is ignored. A message
counts when the kernel says that it comes from root, from our own user or from the user the service runs as.

notification-fd holds a number N: the service writes a newline to descriptor N when it is ready. `check` is a program
that exits 0 when the service is ready; it is asked until it does.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from svtree.formats.record import record
from svtree.supervision.errand import Errand
from svtree.supervision.store import valid_name
from svtree.system.descriptors import duplicate
from svtree.system.loop import READ

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from svtree.supervision.process import Exit
    from svtree.system.loop import Loop, Timer

NAME = b"supervise/notify"
# Bounds on what a service may say: a message, a status text, descriptors in one message.
LONGEST = 4096
LONGEST_STATUS = 512
MOST_DESCRIPTORS = 32
# So many messages in one turn of the loop; the rest waits for the next, so that no service starves another.
AT_ONCE = 32
CREDENTIALS = struct.Struct("3i")
# check: the first pause in seconds, the longest, and how long a check may take.
CHECK_PAUSE = 0.25
CHECK_PAUSE_MOST = 30.0
CHECK_TIME = 5.0


@record
class Message:
    """One datagram: its lines as pairs, and the descriptors that came with it, which are the receiver's to close."""

    fields: tuple[tuple[bytes, bytes], ...]
    descriptors: tuple[int, ...]

    def get(self, name: bytes) -> bytes | None:
        """The value of a variable; the last one if there are several."""
        return next((value for key, value in reversed(self.fields) if key == name), None)

    def status(self) -> str | None:
        """The text of STATUS=, fit to be shown on one line; None if there is none."""
        value = self.get(b"STATUS")
        if value is None:
            return None
        text = value[:LONGEST_STATUS].decode("utf-8", "replace")
        return "".join(each if each.isprintable() else "?" for each in text)

    def name(self) -> bytes:
        """The value of FDNAME=, or the name that descriptors without one have."""
        return valid_name(self.get(b"FDNAME") or b"")

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


class NotifySocket:
    """supervise/notify of one service, made anew: the one that a dead supervisor left answers nobody."""

    __slots__ = ("_heard", "_loop", "_path", "_socket", "_welcome")

    def __init__(
        self, loop: Loop, base: bytes, welcome: Callable[[], Collection[int]], heard: Callable[[Message], None]
    ) -> None:
        """`base` is a short path of the service directory, `welcome` gives the users who may speak. OSError."""
        self._loop = loop
        self._path = base + NAME
        self._welcome = welcome
        self._heard = heard
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(self._path)
            # Whoever reaches it may write; who counts is decided by what the kernel says of the sender.
            os.chmod(self._path, 0o666)
        except BaseException:
            self._socket.close()
            raise
        loop.watch(self._socket.fileno(), READ, self._read)

    def close(self) -> None:
        """Hear no more. The name stays for the successor to replace: by now it may be its socket."""
        self._loop.forget(self._socket.fileno())
        self._socket.close()

    def _read(self, _: int) -> None:
        for _ in range(AT_ONCE):
            try:
                message = self._receive()
            except BlockingIOError:
                return
            except OSError:
                # ENOMEM and the like: the datagram is lost, as datagrams are.
                return
            if message is not None:
                self._heard(message)

    def _receive(self) -> Message | None:
        room = socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(4 * MOST_DESCRIPTORS)
        data, beside, flags, _ = self._socket.recvmsg(LONGEST, room, socket.MSG_CMSG_CLOEXEC)
        descriptors: list[int] = []
        sender = -1
        for level, kind, value in beside:
            if level != socket.SOL_SOCKET:
                continue
            if kind == socket.SCM_RIGHTS:
                count = len(value) // 4
                descriptors.extend(struct.unpack(f"{count}i", value[: 4 * count]))
            elif kind == socket.SCM_CREDENTIALS:
                _, sender, _ = CREDENTIALS.unpack(value[: CREDENTIALS.size])
        lines = (line.partition(b"=") for line in data.split(b"\n"))
        message = Message(tuple((key, value) for key, _, value in lines), tuple(descriptors))
        # Cut short means longer than anything we would believe.
        if sender not in self._welcome() or flags & socket.MSG_TRUNC:
            message.close()
            return None
        return message


class NotificationPipe:
    """The near end of the pipe whose far end a service has as its notification-fd."""

    __slots__ = ("_end", "_loop", "_ready")

    def __init__(self, loop: Loop, end: int, ready: Callable[[], None]) -> None:
        """`end` is the reading end, non-blocking and ours; `ready` is called at the first newline."""
        self._loop = loop
        self._end = end
        self._ready = ready
        loop.watch(end, READ, self._read)

    def close(self) -> None:
        """Listen no more; safe to say twice."""
        if self._end >= 0:
            self._loop.forget(self._end)
            os.close(self._end)
            self._end = -1

    def _read(self, _: int) -> None:
        try:
            data = os.read(self._end, LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or b"\n" in data:
            self.close()
        if b"\n" in data:
            self._ready()


class Check:
    """Asks a service's `check` until it exits 0: soon, then less and less often, never two at a time."""

    __slots__ = ("_errand", "_launch", "_loop", "_pause", "_ready", "_timer")

    def __init__(self, loop: Loop, launch: Callable[[], int], ready: Callable[[], None]) -> None:
        """`launch` starts ./check and returns its pid, or raises OSError; `ready` is called when one exits 0."""
        self._loop = loop
        self._launch = launch
        self._ready = ready
        self._pause = CHECK_PAUSE
        self._errand: Errand | None = None
        self._timer: Timer = loop.after(0.0, self._ask)

    def close(self) -> None:
        """Ask no more; a check that is running is killed."""
        self._timer.cancel()
        if self._errand is not None:
            self._errand.close()

    def _ask(self) -> None:
        try:
            self._errand = Errand(self._loop, self._launch, CHECK_TIME, self._answered)
        except OSError:
            # No longer there, or not to be run: it cannot say that the service is ready.
            self._again()

    def _answered(self, ended: Exit | None) -> None:
        self._errand = None
        if ended is None or ended.failed:
            self._again()
        else:
            self._ready()

    def _again(self) -> None:
        self._timer = self._loop.after(self._pause, self._ask)
        self._pause = min(2 * self._pause, CHECK_PAUSE_MOST)


def notification_number(text: bytes) -> int | None:
    """The descriptor that a file notification-fd asks for; None if it asks for none that can be given."""
    if not text.isdigit():
        return None
    number = int(text)
    return number if 3 <= number < 64 else None


def make_notification(at_least: int) -> tuple[int, int]:
    """A pipe for it: the reading end, non-blocking, and the writing end, of a number from `at_least` on."""
    near, far = os.pipe2(os.O_CLOEXEC)
    try:
        placed = duplicate(far, at_least)
    except BaseException:
        os.close(near)
        raise
    finally:
        os.close(far)
    os.set_blocking(near, False)
    return near, placed
