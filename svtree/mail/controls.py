"""Reading qmail's control files from $QMAILHOME/control.

Not a cache: a program reads what it needs when it starts, as qmail's programs do. A file that is not there has its
default; a file that cannot be read is an error that names it, never a default.
"""

from __future__ import annotations

import os

from svtree.formats import control
from svtree.system import atomic
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.program import Environ

DEFAULT_HOME = b"/var/qmail"
# More than any list of hosts that fits a text file; a control file beyond it is somebody's mistake.
LIMIT = 64 << 20


class ControlError(Exception):
    """A control file cannot be read; the text names the file and says why."""


def home(environ: Environ) -> bytes:
    """The qmail directory: $QMAILHOME, by default /var/qmail."""
    return environ.get(b"QMAILHOME") or DEFAULT_HOME


def is_readable(path: bytes, without: str, warn: Callable[[str], None]) -> bool:
    """Whether a file can be read; where not, `warn` is told why, and that there is no such thing as `without` then."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        warn(f"unable to read {os.fsdecode(path)}: {reason(error)}: no {without}")
        return False
    return True


class Controls:
    """The control files of one qmail directory."""

    def __init__(self, home: bytes) -> None:
        """`home` is qmail's directory, that which holds control/."""
        self.directory = home + b"/control"

    def read(self, name: str) -> bytes | None:
        """The bytes of control/`name`; None if there is no such file."""
        path = self.directory + b"/" + name.encode()
        try:
            data = atomic.read(path, LIMIT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ControlError(f"unable to read {path.decode('utf-8', 'surrogateescape')}: {reason(error)}") from error
        if len(data) > LIMIT:
            raise ControlError(f"unable to read {path.decode('utf-8', 'surrogateescape')}: file too big")
        return data

    def line(self, name: str, default: bytes | None = None) -> bytes | None:
        """The first line of control/`name`, or `default` if there is no such file."""
        data = self.read(name)
        return default if data is None else control.line(data)

    def me(self) -> bytes | None:
        """This host's name; None if control/me is missing, without which no mail program starts."""
        return self.line("me")

    def line_or_me(self, name: str) -> bytes | None:
        """The first line of control/`name`, by default that of control/me."""
        value = self.line(name)
        return self.me() if value is None else value

    def lines(self, name: str) -> list[bytes] | None:
        """The values in control/`name`; None if there is no such file, which is not the same as an empty one."""
        data = self.read(name)
        return None if data is None else control.lines(data)

    def lines_or_me(self, name: str) -> list[bytes]:
        """The values in control/`name`, by default control/me alone."""
        values = self.lines(name)
        if values is not None:
            return values
        me = self.me()
        return [] if me is None else [me]

    def number(self, name: str, default: int) -> int:
        """The number in control/`name`, or `default`."""
        data = self.read(name)
        value = None if data is None else control.number(data)
        return default if value is None else value
