"""Finding programs by name and running chains of them.

A chain is run in one interpreter as far as its links are ours, and leaves it by exec where one is not. Which it is
depends on PATH alone: a link is ours when its name resolves to a script of this very installation, so a real qmail
that stands first on PATH takes the place of ours, unchanged.

From the shell a program is a process of its own and its chain is exec'ed, so that `ps` tells the truth. In a forked
child of tcpserver or qmail-lspawn, `become` costs a fork and no exec.
"""

from __future__ import annotations

import os
import sys

from svtree import __version__
from svtree.formats.record import record
from svtree.program import TEMPORARY, Chain, Fatal, UsageError
from svtree.registry import BY_NAME
from svtree.system.atomic import read
from svtree.system.errors import reason
from svtree.system.signals import as_a_c_program
from svtree.system.streams import complain, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from svtree.program import Environ, Main

DEFAULT_PATH = b"/bin:/usr/bin"
# What every launcher contains; packaging/hatch_build.py writes it.
MARK = b"from svtree.multicall import run"
# What comes before it where the package is in a directory that Python does not know; packaging/debian/assemble.py.
INSERT = b"sys.path.insert(0, "
# Where this package has been imported from.
HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@record
class Builtin:
    """A link of the chain that is a program of ours."""

    name: str


@record
class Foreign:
    """A link of the chain that must be exec'ed, at this path."""

    path: bytes


def run(name: str) -> NoReturn:
    """Be the program `name` with this process's arguments: what every launcher calls."""
    argv = [name.encode(), *map(os.fsencode, sys.argv[1:])]
    as_a_c_program()
    result = call(name, argv, _environment())
    if isinstance(result, Chain):
        result = _execute(name, result)
    _leave(result)


def become(argv: Sequence[bytes], environ: Environ, first: Builtin | None = None) -> NoReturn:
    """In a forked child, run the chain that begins with `argv` to its end and exit with its code."""
    _leave(perform(argv, environ, first))


def perform(argv: Sequence[bytes], environ: Environ, first: Builtin | None = None) -> int:
    """Run the chain that begins with `argv` to its end; return its exit code. Foreign links are exec'ed.

    The caller's state is the program's: descriptors 0, 1, 2, current directory, ids. For a child that will end soon,
    or for a worker that makes that state anew each time. A caller that knows what argv[0] resolves to says so.
    """
    name = os.path.basename(argv[0]).decode("utf-8", "surrogateescape")
    result: int | Chain = Chain(tuple(argv), environ)
    while isinstance(result, Chain):
        link = first or resolve(_what(result), _where(result))
        first = None
        if not isinstance(link, Builtin):
            return _execute(name, result)
        name = link.name
        result = call(name, result.argv, result.environ)
    return result


def call(name: str, argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Run one program of ours; what it raises becomes the original's message and exit code, here and nowhere else."""
    try:
        if len(argv) == 2 and argv[1] in (b"--help", b"--version") and name != "svtree":  # click lists its verbs
            return _introduce(name, argv[1])
        return load(name)(argv, environ)
    except UsageError as error:
        if error.complaint:
            complain(error.complaint)
        complain(error.usage)
        return error.code
    except Fatal as error:
        complain(name.encode() + b": fatal: " + error.message)
        return error.code
    except OSError as error:
        # A program names the file itself where it can; this is the net under it.
        which = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        complain(f"{name}: fatal: {which}{reason(error)}")
        return TEMPORARY
    except KeyboardInterrupt:
        return TEMPORARY
    except Exception as error:  # noqa: BLE001 - a defect of ours is one line too, with the place to look at
        complain(f"{name}: fatal: internal error: {type(error).__name__}: {error} ({_place(error)})")
        return TEMPORARY


def load(name: str) -> Main:
    """Import the program `name` and return its main."""
    module = BY_NAME[name].module
    __import__(module)
    main: Main = sys.modules[module].main
    return main


def preload(argv: Sequence[bytes], environ: Environ) -> None:
    """Import now every program of ours that `argv` names, so that children forked later find it loaded.

    A program that imports more when it runs says so by a function `prepare`, which imports that too.
    """
    for word in argv:
        name = os.path.basename(word).decode("utf-8", "surrogateescape")
        if name in BY_NAME and isinstance(resolve(word, environ), Builtin):
            load(name)
            prepare: Callable[[], None] | None = getattr(sys.modules[BY_NAME[name].module], "prepare", None)
            if prepare is not None:
                prepare()


def resolve(name: bytes, environ: Environ) -> Builtin | Foreign | None:
    """Say what `name` runs: a program of ours, a foreign one, or nothing."""
    path = search(name, environ)
    if path is None:
        return None
    base = os.path.basename(name).decode("utf-8", "surrogateescape")
    if base in BY_NAME and _is_launcher(path):
        return Builtin(base)
    return Foreign(path)


def search(name: bytes, environ: Environ) -> bytes | None:
    """Find an executable file: `name` itself if it has a slash, else the first in $PATH; None if there is none."""
    if b"/" in name:
        return name if os.access(name, os.X_OK) and not os.path.isdir(name) else None
    for directory in environ.get(b"PATH", DEFAULT_PATH).split(b":"):
        path = (directory or b".") + b"/" + name
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def _what(chain: Chain) -> bytes:
    """The name or path of the chain's next program."""
    return chain.argv[0] if chain.file is None else chain.file


def _where(chain: Chain) -> Environ:
    """An environment with the PATH that the chain's next program is looked for in."""
    return chain.environ if chain.path is None else {b"PATH": chain.path}


def _environment() -> Environ:
    """The environment as it was given to us. In the C locale Python adds LC_CTYPE (PEP 538), which no chain may see."""
    environ = dict(os.environb)
    if environ.get(b"LC_CTYPE") == b"C.UTF-8":
        try:
            given = read(b"/proc/self/environ")
        except OSError:
            return environ
        if b"\0LC_CTYPE=" not in b"\0" + given:
            del environ[b"LC_CTYPE"]
    return environ


def _is_launcher(path: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        head = os.read(descriptor, 1024)
    finally:
        os.close(descriptor)
    # Another installation's script has another interpreter: it may be another version, so it is exec'ed. (The path is
    # in the first line, or, when that would be too long for the kernel, in the second, where pip puts it.)
    return MARK in head and os.path.dirname(os.fsencode(sys.executable)) + b"/python" in head and _imports_us(head)


def _imports_us(head: bytes) -> bool:
    """Whether a launcher for our interpreter takes the package from where we have it: Debian's beside pip's, say."""
    if INSERT in head:
        return INSERT + repr(HOME).encode() in head
    # Launchers that insert are isolated (-I): only they have the package first on the path then.
    return not (sys.flags.isolated and sys.path[:1] == [HOME])


def _execute(name: str, chain: Chain) -> int:
    """Leave this program by exec; returns an exit code only when that fails."""
    wanted = _what(chain)
    path = search(wanted, _where(chain))
    shown = wanted.decode("utf-8", "surrogateescape")
    try:
        if path is None:
            # No such file, or one that may not be run: let the kernel say which.
            path = wanted if b"/" in wanted else _unusable(wanted, _where(chain))
        as_a_c_program()
        os.execve(path, list(chain.argv), chain.environ)
    except OSError as error:
        complain(f"{name}: fatal: unable to run {shown}: {reason(error)}")
    except ValueError:
        complain(f"{name}: fatal: unable to run {shown}: invalid argument")
    return TEMPORARY


def _unusable(name: bytes, environ: Environ) -> bytes:
    """The first file of that name in $PATH, executable or not, else a path where there is none."""
    for directory in environ.get(b"PATH", DEFAULT_PATH).split(b":"):
        path = (directory or b".") + b"/" + name
        if os.path.isfile(path):
            return path
    return b"/nonexistent/" + name


def _introduce(name: str, word: bytes) -> int:
    program = BY_NAME[name]
    if word == b"--version":
        text = f"{name} (svtree) {__version__}\n"
    else:
        load(name)
        usage = getattr(sys.modules[program.module], "USAGE", f"{name}: usage: {name}")
        # What the usage, which is the original's, has no place for: options with their values, and what they are for.
        more: Sequence[tuple[str, str]] = getattr(sys.modules[program.module], "OPTIONS", ())
        width = max((len(option) for option, _ in more), default=0)
        lines = "".join([f"  {option:{width}}  {purpose}\n" for option, purpose in more])
        text = f"{name} - {program.purpose}\n{usage}\n{lines}See {name}({program.section}).\n"
    write_all(1, text.encode())
    return 0


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "no trace"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def _leave(code: int) -> NoReturn:
    # Nothing of ours is buffered in the interpreter; skipping its tear-down saves each program 2 ms.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                code = code or TEMPORARY
    os._exit(code)
