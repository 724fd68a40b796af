"""relay-ctrl-age: end the relay grants that have had their time."""

from __future__ import annotations

import os
import time

from svtree.program import Fatal
from svtree.relay import grants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "relay-ctrl-age: usage: relay-ctrl-age"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - the original takes no arguments and minds none
    """Remove every grant in $RELAY_CTRL_DIR that is older than $RELAY_CTRL_EXPIRY seconds."""
    path = environ.get(grants.DIRECTORY)
    if path is None:
        raise Fatal("$RELAY_CTRL_DIR is not set.", code=1)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Fatal(b"Could not change directory to '" + path + b"'.", code=1) from error
    store = grants.Grants(descriptor, shared=False)
    try:
        store.age(grants.expiry(environ), time.time())
    except OSError as error:
        raise Fatal(b"Could not open directory '" + path + b"'.", code=1) from error
    finally:
        store.close()
    return 0
