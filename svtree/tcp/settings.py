"""What tcpserver was told: its command line as one value.

Follows tcpserver(1) of ucspi-tcp 0.88, whose options are single letters. What the original has no word for is a long
option, `--workers N`, except -4 and -6, which are those of ucspi-tcp6 and s6-networking.
"""

from __future__ import annotations

from svtree.formats.networks import Network, parse_network
from svtree.formats.record import record
from svtree.program import UsageError, number, options
from svtree.tcp.limits import Bounds, Rate, rate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.program import Environ

LETTERS = "dDvqQhHrR1UXx:t:u:g:l:b:B:c:pPoO46"
WITH_VALUE = frozenset("xtuglbBc")
USAGE = (
    "tcpserver: usage: tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ]"
    " [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program"
)
# How many errors and events are told: none, errors, both.
SILENT, QUIET, VERBOSE = range(3)
# What a host that talks before it is greeted is told.
TALKER = b"554 you spoke before you were greeted"
# What says that the host is the path of a Unix socket, and no port follows.
UNIX = b"unix:"


@record
class Settings:
    """The options, and the words after them: host, port and program. Numbers are as they were given."""

    words: tuple[bytes, ...]
    verbosity: int = QUIET
    limit: int = 40
    rules: bytes | None = None
    rules_may_be_missing: bool = False
    banner: bytes = b""
    gid: int = 0
    uid: int = 0
    backlog: int = 20
    local_host: bytes | None = None
    timeout: int = 26
    drop_ip_options: bool = True
    delay: bool = True
    remote_host: bool = True
    remote_info: bool = True
    paranoid: bool = False
    show_port: bool = False
    workers: int = 0
    family: int = 0
    """4 or 6: addresses of this kind only; 0: whatever the host is."""
    unix: bytes | None = None
    """The path of the Unix socket to listen on; host and port in `words` are empty then."""
    mode: int = 0o666
    drain: int = 0
    bounds: Bounds = Bounds()
    greet_delay: float = 0
    greet_message: bytes = TALKER
    proxies: tuple[Network, ...] = ()
    tls: tuple[bytes, bytes] | None = None
    """The files of the certificate chain and of its key."""
    tls_names: bytes | None = None


# What each option without a value sets.
FLAGS: dict[str, tuple[str, bool | int]] = {
    "q": ("verbosity", SILENT),
    "Q": ("verbosity", QUIET),
    "v": ("verbosity", VERBOSE),
    "d": ("delay", True),
    "D": ("delay", False),
    "o": ("drop_ip_options", False),
    "O": ("drop_ip_options", True),
    "p": ("paranoid", True),
    "P": ("paranoid", False),
    "h": ("remote_host", True),
    "H": ("remote_host", False),
    "r": ("remote_info", True),
    "R": ("remote_info", False),
    "1": ("show_port", True),
    "X": ("rules_may_be_missing", True),
    "4": ("family", 4),
    "6": ("family", 6),
}
NUMBERS = {"c": "limit", "t": "timeout", "u": "uid", "g": "gid", "b": "backlog"}
TEXTS = {"x": "rules", "B": "banner", "l": "local_host"}


def _whole(value: bytes, name: str) -> int:
    if not value.isdigit() or len(value) > 18:
        raise UsageError(USAGE, f"tcpserver: not a number -- {name}")
    return int(value)


def _seconds(value: bytes, name: str) -> float:
    if not value.replace(b".", b"", 1).isdigit() or len(value) > 18:
        raise UsageError(USAGE, f"tcpserver: not a number -- {name}")
    return float(value)


def _octal(value: bytes, name: str) -> int:
    if not value or value.strip(b"01234567") or int(value, 8) > 0o777:
        raise UsageError(USAGE, f"tcpserver: not a mode -- {name}")
    return int(value, 8)


def _rate(value: bytes, name: str) -> Rate:
    found = rate(value)
    if found is None or value.strip(b"0123456789/"):
        raise UsageError(USAGE, f"tcpserver: not COUNT/SECONDS -- {name}")
    return found


def _networks(value: bytes, name: str) -> tuple[Network, ...]:
    found = [parse_network(word) for word in value.split(b",")]
    if None in found:
        raise UsageError(USAGE, f"tcpserver: not an address or a network -- {name}")
    return tuple(pair[0] for pair in found if pair is not None)


def _text(value: bytes, name: str) -> bytes:  # noqa: ARG001 - as the others
    return value


# Long options: the field each sets, what makes its value, and what --help says of it after its name; a field of Bounds
# comes after a dot. Each has one value.
LONG: dict[str, tuple[str, Callable[[bytes, str], object], str]] = {
    "workers": ("workers", lambda value, _: number(value), "N  so many standing workers, for programs of svtree"),
    "drain": ("drain", _whole, "SECONDS  at TERM wait so long for the sessions there are"),
    "max-per-ip": (".per_ip", _whole, "N  so many connections at a time from an address"),
    "max-per-net": (".per_net", _whole, "N  so many from a /24 or, of IPv6, a /64"),
    "rate": (".rate", _rate, "N/SECONDS  so many connections in so many seconds from an address"),
    "rate-net": (".rate_net", _rate, "N/SECONDS  the same for a network"),
    "max-load": (".load", _whole, "N  no more connections while the load is N/100 or more"),
    "refusal": (".message", _text, "TEXT  what who is refused is told"),
    "greet-delay": ("greet_delay", _seconds, "SECONDS  wait before the banner; refuse who speaks meanwhile"),
    "greet-message": ("greet_message", _text, "TEXT  what who has spoken too early is told"),
    "proxy": ("proxies", _networks, "NETWORK,...  these say for whom they come, by the PROXY protocol"),
    "tls-names": ("tls_names", _text, "DIRECTORY  certificates by the names that clients ask for"),
    "unix": ("unix", _text, "PATH  listen on a Unix socket, in the place of host and port"),
    "mode": ("mode", _octal, "MODE  the permissions of that socket, octal"),
}
TLS = "tls"
# The long options as --help shows them: each with its values, and what it is for.
OPTIONS = (
    *[(f"--{name} {words.partition('  ')[0]}", words.partition("  ")[2]) for name, (_, _, words) in LONG.items()],
    ("--tls CHAIN KEY", "speak TLS at once, with the certificates and the key in these files"),
)


def parse(argv: Sequence[bytes], environ: Environ) -> Settings:
    """The settings in a command line; UsageError where an option makes no sense. Later options outdo earlier ones."""
    short, values = _without_long(argv)
    found, words = options(short, LETTERS, USAGE)
    for letter, value in found:
        if letter in FLAGS:
            field, flag = FLAGS[letter]
            values[field] = flag
        elif letter in NUMBERS:
            values[NUMBERS[letter]] = number(value)
        elif letter in TEXTS:
            values[TEXTS[letter]] = value
        else:
            values.update(_ids(environ))
    bounds = Bounds().told(environ.items())
    limits = {field: getattr(bounds, field) for field in ("per_ip", "per_net", "load", "rate", "rate_net", "message")}
    limits.update({name[1:]: values.pop(name) for name in list(values) if name[0] == "."})
    values["bounds"] = Bounds(**limits)
    return _sensible(Settings(_placed(words, values), **values))  # type: ignore[arg-type]


def _placed(words: list[bytes], values: dict[str, object]) -> tuple[bytes, ...]:
    """The words, always with a host and a port; those of a Unix socket are empty, and its path is among the values."""
    if "unix" in values:
        return (b"", b"", *words)
    if words and words[0].startswith((b"/", UNIX)):
        values["unix"] = words[0].removeprefix(UNIX)
        return (b"", b"", *words[1:])
    return tuple(words)


def _sensible(told: Settings) -> Settings:
    """These settings, if they go together."""
    complaint = ""
    if told.unix is not None and (told.rules is not None or told.proxies):
        complaint = "a Unix socket's clients have no address for -x or --proxy"
    elif told.unix is not None and told.tls is not None:
        complaint = "--tls is not for Unix sockets"
    elif told.unix == b"":
        complaint = "a Unix socket without a path"
    elif told.tls is not None and told.workers:
        complaint = "--tls and --workers exclude each other"
    elif told.tls_names is not None and told.tls is None:
        complaint = "--tls-names needs --tls"
    if complaint:
        raise UsageError(USAGE, "tcpserver: " + complaint)
    return told


def _ids(environ: Environ) -> dict[str, object]:
    """What -U takes from the environment, which is where envuidgid has put it."""
    given = ((field, environ.get(name)) for field, name in (("uid", b"UID"), ("gid", b"GID")))
    return {field: number(value) for field, value in given if value is not None}


def _without_long(argv: Sequence[bytes]) -> tuple[list[bytes], dict[str, object]]:
    """The command line without long options, and what they set; words that are another's value are left alone."""
    kept = [argv[0]]
    rest = list(argv[1:])
    values: dict[str, object] = {}
    while rest and len(rest[0]) > 1 and rest[0][:1] == b"-" and rest[0] != b"--":
        word = rest.pop(0)
        option, equals, value = word.partition(b"=")
        name = option[2:].decode("latin-1") if option[:2] == b"--" else ""
        if name == TLS and not equals:
            values[TLS] = (_next(rest, name), _next(rest, name))
        elif name in LONG:
            field, make, _ = LONG[name]
            values[field] = make(value if equals else _next(rest, name), name)
        else:
            kept.append(word)
            if _wants_more(word) and rest:
                kept.append(rest.pop(0))
    return kept + rest, values


def _next(rest: list[bytes], name: str) -> bytes:
    if not rest:
        raise UsageError(USAGE, f"tcpserver: option requires an argument -- {name}")
    return rest.pop(0)


def _wants_more(word: bytes) -> bool:
    """Whether the value of the option that ends this word is the next word."""
    for at, byte in enumerate(word[1:], 2):
        if chr(byte) in WITH_VALUE:
            return at == len(word)
    return False
