from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.received import Peer, received, safe


@pytest.mark.parametrize(
    ("peer", "helo", "line"),
    [
        (
            Peer(b"0", b"127.0.0.1", b"unknown", None),
            b"dude",
            b"Received: from unknown (HELO dude) (127.0.0.1)\n  by 0 with SMTP; 23 Nov 2026 22:58:49 -0000\n",
        ),
        (
            Peer(b"mail.example", b"192.0.2.5", b"relay.example", b"7"),
            None,
            b"Received: from relay.example (7@192.0.2.5)\n  by mail.example with SMTP; 23 Nov 2026 22:58:49 -0000\n",
        ),
        (
            Peer(b"h", b"::1", b"", b""),
            b"a b\n(c)",
            b"Received: from  (HELO a?b??c?) (@::1)\n  by h with SMTP; 23 Nov 2026 22:58:49 -0000\n",
        ),
    ],
)
def test_the_line_names_both_ends(peer: Peer, helo: bytes | None, line: bytes) -> None:
    assert received(peer, b"SMTP", helo, 1795474729) == line


@given(st.binary())
def test_nothing_that_a_client_says_can_break_the_line(said: bytes) -> None:
    assert len(safe(said)) == len(said)
    peer = Peer(said, said, said, said)
    assert received(peer, b"SMTP", said, 0).count(b"\n") == 2
    assert not set(safe(said)) & set(b"\r\n\0 ()<>")
