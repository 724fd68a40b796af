"""A service directory in a tree: the service, its logger if it has one, and the pipe between them.

Follows svscan of daemontools 0.76: what is supervised is a directory (device and inode), whatever its name; a
supervision that ended begins again at the next look while the directory is still in the tree, and the pipe stays for
as long as either of the two does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.supervision import adoption
from svtree.supervision.logpipe import LogPipe
from svtree.supervision.place import Place, PlaceError
from svtree.supervision.service import Service
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.supervision.context import Context

LOG = b"/log"


class Pair:
    """One directory of a tree; `gone` is called whenever one of its two supervisions has ended."""

    def __init__(self, context: Context, path: bytes, name: bytes, gone: Callable[[], None]) -> None:
        """`path` is absolute, `name` its name in the tree."""
        self.path = path
        self.name = name
        self.active = True
        self.service: Service | None = None
        self.logger: Service | None = None
        self.mark = b""
        self._context = context
        self._gone = gone
        self._pipe: LogPipe | None = None
        self._changed = 0
        self._said: dict[bytes, str] = {}

    def services(self) -> list[tuple[bytes, Service]]:
        """What is supervised, with its name: the service, then the logger."""
        both = ((self.name, self.service), (self.name + LOG, self.logger))
        return [(name, each) for name, each in both if each is not None]

    def ensure(self) -> None:
        """Supervise what is there and is not supervised; what cannot be is said once and tried again next time."""
        if self.service is None:
            self.service = self._open(self.path, self.name)
        if self.service is not None and self.logger is None and self._has_log():
            if self._pipe is None and not self._make_pipe(self.service):
                return
            self.logger = self._open(self.path + LOG, self.name + LOG)
        if self.service is not None and not self.service.begun:
            self._begin(self.service, self.name)
        if self.logger is not None and not self.logger.begun:
            self._begin(self.logger, self.name + LOG)

    def rest(self) -> bool:
        """Whether all that could be supervised is, and no file has come or gone in the directory since it was seen."""
        if self.service is None:
            return False
        if self.logger is not None:
            return True
        try:
            changed = os.fstat(self.service.place.directory).st_mtime_ns
        except OSError:
            return False
        return changed == self._changed

    def goes_last(self) -> bool:
        """Whether the others are to be gone before this one is taken down: it has the file `last`."""
        try:
            return self.service is not None and self.service.place.has(b"last")
        except OSError:
            return False

    def let_go(self) -> None:
        """Hold the pipe no longer."""
        if self._pipe is not None:
            self._pipe.let_go()
            self._pipe = None

    def drain(self) -> None:
        """The service and all that came of it are gone: let the logger read to its end, and end."""
        if self.logger is not None:
            self.logger.drain(unread=self._pipe is not None and self._pipe.unread() > 0)
        self.let_go()

    def close(self) -> None:
        """Give up both, whatever they are doing."""
        for _, each in self.services():
            each.close()
        self.service = self.logger = None
        self.let_go()

    def _has_log(self) -> bool:
        """Whether there is a logger to run; remembers when the directory last changed."""
        assert self.service is not None  # noqa: S101 - asked of an open service
        try:
            self._changed = os.fstat(self.service.place.directory).st_mtime_ns
            found = self.service.place.has(b"log")
        except OSError as error:
            self._say(LOG, f"svscan: warning: unable to stat {_shown(self.name)}/log: {reason(error)}")
            return False
        return found

    def _make_pipe(self, service: Service) -> bool:
        try:
            self._pipe = LogPipe(service.place.base)
        except OSError as error:
            self._say(LOG, f"svscan: warning: unable to create pipe for {_shown(self.name)}: {reason(error)}")
            return False
        return True

    def _open(self, path: bytes, name: bytes) -> Service | None:
        try:
            place = Place(path, name)
        except PlaceError as error:
            self._say(name, f"supervise: fatal: {error}")
            return None
        if name is self.name:
            self.mark = adoption.service_mark(place)
            return Service(self._context, place, path=path, streams=self._output, gone=self._service_gone)
        return Service(self._context, place, path=path, streams=self._input, gone=self._logger_gone)

    def _begin(self, service: Service, name: bytes) -> None:
        try:
            service.begin(speaks=name is self.name)
        except (PlaceError, OSError) as error:
            # An OSError here is a limit of the kernel's on what one process may hold.
            why = error if isinstance(error, PlaceError) else f"unable to supervise {_shown(name)}: {reason(error)}"
            self._say(name, f"supervise: fatal: {why}")
            service.close()
            if service is self.service:
                self.service = None
            else:
                self.logger = None
            return
        self._said.pop(name, None)

    def _output(self) -> dict[int, int]:
        return {} if self._pipe is None else {1: self._pipe.for_service()}

    def _input(self) -> dict[int, int]:
        return {} if self._pipe is None else {0: self._pipe.for_logger()}

    def _service_gone(self) -> None:
        self.service = None
        self._gone()

    def _logger_gone(self) -> None:
        self.logger = None
        self._gone()

    def _say(self, kind: bytes, line: str) -> None:
        if self._said.get(kind) != line:
            self._said[kind] = line
            self._context.complain(line.encode("utf-8", "surrogateescape"))


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
