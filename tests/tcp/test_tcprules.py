"""What our tcprules does beyond the original's bytes: it destroys no input, and it can name it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness import Processes, Result, environment, ours, run, until


@pytest.mark.parametrize(("target", "temporary"), [("a.cdb", "tcp.smtp"), ("tcp.smtp", "a.tmp"), ("a.cdb", "link")])
def test_an_input_that_is_also_an_output_is_refused_and_stays_whole(folder: Path, target: str, temporary: str) -> None:
    source = folder / "tcp.smtp"
    source.write_bytes(b":allow\n")
    (folder / "link").symlink_to("tcp.smtp")
    with source.open("rb") as file:
        done = subprocess.run(
            [ours("tcprules"), target, temporary],
            stdin=file,
            cwd=folder,
            env=environment(),
            capture_output=True,
            check=False,
        )
    assert done.returncode == 100
    assert done.stderr.endswith(b" is the input itself\n")
    assert source.read_bytes() == b":allow\n"
    assert not (folder / "a.cdb").exists()


def test_a_third_argument_names_the_input_with_line_and_reason(folder: Path) -> None:
    text = b'# relays\n127.:allow,RELAYCLIENT="\n'
    done = run([ours("tcprules"), "a.cdb", "a.tmp", "tcp.smtp"], stdin=text, cwd=folder)
    assert (done.code, done.err) == (100, b"tcprules: fatal: tcp.smtp:2: missing closing quote\n")


def test_rules_that_do_not_compile_leave_the_old_cdb_as_it_was(folder: Path) -> None:
    run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=b":deny\n", cwd=folder)
    before = (folder / "a.cdb").read_bytes()
    assert run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=b":deni\n", cwd=folder).code == 100
    assert (folder / "a.cdb").read_bytes() == before


def test_readers_see_the_old_or_the_new_rules_and_nothing_between(folder: Path, processes: Processes) -> None:
    script = 'i=0; while [ $i -lt 30 ]; do echo ":allow,I=\\"$i\\"" | "$0" a.cdb a.tmp || exit 1; i=$((i+1)); done'
    run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=b':allow,I="0"\n', cwd=folder)
    writer = processes.start(["/bin/sh", "-c", script, ours("tcprules")], cwd=folder)
    answers = []

    def over() -> bool:
        answers.append(run([ours("tcprulescheck"), "a.cdb"], cwd=folder))
        return writer.poll() is not None

    until(over)
    assert writer.returncode == 0
    assert {(answer.code, answer.err) for answer in answers} == {(0, b"")}
    assert os.listdir(folder) == ["a.cdb"]


ODD = b'127.:allow,RELAYCLIENT=""\n192.168.2:allow\n:allow, A="1"\n'
WARNINGS = [
    b"never matches: a prefix ends with a dot, 192.168.2.",
    b'the name of the variable is " A": spaces count, leave them out',
]


def test_odd_lines_are_warned_of_and_compiled(folder: Path) -> None:
    done = run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=ODD, cwd=folder)
    assert done.code == 0
    assert done.err.splitlines() == [
        b"tcprules: warning: line %d: %s" % (line, text) for line, text in zip((2, 3), WARNINGS, strict=True)
    ]
    named = run([ours("tcprules"), "b.cdb", "b.tmp", "tcp.smtp"], stdin=ODD, cwd=folder)
    assert named.err.startswith(b"tcprules: warning: tcp.smtp:2: never")
    assert (folder / "a.cdb").read_bytes() == (folder / "b.cdb").read_bytes()


def test_q_silences_warnings_and_nothing_else(folder: Path) -> None:
    done = run([ours("tcprules"), "-q", "a.cdb", "a.tmp"], stdin=ODD, cwd=folder)
    assert (done.code, done.out, done.err) == (0, b"", b"")
    assert (folder / "a.cdb").exists()
    done = run([ours("tcprules"), "-q", "a.cdb", "a.tmp", "tcp.smtp"], stdin=b":deni\n", cwd=folder)
    assert (done.code, done.err) == (
        100,
        b"tcprules: fatal: tcp.smtp:1: neither allow nor deny after the colon\n",
    )


def test_a_cdb_called_q_is_what_the_original_makes_of_two_arguments(folder: Path) -> None:
    assert run([ours("tcprules"), "-q", "a.tmp"], stdin=b":deny\n", cwd=folder).code == 0
    assert [path.name for path in folder.iterdir()] == ["-q"]


def test_rules_that_do_not_compile_are_the_only_thing_spoken_of(folder: Path) -> None:
    done = run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=b"10:allow\n:deni\n", cwd=folder)
    assert (done.code, done.err) == (100, b"tcprules: fatal: unable to parse this line: :deni\n")


def test_a_mistake_made_often_is_told_some_times(folder: Path) -> None:
    text = b"".join(b"10.%d:deny\n" % number for number in range(30))
    told = run([ours("tcprules"), "a.cdb", "a.tmp", "rules"], stdin=text, cwd=folder).err.splitlines()
    assert len(told) == 21
    assert told[-1] == b"tcprules: warning: rules: 10 more, which svtree rules lint shows"


def test_ten_thousand_lines_are_looked_through_and_a_list_of_millions_is_not(folder: Path) -> None:
    lines = [b'10.%d.%d.7:allow,N="%d"' % (number // 256, number % 256, number) for number in range(10_000)]
    text = b"\n".join([*lines, b"192.168.2:deny", b""])
    done = run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=text, cwd=folder)
    expected = b"tcprules: warning: line 10001: never matches: a prefix ends with a dot, 192.168.2.\n"
    assert (done.code, done.err) == (0, expected)
    assert run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=text * 3, cwd=folder) == Result(0, b"", b"")
