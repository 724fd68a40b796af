"""What the handler and the log get to see of a connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.tcp.connection import Known, Peer, environment, safe, verdict

PEER = Peer(b"192.0.2.7", 4321)
NAMELESS = Known(b"192.0.2.1", 25, None, PEER)
NAMED = Known(b"192.0.2.1", 25, b"mail.example", PEER, b"client.example", b"user")


def test_the_environment_describes_the_connection() -> None:
    assert environment({b"PATH": b"/bin"}, NAMED, ()) == {
        b"PATH": b"/bin",
        b"PROTO": b"TCP",
        b"TCPLOCALIP": b"192.0.2.1",
        b"TCPLOCALPORT": b"25",
        b"TCPLOCALHOST": b"mail.example",
        b"TCPREMOTEIP": b"192.0.2.7",
        b"TCPREMOTEPORT": b"4321",
        b"TCPREMOTEHOST": b"client.example",
        b"TCPREMOTEINFO": b"user",
    }


def test_what_is_not_known_is_unset_even_if_it_was_set_before() -> None:
    stale = {b"TCPLOCALHOST": b"x", b"TCPREMOTEHOST": b"x", b"TCPREMOTEINFO": b"x"}
    assert not stale.keys() & environment(stale, NAMELESS, ()).keys()


def test_the_rules_have_the_last_word() -> None:
    rules = ((b"TCPREMOTEHOST", b"other"), (b"RELAYCLIENT", b""), (b"A", b"1"), (b"A", b"2"), (b"", b"nameless"))
    made = environment({}, NAMED, rules)
    assert (made[b"TCPREMOTEHOST"], made[b"RELAYCLIENT"], made[b"A"]) == (b"other", b"", b"2")
    assert b"" not in made


def test_the_log_line_names_both_ends() -> None:
    shown = b"tcpserver: ok 7 mail.example:192.0.2.1:25 client.example:192.0.2.7:user:4321\n"
    assert verdict(b"ok", 7, NAMED) == shown
    assert verdict(b"deny", 7, NAMELESS) == b"tcpserver: deny 7 :192.0.2.1:25 :192.0.2.7::4321\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"a:b%c d\ne\x7f\xff", b"a?b?c?d?e??"),
        (b"x" * 99, b"x" * 99),
        (b"x" * 100, b"x" * 100 + b"..."),
        (b"x" * 300, b"x" * 100 + b"..."),
    ],
)
def test_a_text_from_outside_cannot_break_a_line(text: bytes, shown: bytes) -> None:
    assert safe(text) == shown


@given(st.binary(), st.binary(), st.binary())
def test_a_log_line_is_one_line_with_its_six_colons(host: bytes, name: bytes, info: bytes) -> None:
    line = verdict(b"ok", 1, Known(b"192.0.2.1", 25, host, PEER, name, info))
    assert (line.count(b"\n"), line.endswith(b"\n"), line.count(b":")) == (1, True, 6)
