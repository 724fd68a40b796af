"""A directory of services: what is in it is supervised, what leaves it is left alone until it ends.

Follows svscan of daemontools 0.76: names that begin with a dot are passed over, whatever is not a directory too; a
service is a directory (device and inode), however it is called and by however many links; removing it from the tree
stops nothing (`svc -dx` does). Beyond the original: a logger that appears later is picked up, there is no limit to
the number of services, and TERM takes the whole tree down in order.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from svtree.supervision.hunt import Hunt, orphans, strays
from svtree.supervision.pair import Pair
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from svtree.supervision.context import Context
    from svtree.supervision.service import Service

# Every so many looks the directory is read although it seems unchanged: a link may lead elsewhere than it did.
FULL = 6
# A time of change this young may be that of two changes, one of them not seen yet; in nanoseconds.
YOUNG = 2_000_000_000


class Tree:
    """The services of one directory. `appeared` and `left` are told of directories that come under supervision."""

    def __init__(
        self, context: Context, directory: bytes, *, appeared: Callable[[bytes], None], left: Callable[[bytes], None]
    ) -> None:
        """`directory` is absolute. Nothing is supervised before the first `rescan`."""
        self.directory = directory
        self.pairs: dict[tuple[int, int], Pair] = {}
        self._context = context
        self._appeared = appeared
        self._left = left
        self._looks = 0
        self._seen = 0
        self._said: dict[bytes, bytes] = {}
        self._over: Callable[[], None] | None = None
        self._stage = ""
        self._wave: list[Pair] = []
        self._later: list[Pair] = []
        self._marks: list[bytes] = []
        self._sessions: set[int] = set()

    def rescan(self) -> None:
        """Look at every name in the directory now."""
        if self._over is not None:
            return
        before = self._stamp()
        try:
            names = sorted(os.listdir(self.directory))
        except OSError as error:
            self._warn(b"", b"unable to read directory: " + reason(error).encode())
            return
        self._said.pop(b"", None)
        # A change made since `before` has a later stamp; one made just before it may share it with an earlier one.
        self._seen = before if time.time_ns() - before > YOUNG else 0
        for pair in self.pairs.values():
            pair.active = False
        for name in names:
            if name[:1] != b".":
                self._look(name)
        self._drop()

    def tick(self) -> None:
        """The slow look: only what may have changed."""
        self._looks += 1
        if self._looks % FULL == 0 or self._seen == 0 or self._stamp() != self._seen:
            self.rescan()
        elif self._over is None:
            for pair in self.pairs.values():
                if pair.active and not pair.rest():
                    pair.ensure()
            self._drop()
        for _, service in self.services():
            service.catch_up()

    def services(self) -> Iterator[tuple[bytes, Service]]:
        """Every service and logger that is supervised, with its name in the tree."""
        for pair in list(self.pairs.values()):
            yield from pair.services()

    def find(self, directory: bytes) -> Pair | None:
        """The pair of a service directory, by its path."""
        return next((pair for pair in self.pairs.values() if pair.path == directory), None)

    def take_down(self, over: Callable[[], None]) -> None:
        """End everything, in order: services, what is left of them, loggers. Then `over` is called, once.

        Services with a file `last`, whom the loggers of the others may be talking to, come after all that.
        """
        if self._over is not None:
            return
        self._over = over
        pairs = list(self.pairs.values())
        self._later = [pair for pair in pairs if pair.goes_last()]
        self._end_services([pair for pair in pairs if pair not in self._later])

    def close(self) -> None:
        """Give up everything as it is."""
        for pair in self.pairs.values():
            pair.close()
        self.pairs.clear()

    def _look(self, name: bytes) -> None:
        path = self.directory + b"/" + name
        try:
            found = os.stat(path)
        except OSError as error:
            self._warn(name, b"unable to stat " + name + b": " + reason(error).encode())
            return
        self._said.pop(name, None)
        if not stat.S_ISDIR(found.st_mode):
            return
        key = (found.st_dev, found.st_ino)
        pair = self.pairs.get(key)
        if pair is None:
            pair = self.pairs[key] = Pair(self._context, path, name, self._advance)
            pair.ensure()
            self._appeared(path)
        elif not pair.active:
            pair.ensure()
        pair.active = True

    def _drop(self) -> None:
        """Forget the directories that are gone and have nothing running, as the original does."""
        for key, pair in list(self.pairs.items()):
            if not pair.active and pair.service is None and pair.logger is None:
                pair.let_go()
                del self.pairs[key]
                self._left(pair.path)

    def _end_services(self, wave: list[Pair]) -> None:
        self._wave = wave
        self._stage = "services"
        self._marks = [pair.mark for pair in wave if pair.mark]
        services = self._all("service")
        self._sessions = {each.runner.pid for each in services if each.runner.pid}
        for service in services:
            service.take_down()
        self._advance()

    def _all(self, which: str) -> list[Service]:
        found = (getattr(pair, which) for pair in self._wave)
        return [each for each in found if each is not None]

    def _advance(self) -> None:
        """A supervision has ended: when the tree is being taken down, perhaps the last one of this stage."""
        if self._stage == "services" and not self._all("service"):
            self._stage = "strays"
            Hunt(self._context.loop, self._strays, self._drain, self._context.complain)
        elif self._stage == "loggers" and not self._all("logger"):
            if self._later:
                wave, self._later = self._later, []
                self._end_services(wave)
                return
            self._stage = "orphans"
            Hunt(self._context.loop, orphans, self._end, self._context.complain)

    def _strays(self) -> list[int]:
        return strays(self._marks, self._sessions)

    def _drain(self) -> None:
        self._stage = "loggers"
        for pair in self._wave:
            pair.drain()
        self._advance()

    def _end(self) -> None:
        self._stage = "over"
        if self._over is not None:
            self._over()

    def _stamp(self) -> int:
        try:
            return os.stat(self.directory).st_mtime_ns
        except OSError:
            return 0

    def _warn(self, name: bytes, text: bytes) -> None:
        if self._said.get(name) != text:
            self._said[name] = text
            self._context.complain(b"svscan: warning: " + text)
