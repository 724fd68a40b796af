"""What the filters of ucspi-tcp do to a stream: carriage returns put in or taken out, a transcript, `cat -v`. Pure.

Each takes a block of any size and gives back what is to be written for it; what a filter keeps between blocks is at
most a byte. Follows addcr.c, delcr.c, fixcrio.c and recordio.c of ucspi-tcp 0.88, which read a byte at a time.
"""

from __future__ import annotations

CR = b"\r"
# recordio reads at most this much at a time, and each of its lines is about one such piece.
PIECE = 256
PRINTABLE = bytes(range(32, 127)) + b"\t\n"


def add_cr(block: bytes) -> bytes:
    """A CR before each LF, whatever stands there already."""
    return block.replace(b"\n", b"\r\n")


class FixCr:
    """Puts a CR before each LF that has none."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._after_cr = False

    def feed(self, block: bytes) -> bytes:
        """The block, not empty, mended."""
        start = b""
        if self._after_cr and block[:1] == b"\n":
            start, block = b"\n", block[1:]
        self._after_cr = block.endswith(CR)
        return start + block.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class DelCr:
    """Takes out the CR before each LF: one, if there are several."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._held = b""

    def feed(self, block: bytes) -> bytes:
        """The block, not empty, without them; a CR at its end is kept until it is known what follows."""
        data = self._held + block
        self._held = CR if data.endswith(CR) else b""
        return (data[:-1] if self._held else data).replace(b"\r\n", b"\n")

    def end(self) -> bytes:
        """What is left when nothing follows."""
        held, self._held = self._held, b""
        return held


def transcript(prefix: bytes, block: bytes) -> list[bytes]:
    """The lines about a block: each ends in a space where the stream has a newline, in "+" where it goes on."""
    lines = []
    for at in range(0, len(block), PIECE):
        *whole, rest = block[at : at + PIECE].split(b"\n")
        lines += [prefix + line + b" \n" for line in whole]
        if rest:
            lines.append(prefix + rest + b"+\n")
    return lines


def visible(block: bytes) -> bytes:
    """The block as `cat -v` shows it: control characters as ^X, bytes from 128 on with "M-" before them."""
    if not block.translate(None, PRINTABLE):
        return block
    return b"".join([_VISIBLE[byte] for byte in block])


def _shown(byte: int) -> bytes:
    if byte in b"\t\n":
        return bytes((byte,))
    if byte >= 128:
        return b"M-" + (_shown(byte - 128) if byte - 128 not in b"\t\n" else bytes((94, byte - 128 + 64)))
    if byte == 127:
        return b"^?"
    return bytes((byte,)) if byte >= 32 else bytes((94, byte + 64))


_VISIBLE = tuple(_shown(byte) for byte in range(256))


class Body:
    """What `http@` shows of an answer: the lines after the first empty one, but, as in the original, no empty ones."""

    def __init__(self) -> None:
        """The head is to come."""
        self._in_body = False
        self._partial = b""

    def feed(self, block: bytes) -> bytes:
        """The lines of the body that are whole now."""
        *lines, self._partial = (self._partial + block).split(b"\n")
        return self._select(lines)

    def end(self) -> bytes:
        """The last line, if it had no end."""
        last, self._partial = self._partial, b""
        return self._select([last]) if last else b""

    def _select(self, lines: list[bytes]) -> bytes:
        if not self._in_body:
            if b"" not in lines:
                return b""
            self._in_body = True
            lines = lines[lines.index(b"") + 1 :]
        return b"".join([line + b"\n" for line in lines if line])
