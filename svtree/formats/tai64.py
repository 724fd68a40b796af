"""TAI64 and TAI64N labels: how daemontools writes a moment.

Follows the TAI64 page of cr.yp.to/libtai and daemontools' own habit: the label counts from 2^62 + 10 seconds before
1970 and knows no leap seconds after that, so that a label and a Unix time differ by a constant.
"""

from __future__ import annotations

# daemontools 0.76 tai_now.c adds 4611686018427387914 to time().
EPOCH = (1 << 62) + 10
NANO = 1_000_000_000
PACKED = 12


def pack(ns: int) -> bytes:
    """The 12-byte TAI64N form of a moment in nanoseconds since 1970 (UTC)."""
    seconds, nano = divmod(ns, NANO)
    return (EPOCH + seconds).to_bytes(8, "big") + nano.to_bytes(4, "big")


def unpack(data: bytes) -> int:
    """Nanoseconds since 1970 (UTC) of a 12-byte TAI64N; ValueError if it is not 12 bytes."""
    if len(data) != PACKED:
        raise ValueError(f"TAI64N is {PACKED} bytes, not {len(data)}")
    return (int.from_bytes(data[:8], "big") - EPOCH) * NANO + int.from_bytes(data[8:], "big")


def label(ns: int) -> bytes:
    """The external form: "@" and 24 hexadecimal digits."""
    return b"@" + pack(ns).hex().encode()


def parse(text: bytes) -> int:
    """Nanoseconds since 1970 (UTC) of a label as `label` makes it; ValueError where it is none."""
    if len(text) != 1 + 2 * PACKED or text[:1] != b"@":
        raise ValueError("not a TAI64N label")
    return unpack(bytes.fromhex(text[1:].decode("ascii")))
