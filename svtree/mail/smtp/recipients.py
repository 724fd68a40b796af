"""Which recipients a host without RELAYCLIENT may send to: control/rcpthosts and control/morercpthosts.cdb.

Follows rcpthosts.c: a host is taken if it stands in one of them, or if what it has from one of its dots on does
(".example.com" takes every host under it); case does not matter; an address without a host is taken.

One thing is not the original's: where control/rcpthosts is missing it relays for everybody. We then take mail for the
hosts in control/locals alone, which is no relaying, and say so.
"""

from __future__ import annotations

import os

from svtree.formats.record import record
from svtree.mail.controls import ControlError
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from svtree.mail.controls import Controls
    from svtree.system.mapped import Mapped


@record
class Hosts:
    """The two files as they were read."""

    names: frozenset[bytes]
    more: Mapped | None
    # What the administrator should know, where there is such a thing.
    warning: str | None

    @classmethod
    def read(cls, controls: Controls) -> Hosts:
        """Read them. Raises ControlError."""
        hosts = controls.lines("rcpthosts")
        warning = more = None
        if hosts is None:
            directory = controls.directory.decode("utf-8", "surrogateescape")
            warning = f"{directory}/rcpthosts does not exist: relaying nothing, taking mail for local hosts only"
            hosts = controls.lines_or_me("locals")
        else:
            more = _open(controls.directory + b"/morercpthosts.cdb")
        return cls(frozenset(each.lower() for each in hosts), more, warning)

    def is_open(self) -> bool:
        """Whether a descriptor belongs to it, which only `close` gives back."""
        return self.more is not None and not isinstance(self.more.data, bytes)

    def close(self) -> None:
        """Give back the cdb."""
        if self.more is not None:
            self.more.close()


class Recipients:
    """The question of one session whether a recipient is taken."""

    def __init__(self, hosts: Hosts, complain: Callable[[str], None]) -> None:
        """`complain` is told, in a line, what the administrator should know."""
        self._complain = complain
        self._missing = hosts.warning
        self._more = hosts.more
        self._hosts = hosts.names

    def accepts(self, address: bytes) -> bool | None:
        """Whether mail for `address` is taken; None if morercpthosts.cdb, which would know, cannot be read."""
        _, at, host = address.rpartition(b"@")
        if not at:
            return True
        keys = list(_keys(host.lower()))
        if any(key in self._hosts for key in keys):
            return True
        if self._missing is not None:
            # Once in a session is enough.
            self._complain(self._missing)
            self._missing = None
        return False if self._more is None else self._ask(self._more, keys)

    def _ask(self, more: Mapped, keys: list[bytes]) -> bool | None:
        from svtree.formats.cdb import CdbError, Reader

        try:
            reader = Reader(more.data)
            return any(reader.get(key) is not None for key in keys)
        except CdbError as error:
            self._complain(f"unable to read {more.path.decode('utf-8', 'surrogateescape')}: {error}")
            return None


def _keys(host: bytes) -> Iterator[bytes]:
    """The host itself, then what it has from each of its dots on."""
    if host:
        yield host
    at = host.find(b".", 1)
    while at > 0:
        yield host[at:]
        at = host.find(b".", at + 1)


def _open(path: bytes) -> Mapped | None:
    try:
        # Few hosts have one: those that do not shall not wait for the imports.
        os.stat(path)
        from svtree.system.mapped import Mapped

        return Mapped(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ControlError(f"unable to read {path.decode('utf-8', 'surrogateescape')}: {reason(error)}") from error
