"""What qmail-showctl says: this qmail's home and users, then a paragraph for each control file.

Follows qmail-showctl.c. The paragraphs are rows of a table, in its order.
"""

from __future__ import annotations

import os

from svtree.formats import control
from svtree.formats.queuefiles import SPLIT
from svtree.formats.record import record
from svtree.mail.controls import ControlError
from svtree.mail.delivery.orders import SLOTS
from svtree.system.privileges import account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import TypeAlias

    from svtree.mail.controls import Controls

    Row: TypeAlias = "Line | Number | List"

USERS = (b"alias", b"qmaild", b"qmaill", b"root", b"qmailp", b"qmailq", b"qmailr", b"qmails")
GROUPS = ("nofiles", "qmail")
# The bits of a home's mode that qmail-local refuses: writable by others.
PATERNALISM = 2
_SHOWN = bytes(code if 32 <= code <= 126 else 63 for code in range(256))


@record
class Line:
    """A file of one line; where it is not there `default` holds, or control/me where `me` says so and there is one."""

    name: str
    default: bytes
    before: bytes
    me: bool = False


@record
class Number:
    """A file of one number."""

    name: str
    default: int
    before: bytes
    after: bytes = b""


@record
class List:
    """A file of many lines; `default` is said where it is not there."""

    name: str
    default: bytes
    before: bytes
    after: bytes = b""


_TO_HOSTS = b"SMTP clients may send messages to recipients at "
ROWS: tuple[Row, ...] = (
    List("badmailfrom", b"Any MAIL FROM is allowed.", b"", b" not accepted in MAIL FROM."),
    Line("bouncefrom", b"MAILER-DAEMON", b"Bounce user name is "),
    Line("bouncehost", b"bouncehost", b"Bounce host name is ", me=True),
    Number("concurrencylocal", 10, b"Local concurrency is "),
    Number("concurrencyremote", 20, b"Remote concurrency is "),
    Number("databytes", 0, b"SMTP DATA limit is ", b" bytes"),
    Line("defaultdomain", b"defaultdomain", b"Default domain name is ", me=True),
    Line("defaulthost", b"defaulthost", b"Default host name is ", me=True),
    Line("doublebouncehost", b"doublebouncehost", b"2B recipient host: ", me=True),
    Line("doublebounceto", b"postmaster", b"2B recipient user: "),
    Line("envnoathost", b"envnoathost", b"Presumed domain name is ", me=True),
    Line("helohost", b"helohost", b"SMTP client HELO host name is ", me=True),
    Line("idhost", b"idhost", b"Message-ID host name is ", me=True),
    Line("localiphost", b"localiphost", b"Local IP address becomes ", me=True),
    List("locals", b"Messages for me are delivered locally.", b"Messages for ", b" are delivered locally."),
    Line("me", b"undefined! Uh-oh", b"My name is "),
    List("percenthack", b"The percent hack is not allowed.", b"The percent hack is allowed for user%host@", b"."),
    Line("plusdomain", b"plusdomain", b"Plus domain name is ", me=True),
    List("qmqpservers", b"No QMQP servers.", b"QMQP server: ", b"."),
    Number("queuelifetime", 604800, b"Message lifetime in the queue is ", b" seconds"),
    # Not the original's words: it is open to everybody then, and our qmail-smtpd is not.
    List("rcpthosts", b"SMTP clients may send messages to local recipients only.", _TO_HOSTS, b"."),
    List("morercpthosts", b"No effect.", _TO_HOSTS, b"."),
    Line("morercpthosts.cdb", b"", b""),
    Line("smtpgreeting", b"smtpgreeting", b"SMTP greeting: 220 ", me=True),
    List("smtproutes", b"No artificial SMTP routes.", b"SMTP route: "),
    Number("timeoutconnect", 60, b"SMTP client connection timeout is ", b" seconds"),
    Number("timeoutremote", 1200, b"SMTP client data timeout is ", b" seconds"),
    Number("timeoutsmtpd", 1200, b"SMTP server data timeout is ", b" seconds"),
    List("virtualdomains", b"No virtual domains.", b"Virtual domain: "),
)
# What the original does not know is told of only where it is there.
OURS: tuple[Row, ...] = (
    List("esmtp", b"", b"SMTP extension offered: ", b"."),
    Number("loginfailures", 10, b"Failed logins that lock an address out: "),
    Number("loginlockout", 900, b"Lock-out of an address is ", b" seconds"),
    List("pop3", b"", b"POP3 extension offered: ", b"."),
    Number("rcptcheck", 0, b"Recipients are checked for mailboxes (0: no): "),
    Line("servercert.pem", b"", b"Certificate and key for TLS: "),
    Line("tlsca.pem", b"", b"Authorities believed for TLS: "),
    List("tlshosts", b"", b"TLS to other hosts: "),
)
# What is said of morercpthosts where there is no rcpthosts.
MORE_WITHOUT = List(
    "morercpthosts",
    b"No rcpthosts; morercpthosts is irrelevant.",
    b"No rcpthosts; doesn't matter that morercpthosts has ",
    b".",
)
TROUBLE = b"Oops! Trouble reading this file.\n"


def introduce(home: bytes) -> bytes:
    """The first paragraph. Raises OSError."""
    return (
        b"qmail home directory: %s.\nuser-ext delimiter: -.\npaternalism (in decimal): %d.\n"
        b"silent concurrency limit: %d.\nsubdirectory split: %d.\nuser ids: %s.\ngroup ids: %s.\n"
    ) % (home, PATERNALISM, SLOTS, SPLIT, _users(home), _groups(home))


def describe(files: Controls, me: bytes | None, names: Collection[bytes]) -> bytes:
    """A paragraph for each control file that is known, then one for each of `names` that is not."""
    rows = (*ROWS, *(row for row in OURS if row.name.encode() in names))
    made = [b"\n" + paragraph for paragraph in _paragraphs(files, me, rows)]
    known = {row.name.encode() for row in rows}
    made += [b"\n%s: I have no idea what this file does.\n" % name for name in names if name not in known]
    return b"".join(made)


def _paragraphs(files: Controls, me: bytes | None, rows: Iterable[Row]) -> Iterator[bytes]:
    restricted = True
    for row in rows:
        shown = row
        if row.name == "morercpthosts" and not restricted:
            shown = MORE_WITHOUT
        name = row.name.encode() + b": "
        if row.name.endswith(".pem"):
            # Its text is for nobody's eyes.
            yield name + b"There.\n"
            continue
        if row.name == "morercpthosts.cdb":
            yield name + _freshness(files.directory)
            continue
        try:
            yield name + _paragraph(files, shown, me)
        except ControlError:
            yield name + TROUBLE
        if row.name == "rcpthosts":
            restricted = os.path.exists(files.directory + b"/rcpthosts")


def _paragraph(files: Controls, row: Row, me: bytes | None) -> bytes:
    if isinstance(row, List):
        values = files.lines(row.name)
        if values is None:
            return b"(Default.) " + row.default + b"\n"
        return b"\n" + b"".join(row.before + each.translate(_SHOWN) + row.after + b"\n" for each in values)
    if isinstance(row, Number):
        data = files.read(row.name)
        told = None if data is None else control.number(data)
        mark = b"(Default.) " if told is None else b""
        return mark + row.before + b"%d" % (row.default if told is None else told) + row.after + b".\n"
    value = files.line(row.name)
    if value is not None:
        return row.before + value.translate(_SHOWN) + b".\n"
    value = me if row.me and me is not None else row.default
    return b"(Default.) " + row.before + value.translate(_SHOWN) + b".\n"


def _freshness(directory: bytes) -> bytes:
    """Whether morercpthosts.cdb is as new as what it is made of."""
    source, made = (_changed(directory + name) for name in (b"/morercpthosts", b"/morercpthosts.cdb"))
    if source is None:
        return (
            b"(Default.) No effect.\n"
            if made is None
            else (b"Oops! morercpthosts.cdb exists but morercpthosts doesn't.\n")
        )
    if made is None:
        return b"Oops! morercpthosts exists but morercpthosts.cdb doesn't.\n"
    if source > made:
        return b"Oops! morercpthosts.cdb is older than morercpthosts.\n"
    return b"Modified recently enough; hopefully up to date.\n"


def _changed(path: bytes) -> int | None:
    try:
        return int(os.stat(path).st_mtime)
    except OSError:
        return None


def _users(home: bytes) -> bytes:
    """The ids of qmail's users; where there are none, of the one who owns the tree and runs all of it."""
    ids = []
    for name in USERS:
        found = account(name)
        ids.append(_owner(home).st_uid if found is None else found.uid)
    return b", ".join(b"%d" % each for each in ids)


def _groups(home: bytes) -> bytes:
    import grp

    ids = []
    for name in GROUPS:
        try:
            ids.append(grp.getgrnam(name).gr_gid)
        except KeyError:
            ids.append(_owner(home).st_gid)
    return b", ".join(b"%d" % each for each in ids)


def _owner(home: bytes) -> os.stat_result:
    try:
        return os.stat(home)
    except OSError:
        return os.stat(b"/")
