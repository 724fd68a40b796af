"""The address in a MAIL or RCPT command, as qmail-smtpd takes it out.

Follows addrparse() of qmail-smtpd.c, which forgives more than RFC 5321 allows: "mail <a@b>", "mail from: a@b", no
closing bracket. A source route ("@relay:") is left out, quotes and backslashes are resolved.
"""

from __future__ import annotations

from svtree.formats import ip

# qmail-smtpd counts the NUL at the end: 900 bytes are one too many.
LONGEST = 899


def parse(argument: bytes) -> bytes:
    """The address in the argument of MAIL or RCPT; empty where there is none."""
    start = argument.find(b"<")
    if start >= 0:
        rest, terminator = argument[start + 1 :], b">"
    else:
        rest, terminator = argument.partition(b":")[2].lstrip(b" "), b" "
    if rest.startswith(b"@"):
        rest = rest.partition(b":")[2]
    if b'"' not in rest and b"\\" not in rest:
        return rest.partition(terminator)[0]
    return _unquote(rest, terminator[0])


def literal(address: bytes) -> tuple[bytes, bytes] | None:
    """For "local@[192.0.2.1]": "local@" and the four bytes; sixteen for "[IPv6:...]"; None for any other address.

    Follows ip_scanbracket(), which wants the bracket to be the last byte and takes numbers modulo 256.
    """
    local, at, host = address.rpartition(b"@")
    if not at or host[:1] != b"[" or host[-1:] != b"]":
        return None
    if b":" in host:
        found = ip.literal(host)
        return None if found is None else (local + at, found)
    numbers = host[1:-1].split(b".")
    if len(numbers) != 4 or not all(each.isdigit() and len(each) < 20 for each in numbers):
        return None
    return local + at, bytes(int(each) & 255 for each in numbers)


def localize(address: bytes, host: bytes, here: frozenset[bytes]) -> bytes:
    """`address` with `host` in the place of an address literal whose bytes are in `here`."""
    found = literal(address)
    return found[0] + host if found is not None and found[1] in here else address


def _unquote(text: bytes, terminator: int) -> bytes:
    taken = bytearray()
    escaped = quoted = False
    for byte in text:
        if escaped:
            taken.append(byte)
            escaped = False
        elif byte == terminator and not quoted:
            break
        elif byte == 0x5C:
            escaped = True
        elif byte == 0x22:
            quoted = not quoted
        else:
            taken.append(byte)
    return bytes(taken)
