"""Rules into a cdb, written to a file as it is made; of a long list one half is compiled by another process.

Only time is saved by that, and nothing rests on it: the child has the text and a pipe in each direction, and touches
no file. Where it cannot be had, ends early, or finds a line that is no rule, all is done again without it, so that
there is one place where rules are judged.
"""

from __future__ import annotations

import os
from struct import Struct

from svtree.formats.cdb import FULL, HEADER, LIMIT, TABLES, TWO, CdbError, Maker, header, later, table
from svtree.formats.rulekeys import NETWORKS, pack_lengths
from svtree.formats.rules import columns
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypeAlias

    # The bits and lengths of networks.
    Kinds: TypeAlias = set[tuple[int, int]]

# Bytes of rules that are worth a process: about a hundred thousand lines.
WORTH = 2 << 20
BLOCK = 1 << 20
# The child makes the tables from this one on.
MIDDLE = TABLES // 2
SIZES = Struct(f"<{TABLES}I")
KIND = Struct("BB")


class Lost(Exception):  # noqa: N818 - told to nobody
    """The other process has ended."""


def compile_rules(text: bytes, descriptor: int) -> None:
    """Write the cdb of these rules into a file that is empty, open for writing, and not synced afterwards.

    RulesError for a line that is no rule, CdbError where they would not fit, OSError where the file cannot be written.
    """
    if len(text) >= WORTH and len(os.sched_getaffinity(0)) > 1 and _compiled_by_two(text, descriptor):
        return
    maker = Maker()
    _write_records(text, descriptor, maker, None)
    first = header(maker.end, [*map(len, maker.buckets)])
    for bucket in maker.buckets:
        write_all(descriptor, table(bucket))
    os.lseek(descriptor, 0, os.SEEK_SET)
    write_all(descriptor, first)


def _write_records(text: bytes, descriptor: int, maker: Maker, beyond: Kinds | None) -> None:
    os.lseek(descriptor, HEADER, os.SEEK_SET)
    for keys, data in columns(text, beyond):
        write_all(descriptor, maker.add(keys, data))


def _compiled_by_two(text: bytes, descriptor: int) -> bool:
    """Do it with a child; False where there is none, or it could not do its half."""
    middle = text.find(b"\n", len(text) // 2) + 1
    pipes: list[int] = []
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        child = os.fork()
    except OSError:
        for each in pipes:
            os.close(each)
        return False
    from_child, to_parent, from_parent, to_child = pipes
    if not child:
        os.close(from_child)
        os.close(to_child)
        _be_the_second_half(text[middle:], from_parent, to_parent)
    os.close(to_parent)
    os.close(from_parent)
    try:
        _write_with_child(text[:middle], descriptor, from_child, to_child)
    except (Lost, BrokenPipeError):
        os.ftruncate(descriptor, 0)
        return False
    finally:
        # A child that still works finds its pipes closed when it has compiled its half.
        os.close(from_child)
        os.close(to_child)
        os.waitpid(child, 0)
    return True


def _write_with_child(text: bytes, descriptor: int, receive: int, send: int) -> None:
    """The parent's part: the first half of the records, the header, and the first half of the tables."""
    maker = Maker()
    kinds: Kinds = set()
    _write_records(text, descriptor, maker, kinds)
    records, count = TWO.unpack(_read(receive, TWO.size))
    kinds.update(KIND.iter_unpack(_read(receive, count)))
    sizes = SIZES.unpack(_read(receive, SIZES.size))
    slots = [_read(receive, size) for size in sizes[:MIDDLE]]
    distance = maker.end - HEADER
    if maker.end + records >= LIMIT:
        raise CdbError(FULL)
    last = ([NETWORKS], [pack_lengths(kinds)]) if kinds else ([], [])
    write_all(send, TWO.pack(distance, sum(map(len, last[1]))) + b"".join(last[1]))
    write_all(send, SIZES.pack(*map(len, maker.buckets)) + b"".join(maker.buckets[MIDDLE:]))
    for number, more in enumerate(slots):
        maker.buckets[number] += later(more, distance)
    maker.end += records
    block = maker.add(*last)
    theirs = [len(bucket) + size for bucket, size in zip(maker.buckets[MIDDLE:], sizes[MIDDLE:], strict=True)]
    first = header(maker.end, [*map(len, maker.buckets[:MIDDLE]), *theirs])
    tables = b"".join(map(table, maker.buckets[:MIDDLE]))
    _copy(receive, descriptor, records)
    write_all(descriptor, block)
    write_all(descriptor, tables)
    _copy(receive, descriptor, 2 * sum(theirs))
    os.lseek(descriptor, 0, os.SEEK_SET)
    write_all(descriptor, first)


def _be_the_second_half(text: bytes, receive: int, send: int) -> NoReturn:
    """The child's part: to compile its half, to say so, and to make the second half of the tables."""
    try:
        maker = Maker()
        kinds: Kinds = set()
        blocks = [maker.add(keys, data) for keys, data in columns(text, kinds)]
        packed = b"".join([KIND.pack(*kind) for kind in kinds])
        sizes = SIZES.pack(*map(len, maker.buckets))
        write_all(send, TWO.pack(maker.end - HEADER, len(packed)) + packed + sizes)
        write_all(send, b"".join(maker.buckets[:MIDDLE]))
        distance, count = TWO.unpack(_read(receive, TWO.size))
        data = _read(receive, count)
        sizes_before = SIZES.unpack(_read(receive, SIZES.size))
        for number in range(MIDDLE, TABLES):
            before = _read(receive, sizes_before[number])
            maker.buckets[number][:] = before + later(maker.buckets[number], distance)
        maker.end += distance
        if data:
            maker.add([NETWORKS], [data])
        tables = b"".join(map(table, maker.buckets[MIDDLE:]))
        for block in [*blocks, tables]:
            write_all(send, block)
        os._exit(0)
    finally:
        # What went wrong, the parent finds for itself.
        os._exit(1)


def _read(descriptor: int, size: int) -> bytes:
    """So many bytes from a pipe; Lost where it ends before."""
    blocks = []
    while size:
        block = os.read(descriptor, min(size, BLOCK))
        if not block:
            raise Lost
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _copy(source: int, target: int, size: int) -> None:
    while size:
        block = os.read(source, min(size, BLOCK))
        if not block:
            raise Lost
        write_all(target, block)
        size -= len(block)
