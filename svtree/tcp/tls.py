"""TLS for connections: the certificate, loaded again when its files change, and the handshake.

Variables follow ucspi-ssl (sslserver(1)): PROTO, SSLLOCAL*, SSLREMOTE* and mod_ssl's names, SSL_PROTOCOL and so on. A
client that names a host (SNI) is given the certificate in NAME.pem of a directory, chain and key in one file, where
there is one; else the usual one. Imports ssl, which costs 8 MB, and so is imported only where it is wanted.
"""

from __future__ import annotations

import os
import select
import ssl
import time

from svtree.formats.record import record
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

# Seconds for a client to finish the handshake, however slowly it sends.
PATIENCE = 30.0
# How often to look whether the files have changed, in seconds.
INTERVAL = 1.0
NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
LONGEST = 253
# mod_ssl's short names of what is in a distinguished name.
SHORT = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
    "emailAddress": "Email",
}
TWICE = (b"LOCALIP", b"LOCALPORT", b"LOCALHOST", b"REMOTEIP", b"REMOTEPORT", b"REMOTEHOST", b"REMOTEINFO")


class TlsError(Exception):
    """No certificate, or no handshake; `reason` says why, in a few words."""

    def __init__(self, reason: str) -> None:
        """Without the file, which the caller names."""
        super().__init__(reason)
        self.reason = reason.encode("utf-8", "surrogateescape")


@record
class Files:
    """Where a certificate chain and its key are: two paths, or the same one twice."""

    chain: bytes
    key: bytes

    def state(self) -> tuple[tuple[int, ...], ...]:
        """What changes when they change; OSError where they are not to be seen."""
        found = (os.stat(path) for path in (self.chain, self.key))
        return tuple((each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


class Certificates:
    """What a server shows, in the process that accepts; its children have what it had when they were forked."""

    def __init__(self, files: Files, names: bytes | None) -> None:
        """Loads the files; TlsError where they cannot be."""
        self._files = files
        self._names = names
        self._state: tuple[tuple[int, ...], ...] = ()
        self._looked = 0.0
        # Of the one connection that a child serves: the host that was asked for, and what was shown.
        self._asked: str | None = None
        self._shown = files
        self._load()

    def refresh(self, now: float) -> bytes | None:
        """Load the files again if they have changed; what is wrong with them, and then the old ones stay."""
        if now < self._looked + INTERVAL:
            return None
        self._looked = now
        try:
            if self._files.state() == self._state:
                return None
            self._load()
        except OSError as error:
            return b"unable to look at " + self._files.chain + b": " + reason(error).encode()
        except TlsError as error:
            return b"unable to load " + self._files.chain + b": " + error.reason
        return None

    def _load(self) -> None:
        # Before reading: files that change meanwhile are read once more.
        try:
            state = self._files.state()
        except OSError as error:
            raise TlsError(reason(error)) from error
        context = _context(self._files)
        context.sni_callback = self._choose
        self._context, self._state = context, state

    def _choose(self, shaken: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        self._asked = name if usable(name) else None
        files = named(self._names, name)
        if files is not None:
            try:
                shaken.context = _context(files)
            except TlsError:
                # The usual certificate; the client says what it thinks of that.
                return
            self._shown = files

    def shake(self, client: socket.socket, patience: float = PATIENCE) -> ssl.SSLSocket:
        """Shake hands with a client, whose socket is the result's from then on, non-blocking; TlsError if it fails."""
        try:
            shaken = self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
            shaken.setblocking(False)
        except OSError as error:
            raise TlsError(_why(error)) from error
        deadline = time.monotonic() + patience
        poll = select.poll()
        while True:
            try:
                shaken.do_handshake()
                return shaken
            except ssl.SSLWantReadError:
                poll.register(shaken.fileno(), select.POLLIN)
            except ssl.SSLWantWriteError:
                poll.register(shaken.fileno(), select.POLLOUT)
            except OSError as error:
                raise TlsError(_why(error)) from error
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TlsError("timed out")

    def variables(self, shaken: ssl.SSLSocket, environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """What a handler is told about TLS, beside its environment so far."""
        found = {b"PROTO": b"SSL"}
        for name in TWICE:
            if b"TCP" + name in environ:
                found[b"SSL" + name] = environ[b"TCP" + name]
        cipher = shaken.cipher() or ("", "", 0)
        size = b"%d" % cipher[2]
        found[b"SSL_PROTOCOL"] = (shaken.version() or "").encode()
        found[b"SSL_CIPHER"] = cipher[0].encode()
        found[b"SSL_CIPHER_USEKEYSIZE"] = found[b"SSL_CIPHER_ALGKEYSIZE"] = size
        found[b"SSL_VERSION_LIBRARY"] = ssl.OPENSSL_VERSION.encode()
        found.update(described(self._shown.chain))
        if self._asked:
            found[b"SSL_TLS_SNI"] = self._asked.encode()
        return found


def named(directory: bytes | None, name: str | None) -> Files | None:
    """The file of a host that a client has named; None where the name is none that a file could have, or has none."""
    if directory is None or not usable(name):
        return None
    path = directory + b"/" + str(name).lower().encode() + b".pem"
    return Files(path, path) if os.path.isfile(path) else None


def usable(name: str | None) -> bool:
    """Whether a name from the network is a host name and nothing else."""
    return bool(name) and len(str(name)) <= LONGEST and NAME.issuperset(str(name).lower()) and str(name)[0] != "."


def described(chain: bytes) -> dict[bytes, bytes]:
    """mod_ssl's variables about the certificate in a file; none of them where it cannot be read any more."""
    # There is no public way to look at one's own certificate; ssl's own tests use this one, in every version.
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    if decode is None:
        return {}
    try:
        found = decode(os.fsdecode(chain))
    except (OSError, ValueError):
        return {}
    told = {
        b"SSL_SERVER_M_VERSION": str(found.get("version", "")),
        b"SSL_SERVER_M_SERIAL": str(found.get("serialNumber", "")),
        b"SSL_SERVER_V_START": str(found.get("notBefore", "")),
        b"SSL_SERVER_V_END": str(found.get("notAfter", "")),
    }
    for whose, field in ((b"S", "subject"), (b"I", "issuer")):
        parts = [pair for group in found.get(field, ()) for pair in group]
        told[b"SSL_SERVER_%s_DN" % whose] = "".join(f"/{SHORT.get(name, name)}={value}" for name, value in parts)
        for name, value in parts:
            if name in SHORT:
                told[b"SSL_SERVER_%s_DN_%s" % (whose, SHORT[name].encode())] = value
    # A certificate may have anything in it; execve refuses NULs.
    return {name: value.replace("\0", "?").encode("utf-8", "surrogateescape") for name, value in told.items()}


def _context(files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A client that ends without a close_notify has ended, as most do; to OpenSSL 3 that is an attack on the connection.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    try:
        # Without a terminal to ask at, an encrypted key is an error.
        context.load_cert_chain(os.fsdecode(files.chain), os.fsdecode(files.key), password=_no_password)
    except OSError as error:
        raise TlsError(_why(error)) from error
    except ValueError as error:
        raise TlsError("the key is encrypted") from error
    return context


def _no_password() -> str:
    raise ValueError


def _why(error: OSError) -> str:
    """OpenSSL's own words where they are its."""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "connection closed"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "protocol error").lower().replace("_", " ")
    return reason(error)
