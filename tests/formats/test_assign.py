from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.assign import AssignError, Assignment, find, records
from svtree.formats.cdb import Reader, make

TEXT = b"""\
=joe.shmoe:joe:503:78:/home/joe:::
+joe-:joe:503:78:/home/joe:-::
+joe-list-:lists:600:78:/home/lists:-:joe-:
=Both:exact:1:2:/e:::
+both:wild:3:4:/w:-::
+:alias:7790:2108:/var/qmail/alias:-::
.
"""


def asked(text: bytes, local: bytes) -> Assignment | None:
    return find(local, Reader(b"".join(make(records(text)))).get)


@pytest.mark.parametrize(
    ("local", "assignment"),
    [
        (b"joe.shmoe", Assignment(b"joe", 503, 78, b"/home/joe", b"", b"")),
        (b"JOE.Shmoe", Assignment(b"joe", 503, 78, b"/home/joe", b"", b"")),
        (b"joe-Any-Thing", Assignment(b"joe", 503, 78, b"/home/joe", b"-", b"Any-Thing")),
        (b"joe-", Assignment(b"joe", 503, 78, b"/home/joe", b"-", b"")),
        (b"joe-list-x", Assignment(b"lists", 600, 78, b"/home/lists", b"-", b"joe-x")),
        (b"both", Assignment(b"exact", 1, 2, b"/e", b"", b"")),
        (b"bother", Assignment(b"wild", 3, 4, b"/w", b"-", b"er")),
        (b"joe", Assignment(b"alias", 7790, 2108, b"/var/qmail/alias", b"-", b"joe")),
        (b"", Assignment(b"alias", 7790, 2108, b"/var/qmail/alias", b"-", b"")),
    ],
)
def test_the_exact_line_counts_and_then_the_longest_beginning(local: bytes, assignment: Assignment) -> None:
    assert asked(TEXT, local) == assignment


def test_without_a_line_for_all_an_address_may_be_nobodys() -> None:
    assert asked(b"=joe:joe:503:78:/home/joe:::\n.\n", b"fred") is None
    assert asked(b".\n", b"joe") is None


def test_the_cdb_has_the_records_of_qmail_newu() -> None:
    assert records(b"=A:a:1:2:/h:-:x:\n+b-:b:3:4:/i:::\n.\nignored") == [
        (b"!a\0", b"a\0" + b"1\0" + b"2\0/h\0-\0x"),
        (b"!b-", b"b\0" + b"3\0" + b"4\0/i\0\0"),
        (b"", b"-"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", 1),
        (b"=a:a:1:2:/h:::\n", 2),
        (b"bad\n.\n", 1),
        (b"=a:a:1:2:/h:::\n=b:b:1:2:/h:\n.\n", 2),
        (b":a:1:2:/h:::\n.\n", 1),
    ],
)
def test_a_bad_line_is_counted(text: bytes, line: int) -> None:
    with pytest.raises(AssignError, match=f"line {line}$"):
        records(text)


@pytest.mark.parametrize(
    "stored",
    [
        [(b"!joe\0", b"joe")],
        [(b"", b""), (b"!joe\0", b"joe\0" + b"1\0" + b"2\0/h\0-")],
        [(b"", b""), (b"!joe\0", b"joe\0" + b"99999999999\0" + b"2\0/h\0-\0")],
        [(b"", b""), (b"!joe\0", b"joe\0" + b"4294967295\0" + b"2\0/h\0-\0")],
    ],
)
def test_a_cdb_that_qmail_newu_did_not_make_is_an_error(stored: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(AssignError):
        find(b"joe", Reader(b"".join(make(stored))).get)


def test_a_beginning_that_ends_with_a_capital_letter_is_never_found_as_in_the_original() -> None:
    assert asked(b"+joeA:joe:503:78:/home/joe:-::\n.\n", b"joea") is None


words = st.text("ab-.", max_size=4).map(str.encode)
locals_ = st.text("ab-.A", max_size=4).map(str.encode)


@given(st.lists(st.tuples(st.sampled_from([b"=", b"+"]), words), max_size=6), locals_)
def test_every_address_finds_the_line_that_a_person_would_point_at(
    lines: list[tuple[bytes, bytes]], local: bytes
) -> None:
    text = b"".join(b"%s%s:u%d:1:2:/h:-:p:\n" % (*line, at) for at, line in enumerate(lines)) + b".\n"
    small = local.lower()
    exact = [at for at, (kind, name) in enumerate(lines) if kind == b"=" and name == small]
    wild = [(-len(name), at) for at, (kind, name) in enumerate(lines) if kind == b"+" and small.startswith(name)]
    found = asked(text, local)
    if exact:
        assert found == Assignment(b"u%d" % exact[0], 1, 2, b"/h", b"-", b"p")
    elif wild:
        length, at = min(wild)
        assert found == Assignment(b"u%d" % at, 1, 2, b"/h", b"-", b"p" + local[-length:])
    else:
        assert found is None
