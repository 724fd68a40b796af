from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.netstring import Decoder, NetstringError, encode


def test_a_netstring_is_length_colon_bytes_comma() -> None:
    assert encode(b"hello world!") == b"12:hello world!,"
    assert encode(b"") == b"0:,"


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 9))
def test_strings_come_out_as_they_went_in_however_they_are_cut(strings: list[bytes], step: int) -> None:
    wire = b"".join(map(encode, strings))
    decoder = Decoder(40)
    found: list[bytes] = []
    for at in range(0, len(wire), step):
        found += decoder.feed(wire[at : at + step])
    assert found == strings
    assert decoder.pending == b""


@pytest.mark.parametrize(
    "wire", [b":x,", b"x", b"1x", b"-1:x,", b"1:xx", b"01:x,", b"41:", b"9999999999", b"1:x,,", b"0:x"]
)
def test_what_cannot_become_a_netstring_is_refused_at_once(wire: bytes) -> None:
    with pytest.raises(NetstringError):
        Decoder(40).feed(wire)


@given(st.binary(max_size=60))
def test_any_bytes_are_strings_or_refused_or_waited_for(wire: bytes) -> None:
    decoder = Decoder(40)
    try:
        found = decoder.feed(wire)
    except NetstringError:
        return
    assert b"".join(map(encode, found)) + decoder.pending == wire
