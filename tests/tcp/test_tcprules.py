"""What our tcprules does beyond the original's bytes: it destroys no input, and it can name it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness import Processes, environment, ours, run, until


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
