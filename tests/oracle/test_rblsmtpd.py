"""rblsmtpd beside the original: the same decisions, dialogues and log lines."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.harness import DEADLINE, Processes, Result, original, ours, run
from tests.tcp.nameserver import Running, Zone, nameserver

pytestmark = pytest.mark.oracle
DIALOGUE = b"HELO x\r\nEHLO x\nmail from:<a@b>\nRCPT TO:<c@d>\nrset\nnoop\nDATA\n\nvrfy\0x\nhElO\nQUIT\nnoop\n"
NEXT = ("echo", "accepted")


def without_pid(result: Result) -> Result:
    return Result(result.code, result.out, re.sub(rb" pid \d+:", b" pid N:", result.err))


def both(*arguments: str, env: dict[str, str] | None = None, stdin: bytes = DIALOGUE) -> Result:
    """What the original does, having checked that ours does the same."""
    theirs = without_pid(run([original("rblsmtpd"), *arguments], env=env, stdin=stdin))
    assert without_pid(run([ours("rblsmtpd"), *arguments], env=env, stdin=stdin)) == theirs
    return theirs


@pytest.mark.parametrize(
    "arguments", [(), ("-b",), ("-R", "true"), ("-t",), ("./missing",), ("sh", "-c", "exit 4"), ("true",)]
)
def test_the_same_texts_and_codes(arguments: tuple[str, ...]) -> None:
    both(*arguments)


@pytest.mark.parametrize(
    "value", ["", "no thanks", "-no thanks, ever", "-", "-\x01\n\x7f\xe9", "x" * 300, "-" + "y" * 199 + "\n" * 9]
)
@pytest.mark.parametrize("options", [(), ("-b",), ("-t", "0"), ("-t", "x"), ("-bc", "-t", "5")])
def test_what_the_environment_says_decides(value: str, options: tuple[str, ...]) -> None:
    done = both(*options, *NEXT, env={"RBLSMTPD": value, "TCPREMOTEIP": "192.0.2.9"})
    assert (done.out == b"accepted\n") == (value == "")


@pytest.mark.parametrize("stdin", [b"", b"quit", b"quit\r\n", b"\r\r\n", b" quit\n", b"quit now\n", b"noop\n" * 3000])
def test_a_dialogue_of_any_kind(stdin: bytes) -> None:
    both(*NEXT, env={"RBLSMTPD": "no"}, stdin=stdin)


def test_a_client_that_stays_is_left_after_the_timeout(processes: Processes) -> None:
    started = [
        processes.start([program, "-t", "1", "true"], stdin=subprocess.PIPE, env={"RBLSMTPD": "no"})
        for program in (original("rblsmtpd"), ours("rblsmtpd"))
    ]
    for each in started:
        assert each.wait(DEADLINE) == 0
        assert each.stdout is not None
        assert each.stdout.read() == b"220 rblsmtpd.local\r\n"


LISTED, CLEARED, LONG, PLAIN = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"


@pytest.fixture
def names() -> Iterator[Running]:
    zone = Zone(
        addresses={"2.2.0.192.good.example": ["127.0.0.2"], "1.2.0.192.bad.example": ["127.0.0.2"]},
        texts={
            "1.2.0.192.bad.example": [b"listed at http://bad.example/?\xe9\x07", b"twice"],
            "1.2.0.192.worse.example": [b"worse"],
            "2.2.0.192.bad.example": [b"listed, too"],
            "3.2.0.192.bad.example": [b"long " * 60],
        },
    )
    with nameserver(zone, 53) as server:
        yield server


@pytest.mark.root
@pytest.mark.parametrize("ip", [LISTED, CLEARED, LONG, PLAIN, ""])
@pytest.mark.parametrize(
    "options",
    [
        ("-r", "bad.example"),
        ("-b", "-r", "bad.example"),
        ("-r", "bad.example", "-b"),
        ("-rother.example", "-b", "-r", "bad.example", "-r", "worse.example"),
        ("-r", "worse.example", "-rbad.example"),
        ("-a", "good.example", "-r", "bad.example"),
        ("-r", "bad.example", "-a", "good.example"),
        ("-a", "good.example"),
        ("-r", "x" * 64 + ".example"),
        ("-c", "-b", "-r", "x" * 64 + ".example"),
        ("-c", "-a", "x" * 64 + ".example", "-b", "-r", "bad.example"),
        ("-a", "x" * 64 + ".example", "-b", "-r", "bad.example"),
    ],
)
def test_lists_decide_in_their_order(names: Running, ip: str, options: tuple[str, ...]) -> None:
    both(*options, *NEXT, env={"TCPREMOTEIP": ip, "DNSCACHEIP": names.ip})


@pytest.mark.root
@pytest.mark.parametrize(
    "options",
    [
        ("-r", "bad.example"),
        ("-c", "-r", "bad.example"),
        ("-bc", "-r", "a.example"),
        ("-a", "good.example"),
        ("-c", "-a", "good.example"),
    ],
)
def test_a_list_that_cannot_be_asked(names: Running, options: tuple[str, ...]) -> None:
    # Truncated, so that the original asks by TCP, where it does not try again for a minute.
    names.zone.truncated = True
    names.zone.code = 2
    both(*options, *NEXT, env={"TCPREMOTEIP": LISTED, "DNSCACHEIP": names.ip})


@pytest.mark.root
def test_the_environment_comes_before_the_lists_which_are_not_even_asked(names: Running) -> None:
    for value in ("", "because", "-because"):
        both("-r", "bad.example", *NEXT, env={"TCPREMOTEIP": LISTED, "RBLSMTPD": value, "DNSCACHEIP": names.ip})
    assert names.zone.asked == []


@pytest.mark.root
def test_a_text_that_is_cut_short_is_fetched_by_tcp(names: Running) -> None:
    names.zone.truncated = True
    done = both("-r", "bad.example", *NEXT, env={"TCPREMOTEIP": LISTED, "DNSCACHEIP": names.ip})
    assert b"451 listed at http://bad.example/???twice\r\n" in done.out
    assert names.zone.by_tcp >= 2
