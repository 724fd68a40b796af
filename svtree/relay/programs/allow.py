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
    elif _authenticated(environ):
        _allow(address, environ)
    return Chain(tuple(argv[1:]), environ) if len(argv) > 1 else 0


def _authenticated(environ: Environ) -> bool:
    """Courier's servers run us before they know; all others only after a login that succeeded."""
    if b"AUTHUSER" in environ and b"AUTHARGV0" in environ:
        return environ.get(b"AUTHENTICATED", b"") != b""
    return True


def _allow(address: bytes, environ: Environ) -> None:
    try:
        store = grants.opened(environ)
    except grants.GrantsError as error:
        grants.warn(NAME, str(error))
        return
    try:
        store.allow(address, environ)
    except OSError as error:
        # The user gets his mail all the same.
        grants.warn(NAME, f"Could not write to '{address.decode()}': {os.strerror(error.errno or 0)}")
    finally:
        store.close()
