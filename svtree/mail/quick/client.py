"""Handing a message to a host with a queue by QMQP: what qmail-qmqpc does in qmail-queue's place.

Follows qmail-qmqpc.c, whose time limits and exit codes these are. Beyond it, a line of control/qmqpservers may end with
a colon and a port.
"""

from __future__ import annotations

import os
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM

from svtree.formats import netstring
from svtree.formats.numbers import scan
from svtree.mail.queue import codes
from svtree.mail.queue.codes import SubmitError
from svtree.system.outgoing import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable, Sequence

PORT = 628
# Seconds for a connection, and for each piece of what is sent and received.
CONNECTING = 10
WAITING = 60
PIECE = 65536
# A server that says so much and no K, Z or D says nothing.
MOST = 1 << 16
NOTHING_LEFT = {EMFILE, ENFILE, ENOBUFS, ENOMEM}
NO_SERVER = 55
NO_ANSWER = 72


def read_envelope(source: int) -> list[bytes]:
    """The sender and the recipients from a descriptor, up to the empty record; SubmitError where there is no such."""
    data = b""
    while not data.startswith(b"\0") and b"\0\0" not in data:
        try:
            block = os.read(source, PIECE)
        except OSError as error:
            raise SubmitError(codes.READ) from error
        if not block:
            break
        data += block
    found: list[bytes] = []
    for record in data.split(b"\0")[:-1]:
        # As in the original, also one that is a letter alone ends it where recipients stand.
        if found and not record:
            return found
        if record[:1] != (b"T" if found else b"F"):
            break
        found.append(record[1:])
    raise SubmitError(codes.BAD_ENVELOPE)


def send(servers: Iterable[bytes], message: bytes, envelope: Sequence[bytes]) -> None:
    """Hand the message to the first server that is there; SubmitError with qmail-queue's code where none takes it."""
    parts = [netstring.encode(message), *map(netstring.encode, envelope)]
    size = sum(map(len, parts))
    last = NO_SERVER
    for server in servers:
        address = parse(server)
        if address is None:
            continue
        try:
            connection = connect(*address, CONNECTING)
        except OSError as error:
            if error.errno in NOTHING_LEFT:
                raise SubmitError(codes.CONNECTION) from error
            last = NO_ANSWER if isinstance(error, TimeoutError) else codes.NOT_CONNECTED
            continue
        try:
            _hand_over(connection, [b"%d:" % size, *parts, b","])
        finally:
            connection.close()
        return
    raise SubmitError(last)


def parse(server: bytes) -> tuple[str, int] | None:
    """The address and port of a line; None where it begins with no IPv4 address. What follows is not looked at."""
    numbers = []
    rest = server
    for place in range(4):
        if place:
            if rest[:1] != b".":
                return None
            rest = rest[1:]
        value, rest = scan(rest)
        if value is None or value > 255:
            return None
        numbers.append(value)
    port = scan(rest[1:])[0] if rest[:1] == b":" else None
    return "{}.{}.{}.{}".format(*numbers), PORT if port is None else port


def _hand_over(connection: socket, parts: Sequence[bytes]) -> None:
    connection.settimeout(WAITING)
    heard = 0
    try:
        for part in parts:
            for at in range(0, len(part), PIECE):
                connection.sendall(part[at : at + PIECE])
        while heard < MOST:
            answer = connection.recv(PIECE)
            if not answer:
                break
            heard += len(answer)
            verdict = next((byte for byte in answer if byte in b"KZD"), None)
            if verdict is not None:
                return _judge(verdict)
    except OSError as error:
        raise SubmitError(codes.COMMUNICATION) from error
    raise SubmitError(codes.COMMUNICATION)


def _judge(verdict: int) -> None:
    if verdict != ord("K"):
        raise SubmitError(codes.REFUSED_NOW if verdict == ord("Z") else codes.REJECTED)
