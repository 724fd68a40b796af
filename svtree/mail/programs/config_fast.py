"""config-fast: make the first control files for a host of this name.

Follows config-fast.sh: nothing is asked of the DNS.
"""

from __future__ import annotations

from svtree.mail.configuring import ADVICE, Writer
from svtree.program import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "config-fast: usage: config-fast fqdn"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Write me, defaultdomain, plusdomain, locals and rcpthosts."""
    # A word with a blank in it, or an option, is nobody's host name; it would be in five files before that is seen.
    if len(argv) != 2 or argv[1].split() != [argv[1]] or argv[1].startswith(b"-"):
        raise UsageError(USAGE)
    host = argv[1]
    writer = Writer(environ)
    writer.say(b"Your fully qualified host name is %s." % host)
    writer.names(host)
    writer.add(b"locals", host)
    writer.add(b"rcpthosts", host)
    writer.say(b"Now qmail will refuse to accept SMTP messages except to %s." % host)
    writer.say(ADVICE)
    return 0
