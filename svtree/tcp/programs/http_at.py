"""http@: fetch a page by HTTP."""

from __future__ import annotations

from svtree.tcp.fetching import ask, reach, show
from svtree.tcp.lines import Body, DelCr, add_cr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "http@: usage: http@ [ host [ page [ port ] ] ]"

DEFAULTS = (b"0", b"", b"80")


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Show the lines of the page argv[2], without the slash before it, of the host argv[1] at the port argv[3].

    As in the original, empty lines are left out, and the code is 0 whatever comes of it.
    """
    host, page, port = (*argv[1:4], *DEFAULTS[len(argv[1:4]) :])
    descriptor = reach(host, port, environ)
    if descriptor is None:
        return 0
    # The colons of an IPv6 address are told from that before the port by brackets: RFC 3986, section 3.2.2.
    name = b"[" + host + b"]" if b":" in host and host[:1] != b"[" else host
    ask(descriptor, add_cr(b"GET /" + page + b" HTTP/1.0\nHost: " + name + b":" + port + b"\n\n"))
    lines, body = DelCr(), Body()
    show(
        descriptor,
        lambda block: body.feed(lines.feed(block)),
        lambda: body.feed(lines.end()) + body.end(),
    )
    return 0
