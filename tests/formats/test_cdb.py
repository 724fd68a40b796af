"""A cdb answers what a dict of first values would, has the bytes others write, and survives any damage."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.cdb import HEADER, LANES, LONGEST, CdbError, Reader, hash_of, hashes, make
from tests.harness import original

KEYS = st.binary(max_size=12) | st.binary(min_size=LONGEST - 1, max_size=LONGEST + 2)
PAIRS = st.lists(st.tuples(KEYS, st.binary(max_size=20)), max_size=40)


def cdb(*pairs: tuple[bytes, bytes]) -> bytes:
    return b"".join(make(pairs))


@given(PAIRS, st.lists(KEYS, max_size=10))
def test_a_reader_answers_as_a_dict_of_first_values(pairs: list[tuple[bytes, bytes]], others: list[bytes]) -> None:
    reader = Reader(cdb(*pairs))
    first = dict(reversed(pairs))
    for key in [*first, *others]:
        assert reader.get(key) == first.get(key)


@given(PAIRS)
def test_iteration_gives_back_what_was_written_in_its_order(pairs: list[tuple[bytes, bytes]]) -> None:
    assert list(Reader(cdb(*pairs))) == pairs


@given(st.lists(st.binary(max_size=LONGEST), max_size=60))
def test_hashes_side_by_side_are_the_hashes_one_by_one(keys: list[bytes]) -> None:
    packed = hashes(keys, [*map(len, keys)])
    assert struct.unpack(f"<{len(keys)}I", packed) == tuple(hash_of(key) for key in keys)


@pytest.mark.parametrize("size", [0, 1, 200, 300])
def test_records_that_all_have_the_same_data_are_as_any_others(size: int) -> None:
    pairs = [(b"%d" % (number**3), b"x" * size) for number in range(100)]
    others = [*pairs[:-1], (pairs[-1][0], b"another")]
    assert list(Reader(cdb(*pairs))) == pairs
    assert list(Reader(cdb(*others))) == others
    assert all(Reader(cdb(*pairs)).get(key) == value for key, value in pairs)


@pytest.mark.parametrize("count", [LANES - 1, LANES, LANES + 1, 3 * LANES])
def test_every_key_is_found_whatever_the_number_of_batches(count: int) -> None:
    pairs = [(b"%d" % number, b"value of %d" % number) for number in range(count)]
    reader = Reader(cdb(*pairs))
    assert all(reader.get(key) == value for key, value in pairs)
    assert reader.get(b"%d" % count) is None


def test_an_empty_cdb_is_2048_bytes_and_answers_nothing() -> None:
    data = cdb()
    assert len(data) == HEADER
    assert Reader(data).get(b"") is None
    assert list(Reader(data)) == []


def test_one_record_has_the_bytes_of_the_specification() -> None:
    data = cdb((b"a", b"xyz"))
    assert data[HEADER:] == bytes.fromhex("01000000 03000000") + b"axyz" + bytes.fromhex(
        "0000000000000000 c4b50200 00080000"
    )
    assert hash_of(b"a") == 0x2B5C4
    assert data[8 * 0xC4 : 8 * 0xC4 + 8] == (HEADER + 12).to_bytes(4, "little") + (2).to_bytes(4, "little")


@given(PAIRS, st.data())
def test_damage_is_an_answer_or_a_cdb_error_and_never_anything_else(
    pairs: list[tuple[bytes, bytes]], choice: st.DataObject
) -> None:
    data = bytearray(cdb(*pairs, (b"key", b"value")))
    for _ in range(choice.draw(st.integers(1, 8))):
        data[choice.draw(st.integers(0, len(data) - 1))] = choice.draw(st.sampled_from([0, 1, 7, 127, 255]))
    del data[choice.draw(st.integers(0, len(data))) :]
    with contextlib.suppress(CdbError):
        reader = Reader(bytes(data))
        for key, _ in pairs:
            assert reader.get(key) is None or isinstance(reader.get(key), bytes)
        assert all(len(pair) == 2 for pair in reader)


@pytest.mark.parametrize("length", [0, 1, HEADER - 1])
def test_a_file_without_a_whole_header_says_how_long_it_is(length: int) -> None:
    with pytest.raises(CdbError, match=f"{length} bytes"):
        Reader(bytes(length))


def test_a_file_cut_in_its_tables_says_where_they_should_end() -> None:
    data = cdb((b"a", b"xyz"))
    with pytest.raises(CdbError, match=rf"hash table 196 ends at {len(data)} of {len(data) - 1}"):
        Reader(data[:-1])


def test_a_table_without_an_empty_slot_ends_the_search() -> None:
    data = bytearray(cdb((b"a", b"xyz")))
    data[-16:-8] = data[-8:]
    # Another key of the same hash table, and even of the same hash: every slot is looked at once.
    assert Reader(bytes(data)).get(b"a") == b"xyz"
    data[-16:-12] = data[-8:-4] = (hash_of(b"a") ^ 0x100).to_bytes(4, "little")
    assert Reader(bytes(data)).get(b"a") is None


def test_a_record_that_claims_more_than_the_file_has_is_an_error() -> None:
    data = bytearray(cdb((b"a", b"xyz")))
    data[HEADER + 4 : HEADER + 8] = b"\xff\xff\xff\xff"
    with pytest.raises(CdbError, match="the record at 2048"):
        Reader(bytes(data)).get(b"a")
    with pytest.raises(CdbError, match="the record at 2048"):
        list(Reader(bytes(data)))


def test_records_that_run_into_the_tables_are_an_error() -> None:
    data = bytearray(cdb((b"a", b"xyz")))
    data[HEADER + 4] = 9
    with pytest.raises(CdbError, match="runs into"):
        list(Reader(bytes(data)))


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_read(view: type[bytes | bytearray | memoryview]) -> None:
    assert Reader(view(cdb((b"key", b"value")))).get(b"key") == b"value"


@pytest.mark.oracle
def test_tinycdb_and_freecdb_read_what_we_write(folder: Path) -> None:
    pairs = [(b"one", b"1"), (b"two", b"2"), (b"one", b"uno"), (b"", b"empty"), (b"long" * 40, b"x")]
    path = folder / "a.cdb"
    path.write_bytes(cdb(*pairs))
    dump = subprocess.run([original("cdb"), "-d", path], capture_output=True, check=True).stdout
    assert dump == b"".join(b"+%d,%d:%s->%s\n" % (len(k), len(v), k, v) for k, v in pairs) + b"\n"
    for key, value in dict(reversed(pairs)).items():
        asked = subprocess.run([original("cdb"), "-q", "-n", "1", path, key], capture_output=True, check=True)
        assert asked.stdout == value
        if not key:
            continue  # cdbget takes no empty key
        with path.open("rb") as file:
            got = subprocess.run([original("cdbget"), key], stdin=file, capture_output=True, check=True)
        assert got.stdout == value


@pytest.mark.oracle
@pytest.mark.parametrize("count", [0, 1, 5000])
def test_cdbmake_writes_the_same_bytes(folder: Path, count: int) -> None:
    pairs = [(b"%d" % (number * 7919 % 4001), b"value %d" % number) for number in range(count)]
    text = b"".join(b"+%d,%d:%s->%s\n" % (len(k), len(v), k, v) for k, v in pairs) + b"\n"
    subprocess.run([original("cdbmake"), "a.cdb", "a.tmp"], input=text, cwd=folder, check=True)
    assert (folder / "a.cdb").read_bytes() == cdb(*pairs)
