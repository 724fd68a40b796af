"""The watch file: one line a pattern, one action each, and every mistake named with its line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.watchfile import Action, Compile, Entry, Hangup, Restart, Run, Signal, WatchError, is_glob, parse

SIGNALS = {b"HUP": 1, b"USR1": 10}
SHIPPED = b"""tcp.smtp      tcprules tcp.smtp.cdb
tcp.smtp.cdb  restart

# everything the run script reads
run\trestart
env/*         restart
"""


def test_the_shipped_file_says_what_it_says() -> None:
    assert parse(SHIPPED, SIGNALS) == (
        Entry(1, b"tcp.smtp", Compile(b"tcp.smtp.cdb")),
        Entry(2, b"tcp.smtp.cdb", Restart()),
        Entry(5, b"run", Restart()),
        Entry(6, b"env/*", Restart()),
    )


@pytest.mark.parametrize(
    ("line", "action"),
    [
        (b"a restart", Restart()),
        (b"a hup", Hangup()),
        (b"a signal USR1", Signal(10)),
        (b"a signal sigusr1", Signal(10)),
        (b"a run make -C /etc/mail", Run((b"make", b"-C", b"/etc/mail"))),
        (b"  /etc/a \t tcprules   /var/a.cdb  ", Compile(b"/var/a.cdb")),
    ],
)
def test_each_action_has_its_form(line: bytes, action: Action) -> None:
    assert [entry.action for entry in parse(line, SIGNALS)] == [action]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"run", "no action"),
        (b"run restat", "unknown action restat"),
        (b"run restart now", "restart takes no arguments"),
        (b"run hup 1", "hup takes no arguments"),
        (b"run signal", "signal takes the name of a signal"),
        (b"run signal NONE", "unknown signal NONE"),
        (b"conf run", "run takes a program"),
        (b"tcp.smtp tcprules", "tcprules takes the name of a cdb"),
        (b"tcp.smtp tcprules a/", "tcprules takes the name of a cdb"),
        (b"tcp.* tcprules a.cdb", "tcprules takes one file, not a pattern"),
        (b"tcp.smtp tcprules tcp.smtp", "the file would be compiled into itself"),
        (b"other tcprules first.cdb", "another line compiles into the same file"),
        (b"env/** restart", "** is not known here"),
        (b"a\0b restart", "a NUL byte"),
    ],
)
def test_a_mistake_is_named_with_its_line(line: bytes, reason: str) -> None:
    with pytest.raises(WatchError) as caught:
        parse(b"# first\nfirst tcprules first.cdb\n" + line + b"\nrun restart\n", SIGNALS)
    assert (caught.value.line, caught.value.reason) == (3, reason)


@given(st.binary(max_size=60) | st.lists(st.sampled_from([b"a", b" ", b"\n", b"run", b"tcprules", b"#"])).map(b"".join))
def test_whatever_is_in_it_is_entries_or_a_watch_error(text: bytes) -> None:
    with contextlib.suppress(WatchError):
        for entry in parse(text, SIGNALS):
            assert text.split(b"\n")[entry.line - 1].split()[0] == entry.pattern


def test_what_may_match_several_names_is_a_glob() -> None:
    assert [is_glob(pattern) for pattern in (b"a.b-c/d", b"*", b"a?", b"[a]")] == [False, True, True, True]
