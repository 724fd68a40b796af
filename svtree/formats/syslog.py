"""Syslog messages, as libc's syslog() writes them (RFC 3164), as RFC 5424 has them, and as journald takes them.

Also where they go, as SVTREE_SYSLOG says it. Time is handed in: seconds and what they are in local time where a
format wants that. Reading takes everything: what has no header is text, and no byte of it is lost.
"""

from __future__ import annotations

from svtree.formats.dates import civil
from svtree.formats.record import record

FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
USER = 1
MAIL = 2
ALERT = 1
WARNING = 4
NOTICE = 5
INFO = 6
# RFC 3164, 4.3.3: what a message without a priority is to be taken for.
UNKNOWN = 8 * USER + NOTICE
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
# 191 is local7.debug.
MOST_PRIORITY = 191
# What may not stand in a line as it is: control characters, and the backslash that shows them.
SHOWN = bytes([*range(32), 92, 127])
TAG_ENDS = b" :["


@record
class Message:
    """A syslog message; what it does not say is empty."""

    facility: int
    severity: int
    host: bytes
    tag: bytes
    pid: bytes
    text: bytes

    def line(self) -> bytes:
        r"""One line, without newline: `FACILITY.SEVERITY [HOST ]TAG[PID]: TEXT`. Control characters as `\n` or `\x07`.

        A backslash is doubled, so that every byte of the text can be told from the line.
        """
        source = self.tag + (b"[" + self.pid + b"]" if self.pid else b"")
        words = [f"{name(FACILITIES, self.facility)}.{name(SEVERITIES, self.severity)}".encode(), visible(self.host)]
        if source:
            words.append(visible(source) + b":")
        return b" ".join([word for word in words if word] + [visible(self.text)])


def name(names: tuple[str, ...], number: int) -> str:
    """A facility's or severity's name, or its number where it has none."""
    return names[number] if number < len(names) else str(number)


def visible(data: bytes) -> bytes:
    """The bytes with every control character, and every backslash, written as an escape."""
    if len(data.translate(None, SHOWN)) == len(data):
        return data
    return b"".join(ESCAPES[byte] for byte in data)


def _escape(byte: int) -> bytes:
    if byte in SHOWN:
        return {9: b"\\t", 10: b"\\n", 13: b"\\r", 92: b"\\\\"}.get(byte, b"\\x%02x" % byte)
    return bytes([byte])


ESCAPES = tuple(map(_escape, range(256)))


def rfc3164(priority: int, local: tuple[int, int, int, int, int], tag: bytes, text: bytes) -> bytes:
    """A message as libc writes it to /dev/log: no host. `local` is month, day, hour, minute, second in local time."""
    month, day, hour, minute, second = local
    return b"<%d>%s %2d %02d:%02d:%02d %s: %s" % (priority, MONTHS[month - 1], day, hour, minute, second, tag, text)


def rfc5424(priority: int, ns: int, host: bytes, tag: bytes, text: bytes) -> bytes:
    """A message of RFC 5424 of the moment `ns` (nanoseconds since 1970), without process, id and structured data."""
    moment = b"%04d-%02d-%02dT%02d:%02d:%02d" % civil(ns // 1_000_000_000)
    names = (_field(host, 255), _field(tag, 48))
    return b"<%d>1 %s.%06dZ %s %s - - - %s" % (priority, moment, ns // 1000 % 1_000_000, *names, text)


def framed(message: bytes) -> bytes:
    """A message on a stream: octet counting, RFC 6587 3.4.1."""
    return b"%d %s" % (len(message), message)


def journal(priority: int, tag: bytes, text: bytes) -> bytes:
    """A message of journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). The text is one line."""
    fields = (
        b"PRIORITY=%d" % (priority % 8),
        b"SYSLOG_FACILITY=%d" % (priority // 8),
        b"SYSLOG_IDENTIFIER=" + tag.replace(b"\n", b"?"),
        b"MESSAGE=" + text,
    )
    return b"\n".join(fields) + b"\n"


def _field(value: bytes, most: int) -> bytes:
    return bytes(byte if 33 <= byte <= 126 else 63 for byte in value[:most]) or b"-"


def parse(data: bytes) -> Message:
    """Read a datagram of either kind, or of none."""
    data = data.rstrip(b"\0\n")
    priority, rest = _priority(data)
    if priority is None:
        return Message(UNKNOWN // 8, UNKNOWN % 8, b"", b"", b"", data)
    modern = _parse_5424(priority, rest)
    return modern or _parse_3164(priority, rest)


def _priority(data: bytes) -> tuple[int | None, bytes]:
    end = data.find(b">", 0, 5)
    digits = data[1:end]
    if data[:1] != b"<" or end < 2 or not digits.isdigit() or int(digits) > MOST_PRIORITY:
        return None, data
    return int(digits), data[end + 1 :]


def _parse_5424(priority: int, rest: bytes) -> Message | None:
    words = rest.split(b" ", 6)
    if len(words) < 7 or words[0] != b"1":
        return None
    host, tag, pid, identity = (b"" if word == b"-" else word for word in words[2:6])
    text = words[6]
    if text[:2] in (b"- ", b"-"):
        text = text[2:]
    if text[:3] == b"\xef\xbb\xbf":
        text = text[3:]
    return Message(priority // 8, priority % 8, host, tag, pid, identity + b" " + text if identity else text)


def _parse_3164(priority: int, rest: bytes) -> Message:
    rest = rest[_dated(rest) :]
    host = b""
    tag, pid, text = _tagged(rest)
    if not tag:
        # From another machine there is its name first. Where no tag follows, it is a word of the text.
        first, space, others = rest.partition(b" ")
        if space and first:
            tag, pid, after = _tagged(others)
            if tag:
                host, text = first, after
    return Message(priority // 8, priority % 8, host, tag, pid, text)


def _dated(rest: bytes) -> int:
    """The length of `Mmm dd hh:mm:ss ` at the beginning; 0 where something else stands there."""
    shape = bytes(48 if 48 <= byte <= 57 else byte for byte in rest[3:16])
    if rest[:3] in MONTHS and shape in (b" 00 00:00:00 ", b"  0 00:00:00 "):
        return 16
    return 0


def _tagged(rest: bytes) -> tuple[bytes, bytes, bytes]:
    """Tag, pid and text of `TAG[PID]: TEXT` or `TAG: TEXT`; no tag where it is neither."""
    end = min((at for at in (rest.find(byte) for byte in (b" ", b":", b"[")) if at >= 0), default=-1)
    tag = rest[:end]
    if end > 0 and rest[end : end + 2] == b": ":
        return tag, b"", rest[end + 2 :]
    if end > 0 and rest[end : end + 1] == b"[":
        close = rest.find(b"]: ", end)
        pid = rest[end + 1 : close]
        if close > 0 and pid and not pid.translate(None, b"0123456789"):
            return tag, pid, rest[close + 3 :]
    return b"", b"", rest


class DestinationError(ValueError):
    """SVTREE_SYSLOG makes no sense; the text is the value."""


@record
class Destination:
    """Where messages go: `kind` is unix, udp, tcp, tls or journald; `name` a path or host, `port` 0 for a path."""

    kind: str
    name: bytes
    port: int

    def show(self) -> bytes:
        """As SVTREE_SYSLOG has it."""
        if self.kind == "journald":
            return b"journald"
        host = b"[" + self.name + b"]" if b":" in self.name and self.port else self.name
        return self.kind.encode() + b":" + host + (b":%d" % self.port if self.port else b"")


DEV_LOG = b"/dev/log"
JOURNAL = b"/run/systemd/journal/socket"


def destination(value: bytes) -> Destination:
    """Read a value of SVTREE_SYSLOG, or of syslog-receiver's argument; empty is unix:/dev/log."""
    if not value:
        return Destination("unix", DEV_LOG, 0)
    if value == b"journald":
        return Destination("journald", JOURNAL, 0)
    kind, _, rest = value.partition(b":")
    if kind == b"unix" and rest and b"\0" not in rest:
        return Destination("unix", rest, 0)
    host, colon, port = rest.rpartition(b":")
    if kind in (b"udp", b"tcp", b"tls") and colon and host and port.isdigit() and 0 <= int(port[:9]) <= 65535:
        if host[:1] == b"[" and host[-1:] == b"]":
            host = host[1:-1]
        return Destination(kind.decode(), host, int(port))
    raise DestinationError(value.decode("utf-8", "backslashreplace"))
