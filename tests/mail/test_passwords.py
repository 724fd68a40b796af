from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtree.mail import passwords
from svtree.mail.passwords import SecretError
from tests import harness

# RFC 7914, section 12, in this file's notation: N = 1024, r = 8, p = 16.
RFC_7914 = (
    b"$scrypt$ln=10,r=8,p=16$TmFDbA"
    b"$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA"
)


def test_a_secret_that_was_made_opens_with_its_password_and_with_no_other() -> None:
    secret = passwords.make(b"sesame")
    assert secret.startswith(b"$scrypt$ln=14,r=8,p=1$")
    assert passwords.opens(secret, b"sesame")
    assert not passwords.opens(secret, b"Sesame")
    assert not passwords.opens(secret, b"")
    assert secret != passwords.make(b"sesame")


def test_the_test_vector_of_rfc_7914_opens() -> None:
    assert passwords.opens(RFC_7914, b"password")


def test_a_making_with_one_salt_is_always_the_same() -> None:
    assert passwords.make(b"x", b"salt" * 4) == passwords.make(b"x", b"salt" * 4)


@pytest.mark.parametrize("scheme", ["-6", "-5"])
def test_what_openssl_hashes_for_crypt_opens(scheme: str) -> None:
    made = subprocess.run(["openssl", "passwd", scheme, "sesame"], capture_output=True, check=True).stdout.strip()
    assert passwords.opens(made, b"sesame")
    assert not passwords.opens(made, b"sesam")


def test_yescrypt_and_bcrypt_open_as_libcrypt_made_them() -> None:
    import ctypes

    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    for setting in (b"$y$j9T$abcdefghijklmnopqrstu/$", b"$2b$05$abcdefghijklmnopqrstuu"):
        secret = crypt(b"sesame", setting)
        assert secret is not None
        assert secret.startswith(setting[:3])
        assert passwords.opens(secret, b"sesame")
        assert not passwords.opens(secret, b"sesame ")


def test_a_plain_secret_opens_with_the_password_and_with_the_apop_digest_of_rfc_1939() -> None:
    timestamp = b"<1896.697170952@dbc.mtview.ca.us>"
    secret = b"{PLAIN}tanstaaf"
    assert passwords.opens(secret, b"tanstaaf")
    assert passwords.opens(secret, b"c4c9334bac560ecc979e58001b3e22fb", timestamp)
    assert not passwords.opens(secret, b"c4c9334bac560ecc979e58001b3e22fb", b"<another@host>")
    assert not passwords.opens(secret, hashlib.md5(b"tanstaaf").hexdigest().encode())


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (b"", "neither"),
        (b"sesame", "neither"),
        (b"$6$", "neither"),
        (b"{PLAIN}", "empty"),
        (b"$scrypt$ln=14,r=8,p=1$c2FsdA", "not the form"),
        (b"$scrypt$ln=14,r=8$c2FsdA$c2FsdA", "parameters"),
        (b"$scrypt$r=8,ln=14,p=1$c2FsdA$c2FsdA", "parameters"),
        (b"$scrypt$ln=x,r=8,p=1$c2FsdA$c2FsdA", "parameters"),
        (b"$scrypt$ln=30,r=8,p=1$c2FsdA$c2FsdA", "more work"),
        (b"$scrypt$ln=14,r=9999,p=1$c2FsdA$c2FsdA", "more work"),
        (b"$scrypt$ln=14,r=8,p=99$c2FsdA$c2FsdA", "more work"),
        (b"$scrypt$ln=0,r=8,p=1$c2FsdA$c2FsdA", "more work"),
        (b"$scrypt$ln=14,r=8,p=1$c2FsdA$c2FsdA", "too short"),
        (b"$scrypt$ln=14,r=8,p=1$c2FsdA$c2FsdA!!", "base64"),
    ],
)
def test_a_secret_in_no_known_form_is_named(secret: bytes, words: str) -> None:
    with pytest.raises(SecretError, match=words.replace("$", r"\$")):
        passwords.understand(secret)
    with pytest.raises(SecretError):
        passwords.opens(secret, b"x")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_whatever_a_secret_holds_it_is_understood_or_named(text: bytes) -> None:
    for secret in (text, b"$scrypt$" + text, b"$scrypt$ln=1,r=1,p=1$" + text):
        try:
            passwords.understand(secret)
        except SecretError:
            continue


def test_a_process_without_the_memory_for_scrypt_says_so() -> None:
    code = (
        "import hashlib, hmac, resource\n"
        "from svtree.mail import passwords\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), used + (4 << 20)))\n"
        "try:\n"
        "    passwords.opens(%r, b'x')\n"
        "except passwords.SecretError as error:\n"
        "    print(error)\n"
    )
    secret = passwords.make(b"sesame")
    python = str(harness.BIN / "python")
    assert harness.run([python, "-c", code % secret]).out.startswith(b"unable to compute scrypt")


def test_an_unknown_user_is_as_slow_as_a_wrong_password() -> None:
    from time import process_time

    secret = passwords.make(b"sesame")

    def cost(action: object) -> float:
        assert callable(action)
        times = []
        for _ in range(5):
            start = process_time()
            action()
            times.append(process_time() - start)
        return min(times)

    wrong = cost(lambda: passwords.opens(secret, b"wrong"))
    unknown = cost(lambda: passwords.spend(b"wrong", secret))
    plain = cost(lambda: passwords.opens(b"{PLAIN}right", b"wrong"))
    assert 0.5 < unknown / wrong < 2
    assert 0.5 < plain / wrong < 2


def test_after_preload_a_check_imports_nothing_more() -> None:
    script = """
import sys
from svtree import multicall
from svtree.mail import passwords
path = sys.argv[1].encode()
multicall.preload([b"qmail-popup", b"checkpassword"], {b"PATH": path})
before = set(sys.modules)
secrets = [b"{PLAIN}x", passwords.make(b"x"), b"$6$salt$" + b"x" * 86]
print([passwords.opens(secret, b"x", b"<1@h>") for secret in secrets], sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(harness.BIN)],
        capture_output=True,
        text=True,
        timeout=harness.DEADLINE,
        check=True,
    )
    assert done.stdout == "[True, True, False] []\n"
