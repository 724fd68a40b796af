"""What the control files of qmail-smtpd say, whoever connects; of one connection there is nothing in here.

A process that serves client after client keeps it as long as no file has changed: an edit is in force with the next
connection. A process that serves one client reads the files, as qmail-smtpd does, and looks at nothing else.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.mail.controls import ControlError
from svtree.mail.smtp import extensions
from svtree.mail.smtp.extensions import Extensions
from svtree.mail.smtp.recipients import Hosts
from svtree.system.unchanged import Unchanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.mail.controls import Controls

# Seconds, unless control/timeoutsmtpd says otherwise.
TIMEOUT = 1200
# All files that are read here and in `Hosts`.
FILES = (
    *(b"me", b"smtpgreeting", b"localiphost", b"timeoutsmtpd", b"rcpthosts", b"morercpthosts.cdb", b"locals"),
    *(b"badmailfrom", b"databytes", b"esmtp", b"rcptcheck"),
)


@record
class Configuration:
    """The control files' values, with the defaults of those that are missing."""

    me: bytes
    """This host's name, or else what it is called in the greeting."""
    greeting: bytes
    literal_host: bytes | None
    timeout: int
    hosts: Hosts
    bad_senders: frozenset[bytes]
    databytes: int
    offered: Extensions
    checks_mailboxes: bool


class _Kept:
    """The last that was read, and whether it is still true."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.directory: bytes | None = None
        self.files: Unchanged | None = None
        self.value: Configuration | None = None


_kept = _Kept()


def current(controls: Controls) -> Configuration:
    """The configuration as the files say it now. Raises ControlError."""
    if controls.directory != _kept.directory:
        # The first client of this process may be its only one.
        _kept.directory, _kept.files, _kept.value = controls.directory, None, None
        return read(controls)
    if _kept.value is not None and _kept.files is not None and _kept.files.still():
        return _kept.value
    _kept.value = None
    files = Unchanged(controls.directory, FILES)
    found = read(controls)
    if files.settled and not found.hosts.is_open():
        _kept.files, _kept.value = files, found
    return found


def release(used: Configuration) -> None:
    """Give back what a configuration holds, if it is not kept for the next client."""
    if used is not _kept.value:
        used.hosts.close()


def read(controls: Controls) -> Configuration:
    """The configuration out of the files. Raises ControlError."""
    me = controls.me()
    greeting = controls.line("smtpgreeting", me)
    if greeting is None:
        shown = controls.directory.decode("utf-8", "surrogateescape")
        raise ControlError(f"unable to read {shown}/me: file does not exist")
    return Configuration(
        me=me or greeting,
        greeting=greeting,
        literal_host=controls.line("localiphost", me),
        timeout=max(1, controls.number("timeoutsmtpd", TIMEOUT)),
        hosts=Hosts.read(controls),
        bad_senders=frozenset(each.lower() for each in controls.lines("badmailfrom") or ()),
        databytes=controls.number("databytes", 0),
        offered=_extensions(controls),
        checks_mailboxes=controls.number("rcptcheck", 0) != 0,
    )


def _extensions(controls: Controls) -> Extensions:
    lines = controls.lines("esmtp")
    if lines is None:
        return Extensions()
    try:
        return extensions.parse(lines)
    except extensions.ExtensionError as error:
        shown = controls.directory.decode("utf-8", "surrogateescape")
        raise ControlError(f"unable to read {shown}/esmtp: {error}") from error
