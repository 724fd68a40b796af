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

from struct import Struct, pack, unpack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from mmap import mmap
    from typing import TypeAlias

    Buffer: TypeAlias = bytes | bytearray | memoryview | mmap
    Pair: TypeAlias = tuple[bytes, bytes]

TABLES = 256
HEADER = 8 * TABLES
LIMIT = 1 << 32
START = 5381
TWO = Struct("<II")

# How many keys are hashed side by side: enough to make the interpreter's part small, few enough to stay in the cache.
LANES = 2048
# A longer key is hashed on its own: one of them would pad a whole batch to its length.
LONGEST = 80
INVERSE_OF_33 = pow(33, -1, LIMIT)


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
    """The blocks of a cdb that holds these records in this order; a key may come twice.

    A million records need about as many times 60 bytes, since the first block tells where the last ones are. Raises
    CdbError, before the first block, if they would not fit into 4 GB.
    """
    blocks: list[bytes] = []
    buckets: list[list[int]] = [[] for _ in range(TABLES)]
    position = HEADER
    for batch in _batches(pairs):
        block, position = _records(batch, position, buckets)
        blocks.append(block)
    if position + 16 * sum(map(len, buckets)) >= LIMIT:
        raise CdbError("more than 4 GB of records")
    header: list[int] = []
    for bucket in buckets:
        header += (position, 2 * len(bucket))
        position += 16 * len(bucket)
    yield pack("<512I", *header)
    yield from blocks
    for bucket in buckets:
        yield _table(bucket)


def hash_of(key: bytes) -> int:
    """The hash of one key."""
    number = START
    for byte in key:
        number = number * 33 & 0xFFFFFFFF ^ byte
    return number


def hashes(keys: Sequence[bytes]) -> Sequence[int]:
    """The hashes of many short keys at once, several times faster than one by one.

    Each key has a lane of 64 bits in one large number, so that one multiplication is one step of every hash. All keys
    are made equally long by NULs before them; a lane begins with what those NULs turn into 5381.
    """
    width = max(map(len, keys), default=0)
    starts = [START]
    for _ in range(width):
        starts.append(starts[-1] * INVERSE_OF_33 % LIMIT)
    starts.reverse()
    count = len(keys)
    joined = b"".join([key.rjust(width, b"\0") for key in keys])
    lanes = int.from_bytes(pack(f"<{count}Q", *[starts[len(key)] for key in keys]), "little")
    mask = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * count, "little")
    column = bytearray(8 * count)
    for place in range(width):
        column[::8] = joined[place::width]
        lanes = (lanes * 33 & mask) ^ int.from_bytes(column, "little")
    return unpack(f"<{count}Q", lanes.to_bytes(8 * count, "little"))


def _batches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == LANES:
            yield batch
            batch = []
    if batch:
        yield batch


def _records(batch: list[Pair], position: int, buckets: list[list[int]]) -> tuple[bytes, int]:
    """The bytes of some records that begin at `position`, and where they end; a slot for each goes to its bucket."""
    keys, data = zip(*batch, strict=True)
    lengths = [*map(len, keys)]
    sizes = [*map(len, data)]
    if max(lengths) + max(sizes) >= LIMIT:
        raise CdbError("more than 4 GB of records")
    parts = [b""] * (3 * len(batch))
    parts[::3] = map(TWO.pack, lengths, sizes)
    parts[1::3] = keys
    parts[2::3] = data
    numbers = hashes(keys) if max(lengths) <= LONGEST else map(hash_of, keys)
    for number, length, size in zip(numbers, lengths, sizes, strict=True):
        # A slot as the file has it, read as one little-endian number: the hash below, the position above.
        buckets[number & 255].append(number | position << 32)
        position += 8 + length + size
    if position >= LIMIT:
        raise CdbError("more than 4 GB of records")
    return b"".join(parts), position


def _table(bucket: list[int]) -> bytes:
    """A hash table: each record in the first slot that is free from its own on, earlier records first."""
    size = 2 * len(bucket)
    slots = [0] * size
    for slot in bucket:
        at = (slot >> 8 & 0xFFFFFF) % size
        while slots[at]:
            at += 1
            if at == size:
                at = 0
        slots[at] = slot
    return pack(f"<{size}Q", *slots)
