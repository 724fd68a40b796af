"""A DNS server on a loopback address, port 53: answers from a dictionary, over UDP and TCP."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Mapping
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.harness import DEADLINE

# What a name can have in place of records.
FAILS = "SERVFAIL"
REFUSES = "REFUSED"
SILENT = "silence"
# Marks an answer that does not fit into a datagram.
LONG = "long"

Zone = Mapping[tuple[str, str], tuple[str, ...] | str]


def own_network() -> str:
    """The first three bytes of a loopback network that no other process of the tests uses."""
    return f"127.{1 + os.getpid() % 250}.{1 + os.getpid() // 250 % 250}"


class NameServer:
    """Serves `zone`: (name, type) to records as in a zone file, or to a way to fail. A name not in it is no name."""

    def __init__(self, address: str, zone: Zone) -> None:
        self.address = address
        self.zone = {(name.lower(), kind): records for (name, kind), records in zone.items()}
        self.asked: list[tuple[str, str]] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, 53))
        self._tcp = socket.create_server((address, 53))
        self._end, self._tell = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._tell)
        self._thread.join(DEADLINE)
        os.close(self._end)
        self._udp.close()
        self._tcp.close()

    def _serve(self) -> None:
        while True:
            ready = select.select([self._udp.fileno(), self._tcp.fileno(), self._end], [], [])[0]
            if self._end in ready:
                return
            with contextlib.suppress(OSError):
                if self._udp.fileno() in ready:
                    query, client = self._udp.recvfrom(4096)
                    answer = self._answer(query, by_tcp=False)
                    if answer is not None:
                        self._udp.sendto(answer, client)
                if self._tcp.fileno() in ready:
                    self._by_tcp()

    def _by_tcp(self) -> None:
        connection, _ = self._tcp.accept()
        with connection, connection.makefile("rb") as data:
            connection.settimeout(DEADLINE)
            answer = self._answer(data.read(int.from_bytes(data.read(2), "big")), by_tcp=True)
            if answer is not None:
                connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, query: bytes, *, by_tcp: bool) -> bytes | None:
        message = dns.message.from_wire(query)
        question = message.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        records = self.zone.get((name, kind))
        reply = dns.message.make_response(message)
        reply.flags |= dns.flags.RA
        if records == SILENT:
            return None
        if records in (FAILS, REFUSES):
            assert isinstance(records, str)
            reply.set_rcode(dns.rcode.from_text(records))
        elif records is None:
            if not any(known == name for known, _ in self.zone):
                reply.set_rcode(dns.rcode.NXDOMAIN)
        elif LONG in records and not by_tcp:
            reply.flags |= dns.flags.TC
        else:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *(each for each in records if each != LONG)))
        wire: bytes = reply.to_wire()
        return wire
