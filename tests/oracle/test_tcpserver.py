"""Our tcpserver beside the original: the same command, the same clients, the same log, environment and messages."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, Result, free_port, original, ours, run
from tests.tcp.identserver import identserver
from tests.tcp.nameserver import Zone, loopback, nameserver
from tests.tcp.serving import NAMELESS, Serving, compile_rules, everything, greeting, serve

pytestmark = pytest.mark.oracle

RULES = """
127.0.0.2:deny
127.0.0.3:allow,RELAYCLIENT="",WORD="a b=c:d,e"
127.0.0.4-5:allow,TCPREMOTEHOST="other"
127.0.1.:deny
127.0.0.6:deny,IGNORED="x"
=.client.example:allow,BY="name"
joe@127.0.0.8:deny
:allow
"""
SHOW = ("sh", "-c", "env | sort; exit 3")


def pair(
    processes: Processes,
    folder: Path,
    *words: str,
    options: Sequence[str] = NAMELESS,
    env: dict[str, str] | None = None,
) -> tuple[Serving, Serving]:
    """The original and ours, serving the same."""
    theirs, our_own = (
        serve(processes, folder, *words, options=options, program=program, env=env)
        for program in (original("tcpserver"), ours("tcpserver"))
    )
    return theirs, our_own


def plain(server: Serving) -> list[str]:
    """The log without what differs from one run to the next: pids and ports."""
    lines = []
    for line in server.log():
        shown = re.sub(r"^(tcpserver: (?:pid|ok|deny|end)) \d+", r"\1 PID", line)
        shown = re.sub(rf":{server.port} ", ":HERE ", shown)
        lines.append(re.sub(r":\d+$", ":THERE", shown))
    return lines


def environment_of(server: Serving, ip: str) -> list[bytes]:
    """What the handler shows of its environment, but for what differs from one connection to the next."""
    passing = (b"TCPLOCALPORT=", b"TCPREMOTEPORT=", b"_=", b"PWD=", b"OLDPWD=", b"SHLVL=")
    return [line for line in server.get(ip).split(b"\n") if not line.startswith(passing)]


def compare(both: tuple[Serving, Serving], clients: Sequence[str]) -> None:
    """The same clients, one after another, see the same and leave the same log."""
    for at, ip in enumerate(clients, 1):
        seen = []
        for server in both:
            seen.append(environment_of(server, ip))
            server.until_logged(r"^tcpserver: end ", at)
            server.until_logged(r"^tcpserver: status: 0/", at + 1)
        assert seen[0] == seen[1], ip
    assert plain(both[0]) == plain(both[1])


@pytest.mark.parametrize(
    "options",
    [
        NAMELESS,
        ("-HR", "-l", "a%b:c d" + "x" * 120),
        ("-HRD", "-o", "-l0", "-c", "3"),
        ("-HRlhere", "-B", "banner\r\n"),
        ("-HRlhere", "-b", "5", "-t", "3"),
    ],
)
def test_environment_and_log_are_equal(processes: Processes, folder: Path, options: tuple[str, ...]) -> None:
    rules = str(compile_rules(folder, RULES))
    both = pair(processes, folder, *SHOW, options=(*options, "-x", rules))
    compare(both, [f"127.0.0.{n}" for n in range(1, 9)] + ["127.0.1.1", "127.0.2.1"])


def test_without_rules_environment_and_log_are_equal(processes: Processes, folder: Path) -> None:
    stale = {"TCPREMOTEHOST": "stale", "TCPREMOTEINFO": "stale", "TCPLOCALHOST": "stale", "PROTO": "UDP"}
    compare(pair(processes, folder, *SHOW, env=stale), ["127.0.0.1", "127.9.8.7"])


@pytest.mark.parametrize(
    ("spoil", "options"),
    [
        (lambda path: path.unlink(), ()),
        (lambda path: path.unlink(), ("-X",)),
        (lambda path: path.write_bytes(b""), ("-X",)),
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), ()),
        (lambda path: path.write_bytes(path.read_bytes()[:2060]), ("-B", "hello\n")),
    ],
    ids=["missing", "missing and forgiven", "empty", "no header", "cut"],
)
def test_rules_that_cannot_be_read_have_the_same_effect(
    processes: Processes, folder: Path, spoil: Callable[[Path], None], options: tuple[str, ...]
) -> None:
    rules = compile_rules(folder, RULES)
    both = pair(processes, folder, *SHOW, options=(*NAMELESS, *options, "-x", str(rules)))
    spoil(rules)
    compare(both, ["127.0.0.3"])


@pytest.mark.parametrize("words", [("nosuch",), ("./text",), ("/",), ("./nosuch/x",), ("./script",), ("./empty",)])
def test_a_handler_that_cannot_be_run_is_told_of_in_the_same_words(
    processes: Processes, folder: Path, words: tuple[str, ...]
) -> None:
    (folder / "text").write_text("no run bit\n")
    (folder / "script").write_text("#!/nowhere/interpreter\n")
    (folder / "script").chmod(0o755)
    (folder / "empty").write_text("")
    (folder / "empty").chmod(0o755)
    compare(pair(processes, folder, *words), ["127.0.0.1"])


@pytest.mark.parametrize(
    ("body", "status"),
    [("exit 0", 0), ("exit 1", 256), ("exit 255", 65280), ("kill -9 $$", 9), ("kill -15 $$", 15)],
)
def test_exit_statuses_are_told_alike(processes: Processes, folder: Path, body: str, status: int) -> None:
    both = pair(processes, folder, "sh", "-c", body)
    compare(both, ["127.0.0.1"])
    assert plain(both[1])[-2] == f"tcpserver: end PID status {status}"


@pytest.mark.root
@pytest.mark.parametrize(
    "options",
    [("-lhere", "-R"), ("-lhere", "-R", "-p"), ("-R",), ("-lhere", "-H"), (), ("-p",)],
)
def test_names_and_users_are_found_alike(processes: Processes, folder: Path, options: tuple[str, ...]) -> None:
    # A network of this test's own, since the ident servers must be at the clients' addresses.
    first, second, third, _ = loopback().split(".")
    network, arpa = f"{first}.{second}.{third}.", f"{third}.{second}.{first}.in-addr.arpa"
    zone = Zone(
        addresses={"a.client.example": [network + "7", "192.0.2.9"], "liar.client.example": ["192.0.2.9"]},
        names={
            "1.0.0.127.in-addr.arpa": "Server.Example",
            f"7.{arpa}": "A.Client.Example",
            f"9.{arpa}": "liar.client.example",
        },
    )
    users = {"7": b"1,2:USERID:UNIX:j:o%e \r\n", "8": b"1,2:USERID:UNIX:joe\r\n", "9": b"1,2:ERROR:NO-USER\r\n"}
    rules = str(compile_rules(folder, RULES.replace("127.0.0.", network)))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(nameserver(zone, 53))
        for last, answer in users.items():
            stack.enter_context(identserver(answer, network + last, 113))
        both = pair(processes, folder, *SHOW, options=(*options, "-x", rules), env={"DNSCACHEIP": server.ip})
        # The last one has neither a name nor an ident server.
        compare(both, [network + last for last in ("7", "8", "9", "10")])


@pytest.mark.root
def test_one_difference_is_meant_a_refusal_by_address_waits_for_no_name(processes: Processes, folder: Path) -> None:
    zone = Zone(names={"2.0.0.127.in-addr.arpa": "denied.example"})
    rules = str(compile_rules(folder, "127.0.0.2:deny\n"))
    with nameserver(zone, 53) as server:
        both = pair(processes, folder, "cat", options=("-R", "-lhere", "-x", rules), env={"DNSCACHEIP": server.ip})
        for each in both:
            each.get("127.0.0.2")
            each.until_logged("status: 0/40", 2)
    theirs, our_own = (next(line for line in plain(each) if "deny" in line) for each in both)
    assert theirs == "tcpserver: deny PID here:127.0.0.1:HERE denied.example:127.0.0.2::THERE"
    assert our_own == "tcpserver: deny PID here:127.0.0.1:HERE :127.0.0.2::THERE"


@pytest.mark.root
def test_a_host_name_is_bound_alike(processes: Processes, folder: Path) -> None:
    zone = Zone(addresses={"server.example": ["127.0.0.5"], "far.example": ["192.0.2.77"]})
    with nameserver(zone, 53) as server:
        env = {"DNSCACHEIP": server.ip, "LOCALDOMAIN": "example"}
        for program in (original("tcpserver"), ours("tcpserver")):
            for name in ("server.example", "server", "127.0.0.5"):
                serving = serve(processes, folder, "echo", "here", host=name, program=program, env=env)
                with socket.create_connection(("127.0.0.5", serving.port), timeout=DEADLINE) as client:
                    assert everything(client) == b"here\n"
        alike(["-HRl0", "nobody.example", "0", "true"], env=env)
        alike(["-HRl0", "far.example", "0", "true"], env=env)


def alike(words: Sequence[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> Result:
    """Both end with the same code and the same words."""
    theirs, our_own = (run([each, *words], env=env, cwd=cwd) for each in (original("tcpserver"), ours("tcpserver")))
    assert our_own == theirs
    return our_own


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 100),
        (["-y"], 100),
        (["-c"], 100),
        (["-vy", "0", "0", "true"], 100),
        (["0"], 100),
        (["0", "0"], 100),
        (["-q"], 100),
        (["0", "nosuchservice"], 111),
        (["0", "nosuchservice", "true"], 111),
        (["-q", "0", "nosuchservice", "true"], 111),
        (["0", "25x", "true"], 111),
        (["192.0.2.1", "0", "true"], 111),
        (["-HRl0", "1.2.3", "0", "true"], 111),
    ],
)
def test_what_makes_no_sense_is_refused_alike(words: list[str], code: int) -> None:
    assert alike(words).code == code


def test_a_port_that_is_taken_is_refused_alike() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = alike(["127.0.0.1", str(taken.getsockname()[1]), "true"])
    assert (done.code, done.err) == (111, b"tcpserver: fatal: unable to bind: address already used\n")


def test_a_port_is_a_number_of_sixteen_bits_or_the_name_of_a_service(processes: Processes, folder: Path) -> None:
    port = free_port()
    for program in (original("tcpserver"), ours("tcpserver")):
        serving = serve(processes, folder, "cat", port=65536 + port, program=program)
        assert serving.port == port
        assert serving.stop() == 0


def test_at_the_limit_the_log_is_equal(processes: Processes, folder: Path) -> None:
    both = pair(processes, folder, "sh", "-c", "echo here; read word", options=(*NAMELESS, "-c", "1"))
    for server in both:
        with server.client() as first, server.client() as second:
            greeting(first)
            first.sendall(b"\n")
            assert everything(first) == b""
            assert greeting(second) == b"here\n"
        server.until_logged("^tcpserver: end ", 2)
        server.until_logged("status: 0/1", 3)
    # What is told of the second connection before or after the end of the first is a matter of microseconds.
    assert sorted(plain(both[0])) == sorted(plain(both[1]))


def test_term_ends_both_in_silence(processes: Processes, folder: Path) -> None:
    for server in pair(processes, folder, "cat"):
        assert server.stop() == 0
        assert server.log() == ["tcpserver: status: 0/40"]
