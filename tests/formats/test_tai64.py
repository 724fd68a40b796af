from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import tai64

MOMENTS = st.integers(0, 10**19)


def test_the_epoch_is_2_to_the_62_and_ten_seconds() -> None:
    assert tai64.label(0) == b"@400000000000000a00000000"


def test_a_label_by_hand() -> None:
    # 2026-11-23T00:00:00.000000001Z
    assert tai64.label(1_795_392_000_000_000_001) == b"@400000006b03820a00000001"


@given(MOMENTS)
def test_both_forms_come_back(moment: int) -> None:
    assert tai64.unpack(tai64.pack(moment)) == moment
    assert tai64.parse(tai64.label(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_labels_sort_as_the_moments_do(one: int, two: int) -> None:
    assert (tai64.label(one) < tai64.label(two)) is (one < two)


@pytest.mark.parametrize(
    "text", [b"", b"@", b"@4000", b"400000000000000a00000000x", b"@" + b"g" * 24, b"@" + b"\xff" * 24]
)
def test_what_is_no_label_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        tai64.parse(text)
    with pytest.raises(ValueError):
        tai64.unpack(text[:11])
