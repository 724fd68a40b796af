"""tcpserver: accept TCP connections and run a program for each."""

from __future__ import annotations

import os

from svtree.multicall import preload
from svtree.program import Fatal, UsageError
from svtree.system import notify, privileges
from svtree.system.descriptors import ensure_standard
from svtree.system.errors import reason
from svtree.system.sockets import without_supervisor
from svtree.system.streams import write_all
from svtree.tcp import settings
from svtree.tcp.handover import Handler
from svtree.tcp.journal import Journal
from svtree.tcp.kept import Kept
from svtree.tcp.listening import listen, shown
from svtree.tcp.server import Server
from svtree.tcp.settings import SILENT, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ
    from svtree.tcp.tls import Certificates

USAGE = settings.USAGE
OPTIONS = settings.OPTIONS
# The kernel's ids have 32 bits, and the last one means "none".
IDS = (1 << 32) - 1


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Listen on argv's host and port and serve until TERM."""
    told = settings.parse(argv, environ)
    try:
        return _serve(told, environ)
    except (Fatal, UsageError) as error:
        if told.verbosity == SILENT:
            return error.code
        raise


def _serve(told: Settings, environ: Environ) -> int:
    ensure_standard()
    listening = listen(told, environ)
    with listening.socket as listener:
        # Before privileges are dropped: only the supervisor's own user may reach its socket.
        notifier = notify.from_environment(environ)
        kept = None
        if notifier is not None:
            kept = Kept(notifier, listener, stored=listening.stored, unfit=listening.unfit)
        handlers = without_supervisor(environ)
        handler = Handler(told.words[2:], handlers)
        # Before privileges are dropped, too: an installation may be its owner's alone to read.
        preload(handler.argv, handlers)
        # As for the key, which may be root's alone; a new one is loaded later, if whoever we are then may read it.
        certificates = _certificates(told)
        _drop(told)
        if told.show_port:
            _show(shown(listener) + b"\n")
        _close_standard()
        server = Server(listener, told, handler, Journal(told.verbosity), kept=kept, certificates=certificates)
        try:
            return server.run()
        finally:
            server.close()


def _certificates(told: Settings) -> Certificates | None:
    if told.tls is None:
        return None
    from svtree.tcp import pump, shaken, tls  # noqa: F401 - loaded before the first fork

    try:
        return tls.Certificates(tls.Files(*told.tls), told.tls_names)
    except tls.TlsError as error:
        raise Fatal(b"unable to load " + told.tls[0] + b" with " + told.tls[1] + b": " + error.reason) from error


def _drop(told: Settings) -> None:
    """Be who we are told to be, now that the socket is bound."""
    if told.gid:
        try:
            privileges.become_group(_id(told.gid))
        except OSError as error:
            raise Fatal("unable to set gid: " + reason(error)) from error
    if told.uid:
        try:
            privileges.become_user(_id(told.uid))
        except OSError as error:
            raise Fatal("unable to set uid: " + reason(error)) from error


def _id(number: int) -> int:
    """An id that exists. The original takes the lower 32 bits, which makes 4294967296 root."""
    if number >= IDS:
        import errno

        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return number


def _show(port: bytes) -> None:
    try:
        write_all(1, port)
    except OSError:
        # As in the original, nobody has to listen.
        return


def _close_standard() -> None:
    """Let go of our own input and output. Numbers 0 and 1 stay taken, so that no connection is ever given one."""
    nothing = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
