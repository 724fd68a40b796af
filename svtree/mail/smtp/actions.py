"""What is decided beforehand about an SMTP session, and what it may ask to have done: values, nothing else."""

from __future__ import annotations

from svtree.formats.record import record
from svtree.mail.smtp.extensions import Extensions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from svtree.mail.smtp.sasl import Login


@record
class Policy:
    """What the administrator has decided, for one connection."""

    greeting: bytes
    # What $TCPREMOTEHOST says, or "unknown": a HELO of that name is not worth a word in the Received line.
    remote_host: bytes
    # The host that an address literal of this machine stands for, and this machine's addresses, four bytes each.
    literal_host: bytes
    here: frozenset[bytes]
    # $RELAYCLIENT: any recipient is taken, with this appended. None: only those that `accepts` takes.
    relay: bytes | None
    # Asked with an address; None when it cannot be told now.
    accepts: Callable[[bytes], bool | None]
    # Addresses and @hosts, in lower case.
    bad_senders: frozenset[bytes]
    # The most bytes of a message; 0: no bound.
    databytes: int
    # What control/esmtp offers; whether there is a certificate for STARTTLS; whether the connection is TLS already.
    extensions: Extensions = Extensions()
    certified: bool = False
    secure: bool = False
    # Whether all secrets are known, so that CRAM-MD5 can work, and what it asks with, never the same twice.
    secrets_known: bool = False
    challenge: Callable[[], bytes] = bytes
    # Whether mail is taken from those who have logged in only.
    login_required: bool = False
    # Asked with an address that is taken, as far as its host goes: is there such a mailbox? None: nobody is asked.
    exists: Callable[[bytes], bool] | None = None


@record
class Reply:
    """Send this."""

    data: bytes


@record
class Begin:
    """Start a message; for its Received line `helo`, None where it would say nothing new, and the protocol's name."""

    helo: bytes | None
    protocol: bytes


@record
class Write:
    """A piece of the message, lines ended by LF."""

    data: bytes


@record
class Finish:
    """The message is whole: hand it over with this envelope."""

    sender: bytes
    recipients: tuple[bytes, ...]


@record
class Abandon:
    """Forget the message."""


@record
class StartTls:
    """From here on the connection is TLS."""


@record
class Check:
    """Have a login checked."""

    login: Login


@record
class End:
    """Close the connection; `code` is qmail-smtpd's exit code."""

    code: int


if TYPE_CHECKING:
    Action: TypeAlias = Reply | Begin | Write | Finish | Abandon | StartTls | Check | End
