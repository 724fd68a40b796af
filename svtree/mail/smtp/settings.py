"""What a session of qmail-smtpd needs to know beforehand: control files, the environment, and who answers questions.

Follows qmail-smtpd.c. Of its own: control/esmtp (`svtree.mail.smtp.extensions`), control/rcptcheck
(`svtree.mail.smtp.mailboxes`), control/servercert.pem, $SMTPS, $REQUIRE_AUTH, and $UID and $GID
(`svtree.mail.smtp.authority`).
"""

from __future__ import annotations

import os
from time import monotonic, time

from svtree.formats.numbers import scan
from svtree.formats.received import Peer
from svtree.formats.record import record
from svtree.mail.controls import Controls, home, is_readable
from svtree.mail.queue import submit
from svtree.mail.smtp import configuration, extensions
from svtree.mail.smtp.actions import Policy
from svtree.mail.smtp.recipients import Recipients
from svtree.system.interfaces import addresses6, recent_addresses
from svtree.system.privileges import become

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.mail.smtp.authority import Authority
    from svtree.mail.smtp.configuration import Configuration
    from svtree.mail.smtp.extensions import Extensions
    from svtree.program import Environ


@record
class Settings:
    """All that a session needs to know beforehand."""

    policy: Policy
    peer: Peer
    configuration: Configuration
    # The file with the certificate and key.
    certificate: bytes
    # Who knows about logins and mailboxes; None where nobody need be asked.
    authority: Authority | None

    def close(self) -> None:
        """Give back what is held."""
        configuration.release(self.configuration)
        if self.authority is not None:
            self.authority.close()


def read(environ: Environ, checker: Sequence[bytes], warn: Callable[[str], None]) -> Settings:
    """The control files and the environment; afterwards this process is no root if that can be had.

    Raises ControlError, or OSError if our addresses, or another process, cannot be had.
    """
    controls = Controls(home(environ))
    told = configuration.current(controls)
    databytes = told.databytes
    if b"DATABYTES" in environ:
        databytes = scan(environ[b"DATABYTES"])[0] or 0
    peer = Peer.told(environ)
    offered = told.offered
    authority = _authority(told, checker, environ)
    certificate = controls.directory + b"/servercert.pem"
    policy = Policy(
        greeting=told.greeting,
        remote_host=peer.host,
        literal_host=told.literal_host or b"",
        here=_here(offered) if told.literal_host is not None else frozenset(),
        relay=environ.get(b"RELAYCLIENT"),
        accepts=Recipients(told.hosts, warn).accepts,
        bad_senders=told.bad_senders,
        databytes=databytes,
        extensions=offered,
        certified=extensions.STARTTLS in offered.words and is_readable(certificate, "STARTTLS", warn),
        secure=_is_on(environ, b"SMTPS"),
        secrets_known=_secrets_known(offered, authority),
        challenge=lambda: _challenge(told.me),
        login_required=_is_on(environ, b"REQUIRE_AUTH"),
        exists=authority.exists if authority is not None and told.checks_mailboxes else None,
    )
    return Settings(policy, peer, told, certificate, authority)


def _secrets_known(offered: Extensions, authority: Authority | None) -> bool:
    # Where the mechanisms are listed nobody is asked.
    asked = extensions.AUTH in offered.words and not offered.mechanisms
    return asked and authority is not None and authority.knows_secrets()


def _here(offered: Extensions) -> frozenset[bytes]:
    # qmail-smtpd knows no IPv6.
    here = recent_addresses(monotonic())
    return here | addresses6() if offered.words else here


def _authority(told: Configuration, checker: Sequence[bytes], environ: Environ) -> Authority | None:
    """Who answers questions, if any may be asked; root's rights are with it from here on."""
    offered = told.offered
    asked = extensions.AUTH in offered.words or told.checks_mailboxes
    somebody = None
    if b"UID" in environ:
        from svtree.mail.smtp.authority import identity

        somebody = identity(environ)
    if somebody is not None:
        _preload(offered, secure=_is_on(environ, b"SMTPS"))
    if b"QMAILAUTHORITY" in environ or not asked:
        if somebody is not None:
            become(somebody[1], somebody[0])
        return _called(environ) if asked else None
    from svtree.mail.smtp.authority import Direct, set_apart

    direct = Direct(checker, environ)
    return direct if somebody is None else set_apart(direct, *somebody)


def _called(environ: Environ) -> Authority:
    from svtree.mail.smtp.authority import Apart
    from svtree.mail.smtp.standing import call

    return Apart(lambda: call(environ))


def _preload(offered: Extensions, *, secure: bool) -> None:
    """Import now what the session will need: the account may not be allowed to read our modules."""
    submit.preload()
    if extensions.AUTH in offered.words:
        __import__("binascii")
    if extensions.STARTTLS in offered.words or secure:
        __import__("svtree.mail.tls")


def _is_on(environ: Environ, name: bytes) -> bool:
    return environ.get(name, b"") not in (b"", b"0")


def _challenge(host: bytes) -> bytes:
    return b"<%d.%d.%s@%s>" % (os.getpid(), int(time()), os.urandom(8).hex().encode(), host)
