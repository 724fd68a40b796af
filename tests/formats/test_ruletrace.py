"""The line that is said to decide is the one that does, in the compiled cdb; and so on when it is taken out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import cdb
from svtree.formats.rules import DEFAULT, decide, records
from svtree.formats.ruletrace import trace

ADDRESSES = st.sampled_from(
    b" 1. 1.2. 1.2.3. 1.2.3.4 1.2.3.0-9 1.2.3.4-4 0-9. 1.2.3.4/32 1.2.3.0/24 1.2.3.4/31 1.2.3.0/25 1.2.0.0/15".split(
        b" "
    )
    + b"1./8 0.0.0.0/0 128.0.0.0/1 ::/0 2001:db8::/32 [2001:db8::]/64 2001:db8::4 ::ffff:1.2.3.4 1.2 x 1.2/33".split(
        b" "
    )
    + b"= =.example =a.example =example joe@1.2.3.4 joe@2001:db8::4 joe@=a.example joe@1.".split(b" ")
)
TOLD = st.sampled_from([b"allow", b"deny", b'allow,A="1"', b'deny,A="1",A="2"', b"allow,B=/:deny/"])
LINES = st.one_of(
    st.builds(lambda address, told: address + b":" + told, ADDRESSES, TOLD),
    st.sampled_from([b"", b"# 1.:deny", b"no colon", b"1.2.3.4:deny \t"]),
)
FILES = st.lists(LINES, max_size=10).map(b"\n".join)
CLIENTS = st.tuples(
    st.sampled_from(
        b"1.2.3.4 1.2.3.5 1.2.9.9 1.9.9.9 200.0.0.1 2001:db8::4 2001:db8:0:1::4 ::1 ::ffff:1.2.3.4 2001:DB8::4".split()
    ),
    st.sampled_from([None, b"", b"a.example", b"example", b"b.a.example"]),
    st.sampled_from([None, b"", b"joe"]),
)


@given(FILES, CLIENTS)
def test_a_trace_says_what_the_compiled_cdb_does(text: bytes, client: tuple[bytes, bytes | None, bytes | None]) -> None:
    found = trace(text, *client)
    get = cdb.Reader(b"".join(cdb.make(records(text)))).get
    assert found.decision == decide(get, *client)
    if found.line is None:
        assert found.decision == DEFAULT
        assert found.shadowed == ()
    else:
        assert text.split(b"\n")[found.line.number - 1].rstrip(b" \t") == found.line.text


@given(FILES, CLIENTS)
def test_each_shadowed_line_decides_when_those_before_it_are_gone(
    text: bytes, client: tuple[bytes, bytes | None, bytes | None]
) -> None:
    lines = text.split(b"\n")
    found = trace(text, *client)
    order = [] if found.line is None else [found.line, *found.shadowed]
    for line in order:
        now = trace(b"\n".join(lines), *client)
        assert now.line is not None
        assert (now.line.number, now.decision) == (line.number, line.decision)
        lines[line.number - 1] = b""
    assert trace(b"\n".join(lines), *client).line is None


def test_a_line_with_many_keys_for_one_client_matches_once() -> None:
    found = trace(b"18446744073709551617-1.:deny\n:allow", b"1.2.3.4")
    assert found.line is not None
    assert found.line.number == 1
    assert [each.number for each in found.shadowed] == [2]


def test_lines_about_what_is_not_known_are_named() -> None:
    text = b"=a:deny\njoe@1.2.3.4:deny\njoe@=a:deny\n1.:allow"
    assert (trace(text, b"1.2.3.4").named, trace(text, b"1.2.3.4").users) == ((1,), (2, 3))
    assert (trace(text, b"1.2.3.4", b"a", b"joe").named, trace(text, b"1.2.3.4", b"a", b"joe").users) == ((), ())
