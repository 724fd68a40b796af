"""Lines that are taken apart together are what they are one by one, or nothing is said about them."""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from svtree.formats.rulebatch import MARK, WAYS, Ways
from svtree.formats.rulekeys import Unclear
from svtree.formats.rules import instructions, split

TOLD = [
    b"allow",
    b"deny",
    b'allow,N="1"',
    b'allow,N="22"',
    b'allow,RELAYCLIENT="",N="3"',
    b'allow,N="4",RELAYCLIENT=""',
    b'deny,N="5:6-7/8#9"',
    b"allow,G=/hello, friend/",
    b"deny,G=/a/,G=/b/",
    b"allow,A='x',B=\"y\"",
]


def known(*told: bytes) -> Ways:
    ways = Ways()
    for each in told:
        ways.learn(each)
    return ways


def one_by_one(text: bytes) -> list[tuple[bytes, bytes]] | None:
    """Addresses and data of all lines; None where one is no rule."""
    found = []
    for line in text.split(b"\n")[:-1]:
        try:
            parts = split(line)
            if parts is None:
                return None
            found.append((parts[0], instructions(parts[1])))
        except Unclear:
            return None
    return found


@pytest.mark.parametrize(
    ("lines", "learnt"),
    [
        (b"1.:deny\n2.:deny\n", []),
        (b"1.:deny\n2.:allow\n:deny\n", []),
        (b'1.:allow,N="1"\n2.:allow,N="22"\n', [b'allow,N="9"']),
        (b'1.:allow,N="1:2#3-4/5"\n2.:deny\n3.:allow,N=""\n', [b'allow,N="9"']),
        (b'1.:allow,N="1",M="2"\n2.:allow,M="2",N="1"\n', [b'allow,N="9",M=""', b'allow,M="",N=""']),
        (b'1.:deny,N="1"\n2.:allow,N="1"\n', [b'deny,N="9"', b'allow,N="9"']),
        (b"1.:allow,G=/hello, friend/\n2.:deny\n", [b"allow,G=/x/"]),
        (b'1.:allow,N=":allow"\n', [b'allow,N="9"']),
    ],
)
def test_lines_that_go_on_in_known_ways_are_taken_apart(lines: bytes, learnt: list[bytes]) -> None:
    found = known(*learnt).columns(lines)
    assert found is not None
    assert list(zip(*found, strict=True)) == one_by_one(lines)


@pytest.mark.parametrize(
    "lines",
    [
        b'1.:allow,N="1"',  # the file ends before the line
        b'1.:allow,N="1" \n',
        b'1.:allow,N="1\n',
        b'1.:allow,N="\n',
        b'1.:allow,N="1"2"\n',
        b'1.:allow,N="1",\n',
        b'1.:allow,N="1",M="2"\n',  # not learnt
        b'1.:allow,N="a:allow,N="b"\nz"\n',  # two rules in one line and none in the next
        b'a\n1.:allow,N="b:deny\n',
        b'1",N="2:allow,N="x"\n',
        b"\0:allow,N='1'\n:deny\n",
        b"1.:allow" + MARK + b"\n2.\n",
        b"no colon\n1.:deny\n",
        b"\n1.:deny\n",
        b'1.:allow,N="1"\n2.:allow,G=/1/\n',  # quotes of two kinds
    ],
)
def test_nothing_is_said_where_a_line_is_anything_else(lines: bytes) -> None:
    assert known(b'allow,N="9"', b'allow,N="9",N="8"', b"allow,G=/9/").columns(lines) is None


def test_no_more_ways_are_remembered_than_are_quick_to_look_for() -> None:
    ways = known(*[b'allow,V%d="1"' % number for number in range(10 * WAYS)])
    assert ways.columns(b'1.:allow,V0="5"\n') is not None
    assert ways.columns(b'1.:allow,V%d="5"\n' % (10 * WAYS - 1)) is None


ADDRESSES = st.sampled_from([b"1.2.3.4", b"1.", b"", b"=x", b'"', b'a",N="b', b"x,N=", b"/", b'5",RELAYCLIENT="'])
PIECES = [b":allow", b":deny", b",N=", b"=", b'"', b'",N="', b'",RELAYCLIENT="', b"/", b",", b":", b" ", b"\0", MARK]
ODD = st.lists(st.sampled_from([*PIECES, b"1", b"x", b':allow,N="', b"\n"]), max_size=9).map(b"".join)
PLAIN = st.tuples(ADDRESSES, st.sampled_from(TOLD)).map(b":".join)


@given(st.lists(st.sampled_from(TOLD), max_size=6), st.lists(PLAIN | PLAIN | PLAIN | ODD, min_size=1, max_size=6))
def test_what_is_taken_apart_is_what_the_lines_are_one_by_one(learnt: list[bytes], lines: list[bytes]) -> None:
    text = b"\n".join(lines) + b"\n"
    found = known(*learnt).columns(text)
    event("taken apart" if found else "left")
    if found is None:
        return
    pairs = list(zip(*found, strict=True))
    # Addresses with colons are left to the caller to look at.
    if not any(b":" in address for address, _ in pairs):
        assert pairs == one_by_one(text)
