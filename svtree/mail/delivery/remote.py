"""One remote delivery: find who takes the mail, connect, hold the dialogue, report.

Follows qmail-remote(8). A report is a letter, a text for the log or the bounce, and a NUL; r, h and s stand for the
recipients in their order, K, Z or D for the message.
"""

from __future__ import annotations

import os
import time

from svtree.formats import ip, tlshosts
from svtree.formats.addresses import quote_box
from svtree.formats.record import record
from svtree.formats.smtproutes import SMTP, find, parse
from svtree.mail.delivery import exchangers
from svtree.mail.delivery.dialogue import (
    CONTENT,
    SECURE,
    EndlessReplyError,
    Hello,
    PartialLineError,
    Reply,
    ReplyReader,
    TlsError,
    Transparency,
    converse,
)
from svtree.mail.delivery.exchangers import NoAnswerError, NoSuchNameError, worth_trying
from svtree.mail.delivery.message import UnreadableError, blocks
from svtree.mail.delivery.names import DnsNames
from svtree.system import interfaces
from svtree.system.outgoing import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from ssl import SSLSocket

    from svtree.mail.controls import Controls
    from svtree.mail.delivery.exchangers import Exchanger
    from svtree.mail.delivery.timeouts import Timeouts
    from svtree.program import Environ

MESSAGE = 0
RECEIVED = 4096
# A longer time-out is a slip of the pen, and more than the kernel takes an error.
LONGEST = 30 * 86400

NO_CONNECTION = b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"
NO_MEMORY = b"ZOut of memory. (#4.3.0)\n"
NO_HOME = b"ZUnable to switch to home directory. (#4.3.0)\n"
NO_CONTROLS = b"ZUnable to read control files. (#4.3.0)\n"
NO_RESOURCES = b"ZSystem resources temporarily unavailable. (#4.3.0)\n"
NO_MESSAGE = b"ZUnable to read message. (#4.3.0)\n"
NO_DNS = b"ZSorry, I couldn't find any host by that name. (#4.1.2)\n"
NO_EXCHANGER = b"DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n"
PARTIAL_LINE = b"DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n"
IMPROPER = b"DI (qmail-remote) was invoked improperly. (#5.3.5)\n"
MYSELF = (
    b"DSorry. Although I'm listed as a best-preference MX or A for that host,\n"
    b"it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n"
)


class GivenUpError(Exception):
    """There is nothing more to try; `report` says why, without its NUL."""

    def __init__(self, report: bytes) -> None:
        """`report` begins with Z or D and ends with a newline."""
        super().__init__(report)
        self.report = report


@record
class Settings:
    """What control/ says about outgoing mail. Times are in seconds."""

    name: bytes
    routes: dict[bytes, bytes]
    connect: int
    reply: int
    # Whether to speak as today; what is wanted of TLS, and the authorities that are believed besides the system's.
    extended: bool = False
    tls: dict[bytes, tlshosts.Policy] | None = None
    authorities: bytes = b""

    @classmethod
    def read(cls, controls: Controls) -> Settings:
        """Raises ControlError, and GivenUpError where this host has no name or control/tlshosts makes no sense."""
        name = controls.line_or_me("helohost")
        if name is None:
            raise GivenUpError(NO_CONTROLS)
        hosts = controls.lines("tlshosts")
        try:
            tls = tlshosts.parse(hosts or ())
        except tlshosts.TlsHostsError:
            raise GivenUpError(NO_CONTROLS) from None
        return cls(
            extended=hosts is not None or controls.lines("esmtp") is not None,
            tls=tls,
            authorities=controls.directory + b"/tlsca.pem",
            name=name,
            routes=parse(controls.lines("smtproutes") or ()),
            connect=min(controls.number("timeoutconnect", 60), LONGEST),
            reply=min(controls.number("timeoutremote", 1200), LONGEST),
        )


@record
class Envelope:
    """What qmail-remote is told: the host that takes the mail, from whom it is, to whom."""

    host: bytes
    sender: bytes
    recipients: tuple[bytes, ...]


def deliver(envelope: Envelope, settings: Settings, environ: Environ, timeouts: Timeouts) -> list[bytes]:
    """Send the message on descriptor 0; the reports. Raises GivenUpError before anybody has been spoken to."""
    host = envelope.host
    words = (host, envelope.sender, *envelope.recipients)
    if any(forbidden in word for word in words for forbidden in (b"\n", b"\r", b"\0")):
        # It cannot be said in SMTP, and what comes after the line end would be a command.
        raise GivenUpError(IMPROPER)
    route = find(settings.routes, host)
    port = SMTP if route is None else route.port
    found = _exchangers(host, None if route is None else route.relay, environ)
    candidates = list(found) if route is not None else list(worth_trying(found, _own_addresses()))
    if not candidates:
        raise GivenUpError(MYSELF if found else NO_EXCHANGER)
    policy = tlshosts.find(settings.tls or {}, host)
    hello = Hello(settings.name, settings.extended, policy.wanted if settings.extended else tlshosts.NEVER)
    for candidate in candidates:
        connection = _connect(candidate.address, port, settings, timeouts)
        if connection is None:
            continue
        try:
            return _Call(connection, candidate, settings, policy.name or host).hold(envelope, hello)
        except PlainlyError:
            # Nothing has been said yet that matters; once more, without TLS.
            again = _connect(candidate.address, port, settings, timeouts)
            if again is None:
                continue
            plainly = Hello(settings.name, settings.extended)
            return _Call(again, candidate, settings, host).hold(envelope, plainly)
    raise GivenUpError(NO_CONNECTION)


def _mangled(address: bytes) -> bytes:
    """An address for SMTP: the part before the last @ in quotes where it needs them; one without an @ as it is."""
    box, at, host = address.rpartition(b"@")
    return quote_box(box) + at + host if at else address


def _exchangers(host: bytes, relay: bytes | None, environ: Environ) -> list[Exchanger]:
    names = DnsNames(environ)
    try:
        return exchangers.of_host(host, names, os.urandom) if relay is None else exchangers.of_relay(relay, names)
    except NoAnswerError as error:
        raise GivenUpError(NO_DNS) from error
    except NoSuchNameError as error:
        shown = bytes(code if 33 <= code <= 126 else 63 for code in (host if relay is None else relay))
        raise GivenUpError(b"DSorry, I couldn't find any host named " + shown + b". (#5.1.2)\n") from error


def _own_addresses() -> frozenset[bytes]:
    try:
        return interfaces.addresses() | interfaces.addresses6()
    except OSError as error:
        raise GivenUpError(NO_RESOURCES) from error


def _connect(address: bytes, port: int, settings: Settings, timeouts: Timeouts) -> socket | None:
    """A connection, or None where there is none to be had from this address now."""
    # The file of time-outs has four bytes for an address.
    remembered = len(address) == 4
    if remembered and timeouts.is_down(address):
        return None
    try:
        connection = connect(ip.show(address).decode(), port, settings.connect)
    except OSError as error:
        if remembered:
            timeouts.note(address, int(time.time()), timed_out=isinstance(error, TimeoutError))
        return None
    if remembered:
        timeouts.note(address, int(time.time()), timed_out=False)
    return connection


class PlainlyError(Exception):
    """The handshake failed, and the mail may go without TLS."""


class _Call:
    """A connection, which it closes, and the dialogue on it."""

    def __init__(self, connection: socket, to: Exchanger, settings: Settings, certified: bytes) -> None:
        """`certified` is the name that the certificate is for, where that matters."""
        self._connection: socket | SSLSocket = connection
        self._peer = ip.show(to.address)
        self._settings = settings
        self._certified = certified
        self._replies = ReplyReader()
        # From the final dot until the reply to it, the message may have been accepted without our knowing.
        self._critical = False

    def hold(self, envelope: Envelope, hello: Hello) -> list[bytes]:
        """The reports, whatever happens; but PlainlyError where TLS was tried in vain and need not be."""
        try:
            return self._hold(envelope, hello)
        finally:
            self._connection.close()

    def _hold(self, envelope: Envelope, hello: Hello) -> list[bytes]:
        reports: list[bytes] = []
        recipients = [_mangled(each) for each in envelope.recipients]
        conversation = converse(self._peer, hello, _mangled(envelope.sender), recipients, reports)
        self._connection.settimeout(self._settings.reply)
        try:
            step = next(conversation)
            while True:
                if step is SECURE:
                    self._secure(hello.tls)
                    step = conversation.send(Reply(0, b""))
                    continue
                self._say(step)
                reply = self._reply()
                self._critical = False
                step = conversation.send(reply)
        except StopIteration as end:
            reports.append(end.value)
            self._quit()
        except UnreadableError:
            reports.append(NO_MESSAGE + b"\0")
        except TlsError as error:
            if hello.tls == tlshosts.MAY:
                raise PlainlyError from error
            reports.append(b"ZConnected to %s but TLS failed: %s. (#4.7.5)\n\0" % (self._peer, str(error).encode()))
        except PartialLineError:
            reports.append(PARTIAL_LINE + b"\0")
        except (OSError, EndlessReplyError):
            duplicate = b"Possible duplicate! " if self._critical else b""
            reports.append(b"ZConnected to %s but connection died. %s(#4.4.2)\n\0" % (self._peer, duplicate))
        return reports

    def _secure(self, wanted: bytes) -> None:
        """Shake hands. What the other side has sent before that is not from whom it will have proved to be."""
        from svtree.mail.delivery.tls import SSLSocket, secured

        self._replies = ReplyReader()
        name = self._certified if wanted == tlshosts.VERIFY else None
        connection = self._connection
        if not isinstance(connection, SSLSocket):
            self._connection = secured(connection, name, self._settings.authorities)

    def _say(self, step: bytes | None) -> None:
        if step is not CONTENT:
            self._connection.sendall(step)
            return
        lines = Transparency()
        ready = b""
        for block in blocks(MESSAGE):
            self._connection.sendall(ready)
            ready = lines.feed(block)
        ready += lines.end()
        self._critical = True
        self._connection.sendall(ready)

    def _reply(self) -> Reply:
        """The next reply; it has to be whole within the time that control/timeoutremote gives."""
        deadline = time.monotonic() + self._settings.reply
        while (reply := self._replies.take()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            data = self._connection.recv(RECEIVED)
            if not data:
                raise ConnectionResetError
            self._replies.feed(data)
        self._connection.settimeout(self._settings.reply)
        return reply

    def _quit(self) -> None:
        """Take leave, and go without waiting for the answer. What was agreed on holds even if this fails."""
        try:
            self._connection.sendall(b"QUIT\r\n")
        except OSError:
            return
