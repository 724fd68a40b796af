"""Making the first control files of a host, told line by line: what config and config-fast do.

Follows config.sh and config-fast.sh.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.program import Fatal
from svtree.system import atomic
from svtree.system.errors import reason
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.program import Environ

ADVICE = b"Make sure to change rcpthosts if you add hosts to locals or virtualdomains!"


def default_domain(host: bytes) -> bytes:
    """Where a short host name belongs: the host's name without its first label, if two are left then."""
    _, dot, rest = host.partition(b".")
    return rest if dot and b"." in rest else host


def plus_domain(host: bytes) -> bytes:
    """What takes the place of a plus sign at the end of an address: the last two labels."""
    return b".".join(host.split(b".")[-2:])


class Writer:
    """Writes control files and says so."""

    def __init__(self, environ: Environ) -> None:
        """In $QMAILHOME/control, which must be there."""
        self._directory = controls.home(environ) + b"/control"

    def path(self, name: bytes) -> bytes:
        """Where a file is."""
        return self._directory + b"/" + name

    def say(self, line: bytes) -> None:
        """A line for the person who has called us."""
        write_all(1, line + b"\n")

    def put(self, name: bytes, value: bytes) -> None:
        """Say that a file gets this value, and write it."""
        self.say(b"Putting %s into control/%s..." % (value, name))
        self.write(name, value + b"\n")

    def add(self, name: bytes, value: bytes) -> None:
        """Say that a list gets this value, and put it behind those that are there."""
        self.say(b"Putting %s into control/%s..." % (value, name))
        self.append(name, value)

    def names(self, host: bytes) -> None:
        """The files for the host's name and the domains that come of it."""
        self.put(b"me", host)
        self.put(b"defaultdomain", default_domain(host))
        self.put(b"plusdomain", plus_domain(host))

    def append(self, name: bytes, value: bytes) -> None:
        """Put a line behind those of a file, which need not be there."""
        try:
            old = atomic.read(self.path(name))
        except FileNotFoundError:
            old = b""
        except OSError as error:
            raise self._fatal(b"read", name, error) from error
        if old and not old.endswith(b"\n"):
            old += b"\n"
        self.write(name, old + value + b"\n")

    def write(self, name: bytes, data: bytes) -> None:
        """Have a file hold just this, for everybody to read."""
        path = self.path(name)
        try:
            atomic.write(path, data, mode=0o644, owner=_owner(path))
        except OSError as error:
            raise self._fatal(b"write", name, error) from error

    def _fatal(self, what: bytes, name: bytes, error: OSError) -> Fatal:
        return Fatal(b"unable to %s %s: %s" % (what, self.path(name), reason(error).encode()))


def _owner(path: bytes) -> tuple[int, int] | None:
    """Whose the file shall be: whose it was."""
    if os.geteuid() != 0:
        return None
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_uid, found.st_gid
