"""Who may relay for a while because he has fetched his mail: one file an address in one directory.

Follows relay-ctrl 3.1.1: the file is called as the client's address is written, its modification time is the moment
of the grant, and it holds USER and DOMAIN of the account as `NAME=value` and NUL. The directory is reached through
the descriptor in $RELAY_CTRL_DIR_FD, which relay-ctrl-chdir opened as root for everybody after it, or else by the
path in $RELAY_CTRL_DIR.

Unlike the original nothing here changes the current directory, believes an address that is none, or takes variables
other than those two out of a file that anybody with the descriptor may write.
"""

from __future__ import annotations

import os
import time

from svtree.formats.record import record
from svtree.system.streams import complain, read_all, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

    from svtree.program import Environ
else:
    # The Python module around it costs a small program 5 ms.
    from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

DIRECTORY = b"RELAY_CTRL_DIR"
DESCRIPTOR = b"RELAY_CTRL_DIR_FD"
EXPIRY = b"RELAY_CTRL_EXPIRY"
DEFAULT_EXPIRY = 900
KEPT = (b"USER", b"DOMAIN")
# More than the two variables can sensibly be; the original stops here too.
LIMIT = 8192
# A grant from the future is one from before the clock was set back; so much is between two machines' clocks.
AHEAD = 10


# When the directory was last looked through. No address begins with a dot.
MARK = b".aged"


class GrantsError(Exception):
    """The directory of grants cannot be used; the text says why, in the original's words."""


@record
class Grant:
    """A grant in force: the account's variables, as far as they were known."""

    variables: tuple[tuple[bytes, bytes], ...]


def address(text: bytes) -> bytes | None:
    """An IPv4 or IPv6 address in its one canonical form, an IPv4 address in IPv6's clothes as IPv4; else None."""
    try:
        words = text.decode("ascii")
        if "." in words and words[:7].lower() == "::ffff:":
            words = words[7:]
        family = AF_INET6 if ":" in words else AF_INET
        return inet_ntop(family, inet_pton(family, words)).encode()
    except (OSError, ValueError):
        return None


def expiry(environ: Environ) -> int:
    """How long a grant lives, in seconds: $RELAY_CTRL_EXPIRY, or 900 where that is no number above 0."""
    text = environ.get(EXPIRY, b"").strip()
    end = 0
    while end < len(text) and 48 <= text[end] <= 57:
        end += 1
    # Nobody's mail waits longer than the nine digits' thirty years.
    return int(text[: min(end, 9)] or b"0") or DEFAULT_EXPIRY


def authenticated(environ: Environ) -> bool:
    """Courier's servers run what grants before they know; all others only after a login that succeeded."""
    if b"AUTHUSER" in environ and b"AUTHARGV0" in environ:
        return environ.get(b"AUTHENTICATED", b"") != b""
    return True


class Grants:
    """The directory of grants. `close` gives back what was opened."""

    def __init__(self, descriptor: int, *, shared: bool) -> None:
        """`shared`: the descriptor is inherited and stays open; every account after us may write there."""
        self._at = descriptor
        self._shared = shared

    def close(self) -> None:
        """Close the directory, unless it was inherited."""
        if not self._shared:
            os.close(self._at)

    def allow(self, name: bytes, environ: Environ, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Grant relaying to `name`, an address in canonical form, from now on. OSError where that cannot be written."""
        seconds, rest = divmod(now_ns(), 1_000_000_000)
        temporary = b".%d.%d:%d" % (seconds, rest // 1000, os.getpid())
        mode = 0o666 if self._shared else 0o600
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self._at)
        try:
            try:
                os.fchmod(descriptor, mode)
                write_all(descriptor, b"".join(b"%s=%s\0" % (key, environ[key]) for key in KEPT if key in environ))
            finally:
                os.close(descriptor)
            os.rename(temporary, name, src_dir_fd=self._at, dst_dir_fd=self._at)
        except OSError:
            self._discard(temporary)
            raise

    def check(self, name: bytes, lives: int, now: float) -> Grant | None:
        """The grant of `name`, if it is at most `lives` seconds old. One that is older is removed.

        FileNotFoundError where there is none; OSError where it cannot be read.
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._at)
        try:
            status = os.fstat(descriptor)
            if self._is_over(status, lives, now):
                self._remove(name, status, lives, now)
                return None
            data = read_all(descriptor, LIMIT)[:LIMIT]
        finally:
            os.close(descriptor)
        pairs = (each.partition(b"=") for each in data.split(b"\0")[:-1])
        return Grant(tuple((key, value) for key, equals, value in pairs if equals and key in KEPT))

    def age(self, lives: int, now: float) -> None:
        """Remove every grant that has had its time, and what a killed relay-ctrl-allow left."""
        for entry in os.listdir(self._at):
            name = os.fsencode(entry)
            try:
                status = os.stat(name, dir_fd=self._at, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if self._is_over(status, lives, now):
                self._remove(name, status, lives, now)

    def age_at_times(self, lives: int, now_ns: Callable[[], int] = time.time_ns) -> None:
        """As `age`, but at most once in `lives` seconds, whoever asks: the file MARK knows when it was. OSError."""
        now = now_ns() / 1e9
        try:
            status = os.stat(MARK, dir_fd=self._at, follow_symlinks=False)
            if not self._is_over(status, lives, now):
                return
        except FileNotFoundError:
            pass
        # Anew, not touched: whoever wrote the last one, it need not be ours to touch. Two who come here at once both
        # look through the directory, which does no harm.
        self.allow(MARK, {}, now_ns)
        self.age(lives, now)

    @staticmethod
    def _is_over(status: os.stat_result, lives: int, now: float) -> bool:
        age = int(now) - int(status.st_mtime)
        return not -AHEAD <= age <= lives

    def _remove(self, name: bytes, judged: os.stat_result, lives: int, now: float) -> None:
        # The client may fetch mail just now, and a new grant take the place of the old one that we looked at. So the
        # file is moved aside first, looked at again, and moved back if it is not the one. (A still newer grant that
        # came meanwhile is overwritten by one that is a moment older: no harm.)
        aside = b".over:%d:%s" % (os.getpid(), name)
        try:
            os.rename(name, aside, src_dir_fd=self._at, dst_dir_fd=self._at)
            status = os.stat(aside, dir_fd=self._at, follow_symlinks=False)
            if status.st_ino != judged.st_ino and not self._is_over(status, lives, now):
                os.rename(aside, name, src_dir_fd=self._at, dst_dir_fd=self._at)
                return
        except OSError:
            # Gone already, or not ours to move: it counts for nothing in any case.
            return
        self._discard(aside)

    def _discard(self, name: bytes) -> None:
        try:
            os.unlink(name, dir_fd=self._at)
        except OSError:
            return


def inherited(environ: Environ) -> int | None:
    """The descriptor in $RELAY_CTRL_DIR_FD, None where there is none; GrantsError where it is no open directory."""
    text = environ.get(DESCRIPTOR)
    if text is None:
        return None
    if not text or len(text) > 9 or text.strip(b"0123456789"):
        raise GrantsError("Invalid value for $RELAY_CTRL_DIR_FD")
    descriptor = int(text)
    try:
        is_directory = os.fstat(descriptor).st_mode & 0o170000 == 0o040000
    except OSError as error:
        raise GrantsError(f"Could not chdir to FD {descriptor}: {os.strerror(error.errno or 0)}") from error
    if not is_directory:
        raise GrantsError(f"Could not chdir to FD {descriptor}: Not a directory")
    return descriptor


def opened(environ: Environ) -> Grants:
    """The directory that the environment names. GrantsError where it names none, or one that cannot be opened."""
    descriptor = inherited(environ)
    if descriptor is not None:
        # What is executed after us has no business there; for what runs in this process it stays as it is.
        os.set_inheritable(descriptor, False)
        return Grants(descriptor, shared=True)
    path = environ.get(DIRECTORY)
    if path is None:
        raise GrantsError("$RELAY_CTRL_DIR is not set")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise GrantsError(
            f"Could not change directory to '{path.decode('utf-8', 'surrogateescape')}': {why}"
        ) from error
    return Grants(descriptor, shared=False)


def warn(program: str, message: str, kind: str = "Warning: ") -> None:
    """One line on standard error, as relay-ctrl writes it."""
    complain(f"{program}[{os.getpid()}]: {kind}{message}")
