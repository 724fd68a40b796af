"""Making users/assign of the system's accounts: qmail-pw2u's work.

Follows qmail-pw2u(8) and qmail-pw2u.c. An account gets mail if it is not root, has no capital letter in its name, and
owns its home; users/include, exclude, mailnames, subusers and append change that.
"""

from __future__ import annotations

import os

from svtree.formats import control
from svtree.formats.numbers import scan
from svtree.formats.record import record
from svtree.system.atomic import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALIAS = b"alias"
CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What to do about a home that is not there or not its owner's.
SKIP = "skip the account"
STOP = "stop where there is none"
IGNORE = "do not look"


class AssigningError(Exception):
    """There can be no users/assign; `message` is qmail-pw2u's."""

    def __init__(self, message: bytes) -> None:
        """`message` comes after "qmail-pw2u: fatal: "."""
        super().__init__(message)
        self.message = message


class Policy:
    """The options."""

    def __init__(self) -> None:
        """As without any: strict about homes and capitals, a dash before an extension."""
        self.homes = SKIP
        self.capitals = False
        self.dash = b"-"
        self.delimiter = b"-"


@record
class Files:
    """The files in users/; `include` and `exclude` are names in small letters, None where there is no such file."""

    include: frozenset[bytes] | None
    exclude: frozenset[bytes] | None
    names: dict[bytes, bytes]
    subusers: bytes
    append: bytes

    @classmethod
    def read(cls) -> Files:
        """Read them below the current directory; OSError where one that is there cannot be read."""
        return cls(
            include=_names(_optional(b"users/include")),
            exclude=_names(_optional(b"users/exclude")),
            names=_map(control.lines(_optional(b"users/mailnames") or b"")),
            subusers=_optional(b"users/subusers") or b"",
            append=_optional(b"users/append") or b"",
        )


def assignments(accounts: bytes, files: Files, policy: Policy) -> bytes:
    """The text of users/assign for the passwd file `accounts`. Raises AssigningError."""
    made = []
    known: dict[bytes, bytes] = {}
    has_alias = False
    for line in accounts.split(b"\n"):
        fields = line.split(b":", 6)
        if b"\0" in line or len(fields) < 7 or not _wanted(fields, files, policy):
            continue
        name = fields[0]
        middle = b":%s:%s:%s:%s:" % (name, fields[2], fields[3], fields[5])
        known[name.lower()] = middle
        if name == ALIAS:
            has_alias = True
            made.append(b"+%s%s::\n" % (middle, policy.dash))
        names = files.names.get(name.lower(), name)
        made += [_account(each, middle, policy) for each in names.split(b":") if each]
    if not has_alias:
        raise AssigningError(b"unable to find alias user")
    made += _subusers(files.subusers, known, policy)
    return b"".join([*made, files.append, b".\n"])


def _account(name: bytes, middle: bytes, policy: Policy) -> bytes:
    line = b"=%s%s::\n" % (name, middle)
    if policy.delimiter:
        line += b"+%s%s%s%s::\n" % (name, policy.delimiter, middle, policy.dash)
    return line


def _wanted(fields: list[bytes], files: Files, policy: Policy) -> bool:
    name, uid, home = fields[0], scan(fields[2])[0], fields[5]
    if not uid or (not policy.capitals and any(code in CAPITALS for code in name)):
        return False
    if files.include is not None and name.lower() not in files.include:
        return False
    if files.exclude is not None and name.lower() in files.exclude:
        return False
    if policy.homes == IGNORE:
        return True
    try:
        return os.stat(home).st_uid == uid
    except OSError as error:
        if isinstance(error, FileNotFoundError) and policy.homes == SKIP:
            return False
        raise AssigningError(b"unable to stat " + home) from error


def _subusers(text: bytes, known: dict[bytes, bytes], policy: Policy) -> list[bytes]:
    """The lines for addresses SUB that a user's .qmail-PRE controls, from lines SUB:USER:PRE: and what follows."""
    made = []
    for line in text.split(b"\n"):
        fields = line.split(b":", 3)
        if len(fields) < 3:
            continue
        sub, user, extension = fields[:3]
        middle = known.get(user.lower())
        if middle is None:
            raise AssigningError(b"unable to find " + user + b" user for subuser")
        if len(fields) < 4:
            continue
        made.append(b"=%s%s%s:%s:\n" % (sub, middle, policy.dash, extension))
        if policy.delimiter:
            made.append(b"+%s%s%s%s:%s-:\n" % (sub, policy.delimiter, middle, policy.dash, extension))
    return made


def _optional(path: bytes) -> bytes | None:
    try:
        return read(path)
    except FileNotFoundError:
        return None


def _names(data: bytes | None) -> frozenset[bytes] | None:
    return None if data is None else frozenset(each.lower() for each in control.lines(data))


def _map(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    """What follows the first colon by what is before it; of two lines for the same name the last counts."""
    pairs = (line.partition(b":") for line in lines)
    return {name.lower(): value for name, colon, value in pairs if colon}
