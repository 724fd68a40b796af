r"""Recorded exchanges: what they look like on disk, and replaying one.

A line each: `C: ` what the client sent and `S: ` what the server answered, with \r, \n and \xNN written out; `C*: ` a
description of something long that the client sent; `C-EOF:` and `S-EOF:` who closed; `T: ` how long the last answer
took; `#` comments, one of which says from which address the client came.
"""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from tests.harness import DEADLINE

DATA = Path(__file__).parent / "data"
# What differs from one run to the next.
VARYING = (
    (re.compile(rb"^250 ok \d+ qp \d+\r\n$"), b"250 ok TIME qp PID\r\n"),
    (re.compile(rb"^\+OK <\d+\.\d+@(.*)>\r\n$"), rb"+OK <PID.TIME@\1>\r\n"),
)


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange: the client's address, and who sent what, in order."""

    name: str
    about: str
    address: str
    steps: tuple[tuple[str, bytes], ...]


def read(name: str) -> Exchange:
    """The exchange in data/`name`.txt; what one side sent in a row is one step, an end of file a step "C-EOF" etc."""
    about, address = "", "127.0.0.1"
    steps: list[tuple[str, bytes]] = []
    for line in (DATA / f"{name}.txt").read_text("ascii").splitlines():
        kind, _, text = line.partition(":")
        if line.startswith("# client address "):
            address = line.removeprefix("# client address ")
        elif line.startswith("# "):
            about = line.removeprefix("# ")
        elif kind == "T":
            continue
        elif kind in {"C-EOF", "S-EOF"}:
            steps.append((kind, b""))
        else:
            sent = _described(text.strip()) if kind == "C*" else _written_out(text.removeprefix(" "))
            if steps and steps[-1][0] == kind[0]:
                sent = steps.pop()[1] + sent
            steps.append((kind[0], sent))
    return Exchange(name, about, address, tuple(steps))


def names(prefix: str) -> list[str]:
    """The names of all recordings that begin so."""
    return sorted(path.stem for path in DATA.glob(f"{prefix}*.txt"))


def replay(exchange: Exchange, port: int) -> list[tuple[str, list[bytes]]]:
    """Be the client of an exchange; for each step of the server's, ("S", the lines it really sent) or ("S-EOF", []).

    The server gets until the deadline to send as many bytes as it once did; more is read only at its end of file.
    """
    seen = []
    with contextlib.closing(_connect(exchange.address, port)) as client:
        held = b""
        for kind, data in exchange.steps:
            if kind == "C":
                client.sendall(data)
            elif kind == "C-EOF":
                client.shutdown(socket.SHUT_WR)
            elif kind == "S":
                wanted = data.count(b"\n")
                while held.count(b"\n") < wanted and (block := _receive(client)):
                    held += block
                lines = held.splitlines(keepends=True)
                seen.append(("S", [varied(line) for line in lines[:wanted]]))
                held = b"".join(lines[wanted:])
            else:
                while block := _receive(client):
                    held += block
                seen.append(("S-EOF", [varied(line) for line in held.splitlines(keepends=True)]))
    return seen


def expected(exchange: Exchange) -> list[tuple[str, list[bytes]]]:
    """What `replay` returns when the server does as recorded."""
    return [
        (kind, [varied(line) for line in data.splitlines(keepends=True)])
        for kind, data in exchange.steps
        if kind.startswith("S")
    ]


def varied(line: bytes) -> bytes:
    """A line of the server's with what differs from run to run replaced by a word."""
    for pattern, word in VARYING:
        line = pattern.sub(word, line)
    return line


def _connect(address: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE, source_address=(address, 0))


def _receive(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except ConnectionResetError:
        # It closed with something of ours unread.
        return b""


def _written_out(text: str) -> bytes:
    return re.sub(
        rb"\\(x[0-9a-f]{2}|[rn\\])",
        lambda found: {b"r": b"\r", b"n": b"\n", b"\\": b"\\"}.get(found[1]) or bytes.fromhex(found[1][1:].decode()),
        text.encode("ascii"),
    )


def _described(text: str) -> bytes:
    if found := re.fullmatch(r'(\d+) x "Received: x\\r\\n" \+ Subject: x, empty, x, \.', text):
        return b"Received: x\r\n" * int(found[1]) + b"Subject: x\r\n\r\nx\r\n.\r\n"
    if found := re.fullmatch(r"HELO \+ (\d+) x", text):
        return b"HELO " + b"x" * int(found[1]) + b"\r\n"
    raise ValueError(f"an unknown description: {text}")
