from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.envelope import ADDRESS, EnvelopeError, Reader, TooLongError, pack

ADDRESSES = st.binary(max_size=30).map(lambda each: each.replace(b"\0", b""))


def test_an_envelope_is_sender_and_recipients_with_letters_and_nuls() -> None:
    assert pack(b"djb@cr.yp.to", [b"god@heaven.af.mil", b"jiro"]) == b"Fdjb@cr.yp.to\0Tgod@heaven.af.mil\0Tjiro\0\0"
    assert pack(b"", []) == b"F\0\0"


@given(ADDRESSES, st.lists(ADDRESSES, max_size=5), st.integers(1, 7))
def test_a_reader_passes_on_all_but_the_last_nul_however_it_is_cut(
    sender: bytes, recipients: list[bytes], step: int
) -> None:
    wire = pack(sender, recipients)
    reader = Reader()
    passed = b"".join(reader.feed(wire[at : at + step]) for at in range(0, len(wire), step))
    assert passed == wire[:-1]
    assert reader.done
    assert reader.whole


def test_what_follows_an_envelope_is_ignored() -> None:
    reader = Reader()
    assert reader.feed(b"Fa\0Tb\0\0garbage") == b"Fa\0Tb\0"
    assert reader.feed(b"more") == b""


@pytest.mark.parametrize("wire", [b"\0", b"T", b"x", b"Fa\0F", b"Fa\0x", b"Fa\0T\0\x01"])
def test_a_record_out_of_order_is_an_error(wire: bytes) -> None:
    with pytest.raises(EnvelopeError):
        Reader().feed(wire)


def test_an_address_of_1002_bytes_is_taken_and_one_of_1003_is_not() -> None:
    longest = b"a" * (ADDRESS - 1)
    assert Reader().feed(pack(longest, [longest])) == pack(longest, [longest])[:-1]
    with pytest.raises(TooLongError):
        pack(longest + b"a", [])
    with pytest.raises(TooLongError):
        Reader().feed(b"F" + longest + b"a")
    with pytest.raises(TooLongError):
        Reader().feed(b"Fx\0T" + longest + b"a\0")


def test_an_address_with_a_nul_is_not_packed() -> None:
    with pytest.raises(EnvelopeError):
        pack(b"a\0Tb", [])


def test_an_envelope_that_ends_within_a_record_is_not_whole() -> None:
    reader = Reader()
    reader.feed(b"Fa\0Tb")
    assert not reader.whole
    assert not reader.done
