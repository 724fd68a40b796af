from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.smtp.addresses import literal, localize, parse


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        (b"FROM:<a@b>", b"a@b"),
        (b"<a@b>", b"a@b"),
        (b"FROM:<>", b""),
        (b"FROM: a@b", b"a@b"),
        (b"FROM:a@b SIZE=1", b"a@b"),
        (b"a@b", b""),
        (b"", b""),
        (b"FROM:<a@b", b"a@b"),
        (b"FROM:<a b@c> BODY=8BITMIME", b"a b@c"),
        (b"TO:<@relay,@other:a@b>", b"a@b"),
        (b"TO:<@relay>", b""),
        (b'TO:<"a b"@c>', b"a b@c"),
        (b'TO:<"a>b"@c>', b"a>b@c"),
        (b"TO:<a\\>b@c>", b"a>b@c"),
        (b'TO:<a\\"b@c>', b'a"b@c'),
        (b'TO:<"never closed@c>', b"never closed@c>"),
        (b"TO:<a@b\\", b"a@b"),
        (b"TO:<#@[]>", b"#@[]"),
    ],
)
def test_the_address_is_what_qmail_smtpd_takes(argument: bytes, address: bytes) -> None:
    assert parse(argument) == address


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (b"a@[127.0.0.1]", (b"a@", bytes([127, 0, 0, 1]))),
        (b"a@b@[1.2.3.4]", (b"a@b@", bytes([1, 2, 3, 4]))),
        (b"@[256.258.3.0004]", (b"@", bytes([0, 2, 3, 4]))),
        (b"a@[127.0.0.1", None),
        (b"a@[127.0.0.1]x", None),
        (b"a@[127.0.0]", None),
        (b"a@[127.0.0.]", None),
        (b"a@[1.2.3.4.5]", None),
        (b"a@[-1.2.3.4]", None),
        (b"a@127.0.0.1", None),
        (b"[127.0.0.1]", None),
        (b"a@[IPv6:::1]", (b"a@", bytes(15) + b"\1")),
        (b"a@[::1]", None),
        (b"a@[" + b"9" * 30 + b".2.3.4]", None),
    ],
)
def test_an_address_literal_is_four_numbers_in_brackets(address: bytes, found: tuple[bytes, bytes] | None) -> None:
    assert literal(address) == found


def test_only_a_literal_of_ours_becomes_a_host() -> None:
    here = frozenset({bytes([127, 0, 0, 1])})
    assert localize(b"a@[127.0.0.1]", b"host", here) == b"a@host"
    assert localize(b"a@[127.0.0.2]", b"host", here) == b"a@[127.0.0.2]"
    assert localize(b"a", b"host", here) == b"a"


@given(st.binary(max_size=100))
def test_no_argument_is_too_strange(argument: bytes) -> None:
    assert len(parse(argument)) <= len(argument)
    literal(argument)
