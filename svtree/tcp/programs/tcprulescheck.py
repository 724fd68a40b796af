"""tcprulescheck: show what compiled rules do with the client described by TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO.

Follows tcprulescheck(1) of ucspi-tcp 0.88. Beyond it, the client may have an IPv6 address, in any of its forms.
"""

from __future__ import annotations

from svtree.formats.cdb import CdbError, Reader
from svtree.formats.rulekeys import candidates, lengths
from svtree.formats.rules import fields
from svtree.program import Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.mapped import Mapped
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "tcprulescheck: usage: tcprulescheck rules.cdb"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Print the rule of the cdb argv[1] that holds, and what it does."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    ip = environ.get(b"TCPREMOTEIP", b"0.0.0.0")
    try:
        text = _answer(argv[1], ip, environ.get(b"TCPREMOTEHOST"), environ.get(b"TCPREMOTEINFO"))
    except OSError as error:
        raise Fatal(b"unable to read " + argv[1] + b": " + reason(error).encode()) from error
    except CdbError as error:
        raise Fatal(b"unable to read " + argv[1] + b": protocol error") from error
    write_all(1, text)
    return 0


def _answer(path: bytes, ip: bytes, host: bytes | None, info: bytes | None) -> bytes:
    reader = Reader(Mapped(path).data)
    for name in candidates(ip, host, info, lengths(reader.get)):
        data = reader.get(name)
        if data is not None:
            return b"rule " + name + b":\n" + _meaning(data)
    return b"default:\nallow connection\n"


def _meaning(data: bytes) -> bytes:
    lines: list[bytes] = []
    for field in fields(data):
        if field[:1] == b"D":
            return b"".join(lines) + b"deny connection\n"
        if field[:1] == b"+":
            lines.append(b"set environment variable " + field[1:] + b"\n")
    return b"".join(lines) + b"allow connection\n"
