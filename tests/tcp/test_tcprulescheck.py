"""tcprulescheck where the original crashes (what is no cdb is one line), and where it knows no client (IPv6)."""

from __future__ import annotations

from pathlib import Path

import pytest

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


RULES = b"""2001:db8::/32:deny
2001:db8::7:allow,A="1"
10.64.0.0/10:deny
10.:allow,B="2"
joe@2001:db8::8:allow
"""


@pytest.mark.parametrize(
    ("client", "answer"),
    [
        ({"TCPREMOTEIP": "2001:db8::1"}, b"rule 2001:db8::/32:\ndeny connection\n"),
        ({"TCPREMOTEIP": "2001:0DB8:0::7"}, b"rule 2001:db8::7:\nset environment variable A=1\nallow connection\n"),
        ({"TCPREMOTEIP": "2001:db8::8", "TCPREMOTEINFO": "joe"}, b"rule joe@2001:db8::8:\nallow connection\n"),
        ({"TCPREMOTEIP": "2001:db9::1"}, b"default:\nallow connection\n"),
        ({"TCPREMOTEIP": "10.127.0.1"}, b"rule 10.64.0.0/10:\ndeny connection\n"),
        ({"TCPREMOTEIP": "::ffff:10.127.0.1"}, b"rule 10.64.0.0/10:\ndeny connection\n"),
        ({"TCPREMOTEIP": "10.1.0.1"}, b"rule 10.:\nset environment variable B=2\nallow connection\n"),
    ],
)
def test_networks_and_ipv6_clients_are_found(folder: Path, client: dict[str, str], answer: bytes) -> None:
    run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=RULES, cwd=folder)
    done = run([ours("tcprulescheck"), "a.cdb"], env=client, cwd=folder)
    assert (done.code, done.out, done.err) == (0, answer, b"")
