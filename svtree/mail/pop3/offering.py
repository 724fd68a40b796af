"""What POP3 has learned since qmail-popup, and whether it is offered.

Words in control/pop3, one a line, turn it on: `capa` (RFC 2449), `stls` (RFC 2595), `apop` (RFC 1939). Without the file
every reply is qmail-popup's, the timestamp in the greeting among them unless $NOAPOP is set. With it the timestamp is
there only where it keeps its promise: `apop` is listed, and no account's secret is known not to be known.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.mail import accounts
from svtree.mail.controls import ControlError, Controls, home, is_readable
from svtree.mail.pop3.session import Offer
from svtree.multicall import Builtin, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.program import Environ

WORDS = frozenset({b"capa", b"stls", b"apop"})
# Where qmail-popup tells qmail-pop3d, which runs as somebody else, what to answer to CAPA.
CAPABILITIES = b"POP3CAPA"
ALWAYS = (b"TOP", b"UIDL", b"USER", b"PIPELINING", b"EXPIRE NEVER", b"IMPLEMENTATION svtree")
# RFC 1939: a unique name has 1 to 70 bytes, each a letter one can see.
LONGEST_NAME = 70


@record
class Offering:
    """What the session may offer, whether its greeting has a timestamp, and the file with certificate and key."""

    offer: Offer
    timestamp: bool
    certificate: bytes


def read(environ: Environ, checker: Sequence[bytes], warn: Callable[[str], None]) -> Offering:
    """control/pop3, and what follows from it. Raises ControlError."""
    controls = Controls(home(environ))
    certificate = controls.directory + b"/servercert.pem"
    secure = environ.get(b"POP3S", b"") not in (b"", b"0")
    wanted = b"NOAPOP" not in environ
    lines = controls.lines("pop3")
    if lines is None:
        return Offering(Offer(secure=secure), wanted, certificate)
    words = frozenset(line.lower() for line in lines)
    if not words <= WORDS:
        shown = controls.directory.decode("utf-8", "surrogateescape")
        raise ControlError(f"unable to read {shown}/pop3: unknown word {min(words - WORDS).decode('ascii', 'replace')}")
    offer = Offer(
        capabilities=ALWAYS if b"capa" in words else None,
        tls=b"stls" in words,
        certified=b"stls" in words and is_readable(certificate, "STLS", warn),
        secure=secure,
    )
    return Offering(offer, wanted and b"apop" in words and _may_know(checker, environ), certificate)


def told(environ: Environ) -> Offer:
    """What qmail-pop3d offers: what qmail-popup has left in the environment."""
    lines = environ.get(CAPABILITIES)
    return Offer() if lines is None else Offer(capabilities=tuple(lines.split(b",")))


def tell(offer: Offer, environ: Environ) -> Environ:
    """The environment for the programs after qmail-popup."""
    rest = {name: value for name, value in environ.items() if name != CAPABILITIES}
    return rest if offer.capabilities is None else {**rest, CAPABILITIES: b",".join(offer.capabilities)}


def unique(name: bytes) -> bytes:
    """The name that UIDL gives, the same for ever: the file's, or a digest of one that POP3 cannot carry."""
    if 1 <= len(name) <= LONGEST_NAME and all(33 <= byte <= 126 for byte in name):
        return name
    from hashlib import sha256

    return sha256(name).hexdigest().encode()


def _may_know(checker: Sequence[bytes], environ: Environ) -> bool:
    """Whether the checker may know every secret. Other people's say nothing: there the administrator's word counts."""
    if not isinstance(resolve(checker[0], environ), Builtin):
        return True
    try:
        return accounts.knows_all_secrets(home(environ))
    except accounts.AccountError:
        # The checker will say what is wrong.
        return False
