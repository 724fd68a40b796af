"""Memory that the C library's allocator keeps.

glibc gives the end of the heap back to the kernel whenever 128 kB there are free, and has to fetch it again, page by
page, for the next block. A program that makes and drops blocks of that size spends half its time so.
"""

from __future__ import annotations

# Below the size from which glibc takes memory from the kernel directly.
BLOCK = 100_000


def keep(size: int) -> object:
    """Have about `size` bytes on the heap for re-use, for as long as the caller holds the result.

    The last of some blocks is held, and so the heap's end stays where it is; the others are free. Nothing is touched:
    the memory is taken from the machine only when it is used.
    """
    blocks = [bytes(BLOCK) for _ in range(size // BLOCK + 1)]
    return blocks[-1]
