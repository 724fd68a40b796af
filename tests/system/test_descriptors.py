from __future__ import annotations

import os
import subprocess
import sys

import pytest

from svtree.system import descriptors

# In a process of its own: the standard descriptors are what is moved about.
SCRIPT = """
import os, sys
from svtree.system import descriptors
{body}
"""


def script(body: str, **more: int) -> bytes:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(body=body)], stdin=subprocess.DEVNULL, capture_output=True, check=True
    ).stdout


def test_swapped_descriptors_are_placed_all_at_once() -> None:
    out = script(
        "r, w = os.pipe(); r2, w2 = os.pipe()\n"
        "os.write(w, b'first'); os.write(w2, b'second')\n"
        "descriptors.place({r: r2, r2: r})\n"
        "os.write(1, os.read(r, 9) + b' ' + os.read(r2, 9))"
    )
    assert out == b"second first"


@pytest.mark.parametrize("number", [0, 1])
def test_a_descriptor_that_is_already_in_its_place_becomes_inheritable(number: int) -> None:
    out = script(
        f"copy = descriptors.duplicate(1); os.close({number})\n"
        f"fd = os.open('/dev/null', os.O_RDWR); assert fd == {number}, fd; assert not os.get_inheritable(fd)\n"
        f"descriptors.place({{{number}: fd}})\n"
        f"os.write(copy, str(os.get_inheritable({number})).encode())"
    )
    assert out == b"True"


def test_closed_standard_descriptors_are_opened() -> None:
    out = script(
        "copy = descriptors.duplicate(1, 10); os.close(0); os.close(2)\n"
        "descriptors.ensure_standard()\n"
        "os.write(copy, (os.readlink('/proc/self/fd/0') + os.readlink('/proc/self/fd/2')).encode())"
    )
    assert out == b"/dev/null/dev/null"


def test_a_duplicate_is_close_on_exec_and_at_least_what_was_asked() -> None:
    copy = descriptors.duplicate(1, 50)
    assert copy >= 50
    assert not os.get_inheritable(copy)
    os.close(copy)
