"""relay-ctrl-udp: let addresses relay of which other hosts tell."""

from __future__ import annotations

import os

from svtree.program import Fatal
from svtree.relay import grants, notices
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "relay-ctrl-udp: usage: relay-ctrl-udp"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - the original takes no arguments and minds none
    """Write a grant for every address that comes, until a signal; answer when it is written."""
    try:
        store = grants.opened(environ)
    except grants.GrantsError as error:
        raise Fatal(str(error)) from error
    try:
        heard = notices.listener(environ)
    except OSError as error:
        raise Fatal(f"Could not bind socket: {os.strerror(error.errno or 0)}.") from error
    lives = grants.expiry(environ)
    while True:
        data, sender = heard.recvfrom(notices.LONGEST)
        client = grants.address(data)
        if client is None:
            shown = (grants.address(sender[0].encode()) or b"?").decode()
            complain(f"{notices.RECEIVER}: Warning: Invalid IP from '{shown}'.")
            continue
        try:
            store.allow(client, {})
            store.age_at_times(lives)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            complain(f"{notices.RECEIVER}: Warning: Could not touch '{client.decode()}': {why}")
            continue
        try:
            heard.sendto(notices.RECEIVED, sender)
        except OSError:
            # It will tell us again, and the grant is there.
            continue
