"""tcprulescheck where the original crashes: what is no cdb is one line."""

from __future__ import annotations

from pathlib import Path

from tests.harness import ours, run


def test_a_directory_in_the_place_of_the_cdb_is_one_line(folder: Path) -> None:
    done = run([ours("tcprulescheck"), "."], cwd=folder)
    assert (done.code, done.err) == (111, b"tcprulescheck: fatal: unable to read .: is a directory\n")


def test_a_truncated_cdb_is_a_protocol_error_whatever_is_asked(folder: Path) -> None:
    run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=b"1.:deny\n", cwd=folder)
    whole = (folder / "a.cdb").read_bytes()
    (folder / "a.cdb").write_bytes(whole[:-1])
    done = run([ours("tcprulescheck"), "a.cdb"], cwd=folder)
    assert (done.code, done.err) == (111, b"tcprulescheck: fatal: unable to read a.cdb: protocol error\n")
