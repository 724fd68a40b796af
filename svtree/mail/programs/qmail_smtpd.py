"""qmail-smtpd: receive mail by SMTP."""

from __future__ import annotations

from svtree.mail.smtp.server import serve
from svtree.program import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-smtpd: usage: qmail-smtpd [ checkpassword program [ arg ... ] ] (the client at descriptors 0 and 1)"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve one client; 0 after QUIT, 1 when the session ended otherwise."""
    if len(argv) > 1 and argv[1].startswith(b"-"):
        raise UsageError(USAGE)
    return serve(environ, argv[1:])
