from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from svtree.system.title import Title
title = Title(b"." * 8)
{do}
print(open("/proc/self/cmdline", "rb").read().split(b"\\0")[-2].decode())
"""


def last_word_after(do: str) -> str:
    done = subprocess.run([sys.executable, "-c", CODE.format(do=do), "." * 8], capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    ("do", "shown"),
    [
        ("title.show(b'12345678')", "12345678"),
        ("title.show(b'1234567')", "........"),
        ("title.show(b'123456789')", "........"),
        ("title.show(b'first...'); title.show(b'second..')", "second.."),
        ("title.close(); title.show(b'12345678'); title.close()", "........"),
    ],
)
def test_a_text_of_the_words_length_takes_its_place(do: str, shown: str) -> None:
    assert last_word_after(do) == shown
