from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from svtree.system import pam


def services(check: Path, account: str = "required pam_permit.so") -> str:
    """A service that asks the program `check`; what that refuses pam_deny refuses in the right words."""
    return (
        f"auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {check}\n"
        f"auth requisite pam_deny.so\nauth required pam_permit.so\naccount {account}\n"
    )


@pytest.fixture
def folder_of_services(folder: Path) -> bytes:
    """Services `ours`, whose only password is sesame, and `closed`, where accounts may not be used."""
    try:
        library = ctypes.CDLL(pam.LIBRARY)
    except OSError:
        pytest.skip("libpam is not installed")
    if not hasattr(library, "pam_start_confdir"):
        pytest.skip("a libpam that knows no folder but /etc/pam.d")
    check = folder / "check"
    check.write_text("#!/bin/sh\ntest \"$(tr -d '\\0')\" = sesame\n")
    check.chmod(0o755)
    for name, account in {"ours": "required pam_permit.so", "closed": "required pam_deny.so"}.items():
        (folder / name).write_text(services(check, account))
    return bytes(folder)


@pytest.mark.parametrize(
    ("service", "password", "right"),
    [
        (b"ours", b"sesame", True),
        (b"ours", b"wrong", False),
        (b"ours", b"", False),
        (b"ours", b"sesame\0", False),
        (b"closed", b"sesame", False),
    ],
)
def test_pam_says_whether_the_password_is_right(
    folder_of_services: bytes, service: bytes, password: bytes, right: bool
) -> None:
    assert pam.opens(service, b"root", password, folder_of_services) is right
