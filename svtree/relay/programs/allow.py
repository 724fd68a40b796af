"""relay-ctrl-allow: let the client's address relay for a while."""

from __future__ import annotations

import os

from svtree.program import Chain, Fatal
from svtree.relay import grants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "relay-ctrl-allow: usage: relay-ctrl-allow [program [arguments]]"
NAME = "relay-ctrl-allow"


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Write the grant of $TCPREMOTEIP, if the login succeeded, and go on with argv[1:] whether that worked or not."""
    address = grants.address(environ.get(b"TCPREMOTEIP", b""))
    if address is None:
        raise Fatal("Must be run from tcp-env or tcpserver.")
    if grants.DIRECTORY not in environ:
        grants.warn(NAME, "$RELAY_CTRL_DIR is not set.")
    elif grants.authenticated(environ):
        _allow(address, environ)
    return Chain(tuple(argv[1:]), environ) if len(argv) > 1 else 0


def _allow(address: bytes, environ: Environ) -> None:
    try:
        store = grants.opened(environ)
    except grants.GrantsError as error:
        grants.warn(NAME, str(error))
        return
    try:
        store.allow(address, environ)
        _age(store, environ)
    except OSError as error:
        # The user gets his mail all the same.
        grants.warn(NAME, f"Could not write to '{address.decode()}': {os.strerror(error.errno or 0)}")
    finally:
        store.close()


def _age(store: grants.Grants, environ: Environ) -> None:
    """Now and then a login also removes grants that have had their time: a tree needs no cron for that."""
    try:
        store.age_at_times(grants.expiry(environ))
    except OSError as error:
        grants.warn(NAME, f"Could not age: {os.strerror(error.errno or 0)}")
