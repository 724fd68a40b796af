"""Names on disk: what must be so before a delivery may be called done."""

from __future__ import annotations

import errno
import os

from svtree.system.atomic import sync_directory

# The directory may be one that its user can enter but not read, or on a file system that syncs no directories.
CANNOT = frozenset({errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def sync_names(directory: bytes) -> None:
    """Put the names in `directory` on disk, by way of everything there is to sync where it cannot be done alone."""
    try:
        sync_directory(directory)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
        os.sync()
