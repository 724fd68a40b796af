"""tcpserver as its clients, its handlers and its log see it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE, PATH, Processes, environment, free_port, lone_account, ours, run, until
from tests.tcp.identserver import identserver
from tests.tcp.nameserver import Zone, loopback, nameserver
from tests.tcp.serving import (
    NAMELESS,
    SHOW_ENVIRONMENT,
    compile_rules,
    connected,
    everything,
    greeting,
    needs_ipv6,
    serve,
    smtp_home,
)

HOLD = ("sh", "-c", "echo here; exec cat")


def test_the_handler_speaks_with_the_client(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "cat")
    assert server.get(say=b"hello\n") == b"hello\n"
    assert server.stop() == 0


def test_the_handler_sees_who_has_connected_and_to_where(processes: Processes, folder: Path) -> None:
    stale = {"TCPREMOTEHOST": "stale", "TCPREMOTEINFO": "stale", "LISTEN_FDS": "1", "LISTEN_PID": "1"}
    server = serve(processes, folder, "env", env={**stale, "WATCHDOG_USEC": "5", "KEPT": "yes"})
    with server.client("127.0.0.9") as client:
        port = client.getsockname()[1]
        told = dict(line.split("=", 1) for line in everything(client).decode().splitlines())
    for name in ("PWD", "_", "SHLVL"):
        told.pop(name, None)
    assert told == {
        **environment(),
        "KEPT": "yes",
        "PROTO": "TCP",
        "TCPLOCALIP": "127.0.0.1",
        "TCPLOCALPORT": str(server.port),
        "TCPLOCALHOST": "here",
        "TCPREMOTEIP": "127.0.0.9",
        "TCPREMOTEPORT": str(port),
    }


def test_the_handler_has_the_connection_and_standard_error_and_nothing_else(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "sh", "-c", "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]* ->\\)/\\1/p'")
    shown = server.get().decode().split("\n")
    # ls itself has the directory open, at the lowest free number, and its output is the pipe to sed.
    assert [line.split(" ")[0] for line in shown if line] == ["0", "1", "2", "3"]
    assert shown[0].startswith("0 -> socket:")
    assert shown[3].startswith("3 -> /proc/")


def test_signals_are_as_a_c_program_finds_them(processes: Processes, folder: Path) -> None:
    show = ("sed", "-n", "s/^Sig[BIC].*\t//p", "/proc/self/status")
    (folder / "empty").mkdir()

    def sets(shown: bytes) -> list[int]:
        # 32 and 33 are the C library's own: its posix_spawn leaves them ignored.
        return [int(line, 16) & ~(3 << 31) for line in shown.split()]

    # What this test's own children find: the machine may have something ignored from the start.
    plain = sets(run(show).out)
    assert sets(serve(processes, folder, *show).get()) == plain
    assert sets(serve(processes, folder, "envdir", "empty", *show).get()) == plain


def test_rules_set_variables_and_deny(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '127.0.0.2:deny\n127.0.0.3:allow,RELAYCLIENT="",TCPLOCALHOST="x"\n127.0.0.4:deny\n')
    server = serve(processes, folder, *SHOW_ENVIRONMENT, options=(*NAMELESS, "-x", rules))
    assert b"RELAYCLIENT" not in server.get()
    assert server.get("127.0.0.2") == b""
    told = server.get("127.0.0.3")
    assert b"RELAYCLIENT=\n" in told
    assert b"TCPLOCALHOST=x\n" in told


def test_a_denied_connection_costs_no_process(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, "127.0.0.2:deny\n")
    server = serve(processes, folder, "cat", options=(*NAMELESS, "-x", rules))
    before = _faults_of_children(server.process.pid)
    for _ in range(200):
        assert server.get("127.0.0.2") == b""
    own = server.process.pid
    server.until_logged(f"deny {own} here:127.0.0.1:{server.port} :127.0.0.2::", 200)
    server.until_logged("status: 0/40$", 201)
    assert server.children() == []
    assert _faults_of_children(own) == before
    pattern = ["status: 1/40", f"pid {own} from 127.0.0.2", f"deny {own} ", f"end {own} status 25600", "status: 0/40"]
    for line, expected in zip(server.log()[1:6], pattern, strict=True):
        assert line.startswith(f"tcpserver: {expected}")


def _faults_of_children(pid: int) -> int:
    """Page faults of the children that it has reaped: no process lives without one. See cminflt in proc(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[8])


def test_new_rules_hold_from_the_next_connection_without_a_restart(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '127.:allow,RELAYCLIENT=""\n')
    server = serve(processes, folder, *SHOW_ENVIRONMENT, options=(*NAMELESS, "-x", rules))
    for _ in range(3):
        assert b"RELAYCLIENT" in server.get()
        compile_rules(folder, ":deny\n")
        assert server.get() == b""
        compile_rules(folder, ":allow\n")
        assert b"PROTO=TCP" in (told := server.get())
        assert b"RELAYCLIENT" not in told
        compile_rules(folder, '127.:allow,RELAYCLIENT=""\n')


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::", marks=needs_ipv6)])
def test_who_is_denied_without_a_word_is_let_in_by_new_rules(processes: Processes, folder: Path, host: str) -> None:
    rules = compile_rules(folder, "127.0.0.1:deny\n:allow\n")
    server = serve(processes, folder, "echo", "in", options=(*NAMELESS, "-Q", "-x", rules), host=host)
    assert server.get("127.0.0.2") == b"in\n"
    descriptors = server.descriptors()
    for _ in range(3):
        for _ in range(50):
            assert server.get() == b""
        assert server.get("127.0.0.2") == b"in\n"
        compile_rules(folder, "127.0.0.2:deny\n:allow\n")
        assert server.get() == b"in\n"
        assert server.get("127.0.0.2") == server.get("127.0.0.2") == b""
        compile_rules(folder, "127.0.0.1:deny\n:allow\n")
    assert server.get() == b""
    assert server.log() == []
    until(lambda: server.descriptors() == descriptors)


def test_rules_that_cannot_be_read_drop_connections_until_they_can(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, ":allow\n")
    server = serve(processes, folder, "echo", "in", options=(*NAMELESS, "-x", rules, "-B", "banner "))
    assert server.get() == b"banner in\n"
    rules.write_bytes(rules.read_bytes()[:100])
    assert server.get() == b"banner "
    rules.unlink()
    assert server.get() == b"banner "
    compile_rules(folder, ":allow\n")
    assert server.get() == b"banner in\n"
    dropped = [line for line in server.log() if "dropping" in line]
    assert dropped == [
        f"tcpserver: warning: dropping connection, unable to read {rules}: protocol error",
        f"tcpserver: warning: dropping connection, unable to read {rules}: file does not exist",
    ]


def test_only_a_missing_rules_file_is_forgiven(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "echo", "in", options=(*NAMELESS, "-X", "-x", folder / "rules.cdb"))
    assert server.get() == b"in\n"
    (folder / "rules.cdb").write_bytes(b"x")
    assert server.get() == b""


def test_the_banner_comes_before_the_rules_are_asked(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, ":deny\n")
    server = serve(processes, folder, "cat", options=(*NAMELESS, "-x", rules, "-B", "go away\r\n"))
    assert server.get() == b"go away\r\n"


def test_a_banner_that_does_not_fit_into_a_buffer_waits_in_a_process_of_its_own(
    processes: Processes, folder: Path
) -> None:
    banner = "x" * 100_000
    rules = compile_rules(folder, "127.0.0.2:deny\n")
    server = serve(processes, folder, "cat", options=(*NAMELESS, "-x", rules, "-B", banner))
    with server.client("127.0.0.2") as slow:
        assert server.get(say=b"y") == banner.encode() + b"y"
        assert len(everything(slow)) == 100_000
    server.until_logged(r"deny \d+ ")


def test_at_the_limit_clients_wait_in_the_backlog(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, *HOLD, options=(*NAMELESS, "-c", "2"))
    with connected(server, 2) as (first, second):
        assert (greeting(first), greeting(second)) == (b"here\n", b"here\n")
        with server.client() as third:
            server.until_logged("status: 2/2")
            third.settimeout(0.3)
            with pytest.raises(TimeoutError):
                third.recv(1)
            first.close()
            third.settimeout(DEADLINE)
            assert greeting(third) == b"here\n"
    assert not [line for line in server.log() if "status: 3/2" in line]


def test_a_limit_of_nothing_serves_nobody(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "echo", "in", options=(*NAMELESS, "-c", "abc"))
    with server.client() as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert server.log() == ["tcpserver: status: 0/0"]
    assert server.stop() == 0


def test_sessions_go_on_when_it_ends(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, *HOLD)
    with server.client() as client:
        assert greeting(client) == b"here\n"
        # The handler may be quicker than the line that tells of it.
        server.until_logged("ok ")
        logged = len(server.log())
        assert server.stop() == 0
        client.sendall(b"still here\n")
        assert greeting(client) == b"still here\n"
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""
    assert len(server.log()) == logged


def test_the_exit_status_of_a_handler_is_logged_raw(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "sh", "-c", 'read code; test "$code" = kill && kill -9 $$; exit "$code"')
    for said, status in ((b"0\n", 0), (b"3\n", 768), (b"kill\n", 9)):
        server.get(say=said)
        server.until_logged(f"end \\d+ status {status}$")


@pytest.mark.parametrize("words", [("nosuch",), ("./rules",), ("/nowhere/nosuch", "x")])
def test_a_handler_that_cannot_be_run_drops_the_connection(
    processes: Processes, folder: Path, words: tuple[str, ...]
) -> None:
    (folder / "rules").write_text("not a program\n")
    server = serve(processes, folder, *words)
    assert server.get() == b""
    why = "access denied" if words[0] == "./rules" else "file does not exist"
    server.until_logged(f"warning: dropping connection, unable to run {words[0]}: {why}$")
    server.until_logged(r"end \d+ status 28416$")


def test_a_handler_that_appears_is_found(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "./handler")
    assert server.get() == b""
    (folder / "handler").write_text("#!/bin/sh\necho here\n")
    (folder / "handler").chmod(0o755)
    assert until(server.get) == b"here\n"


def test_a_program_of_ours_runs_without_exec(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "qmail-smtpd", env=smtp_home(folder))
    with server.client() as client:
        assert greeting(client) == b"220 host.example ESMTP\r\n"
        (child,) = server.children()
        assert child.cmdline() == psutil.Process(server.process.pid).cmdline()
        # Nothing of the parent's is open in it: no listening socket, no poll, no pipe.
        targets = sorted(os.readlink(f"/proc/{child.pid}/fd/{n}") for n in os.listdir(f"/proc/{child.pid}/fd"))
        assert [target for target in targets if not target.startswith("socket:")] == [str(folder / "log.0")]
        assert len(targets) == 3
        client.sendall(b"QUIT\r\n")
        assert everything(client) == b"221 host.example\r\n"
    server.until_logged(f"ok {child.pid} here:")
    server.until_logged(f"end {child.pid} status 0$")


def test_a_chain_goes_on_in_one_process_and_ends_in_a_foreign_program(processes: Processes, folder: Path) -> None:
    (folder / "env").mkdir()
    (folder / "env/COLOUR").write_text("green\n")
    server = serve(processes, folder, "envdir", "env", "sh", "-c", 'echo "$COLOUR $TCPREMOTEIP $$"')
    colour, ip, pid = server.get().decode().split()
    assert (colour, ip) == ("green", "127.0.0.1")
    server.until_logged(f"pid {pid} from 127.0.0.1")


def test_no_descriptor_is_left_after_two_thousand_connections(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, "127.0.0.2:deny\n")
    server = serve(processes, folder, "true", options=(*NAMELESS, "-x", rules))
    server.get()
    server.get("127.0.0.2")
    until(lambda: server.log()[-1] == "tcpserver: status: 0/40")
    before = server.descriptors()
    for _ in range(500):
        server.get()
    for _ in range(1500):
        server.get("127.0.0.2")
    server.until_logged(r"end \d+ status 0$", 501)
    until(lambda: server.descriptors() == before)
    assert server.children() == []


def test_five_hundred_idle_clients_are_held(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "cat", options=(*NAMELESS, "-c", "600", "-b", "600"))
    with connected(server, 500) as clients:
        server.until_logged("status: 500/600")
        assert server.get(say=b"one more\n") == b"one more\n"
        clients[0].sendall(b"first\n")
        assert greeting(clients[0]) == b"first\n"
    server.until_logged(r"end \d+ status", 501)


def test_clients_that_misbehave_harm_nobody(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, "127.0.0.2:deny\n")
    server = serve(processes, folder, "cat", options=(*NAMELESS, "-b", "200", "-x", rules, "-B", "hello\n"))
    reset = struct.pack("ii", 1, 0)
    for ip in ("127.0.0.1", "127.0.0.2"):
        for _ in range(20):
            # Gone by reset before it is accepted, or while it is greeted.
            with server.client(ip) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            with server.client(ip) as client:
                client.shutdown(socket.SHUT_RDWR)
            with server.client(ip) as client:
                client.sendall(b"x" * 10000)
    assert server.get(say=b"still here\n") == b"hello\nstill here\n"
    until(lambda: not server.children())
    assert server.process.poll() is None


def test_when_descriptors_run_out_clients_wait_rather_than_spin(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "cat", options=(*NAMELESS, "-c", "100"))
    process = psutil.Process(server.process.pid)
    few = server.descriptors()
    _, most = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (few, most))
    with server.client() as client:
        server.until_logged("warning: unable to accept: process cannot open more files")
        before, slept = process.cpu_times(), process.num_ctx_switches().voluntary
        # A few rests later.
        until(lambda: process.num_ctx_switches().voluntary >= slept + 4)
        after = process.cpu_times()
        assert len([line for line in server.log() if "unable to accept" in line]) == 1
        assert after.user + after.system - before.user - before.system < 0.2
        process.rlimit(psutil.RLIMIT_NOFILE, (few + 10, most))
        client.sendall(b"patience\n")
        assert greeting(client) == b"patience\n"


@pytest.mark.root
def test_when_no_process_can_be_had_the_connection_is_dropped(processes: Processes, folder: Path) -> None:
    # The limit does not bind root; it is looked at again after the change of user.
    limited = folder / "tcpserver"
    limited.write_text(f'#!/bin/sh\nexec softlimit -p 0 {ours("tcpserver")} "$@"\n')
    limited.chmod(0o755)
    server = serve(processes, folder, "cat", options=(*NAMELESS, "-u", str(lone_account())), program=limited)
    assert server.get() == b""
    server.until_logged("warning: dropping connection, unable to fork: temporary failure$")
    until(lambda: server.log()[-1] == "tcpserver: status: 0/40")


@pytest.mark.root
@pytest.mark.parametrize("options", [("-u", "7", "-g", "8"), ("-U",)])
def test_after_binding_it_is_who_it_is_told_to_be(processes: Processes, folder: Path, options: tuple[str, ...]) -> None:
    told = ("grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status")
    env = {"UID": "7", "GID": "8"}
    server = serve(processes, folder, *told, options=(*NAMELESS, *options), env=env, port=free_port(range(600, 1000)))
    shown = [line.split() for line in server.get().decode().splitlines()]
    assert shown == [["Uid:", *["7"] * 4], ["Gid:", *["8"] * 4], ["Groups:", "8"]]


def test_an_id_that_does_not_exist_is_refused(folder: Path) -> None:
    done = run([ours("tcpserver"), "-u", str(1 << 32), *NAMELESS, "127.0.0.1", "0", "true"])
    assert (done.code, done.err) == (111, b"tcpserver: fatal: unable to set uid: invalid argument\n")


def test_standard_input_and_output_are_let_go_of(processes: Processes, folder: Path) -> None:
    process = processes.start([ours("tcpserver"), "-1", *NAMELESS, "127.0.0.1", "0", "true"])
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    assert process.stdout.read() == b""


def test_connections_work_when_it_is_started_without_standard_descriptors(folder: Path, processes: Processes) -> None:
    port = free_port()
    closed = f"exec {ours('tcpserver')} -HRl0 127.0.0.1 {port} cat <&- >&- 2>&-"
    processes.start(["sh", "-c", closed], stdin=None, stdout=None, stderr=None)

    def echoed() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
            client.sendall(b"hello\n")
            client.shutdown(socket.SHUT_WR)
            return everything(client)

    assert until(echoed) == b"hello\n"


def test_inherited_descriptors_reach_the_handler(processes: Processes, folder: Path) -> None:
    (folder / "note").write_text("from above\n")
    with (folder / "note").open("rb") as note:
        server = serve(processes, folder, "cat", f"/dev/fd/{note.fileno()}", pass_fds=(note.fileno(),))
        assert server.get() == b"from above\n"


def test_quiet_means_quiet(folder: Path) -> None:
    done = run([ours("tcpserver"), "-q", "127.0.0.1", "nosuchservice", "true"])
    assert (done.code, done.out, done.err) == (111, b"", b"")
    done = run([ours("tcpserver"), "-q", "127.0.0.1"])
    assert (done.code, done.out, done.err) == (100, b"", b"")
    assert run([ours("tcpserver"), "-q", "-y"]).err.startswith(b"tcpserver: illegal option -- y\n")


def test_a_log_that_is_gone_stops_no_connection(processes: Processes, folder: Path) -> None:
    process = processes.start([ours("tcpserver"), "-v1", *NAMELESS, "127.0.0.1", "0", "cat"])
    assert process.stdout is not None
    assert process.stderr is not None
    port = int(process.stdout.readline())
    process.stderr.close()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
            client.sendall(b"hello\n")
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == b"hello\n"


def test_localhost_needs_no_name_server(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "cat", host="localhost", env={"PATH": PATH, "DNSCACHEIP": "127.255.255.254"})
    assert server.get(say=b"hello\n") == b"hello\n"


def test_it_reaps_and_ends_even_when_started_with_signals_blocked(processes: Processes, folder: Path) -> None:
    blocked = folder / "blocked"
    blocked.write_text(
        f"#!{sys.executable}\n"
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        f"os.execv({ours('tcpserver')!r}, ['tcpserver', *sys.argv[1:]])\n"
    )
    blocked.chmod(0o755)
    server = serve(processes, folder, "cat", program=blocked)
    assert server.get(say=b"hello\n") == b"hello\n"
    server.until_logged(r"end \d+ status 0$")
    assert server.stop() == 0


@pytest.mark.root
def test_a_slow_ident_server_delays_its_own_client_and_nobody_else(processes: Processes, folder: Path) -> None:
    slow = loopback()
    with contextlib.ExitStack() as silence:
        _, asked = silence.enter_context(identserver(None, slow, 113))
        server = serve(processes, folder, "env", options=("-H", "-l", "here", "-t", "600"))
        with server.client(slow) as waiting:
            until(lambda: asked)
            for _ in range(5):
                assert b"TCPREMOTEINFO" not in server.get()
            server.until_logged("ok ", 5)
            assert f" :{slow}:" not in "".join(line for line in server.log() if " ok " in line)
            silence.close()
            assert b"TCPREMOTEINFO" not in everything(waiting)


@pytest.mark.root
def test_a_name_server_that_is_silent_delays_no_denial(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, "127.0.0.2:deny\n:allow\n")
    with nameserver(Zone(silent=True), 53) as names:
        options = ("-R", "-l", "here", "-x", rules)
        server = serve(processes, folder, "cat", options=options, env={"DNSCACHEIP": names.ip})
        with server.client():
            until(lambda: names.zone.asked)
            assert server.get("127.0.0.2") == b""
            (waiting,) = server.children()
        waiting.kill()
