"""tcpserver's command line."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from svtree.formats.networks import Network
from svtree.program import UsageError
from svtree.tcp.limits import Bounds, Rate
from svtree.tcp.settings import LETTERS, LONG, QUIET, SILENT, TLS, USAGE, VERBOSE, WITH_VALUE, Settings, parse
from tests.harness import ours, run

MANUAL = Path(__file__).parents[2] / "docs/man/tcpserver.1.rst"


def told(*words: str, **environ: str) -> Settings:
    given = {name.encode(): value.encode() for name, value in environ.items()}
    return parse([b"tcpserver", *(word.encode() for word in words)], given)


@pytest.mark.parametrize("name", [*LONG, TLS])
def test_help_and_manual_have_every_long_option(name: str) -> None:
    shown = run([ours("tcpserver"), "--help"]).out.decode().splitlines()
    assert [line for line in shown if line.startswith(f"  --{name} ") and line.split("  ")[-1]]
    assert [line for line in MANUAL.read_text().splitlines() if line.startswith(f"--{name} ")]


def test_without_options_everything_is_as_in_the_original() -> None:
    assert told("0", "25", "prog", "-v") == Settings((b"0", b"25", b"prog", b"-v"))


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["-q"], "verbosity", SILENT),
        (["-qQ"], "verbosity", QUIET),
        (["-v"], "verbosity", VERBOSE),
        (["-D"], "delay", False),
        (["-Dd"], "delay", True),
        (["-o"], "drop_ip_options", False),
        (["-oO"], "drop_ip_options", True),
        (["-p"], "paranoid", True),
        (["-pP"], "paranoid", False),
        (["-H"], "remote_host", False),
        (["-Hh"], "remote_host", True),
        (["-R"], "remote_info", False),
        (["-Rr"], "remote_info", True),
        (["-1"], "show_port", True),
        (["-X"], "rules_may_be_missing", True),
        (["-x", "a.cdb"], "rules", b"a.cdb"),
        (["-xa.cdb"], "rules", b"a.cdb"),
        (["-B", "hi"], "banner", b"hi"),
        (["-c7"], "limit", 7),
        (["-c", "abc"], "limit", 0),
        (["-c", "12x"], "limit", 12),
        (["-t", "5"], "timeout", 5),
        (["-u", "7"], "uid", 7),
        (["-g", "8"], "gid", 8),
        (["-b", "50"], "backlog", 50),
        (["-l", "0"], "local_host", b"0"),
        (["--workers", "4"], "workers", 4),
        (["--workers=5"], "workers", 5),
        (["-v", "--workers", "6", "-q"], "workers", 6),
        (["-4"], "family", 4),
        (["-46"], "family", 6),
        (["--drain", "30"], "drain", 30),
        (["--max-per-ip", "3"], "bounds", Bounds(per_ip=3)),
        (["--max-per-net=4", "--max-load", "350"], "bounds", Bounds(per_net=4, load=350)),
        (["--rate", "5/10", "--rate-net", "50"], "bounds", Bounds(rate=Rate(5, 10), rate_net=Rate(50, 60))),
        (["--refusal", "421 no"], "bounds", Bounds(message=b"421 no")),
        (["--greet-delay", "1.5"], "greet_delay", 1.5),
        (["--greet-message", "no"], "greet_message", b"no"),
        (["--proxy", "10.0.0.0/8,::1"], "proxies", (Network(32, 10 << 24, 8), Network(128, 1, 128))),
        (["--tls", "c.pem", "k.pem"], "tls", (b"c.pem", b"k.pem")),
        (["--tls", "c", "k", "--tls-names", "d"], "tls_names", b"d"),
        (["--mode", "600"], "mode", 0o600),
    ],
)
def test_an_option_sets_its_field(words: list[str], field: str, value: object) -> None:
    assert getattr(told(*words, "0", "25", "prog"), field) == value


def test_ids_may_come_from_the_environment() -> None:
    found = told("-U", "0", "25", "prog", UID="71", GID="72")
    assert (found.uid, found.gid) == (71, 72)
    found = told("-u", "5", "-U", "0", "25", "prog", GID="72")
    assert (found.uid, found.gid) == (5, 72)
    found = told("-U", "-u", "5", "0", "25", "prog", UID="71")
    assert found.uid == 5


def test_the_value_of_another_option_is_not_taken_for_workers() -> None:
    found = told("-B", "--workers", "-l", "--workers=3", "0", "25", "prog", "--workers", "9")
    assert (found.banner, found.local_host, found.workers) == (b"--workers", b"--workers=3", 0)
    assert found.words == (b"0", b"25", b"prog", b"--workers", b"9")


@pytest.mark.parametrize("words", [["--unix", "/a", "prog", "x"], ["/a", "prog", "x"], ["unix:/a", "prog", "x"]])
def test_a_unix_socket_has_no_port(words: list[str]) -> None:
    found = told(*words)
    assert (found.unix, found.words) == (b"/a", (b"", b"", b"prog", b"x"))


def test_limits_in_the_environment_are_outdone_by_options() -> None:
    found = told("--max-per-ip", "3", "0", "25", "prog", MAXCONNIP="9", MAXCONNC="10", DIEMSG="no")
    assert found.bounds == Bounds(per_ip=3, per_net=10, message=b"no")


def test_two_dashes_end_the_options() -> None:
    assert told("--", "-0", "25", "prog").words == (b"-0", b"25", b"prog")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-y"], "tcpserver: illegal option -- y"),
        (["-c"], "tcpserver: option requires an argument -- c"),
        (["--workers"], "tcpserver: option requires an argument -- workers"),
        (["--help-me"], "tcpserver: illegal option -- -"),
        (["--tls", "c.pem"], "tcpserver: option requires an argument -- tls"),
        (["--max-per-ip", "many", "0", "25", "prog"], "tcpserver: not a number -- max-per-ip"),
        (["--greet-delay", "soon", "0", "25", "prog"], "tcpserver: not a number -- greet-delay"),
        (["--rate", "5/0", "0", "25", "prog"], "tcpserver: not COUNT/SECONDS -- rate"),
        (["--proxy", "10.0.0.0/8,", "0", "25", "prog"], "tcpserver: not an address or a network -- proxy"),
        (["--mode", "888", "0", "25", "prog"], "tcpserver: not a mode -- mode"),
        (["--tls", "c", "k", "--workers", "2", "0", "25", "prog"], "tcpserver: --tls and --workers exclude each other"),
        (["--tls-names", "d", "0", "25", "prog"], "tcpserver: --tls-names needs --tls"),
        (["--tls", "c", "k", "--unix", "p", "prog"], "tcpserver: --tls is not for Unix sockets"),
        (["-x", "r", "--unix", "p", "prog"], "tcpserver: a Unix socket's clients have no address for -x or --proxy"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(words: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        told(*words)
    assert (error.value.complaint, error.value.usage, error.value.code) == (complaint, USAGE, 100)


def test_the_letters_with_a_value_are_those_with_a_colon() -> None:
    assert {letter for letter, colon in itertools.pairwise(LETTERS) if colon == ":"} == WITH_VALUE
