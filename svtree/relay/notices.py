"""Telling other hosts of a relay grant: one UDP datagram with the client's address, answered by one byte.

Follows relay-ctrl 3.1.1, packet.html and relay-ctrl-send.c: a host that does not answer within the timeout is told
again, so and so often. Both ends work with the original's. Beyond it the hosts and the clients may have IPv6 addresses,
and each try ends after its timeout however many answers come.
"""

from __future__ import annotations

import os
import time
from select import POLLIN, poll

from svtree.formats.record import record
from svtree.program import number
from svtree.relay.grants import address, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_CLOEXEC, SOCK_DGRAM, socket

    from svtree.program import Environ
else:
    # The Python module around it costs a small program 5 ms.
    from _socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_CLOEXEC, SOCK_DGRAM, socket

REMOTES = b"RELAY_CTRL_REMOTES"
PORT, DEFAULT_PORT = b"RELAY_CTRL_PORT", 811
TRIES, DEFAULT_TRIES = b"RELAY_CTRL_TRIES", 5
TIMEOUT, DEFAULT_TIMEOUT = b"RELAY_CTRL_TIMEOUT", 1
# Ours: where to listen, for a host that has an address inside and one outside.
LISTEN = b"RELAY_CTRL_IP"
# As much of a datagram as the original reads; no address is so long.
LONGEST = 511
RECEIVED = b"\1"
SENDER, RECEIVER = "relay-ctrl-send", "relay-ctrl-udp"


@record
class Settings:
    """The port of all hosts, how often each is told, and how many seconds an answer may take."""

    port: int
    tries: int
    timeout: int


def settings(environ: Environ) -> Settings:
    """From the environment; what is no number above 0 is the original's default."""
    return Settings(
        _positive(environ, PORT, DEFAULT_PORT) & 0xFFFF,
        _positive(environ, TRIES, DEFAULT_TRIES),
        _positive(environ, TIMEOUT, DEFAULT_TIMEOUT),
    )


def remotes(text: bytes) -> list[bytes]:
    """The hosts in $RELAY_CTRL_REMOTES, addresses with commas between; one that is no address is warned of."""
    found = []
    for each in text.split(b","):
        if not each:
            continue
        known = address(each.strip())
        if known is None:
            warn(SENDER, f"Could not parse IP '{each.decode('utf-8', 'backslashreplace')}'.")
        else:
            found.append(known)
    return found


def send(client: bytes, hosts: Sequence[bytes], chosen: Settings) -> list[bytes]:
    """Tell every host of the client's grant; returns those that have not answered. Raises OSError without a socket."""
    silent = dict.fromkeys(hosts)
    families = {family: socket(family, SOCK_DGRAM | SOCK_CLOEXEC) for family in {_family(host) for host in silent}}
    try:
        for _ in range(chosen.tries):
            for host in silent:
                try:
                    families[_family(host)].sendto(client, (host.decode(), chosen.port))
                except OSError:
                    warn(SENDER, f"Sending IP to '{host.decode()}' failed.")
            _hear(families.values(), silent, time.monotonic() + chosen.timeout)
            if not silent:
                break
    finally:
        for each in families.values():
            each.close()
    return list(silent)


def _hear(sockets: Iterable[socket], silent: dict[bytes, None], deadline: float) -> None:
    """Strike out who answers, until all have or time is up. Any datagram from a host's address is its answer."""
    by_number = {each.fileno(): each for each in sockets}
    ready = poll()
    for descriptor in by_number:
        ready.register(descriptor, POLLIN)
    while silent and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in ready.poll(left * 1000):
            try:
                _, sender = by_number[descriptor].recvfrom(1)
            except OSError:
                continue
            known = address(sender[0].encode())
            if known is not None:
                silent.pop(known, None)


def listener(environ: Environ) -> socket:
    """A socket for other hosts' notices: at $RELAY_CTRL_IP, else at every address of both kinds. Raises OSError."""
    port = settings(environ).port
    text = environ.get(LISTEN)
    if text:
        known = address(text)
        if known is None:
            raise OSError(22, "not an address")
        return _bound(_family(known), known.decode(), port)
    try:
        return _bound(AF_INET6, "::", port)
    except OSError:
        # A kernel without IPv6, or an old relay-ctrl-udp has the port on IPv4: the error is then that one's.
        return _bound(AF_INET, "0.0.0.0", port)  # noqa: S104 - what the program is for


def _bound(family: int, host: str, port: int) -> socket:
    made = socket(family, SOCK_DGRAM | SOCK_CLOEXEC)
    try:
        if family == AF_INET6:
            made.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def detach() -> bool:
    """Go on in a process of one's own; True there. It holds nothing of the session, and nobody has to wait for it."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return False
    # The one in between ends at once, so that the sender is init's to reap: the program after us knows of no child.
    try:
        if os.fork():
            os._exit(0)
    except OSError:
        warn(SENDER, "Could not fork.")
        os._exit(0)
    null = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
    # The client must see the end of the session when the session ends, not when the last host has answered.
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.closerange(3, 1024)
    return True


def _family(host: bytes) -> int:
    return AF_INET6 if b":" in host else AF_INET


def _positive(environ: Environ, name: bytes, default: int) -> int:
    # Nine digits: a wait of thirty years is as good as a longer one.
    return min(number(environ.get(name, b"").strip()), 999_999_999) or default
