from __future__ import annotations

import pytest

from svtree.formats.tlshosts import Policy, TlsHostsError, find, parse

LINES = [
    b"bank.example:verify",
    b".bank.example:verify:mx.bank.example",
    b"old.example:never",
    b":must",
    b"old.example:may",
]


@pytest.mark.parametrize(
    ("host", "policy"),
    [
        (b"bank.example", Policy(b"verify")),
        (b"www.BANK.example", Policy(b"verify", b"mx.bank.example")),
        (b"old.example", Policy(b"may")),
        (b"else.example", Policy(b"must")),
    ],
)
def test_the_longest_that_fits_and_the_last_of_equals_count(host: bytes, policy: Policy) -> None:
    assert find(parse(LINES), host) == policy


def test_without_a_line_tls_is_taken_where_it_is_offered() -> None:
    assert find({}, b"else.example") == Policy(b"may")


@pytest.mark.parametrize("line", [b"bank.example", b"bank.example:", b"bank.example:mast", b"bank.example:must:x"])
def test_a_line_that_says_nothing_is_an_error_and_not_mail_in_the_clear(line: bytes) -> None:
    with pytest.raises(TlsHostsError, match="bank"):
        parse([line])
