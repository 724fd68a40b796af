"""TLS towards the servers that mail is sent to. `ssl` costs 20 ms to import: only who offers TLS causes that."""

from __future__ import annotations

import os
import ssl
from socket import socket as stream
from ssl import SSLSocket

from svtree.mail.delivery.dialogue import TlsError

__all__ = ["SSLSocket", "secured"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket


def secured(connection: socket, name: bytes | None, authorities: bytes) -> SSLSocket:
    """Shake hands over `connection`, which the result takes the place of; its time limit holds on. Raises TlsError.

    With a `name` the certificate must be for that, signed by an authority of the system's or of the file `authorities`,
    if that exists. Without one any certificate will do: who listens to all that is said learns nothing, and mail that
    would go in the clear otherwise is not to wait for a certificate's renewal.
    """
    limit = connection.gettimeout()
    taken = stream(fileno=connection.detach())
    try:
        taken.settimeout(limit)
        context = _context(name, authorities)
        # A name that is none is nobody's: no server's certificate is for it.
        shown = None if name is None else name.decode("ascii")
        return context.wrap_socket(taken, server_hostname=shown)
    except (OSError, ValueError) as error:
        taken.close()
        why = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
        raise TlsError(" ".join(why.split())) from error


def _context(name: bytes | None, authorities: bytes) -> ssl.SSLContext:
    if name is not None:
        context = ssl.create_default_context()
        if os.path.exists(authorities):
            context.load_verify_locations(os.fsdecode(authorities))
        return context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
