"""The last word of this process's command line, as `ps` shows it, to be written over.

The words of a command line lie one after another in memory, each with a NUL after it, between the addresses that
/proc/self/stat calls arg_start and arg_end; /proc/PID/cmdline, and so `ps`, is a copy of that place. It is our own
memory: we write there through /proc/self/mem, which needs no privilege and no C. See proc(5).
"""

from __future__ import annotations

import os

from svtree.system import atomic

# Fields 48 and 49 of proc(5), counted from the third, the first after the parenthesised name.
ARG_START = 48 - 3
ARG_END = 49 - 3


class Title:
    """The place of the last word. Where it cannot be found or written, nothing is shown and nothing is wrong."""

    def __init__(self, word: bytes) -> None:
        """`word` is what stands there now; where it does not (we run inside another program), it is left alone."""
        self._memory = -1
        self._size = len(word)
        try:
            fields = atomic.read(b"/proc/self/stat").rpartition(b")")[2].split()
            self._place = int(fields[ARG_END]) - 1 - self._size
            if self._place < int(fields[ARG_START]):
                return
            memory = os.open(b"/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
        except (OSError, IndexError):
            return
        if self._holds(memory, word):
            self._memory = memory
        else:
            os.close(memory)

    def show(self, text: bytes) -> None:
        """Put `text`, which is exactly as long as the word, in its place."""
        if self._memory < 0 or len(text) != self._size:
            return
        try:
            os.pwrite(self._memory, text, self._place)
        except OSError:
            # A kernel that forbids it: what is read is still read, or the writers would stop.
            self.close()

    def close(self) -> None:
        """Show nothing more."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def _holds(self, memory: int, word: bytes) -> bool:
        try:
            return os.pread(memory, self._size + 1, self._place) == word + b"\0"
        except OSError:
            return False
