"""tcpserver on IPv6, on both at once, and on Unix sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE, PATH, Processes, environment, free_port, original, ours, run, until
from tests.tcp.nameserver import Zone, nameserver
from tests.tcp.serving import NAMELESS, Serving, compile_rules, everything, greeting, needs_ipv6, serve, smtp_home

SHOW = ("sh", "-c", "env | grep -E '^(PROTO|TCP|UNIX|IPC|RELAY)' | sort")


@contextlib.contextmanager
def six(server: Serving, ip: str = "::1") -> Iterator[socket.socket]:
    with socket.create_connection((ip, server.port), timeout=DEADLINE) as client:
        yield client


def told(data: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in data.decode().splitlines())


@needs_ipv6
def test_a_client_by_ipv6_is_one_to_the_handler_and_the_log(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, *SHOW, host="::1")
    with six(server) as client:
        port = str(client.getsockname()[1])
        found = told(everything(client))
    ends = {"LOCALIP": "::1", "LOCALPORT": str(server.port), "LOCALHOST": "here", "REMOTEIP": "::1", "REMOTEPORT": port}
    expected = {f"{proto}{name}": value for proto in ("TCP", "TCP6") for name, value in ends.items()}
    assert found == {"PROTO": "TCP6", **expected}
    server.until_logged(r"^tcpserver: pid \d+ from ::1$")
    server.until_logged(rf"^tcpserver: ok \d+ here:\[::1\]:{server.port} :\[::1\]::{port}$")


@needs_ipv6
@pytest.mark.parametrize("handler", [SHOW, ("envdir", "empty", *SHOW)])
def test_both_kinds_come_in_at_two_colons(processes: Processes, folder: Path, handler: tuple[str, ...]) -> None:
    (folder / "empty").mkdir()
    server = serve(processes, folder, *handler, host="::")
    found = told(server.get("127.0.0.9"))
    assert (found["PROTO"], found["TCPREMOTEIP"], found["TCPLOCALIP"]) == ("TCP", "127.0.0.9", "127.0.0.1")
    assert "TCP6REMOTEIP" not in found
    with six(server) as client:
        assert told(everything(client))["TCP6REMOTEIP"] == "::1"


@needs_ipv6
def test_only_one_kind_comes_in_where_that_is_asked_for(processes: Processes, folder: Path) -> None:
    only6 = serve(processes, folder, "echo", "in", host="::", port=free_port(), options=(*NAMELESS, "-6"))
    with pytest.raises(ConnectionRefusedError):
        only6.client()
    with six(only6) as client:
        assert everything(client) == b"in\n"
    only4 = serve(processes, folder, "echo", "in", host="0", port=free_port())
    with pytest.raises(ConnectionRefusedError), six(only4):
        pass
    assert only4.get() == b"in\n"


@needs_ipv6
def test_rules_about_ipv6_are_asked(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '::/64:allow,RELAYCLIENT="six"\n127.0.0.2:deny\n127.:allow,RELAYCLIENT="four"\n')
    server = serve(processes, folder, *SHOW, host="::", options=(*NAMELESS, "-x", rules))
    with six(server) as client:
        assert told(everything(client))["RELAYCLIENT"] == "six"
    assert told(server.get())["RELAYCLIENT"] == "four"
    assert server.get("127.0.0.2") == b""


@needs_ipv6
def test_workers_serve_both_kinds(processes: Processes, folder: Path) -> None:
    options = (*NAMELESS, "--workers", "1")
    server = serve(processes, folder, "qmail-smtpd", host="::", options=options, env=smtp_home(folder))
    for _ in range(2):
        for ip in ("127.0.0.1", "::1"):
            with six(server, ip) as client:
                assert greeting(client) == b"220 host.example ESMTP\r\n"
                client.sendall(b"QUIT\r\n")
                everything(client)
    server.until_logged(r"ok \d+ here:\[::1\]:\d+ :\[::1\]::", 2)
    server.until_logged(r"ok \d+ here:127.0.0.1:\d+ :127.0.0.1::", 2)


@needs_ipv6
@pytest.mark.root
def test_names_of_ipv6_addresses_are_asked_for_and_confirmed(processes: Processes, folder: Path) -> None:
    reverse = "1." + "0." * 31 + "ip6.arpa"
    zone = Zone(names={reverse: "six.example"}, addresses6={"six.example": ["::1"], "host.example": ["::1"]})
    with nameserver(zone, 53) as names:
        env = {"DNSCACHEIP": names.ip}
        server = serve(processes, folder, *SHOW, host="host.example", options=("-R", "-p"), env=env)
        with six(server) as client:
            found = told(everything(client))
        assert found["TCPREMOTEHOST"] == found["TCP6REMOTEHOST"] == found["TCPLOCALHOST"] == "six.example"
        zone.addresses6["six.example"] = ["2001:db8::1"]
        with six(server) as client:
            assert "TCPREMOTEHOST" not in told(everything(client))


def link_local() -> str | None:
    """An address that means something only with its interface."""
    for name, addresses in psutil.net_if_addrs().items():
        for each in addresses:
            if each.family == socket.AF_INET6 and each.address.startswith("fe80:"):
                return f"{each.address.partition('%')[0]}%{name}"
    return None


def test_a_link_local_client_comes_with_its_interface(processes: Processes, folder: Path) -> None:
    address = link_local()
    if address is None:
        pytest.skip("no interface has a link-local address")
    server = serve(processes, folder, *SHOW, host=address)
    with six(server, address) as client:
        found = told(everything(client))
    ip, _, interface = address.partition("%")
    assert (found["TCPREMOTEIP"], found["TCPLOCALIP"]) == (ip, ip)
    assert (found["TCPINTERFACE"], found["TCP6INTERFACE"]) == (interface, interface)


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "0", "::1"])
def test_a_socket_that_a_supervisor_has_activated_is_used(processes: Processes, folder: Path, host: str) -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::1" if host == "::1" else "::", 0))
        listener.listen()
        port = listener.getsockname()[1]
        place = f'exec 3<&{listener.fileno()}; exec "$@"'
        words = (ours("tcpserver"), "-v1HRlhere", host, str(port), "echo", "in")
        process = processes.start(
            ["bash", "-c", place, "sh", *words],
            env={"LISTEN_FDS": "1"},
            pass_fds=(listener.fileno(),),
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"%d\n" % port
    # Ours is closed now: whoever answers has the activated one.
    for ip in ("::1",) if host == "::1" else ("::1", "127.0.0.1"):
        with socket.create_connection((ip, port), timeout=DEADLINE) as client:
            assert everything(client) == b"in\n"


def test_systemds_activator_starts_it(processes: Processes, folder: Path) -> None:
    activator = original("systemd-socket-activate")
    port = free_port()
    argv = [activator, "-l", f"127.0.0.1:{port}", ours("tcpserver"), "-HRlhere", "127.0.0.1", str(port), "echo", "in"]
    processes.start(argv, stderr=subprocess.DEVNULL)

    def answer() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
            return everything(client)

    assert until(answer) == b"in\n"
    assert answer() == b"in\n"


def local(path: Path) -> socket.socket:
    """A connection; OSError where nobody listens (yet)."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE)
    try:
        client.connect(str(path))
    except OSError:
        client.close()
        raise
    return client


class Local:
    """A tcpserver on a Unix socket."""

    def __init__(self, processes: Processes, folder: Path, *words: str, env: dict[str, str] | None = None) -> None:
        self.path = folder / "socket"
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = processes.start([ours("tcpserver"), "-v", *words], cwd=folder, stderr=log.fileno(), env=env)

    def get(self) -> bytes:
        def answer() -> bytes:
            with local(self.path) as client:
                return everything(client)

        return until(answer)


def test_a_client_of_a_unix_socket_is_who_the_kernel_says(processes: Processes, folder: Path) -> None:
    server = Local(processes, folder, "-lhere", "--unix", "socket", *SHOW, env={"TCPREMOTEIP": "stale"})
    found = told(server.get())
    assert found == {
        "PROTO": "UNIX",
        "UNIXLOCALPATH": str(server.path),
        "IPCLOCALPATH": str(server.path),
        "UNIXREMOTEPID": str(os.getpid()),
        "UNIXREMOTEEUID": str(os.geteuid()),
        "UNIXREMOTEEGID": str(os.getegid()),
        "IPCREMOTEEUID": str(os.geteuid()),
        "IPCREMOTEEGID": str(os.getegid()),
    }
    until(lambda: f"from uid={os.geteuid()}\n" in server.log.read_text())
    until(lambda: f" here:{server.path}:0 :uid={os.geteuid()}::{os.getpid()}\n" in server.log.read_text())


@pytest.mark.parametrize("host", ["{}", "unix:{}"])
def test_a_host_that_is_a_path_is_a_unix_socket(processes: Processes, folder: Path, host: str) -> None:
    server = Local(processes, folder, host.format(folder / "socket"), "echo", "in")
    assert server.get() == b"in\n"


def test_a_standing_worker_knows_its_local_client(processes: Processes, folder: Path) -> None:
    server = Local(processes, folder, "--workers", "1", "--unix", "socket", "qmail-smtpd", env=smtp_home(folder))
    for _ in range(2):
        with until(lambda: local(server.path)) as client:
            assert greeting(client) == b"220 host.example ESMTP\r\n"
            client.sendall(b"QUIT\r\n")
            everything(client)


def test_a_mode_is_the_sockets(processes: Processes, folder: Path) -> None:
    server = Local(processes, folder, "--mode", "600", "--unix", "socket", "echo", "in")
    assert server.get() == b"in\n"
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(processes: Processes, folder: Path) -> None:
    first = Local(processes, folder, "--unix", "socket", "echo", "first")
    assert first.get() == b"first\n"
    second = run([ours("tcpserver"), "--unix", "socket", "echo", "second"], cwd=folder)
    assert (second.code, second.err) == (
        111,
        b"tcpserver: fatal: unable to bind %b: address already used\n" % bytes(first.path),
    )
    first.process.kill()
    first.process.wait()
    third = Local(processes, folder, "--unix", "socket", "echo", "third")
    assert third.get() == b"third\n"


def test_a_file_that_is_no_socket_is_left_alone(folder: Path) -> None:
    (folder / "socket").write_text("precious\n")
    done = run([ours("tcpserver"), "--unix", "socket", "true"], cwd=folder)
    assert done.code == 111
    assert (folder / "socket").read_text() == "precious\n"


def test_a_path_too_long_is_named(folder: Path) -> None:
    done = run([ours("tcpserver"), "--unix", "x" * 120, "true"], cwd=folder)
    assert done.code == 111
    assert done.err.startswith(b"tcpserver: fatal: unable to bind /")
    assert done.err.count(b"\n") == 1


def test_s6s_client_talks_to_it(processes: Processes, folder: Path) -> None:
    client = original("s6-ipcclient")
    server = Local(processes, folder, "--unix", "socket", "echo", "in")
    assert server.get() == b"in\n"
    done = run([client, str(server.path), "sh", "-c", "cat <&6"], env=environment({"PATH": PATH}))
    assert done.out == b"in\n"
