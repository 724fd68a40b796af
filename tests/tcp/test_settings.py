"""tcpserver's command line."""

from __future__ import annotations

import itertools

import pytest

from svtree.program import UsageError
from svtree.tcp.settings import LETTERS, QUIET, SILENT, USAGE, VERBOSE, WITH_VALUE, Settings, parse


def told(*words: str, **environ: str) -> Settings:
    given = {name.encode(): value.encode() for name, value in environ.items()}
    return parse([b"tcpserver", *(word.encode() for word in words)], given)


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


def test_two_dashes_end_the_options() -> None:
    assert told("--", "-0", "25", "prog").words == (b"-0", b"25", b"prog")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-y"], "tcpserver: illegal option -- y"),
        (["-c"], "tcpserver: option requires an argument -- c"),
        (["--workers"], "tcpserver: option requires an argument -- workers"),
        (["--help-me"], "tcpserver: illegal option -- -"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(words: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        told(*words)
    assert (error.value.complaint, error.value.usage, error.value.code) == (complaint, USAGE, 100)


def test_the_letters_with_a_value_are_those_with_a_colon() -> None:
    assert {letter for letter, colon in itertools.pairwise(LETTERS) if colon == ":"} == WITH_VALUE
