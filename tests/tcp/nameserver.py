"""A small name server on loopback, for tests: it answers what it is told, or misbehaves as it is told."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.harness import DEADLINE

A, PTR, TXT, AAAA = 1, 12, 16, 28


@dataclass
class Zone:
    """What the server knows, and how it behaves."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[bytes]] = field(default_factory=dict)
    silent: bool = False
    truncated: bool = False
    code: int = 0
    forged_first: bool = False
    rubbish: bool = False
    asked: list[str] = field(default_factory=list)
    by_tcp: int = 0
    addresses6: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """Where the server listens, and its zone, which may be changed while it runs."""

    ip: str
    port: int
    zone: Zone


def loopback() -> str:
    """An address on loopback that no other test has."""
    first, second, third = os.urandom(3)
    return f"127.{first or 1}.{second}.{third % 254 + 1}"


@contextlib.contextmanager
def nameserver(zone: Zone, port: int = 0, ip: str | None = None) -> Iterator[Running]:
    """Serve a zone by UDP and TCP on an address of its own, or at this one. Port 53 is root's."""
    ip = ip or loopback()
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp, socket.socket(family) as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((ip, port))
        port = tcp.getsockname()[1]
        udp.bind((ip, port))
        tcp.listen()
        stop, stopping = os.pipe()
        thread = threading.Thread(target=_serve, args=(zone, udp, tcp, stop))
        thread.start()
        try:
            yield Running(ip, port, zone)
        finally:
            os.close(stopping)
            thread.join()
            os.close(stop)


def _serve(zone: Zone, udp: socket.socket, tcp: socket.socket, stop: int) -> None:
    while True:
        ready = set(select.select([udp.fileno(), tcp.fileno(), stop], [], [])[0])
        if stop in ready:
            return
        if udp.fileno() in ready:
            query, client = udp.recvfrom(4096)
            for answer in _answers(zone, query, over_tcp=False):
                udp.sendto(answer, client)
        if tcp.fileno() in ready:
            connection, _ = tcp.accept()
            # A client may leave.
            with connection, contextlib.suppress(OSError), connection.makefile("rb") as asking:
                connection.settimeout(DEADLINE)
                query = asking.read(int.from_bytes(asking.read(2), "big"))
                if not query:
                    continue
                zone.by_tcp += 1
                for answer in _answers(zone, query, over_tcp=True):
                    # In two pieces: a length and a message need not come together.
                    connection.sendall(len(answer).to_bytes(2, "big"))
                    connection.sendall(answer)


def _answers(zone: Zone, query: bytes, *, over_tcp: bool) -> list[bytes]:
    name, at = _name(query)
    kind = int.from_bytes(query[at : at + 2], "big")
    zone.asked.append(name)
    if zone.silent:
        return []
    question = query[12 : at + 4]
    data = []
    if kind == A:
        data = [socket.inet_aton(ip) for ip in zone.addresses.get(name, ())]
    elif kind == AAAA:
        data = [socket.inet_pton(socket.AF_INET6, ip) for ip in zone.addresses6.get(name, ())]
    elif kind == PTR and name in zone.names:
        data = [encoded(zone.names[name])]
    elif kind == TXT:
        # A record of several strings where a text is longer than one may be.
        data = [
            b"".join(_string(text[at : at + 255]) for at in range(0, len(text), 255))
            for text in zone.texts.get(name, ())
        ]
    known = bool(data)
    cut = zone.truncated and not over_tcp
    flags = 0x8180 | (0x0200 if cut else 0) | (zone.code or (0 if known else 3))
    records = b"" if cut else b"".join(_record(kind, each) for each in data)
    count = 0 if cut else len(data)
    answer = query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + records
    if zone.rubbish:
        return [query[:2] + answer[2:12] + b"\xc0\x0c" * 20]
    if zone.forged_first:
        wrong = bytes((answer[0] ^ 1,)) + answer[1:]
        return [wrong, answer]
    return [answer]


def _string(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def _record(kind: int, data: bytes) -> bytes:
    # The owner is a pointer to the question.
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def encoded(name: str) -> bytes:
    """A name on the wire."""
    labels = [label.encode("latin-1") for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def _name(query: bytes) -> tuple[str, int]:
    labels = []
    at = 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return ".".join(labels), at + 1
