"""Standing workers: one process for many connections, each of which finds the state of a new one."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections import Counter
from pathlib import Path

import psutil
import pytest

from svtree.system.clock import SYSTEM
from svtree.system.loop import Loop
from svtree.tcp.pool import SPARE, Pool
from svtree.tcp.task import Task
from svtree.tcp.worker import SERVES
from tests.harness import DEADLINE, Processes, until
from tests.tcp.serving import NAMELESS, Serving, compile_rules, connected, everything, greeting, serve, smtp_home

SMTP = ("qmail-smtpd",)
HELLO = b"220 host.example ESMTP\r\n"
GOODBYE = b"221 host.example\r\n"


def start(processes: Processes, folder: Path, *words: str, workers: int = 2, options: tuple[str, ...] = ()) -> Serving:
    env = smtp_home(folder)
    return serve(processes, folder, *words, options=(*NAMELESS, "--workers", str(workers), *options), env=env)


def session(server: Serving, ip: str = "127.0.0.1") -> None:
    with server.client(ip) as client:
        assert greeting(client) == HELLO
        client.sendall(b"QUIT\r\n")
        assert everything(client) == GOODBYE


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids(server: Serving, word: str = "ok") -> list[int]:
    return [int(match[1]) for line in server.log() if (match := re.match(f"tcpserver: {word} (\\d+)", line))]


def test_connections_are_served_by_the_same_process(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    (worker,) = server.children()
    for number in range(1, 21):
        session(server)
        server.until_logged(f"end {worker.pid} status 0$", number)
    assert set(pids(server)) == {worker.pid}
    assert server.children() == [worker]


def test_the_log_is_as_without_workers(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    with server.client("127.0.0.7") as client:
        port = client.getsockname()[1]
        assert greeting(client) == HELLO
        client.sendall(b"QUIT\r\n")
        everything(client)
    server.until_logged("status: 0/40", 2)
    (pid,) = pids(server)
    assert server.log() == [
        "tcpserver: status: 0/40",
        "tcpserver: status: 1/40",
        f"tcpserver: pid {pid} from 127.0.0.7",
        f"tcpserver: ok {pid} here:127.0.0.1:{server.port} :127.0.0.7::{port}",
        f"tcpserver: end {pid} status 0",
        "tcpserver: status: 0/40",
    ]


def test_busy_workers_are_counted_and_others_come_up_to_the_limit(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=2, options=("-c", "3"))
    standing = {child.pid for child in server.children()}
    assert len(standing) == 2
    with connected(server, 3) as clients:
        assert [greeting(client) for client in clients] == [HELLO] * 3
        assert len(set(pids(server)) - standing) == 1
        with server.client() as fourth:
            fourth.settimeout(0.3)
            with pytest.raises(TimeoutError):
                fourth.recv(1)
            clients[0].sendall(b"QUIT\r\n")
            fourth.settimeout(DEADLINE)
            assert greeting(fourth) == HELLO
    server.until_logged(r"end \d+ status", 4)


def test_a_worker_that_was_missing_stays_for_the_next_who_come(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    for number in range(3):
        with connected(server, 3) as clients:
            assert [greeting(client) for client in clients] == [HELLO] * 3
            for client in clients:
                client.sendall(b"QUIT\r\n")
                assert everything(client) == GOODBYE
        server.until_logged("status: 0/40", number + 2)
    # A fork for each of them would have made seven.
    assert len(server.children()) == 3
    assert set(pids(server)) == {child.pid for child in server.children()}


class Late:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return SYSTEM.monotonic() + self.passed

    def wall(self) -> float:
        return SYSTEM.wall() + self.passed

    def wall_ns(self) -> int:
        return int(self.wall() * 1e9)


class Nobody:
    """Hears of no connection, as there is none."""

    def warn(self, line: bytes) -> None:
        raise AssertionError(line)

    def ended(self, pid: int, status: int) -> None:
        raise AssertionError(pid, status)

    def returned(self, pid: int, client: socket.socket, task: Task) -> None:
        raise AssertionError(pid, client, task)


def test_workers_that_are_not_needed_end_and_those_asked_for_stay() -> None:
    def begin(channel: socket.socket) -> int:
        pid = os.fork()
        if not pid:
            pool.close()
            channel.recv(1)
            os._exit(0)
        return pid

    clock = Late()
    loop = Loop(clock)
    pool = Pool(loop, 1, begin, Nobody())
    pool.fill()
    assert pool.grow(3)
    assert pool.grow(3)
    assert not pool.grow(3)
    started = [child.pid for child in psutil.Process().children()]
    assert len(started) == 3
    clock.passed += SPARE
    loop.turn(0)
    for pid in started[:2]:
        assert os.waitpid(pid, 0) == (pid, 0)
        assert pool.reaped(pid, 0)
    assert os.waitpid(started[2], os.WNOHANG) == (0, 0)
    pool.close()
    os.waitpid(started[2], 0)
    loop.close()


def test_what_the_rules_say_holds_for_one_connection_and_not_for_the_next(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '127.0.0.2:allow,RELAYCLIENT=""\n127.0.0.3:deny\n:allow\n')
    server = start(processes, folder, *SMTP, workers=1, options=("-x", str(rules)))
    for number, (ip, code) in enumerate((("127.0.0.1", b"553"), ("127.0.0.2", b"250"), ("127.0.0.1", b"553")), 1):
        with server.client(ip) as client:
            greeting(client)
            client.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@elsewhere.example>\r\nQUIT\r\n")
            assert everything(client).split(b"\r\n")[1][:3] == code
        server.until_logged(r"end \d+ status 0$", number)
    assert server.get("127.0.0.3") == b""
    assert len(set(pids(server))) == 1


def test_rules_that_want_names_are_asked_in_the_worker(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, "=nobody.example:allow\n127.0.0.3:deny\n:allow\n")
    options = ("-h", "-t1", "-x", str(rules))
    server = serve(
        processes,
        folder,
        *SMTP,
        options=("-R", "-lhere", "--workers", "1", *options),
        # Nobody answers there, and says so at once.
        env={**smtp_home(folder), "DNSCACHEIP": "127.255.255.254"},
    )
    (worker,) = server.children()
    assert server.get("127.0.0.3") == b""
    server.until_logged(f"end {worker.pid} status 25600$")
    # Nothing of ours has run in it: it stays.
    session(server)
    assert pids(server, "deny") == pids(server, "ok") == [worker.pid]


@pytest.mark.parametrize("chain", [("softlimit", "-o", "200", *SMTP), ("pgrphack", *SMTP)])
def test_a_worker_that_is_not_what_it_was_is_replaced(
    processes: Processes, folder: Path, chain: tuple[str, ...]
) -> None:
    server = start(processes, folder, *chain, workers=1)
    for number in range(1, 4):
        session(server)
        server.until_logged(r"end \d+ status 0$", number)
    assert len(set(pids(server))) == 3
    until(lambda: len(server.children()) == 1)


@pytest.mark.root
def test_a_worker_that_has_dropped_privileges_is_replaced(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, "setuidgid", "nobody", *SMTP, workers=1)
    for _ in range(2):
        session(server)
    assert len(set(pids(server))) == 2


@pytest.mark.root
def test_workers_are_whoever_tcpserver_is_told_to_be(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=2, options=("-u", "7", "-g", "8"))
    assert {(child.uids().real, child.gids().real) for child in server.children()} == {(7, 8)}
    session(server)


def test_a_client_that_leaves_without_a_word_costs_no_worker(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    (worker,) = server.children()
    for _ in range(3):
        with server.client() as client:
            greeting(client)
        server.until_logged(f"end {worker.pid} status 256$", len(pids(server)))
    session(server)
    assert set(pids(server)) == {worker.pid}


def test_a_session_that_fails_is_the_workers_last(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, "envdir", "env", *SMTP, workers=1)
    assert server.get() == b""
    server.until_logged(r"end \d+ status 28416$")
    (folder / "env").mkdir()
    session(server)
    assert len(set(pids(server))) == 2


def test_a_changed_control_file_is_in_force_with_the_next_connection(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    for number in range(10, 30):
        # The same size, in place and by rename by turns, faster than file systems' stamps may be.
        new = folder / ("control/smtpgreeting" if number % 2 else "control/new")
        new.write_text(f"host{number}\n")
        new.rename(folder / "control/smtpgreeting")
        with server.client() as client:
            assert greeting(client) == b"220 host%d ESMTP\r\n" % number
    (folder / "control/smtpgreeting").unlink()
    session(server)


def test_a_control_file_that_has_been_kept_for_long_is_read_again_when_it_changes(
    processes: Processes, folder: Path
) -> None:
    env = smtp_home(folder)
    server = serve(processes, folder, *SMTP, options=(*NAMELESS, "--workers", "1"), env=env)

    def is_kept() -> bool:
        # What the worker reads in a session: once the files are old enough, none of them.
        (worker,) = server.children()
        before = worker.io_counters().read_count
        session(server)
        server.until_logged(r"end \d+ status 0$", len(pids(server)))
        return worker.io_counters().read_count - before <= 4

    until(is_kept)
    me = folder / "control/me"
    size = me.stat().st_size
    me.write_text("tsoh.example\n")
    assert me.stat().st_size == size
    with server.client() as client:
        assert greeting(client) == b"220 tsoh.example ESMTP\r\n"


def test_a_chain_that_leads_to_a_foreign_program_is_served_all_the_same(processes: Processes, folder: Path) -> None:
    (folder / "env").mkdir()
    (folder / "env/COLOUR").write_text("green\n")
    server = start(processes, folder, "envdir", "env", "sh", "-c", "echo $COLOUR $$; exit 3", workers=1)
    told = [server.get().decode().split() for _ in range(3)]
    assert [colour for colour, _ in told] == ["green"] * 3
    for _, pid in told:
        server.until_logged(f"end {pid} status 768$")
    until(lambda: len(server.children()) == 1)


def test_a_foreign_handler_has_no_workers(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, "cat", workers=3)
    assert server.children() == []
    assert server.get(say=b"hello\n") == b"hello\n"


def test_a_worker_that_dies_in_a_session_is_its_end_and_is_replaced(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    (worker,) = server.children()
    with server.client() as client:
        greeting(client)
        worker.kill()
        assert everything(client) == b""
    server.until_logged(f"end {worker.pid} status 9$")
    server.until_logged("status: 0/40$", 2)
    session(server)
    until(lambda: len(server.children()) == 1)


def test_a_worker_that_dies_idle_is_replaced_and_nobody_notices(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    (worker,) = server.children()
    worker.kill()
    until(lambda: not alive(worker))
    for _ in range(3):
        session(server)
    until(lambda: [child.status() for child in server.children()] == [psutil.STATUS_SLEEPING])
    assert not [line for line in server.log() if f" {worker.pid} " in line]


def test_a_worker_killed_before_it_has_read_its_task_loses_no_connection(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    (worker,) = server.children()
    worker.suspend()
    until(lambda: worker.status() == psutil.STATUS_STOPPED)
    with server.client("127.0.0.9") as client:
        client.sendall(b"QUIT\r\n")
        server.until_logged("status: 1/40$")
        # Then the task is handed over; were it not, the worker's death would be seen at the hand-over, to the same end.
        until(lambda: psutil.Process(server.process.pid).status() == psutil.STATUS_SLEEPING)
        worker.kill()
        assert everything(client) == HELLO + GOODBYE
    server.until_logged("status: 0/40$", 2)
    (served,) = pids(server)
    assert served != worker.pid
    assert not [line for line in server.log() if f" {worker.pid} " in line]
    session(server)


def test_a_worker_killed_before_it_has_said_a_word_loses_no_connection(processes: Processes, folder: Path) -> None:
    # It has read its task, and waits for far longer than anything here takes.
    server = start(processes, folder, *SMTP, workers=1, options=("--greet-delay", "3600"))
    (worker,) = server.children()
    with server.client("127.0.0.9") as client:
        server.until_logged(f"ok {worker.pid} ")
        worker.kill()
        server.until_logged("tcpserver: ok ", 2)
        client.sendall(b"HELO early\r\n")
        assert everything(client) == b"554 you spoke before you were greeted\r\n"
    server.until_logged("status: 0/40$", 3)
    assert [line for line in server.log() if f"end {worker.pid} status 9" in line]
    first, second = pids(server)
    assert first == worker.pid != second


def test_a_worker_killed_after_the_greeting_is_the_end_of_its_session(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=2)
    with server.client() as client:
        greeting(client)
        (busy,) = pids(server)
        os.kill(busy, signal.SIGKILL)
        assert everything(client) == b""
    server.until_logged(f"end {busy} status 9$")
    assert pids(server) == [busy]


def test_the_foreign_program_of_a_worker_may_close_the_connection_and_live_on(
    processes: Processes, folder: Path
) -> None:
    (folder / "env").mkdir()
    script = "echo hello; exec <&- >&-; until test -e done; do sleep 0.1; done"
    server = start(processes, folder, "envdir", "env", "sh", "-c", script, workers=1)
    with server.client() as client:
        assert everything(client) == b"hello\n"
    assert "end" not in "".join(server.log())
    (folder / "done").touch()
    server.until_logged(r"end \d+ status 0$")


def test_after_term_idle_workers_end_and_busy_ones_finish(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=3)
    standing = server.children()
    with server.client() as client:
        greeting(client)
        (busy,) = pids(server)
        assert server.stop() == 0
        until(lambda: [child.pid for child in standing if alive(child)] == [busy])
        client.sendall(b"NOOP\r\n")
        assert greeting(client) == b"250 ok\r\n"
        client.sendall(b"QUIT\r\n")
        assert everything(client) == GOODBYE
    until(lambda: not any(map(alive, standing)))


def test_killed_it_leaves_no_worker_behind(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=3)
    standing = server.children()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    until(lambda: not any(map(alive, standing)))


def test_a_worker_is_replaced_when_it_has_served_its_number(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, *SMTP, workers=1)
    (worker,) = server.children()
    before = server.descriptors()
    for _ in range(SERVES + 5):
        session(server)
    server.until_logged(r"end \d+ status 0$", SERVES + 5)
    served = Counter(pids(server))
    # A connection that comes when the report of the one before it is delayed has a process of its own.
    assert served[worker.pid] <= SERVES
    if served[worker.pid] == SERVES:
        until(lambda: len(server.children()) == 1 and server.children() != [worker])
    until(lambda: server.descriptors() == before)
