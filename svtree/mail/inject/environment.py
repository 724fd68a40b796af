"""qmail-inject's environment variables and control files into settings.

Follows qmail-inject(8). A variable that is set counts even when it is empty.
"""

from __future__ import annotations

from svtree.formats import control
from svtree.formats.addresses import AddressError, tokens
from svtree.mail.inject.failure import InjectError, unparsable
from svtree.mail.inject.rewriting import Defaults
from svtree.mail.inject.settings import Settings
from svtree.program import TEMPORARY
from svtree.system import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.addresses import Token
    from svtree.mail.controls import Controls
    from svtree.program import Environ


def read(environ: Environ, controls: Controls) -> Settings:
    """Raises InjectError, and ControlError for a control file that cannot be read."""
    user = _first(environ, b"QMAILUSER", b"MAILUSER", b"USER", b"LOGNAME")
    user = b"anonymous" if user is None else user
    host = _first(environ, b"QMAILHOST", b"MAILHOST")
    lists = _lists(environ)
    return Settings(
        defaults=Defaults(
            host=_suffix(b"@", _host(environ, controls, "defaulthost")),
            domain=_suffix(b".", _host(environ, controls, "defaultdomain")),
            plus=_suffix(b".", _host(environ, controls, "plusdomain")),
        ),
        id_host=_host(environ, controls, "idhost"),
        user=user,
        host=host,
        full_name=_first(environ, b"QMAILNAME", b"MAILNAME", b"NAME"),
        sender_user=environ.get(b"QMAILSUSER", user),
        sender_host=environ.get(b"QMAILSHOST", host),
        letters=environ.get(b"QMAILINJECT", b""),
        lists=lists,
    )


def _first(environ: Environ, *names: bytes) -> bytes | None:
    return next((environ[name] for name in names if name in environ), None)


def _host(environ: Environ, controls: Controls, name: str) -> bytes:
    """$QMAILNAME, else control/name, else control/me, else the name itself, which is "probably not what you want"."""
    value = controls.line_or_me(name)
    return environ.get(b"QMAIL" + name.upper().encode(), name.encode() if value is None else value)


def _suffix(mark: bytes, host: bytes) -> tuple[Token, ...]:
    try:
        return tuple(tokens(mark + host))
    except AddressError as error:
        raise unparsable(mark + host) from error


def _lists(environ: Environ) -> frozenset[bytes]:
    path = environ.get(b"QMAILMFTFILE")
    if path is None:
        return frozenset()
    try:
        return frozenset(each.lower() for each in control.lines(atomic.read(path)))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise InjectError("read error", TEMPORARY) from error
