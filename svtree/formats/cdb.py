"""Constant databases: a file of keys and data that is written once and read with two or three looks.

Follows cdb(5) of cr.yp.to/cdb, byte for byte what its cdbmake and ucspi-tcp's tcprules write. All numbers are 32-bit
little-endian. In the file stand

- 256 pairs (position, number of slots), one for each hash table;
- the records in the order they were given: (length of key, length of data), key, data;
- the hash tables, each with twice as many slots as it has records: (hash, position of record), position 0 if empty.

A key's record is looked for in table `hash % 256` from slot `hash / 256 % slots` on, up to the first empty slot. The
hash begins as 5381 and for each byte becomes `hash * 33 ^ byte`.

Nothing here opens a file. A reader takes anything with the buffer protocol, `svtree.system.mapped` maps one. Whatever
the bytes are, a reader either answers or raises CdbError: it trusts no number in them.
"""

from __future__ import annotations

from itertools import accumulate
from struct import Struct, pack, unpack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from mmap import mmap
    from typing import TypeAlias

    Buffer: TypeAlias = bytes | bytearray | memoryview | mmap
    Pair: TypeAlias = tuple[bytes, bytes]
    Columns: TypeAlias = tuple[Sequence[bytes], Sequence[bytes]]

TABLES = 256
HEADER = 8 * TABLES
LIMIT = 1 << 32
FULL = "more than 4 GB of records"
START = 5381
TWO = Struct("<II")
# A slot of a hash table, as bytes: a million of them are moved about and never counted with. Those of one table lie
# side by side until it is made: objects all over the memory would take a quarter more time.
SLOT = 8
EMPTY = bytes(SLOT)
# A record is so much longer than its key and data.
LONGER = bytes(range(SLOT, 256)).ljust(256)

# How many keys are hashed side by side: enough to make the interpreter's part small, few enough to stay in the cache.
LANES = 2048
# A longer key is hashed on its own: one of them would pad a whole batch to its length.
LONGEST = 80
INVERSE_OF_33 = pow(33, -1, LIMIT)
# What a hash was some spaces before it became 5381, by their number: the first, second, third and fourth bytes of each.
_back = [START]
for _ in range(LONGEST):
    _back.append((_back[-1] ^ 32) * INVERSE_OF_33 % LIMIT)
BACK = [bytes([number >> shift & 255 for number in _back]) for shift in (0, 8, 16, 24)]
# Bytes of a lane: room for a hash times 33, no more than needed; and how many bytes of keys are put into it at a time.
LANE = 5
STRIDE = 4


class CdbError(Exception):
    """The bytes are no cdb, or the records do not fit into one; the text says what is wrong."""


class Reader:
    """Answers from the bytes of a cdb. Construction checks that every hash table lies within them."""

    def __init__(self, buffer: Buffer) -> None:
        """`buffer` must not change while it is read; raises CdbError where it cannot be a cdb."""
        self._buffer = buffer
        self._size = len(buffer)
        if self._size < HEADER:
            raise CdbError(f"too short for a cdb: {self._size} bytes of at least {HEADER}")
        self._tables = unpack_from("<512I", buffer, 0)
        for table in range(0, 2 * TABLES, 2):
            position, slots = self._tables[table : table + 2]
            if slots and position + 8 * slots > self._size:
                raise CdbError(f"truncated: hash table {table // 2} ends at {position + 8 * slots} of {self._size}")

    def get(self, key: bytes) -> bytes | None:
        """The data of the first record with this key, or None."""
        number = hash_of(key)
        table = 2 * (number & 255)
        start, slots = self._tables[table : table + 2]
        if not slots:
            return None
        at = start + 8 * ((number >> 8) % slots)
        end = start + 8 * slots
        # No more looks than slots: a table without an empty slot would be walked round for ever.
        for _ in range(slots):
            found, position = TWO.unpack_from(self._buffer, at)
            if not position:
                return None
            if found == number:
                middle, after = self._record(position, len(key))
                if middle and bytes(self._buffer[position + 8 : middle]) == key:
                    return bytes(self._buffer[middle:after])
            at += 8
            if at == end:
                at = start
        return None

    def __iter__(self) -> Iterator[Pair]:
        """All records (key, data) in the order they were written."""
        position = HEADER
        end = self._tables[0]
        if not HEADER <= end <= self._size:
            raise CdbError(f"the records end at {end}, in a file of {self._size} bytes")
        while position < end:
            middle, after = self._record(position)
            if after > end:
                raise CdbError(f"the record at {position} runs into the hash tables")
            yield bytes(self._buffer[position + 8 : middle]), bytes(self._buffer[middle:after])
            position = after

    def _record(self, position: int, length: int | None = None) -> tuple[int, int]:
        """Where the record's data begin and end; (0, 0) if its key is not `length` bytes long."""
        if position + 8 > self._size:
            raise CdbError(f"truncated: no room for a record at {position} of {self._size}")
        of_key, of_data = TWO.unpack_from(self._buffer, position)
        if length is not None and of_key != length:
            return 0, 0
        middle = position + 8 + of_key
        if middle + of_data > self._size:
            raise CdbError(f"truncated: the record at {position} ends at {middle + of_data} of {self._size}")
        return middle, middle + of_data


def make(pairs: Iterable[Pair]) -> Iterator[bytes]:
    """The blocks of a cdb that holds these records in this order; a key may come twice. Errors as of `make_columns`."""
    return make_columns(_batches(pairs))


def make_columns(batches: Iterable[Columns]) -> Iterator[bytes]:
    """The blocks of a cdb whose records come in batches: the keys of some records, and as many data.

    Batches of about LANES records are quickest. All is in memory before the first block, which tells where the last
    ones are; who can write it last takes a Maker. Raises CdbError, before that, if it would not fit into 4 GB.
    """
    maker = Maker()
    blocks = [maker.add(keys, data) for keys, data in batches]
    yield header(maker.end, [*map(len, maker.buckets)])
    yield from blocks
    yield from map(table, maker.buckets)


class Maker:
    """The records of a cdb, as they come, and what its hash tables will be made of.

    `end` is where the next record begins. `buckets` are the slots of each hash table, in the order of their records.
    """

    def __init__(self) -> None:
        """Before the first record."""
        self.end = HEADER
        self.buckets = [bytearray() for _ in range(TABLES)]

    def add(self, keys: Sequence[bytes], data: Sequence[bytes]) -> bytes:
        """The bytes of some more records, which begin at `end`; CdbError where they do not fit into 4 GB."""
        block, self.end = _records(keys, data, self.end, self.buckets)
        return block


def header(end: int, sizes: Sequence[int]) -> bytes:
    """The first block of a cdb whose records end at `end`, with buckets of these sizes; CdbError if it is too large."""
    if end + 2 * sum(sizes) >= LIMIT:
        raise CdbError(FULL)
    numbers: list[int] = []
    for size in sizes:
        numbers += (end, 2 * size // SLOT)
        end += 2 * size
    return pack("<512I", *numbers)


def later(bucket: bytes | bytearray, distance: int) -> bytes:
    """The slots of a bucket whose records all stand so many bytes later."""
    count = len(bucket) // SLOT
    # The positions are the upper halves of slots, and none of them grows beyond its own.
    more = int.from_bytes(TWO.pack(0, distance) * count, "little")
    return (int.from_bytes(bucket, "little") + more).to_bytes(len(bucket), "little")


def hash_of(key: bytes) -> int:
    """The hash of one key."""
    number = START
    for byte in key:
        number = number * 33 & 0xFFFFFFFF ^ byte
    return number


def hashes(keys: Sequence[bytes], lengths: Sequence[int]) -> bytes:
    """The hashes of many short keys of these lengths at once, 4 bytes each, several times faster than one by one.

    Each key has a lane of 5 bytes in one large number, so that one multiplication is one step of every hash. All keys
    are made equally long by spaces before them; a lane begins with what those spaces turn into 5381.
    """
    count = len(keys)
    longest = max(lengths, default=0)
    width = longest + -longest % STRIDE
    padded = (b"%%%ds" % width * count) % tuple(keys)
    start = bytearray(LANE * count)
    short = bytes(lengths)
    for place, back in enumerate(BACK):
        start[place::LANE] = short.translate(back[width::-1].ljust(256))
    lanes = int.from_bytes(start, "little")
    mask = int.from_bytes(b"\xff\xff\xff\xff\0" * count, "little")
    lowest = int.from_bytes(b"\xff\0\0\0\0" * count, "little")
    columns = bytearray(LANE * count)
    for place in range(0, width, STRIDE):
        # Making a number of bytes takes longer than counting with it, so a lane takes in four bytes of its key a time.
        for each in range(STRIDE):
            columns[each::LANE] = padded[place + each :: width]
        several = int.from_bytes(columns, "little")
        for bits in range(0, 8 * STRIDE, 8):
            lanes = (lanes * 33 & mask) ^ (several >> bits & lowest)
    done = lanes.to_bytes(LANE * count, "little")
    packed = bytearray(4 * count)
    for place in range(4):
        packed[place::4] = done[place::LANE]
    return bytes(packed)


def _batches(pairs: Iterable[Pair]) -> Iterator[Columns]:
    keys: list[bytes] = []
    data: list[bytes] = []
    for key, value in pairs:
        keys.append(key)
        data.append(value)
        if len(keys) == LANES:
            yield keys, data
            keys, data = [], []
    yield keys, data


def _records(
    keys: Sequence[bytes], data: Sequence[bytes], position: int, buckets: Sequence[bytearray]
) -> tuple[bytes, int]:
    """The bytes of some records that begin at `position`, and where they end; their slots are put into the buckets."""
    count = len(keys)
    if not count:
        return b"", position
    lengths = _lengths(keys)
    longest = max(lengths)
    heads, whole = _heads(lengths, longest, data)
    *positions, after = accumulate(whole, initial=position)
    if after >= LIMIT:
        raise CdbError(FULL)
    parts = [b""] * (3 * count)
    parts[::3] = heads
    parts[1::3] = keys
    parts[2::3] = data
    numbers = hashes(keys, lengths) if longest <= LONGEST else pack(f"<{count}I", *map(hash_of, keys))
    where = pack(f"<{count}I", *positions)
    slots = bytearray(SLOT * count)
    for place in range(4):
        slots[place::SLOT] = numbers[place::4]
        slots[4 + place :: SLOT] = where[place::4]
    # None of these returns anything, so this is a loop without a body, of which nothing is left to the interpreter.
    any(map(bytearray.extend, map(buckets.__getitem__, slots[::SLOT]), unpack("8s" * count, slots)))
    return b"".join(parts), after


def _lengths(words: Sequence[bytes]) -> Sequence[int]:
    """How long each is: as bytes, where all are short."""
    if words[0] is words[-1] and words.count(words[0]) == len(words):
        length = len(words[0])
        return bytes((length,)) * len(words) if length < 256 else [length] * len(words)
    try:
        return bytes(map(len, words))
    except ValueError:
        return [*map(len, words)]


def _heads(lengths: Sequence[int], longest: int, data: Sequence[bytes]) -> tuple[Sequence[bytes], Iterable[int]]:
    """What stands before each key, and how long each record is."""
    count = len(data)
    others = _lengths(data)
    if not (isinstance(lengths, bytes) and isinstance(others, bytes)) or longest + max(others) + SLOT >= 256:
        return [*map(TWO.pack, lengths, others)], [SLOT + key + more for key, more in zip(lengths, others, strict=True)]
    heads = bytearray(SLOT * count)
    heads[::SLOT] = lengths
    heads[4::SLOT] = others
    # Side by side in two large numbers: no sum is more than a byte.
    sums = int.from_bytes(lengths, "little") + int.from_bytes(others, "little")
    return unpack("8s" * count, heads), sums.to_bytes(count, "little").translate(LONGER)


def table(bucket: bytes | bytearray) -> bytes:
    """A hash table: each record in the first slot that is free from its own on, earlier records first."""
    count = len(bucket) // SLOT
    size = 2 * count
    empty = EMPTY
    slots = [empty] * size
    # The upper three bytes of each hash.
    upper = bytearray(4 * count)
    for place in range(3):
        upper[place::4] = bucket[place + 1 :: SLOT]
    own = [number % size for number in unpack(f"<{count}I", upper)]
    for at, slot in zip(own, unpack("8s" * count, bucket), strict=True):
        if slots[at] is empty:
            slots[at] = slot
        else:
            slots[_next_free(slots, at)] = slot
    return b"".join(slots)


def _next_free(slots: list[bytes], at: int) -> int:
    """The first slot after this one that is free; the first slot comes after the last."""
    try:
        while slots[at] is not EMPTY:
            at += 1
    except IndexError:
        at = 0
        while slots[at] is not EMPTY:
            at += 1
    return at
