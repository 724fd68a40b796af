"""who@, date@, finger@, http@, tcpcat, mconnect and mconnect-io beside the originals."""

from __future__ import annotations

import pytest

from tests.harness import Result, free_port, original, ours, run
from tests.tcp.answering import answering
from tests.tcp.nameserver import loopback

pytestmark = pytest.mark.oracle
ODD = bytes(range(256)) + b"\r\nline\r\n\r\n\xe9\r\rlast"
PAGE = b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nfirst\r\n\r\nsecond \xe9\r\n\r\nlast"


def both(name: str, *arguments: str, stdin: bytes = b"") -> Result:
    """What the original does, having checked that ours does the same."""
    theirs = run([original(name), *arguments], stdin=stdin)
    assert run([ours(name), *arguments], stdin=stdin) == theirs
    return theirs


@pytest.mark.root
@pytest.mark.parametrize(("name", "port"), [("who@", 11), ("date@", 13)])
@pytest.mark.parametrize("says", [(), (b"Mon Nov 23\r\n",), (b"a\r", b"\nb\r"), (ODD,)], ids=range(4))
def test_what_a_host_says_is_shown_alike(name: str, port: int, says: tuple[bytes, ...]) -> None:
    with answering(*says, ip=(ip := loopback()), port=port):
        done = both(name, ip)
    assert done.code == 0
    assert b"\x1b" not in done.out


@pytest.mark.root
@pytest.mark.parametrize("user", [(), ("",), ("root",), ("two words",)])
def test_a_user_is_asked_for_and_the_answer_shown_alike(user: tuple[str, ...]) -> None:
    with answering(ODD, ip=(ip := loopback()), port=79, until=b"\n") as server:
        both("finger@", ip, *user)
    assert server.heard[0] == server.heard[1] == (user[0] if user else "").encode() + b"\r\n"


@pytest.mark.root
@pytest.mark.parametrize("arguments", [(), ("",), ("page",), ("a/b?c", "{port}")])
@pytest.mark.parametrize("answer", [PAGE, b"", b"no head", b"\r\n", b"\r\n\r\n\r\nx"], ids=range(5))
def test_a_page_is_fetched_alike(arguments: tuple[str, ...], answer: bytes) -> None:
    port = 0 if len(arguments) > 1 else 80
    with answering(answer, ip=(ip := loopback()), port=port, until=b"\r\n\r\n") as server:
        both("http@", ip, *(word.format(port=server.port) for word in arguments))
    assert server.heard[0] == server.heard[1]
    assert server.heard[1].startswith(
        b"GET /" + (arguments or ("",))[0].encode() + b" HTTP/1.0\r\nHost: " + ip.encode()
    )


@pytest.mark.parametrize("says", [(), (b"quote of the day\r\n", b"no end"), (ODD * 1000,)], ids=range(3))
def test_tcpcat_copies_what_comes_alike(says: tuple[bytes, ...]) -> None:
    with answering(*says) as server:
        assert both("tcpcat", "0", str(server.port)) == Result(0, b"".join(says), b"")


@pytest.mark.parametrize("stdin", [b"QUIT\n", b"NOOP\r\nQUIT\n", b"x" * 100_000 + b"\nQUIT\n"], ids=range(3))
def test_mconnect_sends_lines_with_their_cr_and_shows_what_comes_back(stdin: bytes) -> None:
    with answering(b"221 bye\r\n", until=b"QUIT\r\n") as server:
        assert both("mconnect", "0", str(server.port), stdin=stdin) == Result(0, b"221 bye\r\n", b"")
    assert server.heard[0] == server.heard[1] == stdin.replace(b"\n", b"\r\n")


def test_mconnect_io_talks_over_a_connection_of_tcpclient() -> None:
    with answering(b"221 bye\r\n", until=b"QUIT\r\n") as server:
        for client in (original("tcpclient"), ours("tcpclient")):
            for program in (original("mconnect-io"), ours("mconnect-io")):
                done = run([client, "-RHl0", "0", str(server.port), program], stdin=b"QUIT\n")
                assert done == Result(0, b"221 bye\r\n", b"")
    assert (
        run([ours("mconnect-io")], stdin=b"x\n") == run([original("mconnect-io")], stdin=b"x\n") == Result(0, b"", b"")
    )


@pytest.mark.parametrize("name", ["who@", "date@", "finger@", "http@", "tcpcat", "mconnect"])
def test_what_cannot_be_reached_is_told_alike(name: str) -> None:
    ip = loopback()
    done = both(name, ip)
    assert done.code == (111 if name in {"tcpcat", "mconnect"} else 0)
    assert done.err.startswith(b"tcpclient: unable to connect to " + ip.encode())
    assert both(name, "1.2.3").err == b"tcpclient: fatal: no IP address for 1.2.3\n"
    if name in {"tcpcat", "mconnect"}:
        assert both(name, "0", "no-such-service").code == 111
        both(name, "", str(free_port()))
