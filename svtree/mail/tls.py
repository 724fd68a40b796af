"""TLS between a client and a program that has the client at descriptors 0 and 1.

The records go through a `Dialogue`, with its time limits and its one write a reply; OpenSSL sees memory alone. So any
pair of descriptors will do, and what came before the handshake cannot slip into what comes after it. `ssl` costs 20 ms
to import: only a client who asks for TLS pays that.
"""

from __future__ import annotations

import os
import ssl

from svtree.mail.dialogue import BLOCK, Dialogue, GoneError, SilentError
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

# More than a client's longest first flight; what is longer is no handshake.
LONGEST_HANDSHAKE: Final = 256 << 10
# What OpenSSL means, which gives most of these no reason but its own source line.
NO_PAIR: Final = "no certificate with its key in PEM, or the key wants a password"


class TlsError(Exception):
    """There can be no TLS: the certificate cannot be used, or the handshake failed; the text says why."""


def server_context(path: bytes, key: bytes | None = None) -> ssl.SSLContext:
    """TLS 1.2 and later with the certificates in a file, and the key in it too, or in `key`. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A ticket is for another connection, and that is another process with another key.
    context.num_tickets = 0
    shown = os.fsdecode(path)
    try:
        # A key that wants a password would otherwise be asked for at a terminal that is not there.
        context.load_cert_chain(shown, None if key is None else os.fsdecode(key), password=b"")
    except (OSError, ValueError) as error:
        why = NO_PAIR if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None) or str(error)
        if key is not None:
            shown += f" with {os.fsdecode(key)}"
        raise TlsError(f"unable to use {shown}: {why}") from error
    return context


def secured(plain: Dialogue, certificate: bytes, client: bytes, complain: Callable[[str], None]) -> Secured:
    """The dialogue goes on within TLS. Raises GoneError where it cannot: nothing can be said plainly any more.

    `client` is its address, for the line that `complain` is told then.
    """
    try:
        plain.flush()
        return Secured(plain, server_context(certificate))
    except TlsError as error:
        complain(f"no TLS with {client.decode('ascii', 'replace')}: {error}")
        raise GoneError from error


class Secured:
    """A dialogue within TLS; like the plain one, but that a handshake comes first and `finish` last."""

    def __init__(self, plain: Dialogue, context: ssl.SSLContext) -> None:
        """Shake hands with the client. Raises TlsError, SilentError and GoneError."""
        self._plain = plain
        self._arrived = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_side=True)
        self._gathered = bytearray()
        self._shake_hands()

    def _shake_hands(self) -> None:
        come = 0
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                data = self._receive()
                come += len(data)
                if come > LONGEST_HANDSHAKE:
                    raise TlsError("the handshake has no end") from None
            except ssl.SSLError as error:
                # The alert that says why.
                self._send()
                raise TlsError(error.reason or str(error)) from error
            else:
                self._send()
                return

    def say(self, data: bytes) -> None:
        """Send `data`, at the latest before the next `hear`."""
        self._gathered += data
        if len(self._gathered) >= BLOCK:
            self.flush()

    def part(self) -> None:
        """As `flush`: `finish` is what ends it."""
        self.flush()

    def hear(self, most: int = BLOCK) -> bytes:
        """What the client sends next, at least one byte. Raises SilentError and GoneError."""
        self.flush()
        while not (data := self._decrypted(most)):
            self._receive()
        return data

    def flush(self) -> None:
        """Send what has been gathered. Raises SilentError and GoneError."""
        data, self._gathered = bytes(self._gathered), bytearray()
        try:
            if data:
                self._tls.write(data)
        except ssl.SSLError as error:
            raise GoneError from error
        self._send()

    def finish(self) -> None:
        """Say that nothing more comes, so that the client knows the end from a cut connection."""
        try:
            self.flush()
            self._tls.unwrap()
        except ssl.SSLError:
            # It wants to read the client's farewell as well, for which nobody need wait.
            pass
        except (GoneError, SilentError):
            return
        try:
            self._send()
        except (GoneError, SilentError):
            return

    def carry(self, inner: int) -> None:
        """Be the go-between for a program that speaks plainly at the other end of `inner`, until either ends.

        How long the client may be silent is for that program to say.
        """
        from select import POLLIN, poll

        watched = poll()
        watched.register(inner, POLLIN)
        watched.register(self._plain.source, POLLIN)
        try:
            while True:
                while data := self._decrypted(BLOCK):
                    write_all(inner, data)
                ready = {descriptor for descriptor, _ in watched.poll()}
                if inner in ready:
                    said = os.read(inner, BLOCK)
                    if not said:
                        return
                    self.say(said)
                    self.flush()
                if self._plain.source in ready:
                    self._receive()
        except (OSError, GoneError, SilentError):
            # One of the two is gone; the other sees it by our closing.
            return

    def _decrypted(self, most: int) -> bytes:
        """What has come whole; empty where that is nothing yet. Raises GoneError at the end."""
        try:
            data = self._tls.read(most)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise GoneError from error
        if not data:
            raise GoneError
        return data

    def _receive(self) -> bytes:
        self._send()
        data = self._plain.hear()
        self._arrived.write(data)
        return data

    def _send(self) -> None:
        if self._leaving.pending:
            self._plain.say(self._leaving.read())
            self._plain.flush()
