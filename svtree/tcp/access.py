"""Who may connect: the rules in a cdb, asked before any process exists, and asked anew whenever the file changes.

The cdb is opened once and its answers are kept per address; one stat a connection tells whether it is still the file
that its path leads to. Rules that begin with "=" or contain "@" want a host name or an ident answer, which only the
process of the connection may wait for: `by_address` has no answer then, and `by_names` is asked there.
"""

from __future__ import annotations

import errno
import os

from svtree.formats import rules
from svtree.formats.cdb import HEADER, CdbError, Reader
from svtree.formats.rulekeys import NO_LENGTHS, lengths
from svtree.system.errors import REASONS, reason
from svtree.system.mapped import Mapped
from svtree.tcp import ends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.rules import Decision

# Answers kept: one is about 200 bytes, so a scan from every address of the world costs 13 MB and no more.
KEPT = 65536
# Up to this size a cdb is walked through for rules that want names; a larger one with a suspicious byte has them.
WALKED = 1 << 20


class AccessError(Exception):
    """The rules cannot be read: `reason` names the file and says why, in the original's words."""

    def __init__(self, reason: bytes) -> None:
        """As it stands after "dropping connection, "."""
        super().__init__(reason)
        self.reason = reason


class Access:
    """The rules at one path, or none: then everybody may in."""

    def __init__(self, path: bytes | None, *, may_be_missing: bool, host_known: bool, info_known: bool) -> None:
        """`may_be_missing`: without the file everybody may in. The others: which names decisions are given at all."""
        self._path = path
        self._may_be_missing = may_be_missing
        self._host_known = host_known
        self._info_known = info_known
        self._file: Mapped | None = None
        self._reader: Reader | None = None
        self._lengths = NO_LENGTHS
        self._answers: dict[bytes, Decision] = {}
        # Those that are denied, as accept gives them.
        self._denied: set[str] = set()
        self._wants_names = False

    def by_address(self, ip: bytes) -> Decision | None:
        """What the rules say to an IPv4 or IPv6 address, None where they want names too.

        Raises AccessError where the rules cannot be read; the connection is not to be served then.
        """
        if self._path is None:
            return rules.DEFAULT
        self._refresh(self._path)
        if self._reader is None:
            return rules.DEFAULT
        if self._wants_names:
            return None
        answer = self._answers.get(ip)
        if answer is None:
            answer = self._ask(self._reader, self._path, (ip, None, None))
            if len(self._answers) >= KEPT:
                self.forget()
            self._answers[ip] = answer
            if answer.deny:
                self._denied |= ends.shown(ip)
        return answer

    def known_denied(self, shown: str, *, again: bool) -> bool:
        """Whether the rules are known to deny an address, as the kernel shows it; False where they may not be.

        `again`: the file has been looked at a moment ago, and need not be now.
        """
        return shown in self._denied and (again or not (self._file is None or self._file.changed()))

    def by_names(self, ip: bytes, host: bytes | None, info: bytes | None) -> Decision:
        """What the rules say to an address with its host name and ident answer; AccessError as `by_address`."""
        if self._path is None:
            return rules.DEFAULT
        self._refresh(self._path)
        if self._reader is None:
            return rules.DEFAULT
        return self._ask(self._reader, self._path, (ip, host, info))

    def _refresh(self, path: bytes) -> None:
        """Have the reader of the file that is at the path now; none where it is missing and that is allowed."""
        if self._file is not None and not self._file.changed():
            return
        self.close()
        try:
            self._file = Mapped(path)
            self._reader = Reader(self._file.data)
            self._lengths = lengths(self._reader.get)
            self._wants_names = (self._host_known and _has_keys(self._file, self._reader, b"\0=", b"=")) or (
                self._info_known and _has_keys(self._file, self._reader, b"@", b"@")
            )
        except CdbError as error:
            self.close()
            raise _unreadable(path, errno.EPROTO) from error
        except OSError as error:
            self.close()
            if error.errno == errno.ENOENT and self._may_be_missing:
                return
            raise _unreadable(path, error.errno) from error

    def forget(self) -> None:
        """Keep no answers."""
        self._answers.clear()
        self._denied.clear()

    def close(self) -> None:
        """Let go of the file and of what was learnt from it."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._reader = None
        self.forget()
        self._wants_names = False

    def _ask(self, reader: Reader, path: bytes, client: tuple[bytes, bytes | None, bytes | None]) -> Decision:
        try:
            return rules.decide(reader.get, *client, self._lengths)
        except CdbError as error:
            raise _unreadable(path, errno.EPROTO) from error


def _has_keys(file: Mapped, reader: Reader, trace: bytes, mark: bytes) -> bool:
    """Whether some key has `mark` as its first byte ("=") or anywhere ("@").

    Where `trace` is nowhere in the file there is no such key: before a key stands a length below 16 MB, whose last byte
    is NUL. Where it is, it may as well be part of a value or of a length.
    """
    if file.data.find(trace, HEADER) < 0:
        return False
    if len(file.data) > WALKED:
        return True
    return any(key.startswith(mark) if mark == b"=" else mark in key for key, _ in reader)


def _unreadable(path: bytes, number: int | None) -> AccessError:
    text = REASONS.get(number or 0) or reason(OSError(number, os.strerror(number or 0)))
    return AccessError(b"unable to read " + path + b": " + text.encode())
