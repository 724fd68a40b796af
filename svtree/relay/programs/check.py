"""relay-ctrl-check: set RELAYCLIENT for a client that may relay."""

from __future__ import annotations

import os
import time

from svtree.program import Chain, UsageError
from svtree.relay import grants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "relay-ctrl-check: usage: relay-ctrl-check program [arguments]"
NAME = "relay-ctrl-check"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Set RELAYCLIENT if $TCPREMOTEIP has a grant in force, and go on with argv[1:] in any case."""
    if len(argv) < 2:
        raise UsageError(USAGE, code=1)
    following = tuple(argv[1:])
    if b"RELAYCLIENT" in environ:
        _tell(environ, "$RELAYCLIENT already set, not checking IP")
    elif b"TCPREMOTEIP" not in environ:
        grants.warn(NAME, "$TCPREMOTEIP not set, not checking IP")
    else:
        address = grants.address(environ[b"TCPREMOTEIP"])
        if address is not None:
            return Chain(following, {**environ, **_granted(address, environ)})
        grants.warn(NAME, "$TCPREMOTEIP is not an address, not checking IP")
    return Chain(following, environ)


def _granted(address: bytes, environ: Environ) -> Environ:
    """The variables that the client's grant sets; none where it has none."""
    shown = address.decode()
    try:
        store = grants.opened(environ)
    except grants.GrantsError as error:
        grants.warn(NAME, str(error))
        return {}
    try:
        grant = store.check(address, grants.expiry(environ), time.time())
    except FileNotFoundError:
        _tell(environ, f"IP {shown} not found")
        return {}
    except OSError as error:
        grants.warn(NAME, f"Could not open IP file '{shown}': {os.strerror(error.errno or 0)}")
        return {}
    finally:
        store.close()
    if grant is None:
        _tell(environ, f"Expired IP {shown} found, removing")
        return {}
    _tell(environ, f"IP {shown} found, setting $RELAYCLIENT")
    for key, value in grant.variables:
        if b"RELAY_CTRL_LOG_ENV" in environ:
            grants.warn(NAME, f"Setting {(key + b'=' + value).decode('utf-8', 'backslashreplace')}", kind="")
    return {b"RELAYCLIENT": environ.get(b"RELAY_CTRL_RELAYCLIENT", b""), **dict(grant.variables)}


def _tell(environ: Environ, text: str) -> None:
    if b"RELAY_CTRL_LOG_IPS" in environ:
        grants.warn(NAME, text, kind="")
