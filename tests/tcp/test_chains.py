"""The filters and rblsmtpd in chains behind tcpserver, where they run in the connection's own process without exec."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import Processes
from tests.tcp.serving import NAMELESS, compile_rules, everything, greeting, serve, smtp_home

WORKERS = pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["forked", "workers"])


@WORKERS
def test_recordio_shows_a_session_with_our_smtpd(folder: Path, processes: Processes, workers: tuple[str, ...]) -> None:
    server = serve(processes, folder, "recordio", "qmail-smtpd", options=(*NAMELESS, *workers), env=smtp_home(folder))
    for _ in range(3):
        with server.client() as client:
            assert greeting(client) == b"220 host.example ESMTP\r\n"
            client.sendall(b"HELO x\r\n")
            assert greeting(client) == b"250 host.example\r\n"
            client.sendall(b"QUIT\r\n")
            assert everything(client) == b"221 host.example\r\n"
    server.until_logged(r"^\d+ > 220 host.example ESMTP$", 3)
    server.until_logged(r"^\d+ < QUIT$", 3)
    server.until_logged(r"^\d+ > \[EOF\]$", 3)
    numbers = {match.group(1) for match in server.until_logged(r"^(\d+) [<>] ")}
    ended = server.until_logged(r"^tcpserver: end (\d+) status 0$", 3)
    if not workers:
        assert numbers == {match.group(1) for match in ended}


@WORKERS
def test_fixcrio_lets_a_client_end_lines_with_a_bare_newline(
    folder: Path, processes: Processes, workers: tuple[str, ...]
) -> None:
    server = serve(processes, folder, "fixcrio", "qmail-smtpd", options=(*NAMELESS, *workers), env=smtp_home(folder))
    for _ in range(3):
        lines = server.get(say=b"HELO x\nMAIL FROM:<>\nQUIT\n").splitlines()
        assert [line[:3] for line in lines] == [b"220", b"250", b"250", b"221"]


@WORKERS
def test_rules_that_set_rblsmtpd_turn_one_client_away_and_not_the_next(
    folder: Path, processes: Processes, workers: tuple[str, ...]
) -> None:
    rules = compile_rules(folder, '127.0.0.9:allow,RBLSMTPD="-go away"\n127.0.0.8:allow,RBLSMTPD=""\n:allow\n')
    server = serve(
        processes,
        folder,
        "rblsmtpd",
        "qmail-smtpd",
        options=(*NAMELESS, *workers, "-x", str(rules)),
        env=smtp_home(folder),
    )
    for _ in range(3):
        refused = server.get("127.0.0.9", b"HELO x\r\nRCPT TO:<a@host.example>\r\nQUIT\r\n")
        assert refused == b"220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n553 go away\r\n221 rblsmtpd.local\r\n"
        for ip in ("127.0.0.8", "127.0.0.7"):
            assert server.get(ip, b"QUIT\r\n") == b"220 host.example ESMTP\r\n221 host.example\r\n"
    told = server.until_logged(r"^rblsmtpd: 127.0.0.9 pid \d+: 553 go away$", 3)
    assert len(told) == 3


def test_a_chain_of_everything_runs_and_argv0_names_its_end(folder: Path, processes: Processes) -> None:
    chain = (
        "fixcrio",
        "rblsmtpd",
        "recordio",
        "setlock",
        "lock",
        "argv0",
        "sh",
        "-mysh",
        "-c",
        "echo I am $0; read a; echo $a",
    )
    server = serve(processes, folder, *chain)
    assert re.sub(rb"\s+", b" ", server.get(say=b"hello\n")) == b"I am -mysh hello "
    server.until_logged(r"^\d+ < hello$")
