"""Certificates of our own making."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import harness


def make(folder: Path, name: str) -> tuple[bytes, Path]:
    """A certificate for `name` and 127.0.0.1, signed by itself: key and certificate for a server, the file to trust."""
    openssl = shutil.which("openssl", path=harness.PATH)
    if openssl is None:
        pytest.skip("openssl is not installed")
    made = harness.run(
        [
            openssl,
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ]
    )
    assert made.code == 0, made.err
    return (folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes(), folder / "cert.pem"
