"""qmail-qmtpd: receive mail by QMTP.

Follows qmail-qmtpd(8). Who may relay is decided as by qmail-smtpd: RELAYCLIENT, control/rcpthosts, morercpthosts.cdb.
"""

from __future__ import annotations

from svtree.formats.numbers import scan
from svtree.mail.controls import ControlError, Controls, home
from svtree.mail.quick.qmtp import Policy, converse
from svtree.mail.quick.server import patience, serve
from svtree.mail.quick.stream import RESOURCES
from svtree.mail.smtp.recipients import Hosts, Recipients
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-qmtpd: usage: qmail-qmtpd [ -t seconds ] (the client at descriptors 0 and 1)"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve one client."""
    seconds = patience(argv, USAGE)
    controls = Controls(home(environ))
    try:
        databytes = controls.number("databytes", 0)
        hosts = Hosts.read(controls)
    except ControlError as error:
        complain(f"qmail-qmtpd: fatal: {error}")
        return RESOURCES
    if b"DATABYTES" in environ:
        databytes = scan(environ[b"DATABYTES"])[0] or 0
    try:
        policy = Policy(environ.get(b"RELAYCLIENT"), Recipients(hosts, _warn).accepts, databytes)
        return serve(converse(policy), b"QMTP", environ, seconds)
    finally:
        hosts.close()


def _warn(line: str) -> None:
    complain(f"qmail-qmtpd: warning: {line}")
