"""Hints from the kernel that something in a directory may have changed: inotify(7), through watchdog's binding.

Of watchdog the binding alone is used, three functions of watchdog.observers.inotify_c that are the same from 2.2.1 to
7.1.0, and not its observers. An observer watches a whole tree, log directories included, so that every line a logger
writes would wake the supervisor; or it takes a thread and an inotify instance (of which a user has 128) for each
directory. Here one descriptor in the loop watches just the directories that decide something, for just the events that
matter: what reading a file causes is not among them, or looking would be a reason to look. No thread is started.

A hint may come late, twice, or never (a full queue, NFS, a directory whose watch was refused): who gets hints also has
to look by itself now and then.
"""

from __future__ import annotations

import errno
import os
from struct import Struct

from svtree.system.errors import reason
from svtree.system.loop import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from svtree.system.loop import Loop
    from svtree.watch.looking import Place

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
UNMOUNT, OVERFLOW, IGNORED, ONLYDIR = 0x2000, 0x4000, 0x8000, 0x1000000
COMING_AND_GOING = MOVED_FROM | MOVED_TO | CREATE | DELETE
OF_THE_DIRECTORY = DELETE_SELF | MOVE_SELF | UNMOUNT | IGNORED
ASKED = MODIFY | ATTRIB | CLOSE_WRITE | COMING_AND_GOING | DELETE_SELF | MOVE_SELF | ONLYDIR

EVENT = Struct("iIII")
BUFFER = 65536
# The kernel's limits on watches and instances; what else goes wrong with one directory is that directory's matter.
LIMITS = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Hints:
    """Directories watched for any number of owners, each of which is called back by itself."""

    def __init__(self, loop: Loop, complain: Callable[[str], None]) -> None:
        """`complain` gets a line, once, when the kernel refuses; `complete` is False from then on."""
        self.complete = True
        self._loop = loop
        self._complain = complain
        self._descriptor = -1
        self._owners: dict[Callable[[int], None], Mapping[bytes, Place]] = {}
        # What is watched: the path's directory when it was added, and the kernel's number for it.
        self._added: dict[bytes, tuple[tuple[int, int], int]] = {}
        self._paths: dict[int, list[bytes]] = {}
        self._interest: dict[bytes, list[Callable[[int], None]]] = {}
        self._open()

    def want(self, owner: Callable[[int], None], places: Mapping[bytes, Place]) -> None:
        """From now on call `owner(events)` for these places, a mapping that is ours now, and for no others."""
        before = self._owners.get(owner, {})
        for path in before.keys() - places.keys():
            self._drop(path, owner)
        self._owners[owner] = places
        for path, place in places.items():
            if path not in before:
                self._interest.setdefault(path, []).append(owner)
            if path not in self._added or self._added[path][0] != place.identity:
                self._add(path, place)

    def leave(self, owner: Callable[[int], None]) -> None:
        """Call `owner` no more."""
        for path in self._owners.pop(owner, {}):
            self._drop(path, owner)

    def close(self) -> None:
        """Give back the descriptor; the kernel then forgets its watches."""
        if self._descriptor >= 0:
            self._loop.forget(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        try:
            from ctypes import get_errno

            from watchdog.observers.inotify_c import inotify_add_watch, inotify_init, inotify_rm_watch
        except Exception as error:  # noqa: BLE001 - a watchdog that is missing, too new or on another system
            self._give_up(f"watchdog: {error}")
            return
        self._errno, self._add_watch, self._rm_watch = get_errno, inotify_add_watch, inotify_rm_watch
        descriptor = inotify_init()
        if descriptor < 0:
            self._give_up(reason(OSError(get_errno(), "")))
            return
        # The binding knows no inotify_init1. Nothing is started between that call and this.
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._loop.watch(descriptor, READ, self._read)

    def _give_up(self, why: str) -> None:
        if self.complete:
            self._complain(f"unable to have changes of files reported ({why}): looking for them instead")
        self.complete = False

    def _add(self, path: bytes, place: Place) -> None:
        self._forget(path)
        if self._descriptor < 0:
            return
        number = self._add_watch(self._descriptor, path, ASKED)
        if number < 0:
            why = self._errno()
            if why in LIMITS:
                self._give_up(reason(OSError(why, "")) if why != errno.ENOSPC else "fs.inotify.max_user_watches")
            return
        # The directory may have been replaced since its identity was taken. Then the next look finds another identity
        # than the one kept here, and adds it again.
        self._added[path] = (place.identity, number)
        self._paths.setdefault(number, []).append(path)

    def _drop(self, path: bytes, owner: Callable[[int], None]) -> None:
        interest = self._interest[path]
        interest.remove(owner)
        if not interest:
            del self._interest[path]
            self._forget(path)

    def _forget(self, path: bytes) -> None:
        """Watch a path no more; the kernel's watch ends with the last path that leads to the same directory."""
        if path not in self._added:
            return
        _, number = self._added.pop(path)
        paths = self._paths[number]
        paths.remove(path)
        if not paths:
            del self._paths[number]
            self._rm_watch(self._descriptor, number)  # type: ignore[arg-type]  # a NewType in the newest version alone

    def _read(self, _: int) -> None:
        try:
            data = os.read(self._descriptor, BUFFER)
        except (BlockingIOError, InterruptedError):
            return
        hinted: dict[Callable[[int], None], int] = {}
        at = 0
        while at < len(data):
            number, events, _, length = EVENT.unpack_from(data, at)
            name = data[at + EVENT.size : at + EVENT.size + length].rstrip(b"\0")
            at += EVENT.size + length
            if events & OVERFLOW:
                hinted.update(dict.fromkeys(self._owners, OVERFLOW))
                continue
            for owner in self._concerned(number, events, name):
                hinted[owner] = hinted.get(owner, 0) | events
        for owner, events in hinted.items():
            # An owner called before may have sent this one away.
            if owner in self._owners:
                owner(events)

    def _concerned(self, number: int, events: int, name: bytes) -> list[Callable[[int], None]]:
        paths = list(self._paths.get(number, ()))
        owners = [(owner, self._owners[owner][path].names) for path in paths for owner in self._interest.get(path, ())]
        if events & OF_THE_DIRECTORY:
            for path in paths:
                # It may be another directory by now; the look that follows adds what is there.
                self._forget(path)
            return [owner for owner, _ in owners]
        return [owner for owner, names in owners if names is None or name in names]
