from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.harness import Processes, ours, run


class Fed:
    """A filter whose input stays open."""

    def __init__(self, processes: Processes, name: str) -> None:
        self._process = processes.start([ours(name)], stdin=subprocess.PIPE, env={"TZ": "UTC"})

    def say(self, data: bytes) -> bytes:
        """Write this and nothing more; what comes for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        os.write(self._process.stdin.fileno(), data)
        return os.read(self._process.stdout.fileno(), 65536)


def test_tai64n_passes_on_what_has_come_when_the_input_pauses(processes: Processes) -> None:
    fed = Fed(processes, "tai64n")
    assert re.fullmatch(rb"@[0-9a-f]{24} one\n@[0-9a-f]{24} tw", fed.say(b"one\ntw"))
    assert fed.say(b"o") == b"o"
    assert re.fullmatch(rb"\n@[0-9a-f]{24} \n", fed.say(b"\n\n"))


def test_tai64nlocal_passes_on_what_has_come_when_the_input_pauses(processes: Processes) -> None:
    fed = Fed(processes, "tai64nlocal")
    assert fed.say(b"one\n@40000000") == b"one\n"
    assert fed.say(b"37c219bf2ef02e94 t") == b"1999-08-24 04:04:05.787492500 t"
    assert fed.say(b"wo\n") == b"wo\n"


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_what_tai64n_writes_tai64nlocal_reads(zone: str) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(5000))
    done = run(["sh", "-c", f"{ours('tai64n')} | {ours('tai64nlocal')}"], stdin=lines, env={"TZ": zone})
    stamps = re.findall(rb"(?m)^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}) line \d+$", done.out)
    assert len(stamps) == 5000
    assert stamps == sorted(set(stamps))
