"""Addresses that prove something: who answers to one has been sent it. Pure.

    LIST-confirm-s1795566846.8b1a9953c4611296-user=host@HOST

s, u or p says what for (subscribe, unsubscribe, a probe that came back), then when it was made, and a code that only
who has the list's secret can make. It holds for that one address and a week. The case of letters does not count:
servers on the way may change it.
"""

from __future__ import annotations

from svtree.formats.record import record

SUBSCRIBE, UNSUBSCRIBE, PROBE = b"s", b"u", b"p"
# Seconds. As long as a message may stay in a queue, an answer may be on its way.
LIFE = 7 * 86400
# A clock that was set back must not make cookies of the future good for ever.
AHEAD = 3600
DIGITS = 16


@record
class Proof:
    """What an address proves: for what it was made, and to whom it was sent."""

    purpose: bytes
    address: bytes


def encoded(address: bytes) -> bytes:
    """An address as a part of another's local part, as qmail-send does it for VERP: user=host."""
    user, _, host = address.rpartition(b"@")
    return user + b"=" + host


def decoded(text: bytes) -> bytes | None:
    """The address in `user=host`; None where there is none that may be written into a .qmail file."""
    user, equals, host = text.rpartition(b"=")
    return user + b"@" + host if equals and is_address(user + b"@" + host) else None


def is_address(address: bytes) -> bool:
    """Whether this is an address that is safe in a line of a .qmail file and in a header: no quoting, no surprises."""
    user, at, host = address.rpartition(b"@")
    if not at or not user or not host or len(address) > 255:
        return False
    if any(not 33 <= byte <= 126 or byte in b'"(),:;<>@[\\]' for byte in user):
        return False
    return not host.lower().strip(b"abcdefghijklmnopqrstuvwxyz0123456789-.") and host[:1] not in b".-"


def make(secret: bytes, proof: Proof, now: int) -> bytes:
    """What stands before the encoded address."""
    return b"%s%d.%s-%s" % (proof.purpose, now, _code(secret, proof, now), encoded(proof.address))


def check(secret: bytes, text: bytes, now: int) -> Proof | None:
    """What `make` was told, if this is what it made, and not longer ago than LIFE; else None."""
    from hmac import compare_digest

    head, dash, rest = text.partition(b"-")
    moment, dot, code = head[1:].partition(b".")
    address = decoded(rest)
    if not dash or not dot or address is None or not moment.isdigit() or len(moment) > 12:
        return None
    proof = Proof(head[:1].lower(), address)
    made = int(moment)
    if not compare_digest(_code(secret, proof, made), code.lower()) or not -AHEAD <= now - made <= LIFE:
        return None
    return proof


def _code(secret: bytes, proof: Proof, now: int) -> bytes:
    from hmac import digest

    text = b"%s %d %s" % (proof.purpose, now, proof.address.lower())
    return digest(secret, text, "sha256").hex()[:DIGITS].encode()
