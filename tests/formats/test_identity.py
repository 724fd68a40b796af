from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import identity
from svtree.formats.identity import NONE, PHASES, RUN, SIZE, STARTING, Identity, parse

BOOT = b"d1506c53-eda8-4a87-a222-87e53ac721f0"
LINE = b"svtree 1 run 18883 296623 d1506c53-eda8-4a87-a222-87e53ac721f0 u fe00.21b064.30f2f762ff5f7fd3"


def test_a_line_names_one_process_of_one_boot() -> None:
    assert parse(LINE.ljust(SIZE - 1) + b"\n") == Identity(
        RUN, 18883, 296623, BOOT, b"u", b"fe00.21b064.30f2f762ff5f7fd3"
    )


def test_every_line_has_the_same_size_so_that_one_write_replaces_it() -> None:
    for who in (Identity(STARTING, 0, 1, BOOT, b"o", b"t"), Identity(NONE, 0, 0, b"", b"d", b"")):
        assert len(who.pack()) == SIZE
        assert who.pack().endswith(b"\n")
        assert parse(who.pack()) == who


def test_what_does_not_fit_is_refused_rather_than_cut() -> None:
    with pytest.raises(ValueError, match="identity too long"):
        Identity(RUN, 1, 1, BOOT, b"u", b"t" * SIZE).pack()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"svtree 2" + LINE[8:],
        LINE.replace(b"run", b"ran"),
        LINE.replace(b"18883", b"-1"),
        LINE.replace(b"296623", b"x"),
        LINE + b" more",
        LINE[:40],
        bytes(SIZE),
    ],
)
def test_what_is_no_line_of_ours_is_none(data: bytes) -> None:
    assert parse(data) is None


@given(st.binary(max_size=2 * SIZE))
def test_any_bytes_are_read_or_passed_over(data: bytes) -> None:
    assert parse(data) is None or data.startswith(identity.MAGIC)


WORD = st.text("abcdef0123456789.-", min_size=1, max_size=60).map(str.encode).filter(lambda word: word != b"-")


@given(
    st.builds(
        Identity,
        phase=st.sampled_from(PHASES),
        pid=st.integers(0, 2**22),
        ticks=st.integers(0, 2**50),
        boot=WORD,
        want=st.sampled_from([b"u", b"d", b"o"]),
        token=WORD,
    )
)
def test_what_is_written_is_read(who: Identity) -> None:
    assert parse(who.pack()) == who
