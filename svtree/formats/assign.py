"""users/assign and the users/cdb that is made of it: which account an address belongs to, by decree.

Follows qmail-users(5), qmail-newu.c and qmail-lspawn.c. A line is one of

    =LOCAL:USER:UID:GID:HOME:DASH:EXT:      the local part LOCAL
    +LOC:USER:UID:GID:HOME:DASH:PRE:        local parts that begin with LOC; EXT is PRE and the rest

and the file ends with a line ".". In the cdb the key of the first is !local and a NUL, of the second !loc, in small
letters; the data are the fields up to EXT with NULs between them. The empty key's data are the bytes that a LOC ends
with, so that a reader tries no prefix that cannot be there. (They are written as they stand and compared with small
letters, so that a LOC that ends with a capital letter is never found; the original's cdb and lookup are kept.)
"""

from __future__ import annotations

from svtree.formats.numbers import scan
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Pair = tuple[bytes, bytes]

WILD = 43
FIELDS = 6
# The last id means "leave as it is" to the kernel.
TOO_LARGE = (1 << 32) - 1
WILDCARDS = b""


class AssignError(ValueError):
    """The file, or what the cdb says, is not in this form."""


@record
class Assignment:
    """Whose mail it is, who handles it, and the part of the address that names the .qmail file."""

    name: bytes
    uid: int
    gid: int
    home: bytes
    dash: bytes
    extension: bytes


def records(text: bytes) -> list[Pair]:
    """The records of the cdb, the wildcards last. Raises AssignError for a bad line, or where none begins with "."."""
    found: list[Pair] = []
    wildcards = b""
    *lines, rest = text.split(b"\n")
    for line in [*lines, rest] if rest.startswith(b".") else lines:
        if line.startswith(b"."):
            return [*found, (WILDCARDS, wildcards)]
        name, _, value = line.partition(b":")
        fields = value.split(b":", FIELDS)
        if not name or len(fields) <= FIELDS or b"\0" in line:
            break
        key = b"!" + name[1:].lower()
        if name[0] != WILD:
            key += b"\0"
        elif len(name) > 1 and name[-1:] not in wildcards:
            wildcards += name[-1:]
        found.append((key, b"\0".join(fields[:FIELDS])))
    raise AssignError(f"line {len(found) + 1}")


def find(local: bytes, get: Callable[[bytes], bytes | None]) -> Assignment | None:
    """The assignment of a local part; `get` looks a key up in the cdb. Raises AssignError where it is no such cdb."""
    wildcards = get(WILDCARDS)
    if wildcards is None:
        raise AssignError("no list of wildcards")
    key = b"!" + local.lower()
    data = get(key + b"\0")
    if data is not None:
        return _assignment(data)
    for length in range(len(key), 0, -1):
        if length == 1 or key[length - 1 : length] in wildcards:
            data = get(key[:length])
            if data is not None:
                return _assignment(data + local[length - 1 :])
    return None


def unpack(data: bytes) -> Assignment:
    """What qmail-getpw prints, which ends with a NUL. Raises AssignError."""
    fields = data.split(b"\0")
    if len(fields) <= FIELDS:
        raise AssignError("an answer is too short")
    return _assignment(b"\0".join(fields[:FIELDS]))


def _assignment(data: bytes) -> Assignment:
    fields = data.split(b"\0", FIELDS - 1)
    if len(fields) < FIELDS:
        raise AssignError("a record is too short")
    name, uid, gid, home, dash, extension = fields
    user, group = scan(uid)[0] or 0, scan(gid)[0] or 0
    if user >= TOO_LARGE or group >= TOO_LARGE:
        raise AssignError("an id is too large")
    return Assignment(name, user, group, home, dash, extension)
