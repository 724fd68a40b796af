"""A long list of rules is compiled by two processes, and nobody can tell from the cdb."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from svtree.formats import cdb
from svtree.formats.rules import RulesError, columns
from svtree.tcp.compiling import WORTH, compile_rules

LINES = [
    b"10.%d.%d.%d:%s" % (number & 255, number >> 8 & 255, number >> 16, (b"deny", b'allow,N="%d"' % number)[number & 1])
    for number in range(WORTH // 16)
]
NETWORKS = [b"2001:db8::/32:deny", b"10.64.0.0/10:allow"]


def compiled(folder: Path, text: bytes) -> bytes:
    descriptor = os.open(folder / "a.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        compile_rules(text, descriptor)
    finally:
        os.close(descriptor)
    return (folder / "a.tmp").read_bytes()


def alone(text: bytes) -> bytes:
    return b"".join(cdb.make_columns(columns(text)))


@pytest.mark.parametrize("first", [[], NETWORKS[:1]], ids=["no networks", "a network"])
@pytest.mark.parametrize("last", [[], NETWORKS[1:], NETWORKS], ids=["none", "one", "two"])
def test_two_make_the_cdb_that_one_makes(folder: Path, first: list[bytes], last: list[bytes]) -> None:
    text = b"\n".join([*first, *LINES, *last])
    assert len(text) > WORTH
    assert compiled(folder, text) == alone(text)


def test_a_list_of_one_line_has_no_second_half(folder: Path) -> None:
    text = b"1.2.3.4:allow,LONG=/%b/\n" % (b"x" * WORTH)
    assert compiled(folder, text) == alone(text)
    assert compiled(folder, text[:-1]) == alone(text)


@pytest.mark.parametrize("line", [3, len(LINES) // 2, len(LINES) - 3])
def test_a_bad_line_of_either_half_is_named_by_its_number(folder: Path, line: int) -> None:
    lines = [*LINES]
    lines[line - 1] = b"1.2.3.4:alow"
    lines[len(LINES) - 1] = b"1.2.3.5:deny,A=x"
    with pytest.raises(RulesError) as caught:
        compiled(folder, b"\n".join(lines))
    assert (caught.value.line, caught.value.text) == (line, b"1.2.3.4:alow")


def test_where_no_process_is_to_be_had_it_is_made_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", none_left)
    text = b"\n".join(LINES)
    assert compiled(folder, text) == alone(text)


def test_a_second_process_that_is_killed_is_not_missed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork

    def short_lived() -> int:
        pid = fork()
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid

    monkeypatch.setattr(os, "fork", short_lived)
    text = b"\n".join(LINES)
    assert compiled(folder, text) == alone(text)


def test_a_full_disk_is_an_error_of_the_file_and_leaves_no_process(folder: Path) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space"):
            compile_rules(b"\n".join(LINES), descriptor)
    finally:
        os.close(descriptor)
