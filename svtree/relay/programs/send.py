"""relay-ctrl-send: tell other hosts that the client's address may relay."""

from __future__ import annotations

import os

from svtree.program import Chain, Fatal, UsageError
from svtree.relay import grants, notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "relay-ctrl-send: usage: relay-ctrl-send program [args ...]"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Tell every host in $RELAY_CTRL_REMOTES, in the background, and go on with argv[1:]."""
    if len(argv) < 2:
        raise UsageError(USAGE, code=111)
    client = grants.address(environ.get(b"TCPREMOTEIP", b""))
    if client is None:
        raise Fatal("Must be run from tcp-env or tcpserver.")
    text = environ.get(notices.REMOTES)
    if text is None:
        grants.warn(notices.SENDER, "$RELAY_CTRL_REMOTES is not set.")
    elif grants.authenticated(environ):
        hosts = notices.remotes(text)
        if hosts:
            _tell(client, hosts, environ)
    return Chain(tuple(argv[1:]), environ)


def _tell(client: bytes, hosts: Sequence[bytes], environ: Environ) -> None:
    try:
        if not notices.detach():
            return
    except OSError:
        grants.warn(notices.SENDER, "Could not fork.")
        return
    try:
        for host in notices.send(client, hosts, notices.settings(environ)):
            grants.warn(notices.SENDER, f"Timed out waiting for response from '{host.decode()}'.")
    except OSError:
        grants.warn(notices.SENDER, "Could not create UDP socket.")
    finally:
        os._exit(0)
