"""Today's mail in a tree: the services with TLS and logins, and the control files that turn the rest of it on."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from svtree.system import atomic
from svtree.system.errors import reason

if TYPE_CHECKING:
    from pathlib import Path

    from svtree.cli.layout import Address

SERVICES = ("smtps", "submission", "pop3s")
CERTIFICATE = "servercert.pem"
CONTROLS = {
    "esmtp": "size\nstarttls\nauth\nsmtputf8\nenhancedstatuscodes\n",
    "pop3": "capa\nstls\napop\n",
    "rcptcheck": "1\n",
}
# Who serves SMTP in root's tree, and must be able to read the key.
READER = "qmaild"
LIMIT = 1 << 20


class CertificateError(Exception):
    """There is no certificate and key to be had from these files; the text says why."""


@dataclass(frozen=True, slots=True)
class Today:
    """What is asked for: key and certificates in one, and where each service of SERVICES listens."""

    certificate: bytes
    addresses: dict[str, Address]


def certificate(chain: Path, key: Path) -> bytes:
    """Key and certificates of two files, which may be one. Raises CertificateError where they are no pair."""
    # Not above: `svtree run`, which needs addresses only, would carry OpenSSL for years.
    from svtree.mail.tls import TlsError, server_context

    files = [os.fsencode(path) for path in dict.fromkeys((key, chain))]
    try:
        server_context(os.fsencode(chain), os.fsencode(key))
        pieces = [atomic.read(file, LIMIT) for file in files]
    except TlsError as error:
        raise CertificateError(str(error)) from error
    except OSError as error:
        raise CertificateError(f"unable to read {os.fsdecode(error.filename)}: {reason(error)}") from error
    return b"".join(piece if piece.endswith(b"\n") else piece + b"\n" for piece in pieces)


def write_certificate(control: Path, data: bytes) -> None:
    """Put the key and its certificates where smtpd and pop3d look, for them alone. Raises OSError."""
    atomic.write(os.fsencode(control / CERTIFICATE), data, mode=0o400, owner=_reader())


def write_controls(control: Path) -> None:
    """Turn on what CONTROLS names; what is there stays as it is. Raises OSError."""
    for name, text in CONTROLS.items():
        if not (control / name).exists():
            atomic.write(os.fsencode(control / name), text.encode())


def _reader() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(READER)
    except KeyError:
        return None
    return account.pw_uid, account.pw_gid
