"""Last words that leave in one packet with the end of the connection: a wake-up less for either side.

Only for a process whose connection somebody else shuts down as soon as the program has returned, and says so here: a
standing worker. Where a process's exit ends the connection, the kernel may reset it instead (the client had sent more
than was read), and would throw away what is held back.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
else:
    # The Python module around it costs a small program 5 ms.
    import _socket as socket

STREAM = int(socket.SOCK_STREAM)
# Held back until there is more, or the end; now or not at all; without a signal.
HELD_BACK = socket.MSG_MORE | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL

_shut_down_for_us = False


def expect_shutdown() -> None:
    """Connections of this process are shut down when a program has returned."""
    global _shut_down_for_us  # noqa: PLW0603 - what kind of process this is, for all its life
    _shut_down_for_us = True


def say(descriptor: int, words: bytes | bytearray) -> int:
    """Send last words to the client at a descriptor; how many bytes are on their way, 0 where that cannot be done."""
    if not _shut_down_for_us:
        return 0
    try:
        client = socket.socket(socket.AF_INET, STREAM, 0, descriptor)
    except OSError:
        # Another program is between us and the client.
        return 0
    try:
        return client.send(words, HELD_BACK)
    except OSError:
        return 0
    finally:
        client.detach()
