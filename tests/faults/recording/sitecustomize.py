"""Imported by every Python that starts with this directory in $PYTHONPATH: writes down what it does to files.

$POWER_CUT_ROOT is the directory whose files count, $POWER_CUT_RECORD the file that a line is added to for each change
of them, after it has been made and before its maker goes on. Processes that wait for one another therefore write in
the order in which things happened. Each line is a literal tuple:

    ("create", PATH, INODE)  ("link", FROM, TO)  ("rename", FROM, TO)  ("unlink", PATH)
    ("write", INODE, OFFSET, BYTES)  ("truncate", INODE, SIZE)
    ("sync", PATH, INODE)  ("sync all",)

with paths relative to the root. It works where os.* is what makes the changes, which is everywhere in svtree, and in
forked children as well as in programs that are executed. A file's times and modes are not written down.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

ROOT = os.fsencode(os.environ.get("POWER_CUT_ROOT", ""))
RECORD = os.environ.get("POWER_CUT_RECORD", "")

real_open, real_write, real_close = os.open, os.write, os.close


def note(*what: object) -> None:
    """One line, in one write, through a descriptor of its own: programs close those that they do not know."""
    descriptor = real_open(RECORD, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        real_write(descriptor, repr(what).encode() + b"\n")
    finally:
        real_close(descriptor)


def below_root(path: str | bytes, dir_fd: int | None) -> bytes | None:
    """A path relative to the root; None for one that is not below it."""
    start = os.getcwdb() if dir_fd is None else os.readlink(b"/proc/self/fd/%d" % dir_fd)
    whole = os.path.normpath(os.path.join(start, os.fsencode(path)))
    return os.path.relpath(whole, ROOT) if whole.startswith(ROOT + b"/") else None


def known(descriptor: int) -> tuple[bytes, int] | None:
    """The path and inode of an open file or directory below the root, whether it still has that name or not."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            return None
        path = os.readlink(b"/proc/self/fd/%d" % descriptor)
    except OSError:
        return None
    return (os.path.relpath(path, ROOT), status.st_ino) if path.startswith(ROOT + b"/") else None


def recorded_open(path: str | bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    name = below_root(path, dir_fd) if flags & (os.O_CREAT | os.O_TRUNC) else None
    is_new = False
    if name is not None:
        try:
            os.lstat(os.path.join(ROOT, name))
        except FileNotFoundError:
            is_new = True
    descriptor = real_open(path, flags, mode, dir_fd=dir_fd)
    if name is not None and stat.S_ISREG(os.fstat(descriptor).st_mode):
        if is_new:
            note("create", name, os.fstat(descriptor).st_ino)
        elif flags & os.O_TRUNC:
            note("truncate", os.fstat(descriptor).st_ino, 0)
    return descriptor


def recorded_write(descriptor: int, data: bytes) -> int:
    done = real_write(descriptor, data)
    found = known(descriptor)
    if found is not None:
        note("write", found[1], os.lseek(descriptor, 0, os.SEEK_CUR) - done, bytes(data[:done]))
    return done


def recorded_pwrite(descriptor: int, data: bytes, offset: int) -> int:
    done = real_pwrite(descriptor, data, offset)
    found = known(descriptor)
    if found is not None:
        note("write", found[1], offset, bytes(data[:done]))
    return done


def recorded_truncate(descriptor: int, size: int) -> None:
    real_truncate(descriptor, size)
    found = known(descriptor)
    if found is not None:
        note("truncate", found[1], size)


def recorded_unlink(path: str | bytes, *, dir_fd: int | None = None) -> None:
    real_unlink(path, dir_fd=dir_fd)
    name = below_root(path, dir_fd)
    if name is not None:
        note("unlink", name)


def of_two(kind: str, change: Callable[..., None]) -> Callable[..., None]:
    """link or rename."""

    def recorded(
        source: str | bytes, target: str | bytes, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        change(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        name, other = below_root(source, src_dir_fd), below_root(target, dst_dir_fd)
        if name is not None and other is not None:
            note(kind, name, other)

    return recorded


def of_sync(sync: Callable[[int], None]) -> Callable[[int], None]:
    """fsync or fdatasync."""

    def recorded(descriptor: int) -> None:
        sync(descriptor)
        found = known(descriptor)
        if found is not None:
            note("sync", *found)

    return recorded


def recorded_sync_all(*descriptor: int) -> None:
    os.sync()
    note("sync all")


if RECORD:
    real_pwrite, real_truncate, real_unlink = os.pwrite, os.ftruncate, os.unlink
    for name, recorder in (
        ("open", recorded_open),
        ("write", recorded_write),
        ("pwrite", recorded_pwrite),
        ("ftruncate", recorded_truncate),
        ("unlink", recorded_unlink),
        ("link", of_two("link", os.link)),
        ("rename", of_two("rename", os.rename)),
        ("fsync", of_sync(os.fsync)),
        ("fdatasync", of_sync(os.fdatasync)),
    ):
        setattr(os, name, recorder)
    # Before anybody takes it from there.
    vars(__import__("svtree.mail.queue.sync", fromlist=["syncfs"]))["syncfs"] = recorded_sync_all
