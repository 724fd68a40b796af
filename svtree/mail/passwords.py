"""Secrets as the virtual users file holds them, and whether a password opens one.

Three forms:

    $scrypt$ln=14,r=8,p=1$SALT$HASH   RFC 7914; base64 without "="; what `make` writes (the form passlib writes too)
    $y$... $6$... $2b$...             crypt(5), through libcrypt: what /etc/shadow holds
    {PLAIN}text                       the password itself, the only form that APOP (RFC 1939) and CRAM-MD5 (RFC 2195)
                                      can be checked against

Every check costs one slow hash, whatever its outcome, so that its time does not tell whether a user exists.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

PLAIN: Final = b"{PLAIN}"
SCRYPT: Final = b"$scrypt$"
# 2^14 * 8 * 128 = 16 MiB and some 50 ms: a login may be slow once, a guesser is slow each time.
LOG_COST: Final = 14
BLOCK: Final = 8
# A secret that asks for more than this is somebody's mistake, or an attempt to exhaust the machine.
MEMORY_LIMIT: Final = 64 << 20
PARALLEL_LIMIT: Final = 16
SALT_SIZE: Final = 16
HASH_SIZE: Final = 32


@record
class Work:
    """What scrypt is asked for: log2 of N, r, p, salt, and the hash that shall come out (empty: not known yet)."""

    cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes


class SecretError(Exception):
    """A stored secret cannot be understood or, for now, not be computed."""


def make(password: bytes, salt: bytes | None = None) -> bytes:
    """A secret for `password`: scrypt with a random salt."""
    if salt is None:
        import os

        salt = os.urandom(SALT_SIZE)
    digest = _scrypt(password, Work(LOG_COST, BLOCK, 1, salt, b""))
    return b"%sln=%d,r=%d,p=1$%s$%s" % (SCRYPT, LOG_COST, BLOCK, _encode(salt), _encode(digest))


def understand(secret: bytes) -> None:
    """Raise SecretError, which says why, unless `secret` has one of the three forms."""
    if secret.startswith(PLAIN):
        if len(secret) == len(PLAIN):
            raise SecretError("the plain password is empty")
    elif secret.startswith(SCRYPT):
        _work(secret)
    elif secret[:1] != b"$" or secret.count(b"$") < 3:
        raise SecretError("the secret is neither $scrypt$, nor a crypt(5) hash, nor {PLAIN}")


def opens(secret: bytes, password: bytes, timestamp: bytes = b"") -> bool:
    """Whether `password` is right. Against {PLAIN}, the APOP digest of `timestamp` is right as well.

    So is the challenge "<...>" for a password if `timestamp` is its CRAM-MD5 digest: programs that speak SMTP and the
    checkpassword interface have it this way round.

    Raises SecretError when it cannot be told: a secret in no known form, no libcrypt, no memory.
    """
    from hmac import compare_digest

    understand(secret)
    if secret.startswith(PLAIN):
        spend(password)
        text = secret[len(PLAIN) :]
        return (
            compare_digest(text, password)
            | compare_digest(_apop(timestamp, text), password)
            | (_is_challenge(password) and compare_digest(_cram(password, text), timestamp))
        )
    if secret.startswith(SCRYPT):
        work = _work(secret)
        return compare_digest(_scrypt(password, work), work.digest)
    return compare_digest(_crypt(password, secret), secret)


def spend(password: bytes, like: bytes = SCRYPT) -> None:
    """Take the time that a check against a secret such as `like` takes; for users that do not exist."""
    if like.startswith(b"$") and not like.startswith(SCRYPT):
        opens(like, password)
    else:
        _scrypt(password, Work(LOG_COST, BLOCK, 1, b"nobody's salt...", b""))


def _apop(timestamp: bytes, text: bytes) -> bytes:
    # An absent timestamp would make the digest a constant that whoever has seen it once may use for ever.
    if not timestamp:
        return text
    from hashlib import md5

    # RFC 1939 leaves no choice of hash.
    return md5(timestamp + text, usedforsecurity=False).hexdigest().encode()


def _is_challenge(text: bytes) -> bool:
    return text[:1] == b"<" and text[-1:] == b">"


def _cram(challenge: bytes, text: bytes) -> bytes:
    from hmac import digest

    # RFC 2195 leaves no choice either. A password that looks like a challenge opens nothing by this: whoever may send
    # a `timestamp` of his own choice must know the secret to make the digest.
    return digest(text, challenge, "md5").hex().encode()


def _scrypt(password: bytes, work: Work) -> bytes:
    from hashlib import scrypt

    size = len(work.digest) or HASH_SIZE
    try:
        return scrypt(
            password,
            salt=work.salt,
            n=1 << work.cost,
            r=work.block,
            p=work.parallel,
            maxmem=2 * MEMORY_LIMIT,
            dklen=size,
        )
    except (MemoryError, ValueError) as error:
        # OpenSSL says ValueError for want of memory, too: a process limit of a few megabytes is enough for that.
        raise SecretError(f"unable to compute scrypt: {error}") from error


def _work(secret: bytes) -> Work:
    """What a $scrypt$ secret asks for."""
    fields = secret.split(b"$")
    if len(fields) != 5:
        raise SecretError("the $scrypt$ secret has not the form $scrypt$ln=N,r=N,p=N$SALT$HASH")
    words = [word.partition(b"=") for word in fields[2].split(b",")]
    if [word[0] for word in words] != [b"ln", b"r", b"p"] or not all(
        word[2].isdigit() and len(word[2]) < 5 for word in words
    ):
        raise SecretError("the $scrypt$ secret has not the parameters ln=N,r=N,p=N")
    cost, block, parallel = (int(word[2]) for word in words)
    work = Work(cost, block, parallel, _decode(fields[3]), _decode(fields[4]))
    bounded = 1 <= work.cost < 32 and work.block >= 1 and 1 <= work.parallel <= PARALLEL_LIMIT
    if not bounded or (128 * work.block) << work.cost > MEMORY_LIMIT:
        raise SecretError("the $scrypt$ secret asks for more work than is allowed here")
    if len(work.digest) < 16:
        raise SecretError("the hash in the $scrypt$ secret is too short")
    return work


def _encode(data: bytes) -> bytes:
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    from binascii import Error, a2b_base64

    try:
        return a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except Error as error:
        raise SecretError("the $scrypt$ secret is not base64") from error


def preload() -> None:
    """Import now what a check needs: for a parent whose children fork."""
    for name in ("binascii", "hashlib", "hmac"):
        __import__(name)
    try:
        _libcrypt()
    except SecretError:
        # Told when it is needed.
        return


def _crypt(password: bytes, secret: bytes) -> bytes:
    """crypt(3). The module of that name left the standard library with Python 3.13."""
    # libxcrypt answers "*0" or "*1" where it does not know the form; that never equals a secret that starts with "$".
    return _libcrypt()(password, secret) or b"*0"


def _libcrypt() -> Callable[[bytes, bytes], bytes | None]:
    global _found  # noqa: PLW0603 - the C function, looked up once
    if _found is None:
        import ctypes

        try:
            crypt = ctypes.CDLL("libcrypt.so.1", use_errno=True).crypt
        except OSError as error:
            raise SecretError("libcrypt.so.1, which knows this form of secret, is not installed") from error
        crypt.restype = ctypes.c_char_p
        crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        _found = crypt
    return _found


_found: Callable[[bytes, bytes], bytes | None] | None = None
