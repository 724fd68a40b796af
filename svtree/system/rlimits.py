"""Soft resource limits, in softlimit's letters.

Follows daemontools 0.76 softlimit.c: a soft limit never goes above the hard one, which stays as it is; "=" asks for
the hard one itself.
"""

from __future__ import annotations

import resource

# softlimit's letters; m limits everything a process can grow by.
RESOURCES = {
    "a": (resource.RLIMIT_AS,),
    "c": (resource.RLIMIT_CORE,),
    "d": (resource.RLIMIT_DATA,),
    "f": (resource.RLIMIT_FSIZE,),
    "l": (resource.RLIMIT_MEMLOCK,),
    "m": (resource.RLIMIT_DATA, resource.RLIMIT_STACK, resource.RLIMIT_MEMLOCK, resource.RLIMIT_AS),
    "o": (resource.RLIMIT_NOFILE,),
    "p": (resource.RLIMIT_NPROC,),
    "r": (resource.RLIMIT_RSS,),
    "s": (resource.RLIMIT_STACK,),
    "t": (resource.RLIMIT_CPU,),
}

Wanted = dict[int, int]


def wanted(letter: str, amount: int | None, so_far: Wanted) -> None:
    """Note in `so_far` (resource number -> soft limit) what `letter` asks for; None asks for the hard limit."""
    for number in RESOURCES[letter]:
        hard = resource.getrlimit(number)[1]
        if amount is None or (hard != resource.RLIM_INFINITY and amount > hard):
            so_far[number] = hard
        else:
            so_far[number] = amount if amount < 1 << 63 else resource.RLIM_INFINITY


def apply(limits: Wanted) -> None:
    """Set the soft limits; OSError where the kernel refuses.

    After a small limit on memory the interpreter can get no more from the kernel, and yet must live until it has
    exec'ed the next program (the C program fits into anything). So a little memory is taken before and given back to
    the allocator, not to the kernel: the last block is kept, which holds the heap's end where it is.
    """
    cushion = [bytes(4096) for _ in range(128)]
    small = [bytes(at) for at in range(480)]
    _pinned.append((cushion.pop(), small[::48]))
    del cushion, small
    for number, soft in limits.items():
        resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))


def applied() -> int:
    """How often this process has set limits: cheaper to ask than the kernel for all of them."""
    return len(_pinned)


_pinned: list[tuple[bytes, list[bytes]]] = []
