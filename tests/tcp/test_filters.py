from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, ours, run, until

BIG = bytes(range(256)) * 8192


@pytest.mark.parametrize("name", ["recordio", "fixcrio"])
def test_more_than_the_pipes_hold_goes_through_a_program_that_answers_as_it_reads(name: str) -> None:
    data = BIG.replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n")
    done = run([ours(name), "cat"], stdin=data)
    assert hashlib.sha256(done.out).digest() == hashlib.sha256(data).digest()
    assert done.code == 0


@pytest.mark.parametrize("name", ["recordio", "fixcrio"])
def test_the_end_of_the_input_reaches_the_program_which_then_says_the_rest(name: str) -> None:
    done = run([ours(name), "sh", "-c", "cat >/dev/null; echo after the end; exit 5"], stdin=b"x\n")
    assert (done.code, done.out.rstrip()) == (5, b"after the end")


@pytest.mark.parametrize("name", ["recordio", "fixcrio"])
def test_a_program_that_closes_its_input_is_still_heard(name: str, folder: Path, processes: Processes) -> None:
    """The original ends at the first write that fails, and loses what the program has still to say."""
    script = "exec <&-; touch closed; while [ ! -e on ]; do sleep 0.02; done; echo last words"
    started = processes.start([ours(name), "sh", "-c", script], stdin=-1, cwd=folder)
    assert started.stdin is not None
    assert started.stdout is not None
    until((folder / "closed").exists)
    started.stdin.write(b"nobody reads this\n")
    started.stdin.close()
    (folder / "on").touch()
    assert started.stdout.read().rstrip() == b"last words"
    assert started.wait(DEADLINE) == 0


@pytest.mark.parametrize("name", ["recordio", "fixcrio"])
def test_a_client_that_has_gone_ends_the_program_by_a_broken_pipe(name: str) -> None:
    done = run(["bash", "-c", f"{ours(name)} yes 2>/dev/null | head -1; echo ${{PIPESTATUS[0]}}"])
    assert done.out.split() == [b"y", b"141"]


def test_descriptors_that_the_program_had_are_still_there_and_none_is_added(folder: Path) -> None:
    (folder / "file").write_text("content\n")
    done = run(["sh", "-c", f"exec {ours('fixcrio')} sh -c 'cat <&5; ls /proc/self/fd' 5< file"], cwd=folder)
    # 3 is what ls has open to list.
    assert done.out.replace(b"\r", b"").split() == [b"content", b"0", b"1", b"2", b"3", b"5"]


def test_a_socket_as_input_and_output_is_served_both_ways(processes: Processes) -> None:
    mine, theirs = socket.socketpair()
    with mine:
        started = processes.start([ours("fixcrio"), "cat"], stdin=theirs.fileno(), stdout=theirs.fileno())
        theirs.close()
        mine.settimeout(DEADLINE)
        mine.sendall(b"a\n")
        assert mine.recv(100) == b"a\r\n"
        mine.shutdown(socket.SHUT_WR)
        assert mine.recv(100) == b""
        assert started.wait(DEADLINE) == 0


@pytest.mark.parametrize("name", ["addcr", "delcr"])
def test_a_filter_passes_on_what_has_come_before_more_comes(name: str, processes: Processes) -> None:
    started = processes.start([ours(name)], stdin=-1)
    assert started.stdin is not None
    assert started.stdout is not None
    started.stdin.write(b"a\nb")
    started.stdin.flush()
    expected = b"a\r\nb" if name == "addcr" else b"a\nb"
    assert os.read(started.stdout.fileno(), 100) == expected
    started.stdin.close()
    assert started.wait(DEADLINE) == 0


@pytest.mark.parametrize("name", ["recordio", "fixcrio"])
def test_a_standard_descriptor_that_is_closed_is_an_empty_one(name: str) -> None:
    done = run(["sh", "-c", f"exec {ours(name)} sh -c 'cat; echo end' 0<&-"])
    assert (done.code, done.out.rstrip()) == (0, b"end")
    assert run(["sh", "-c", f"exec {ours(name)} sh -c 'echo end; exit 3' 0<&- 1>&-"]).code == 3
