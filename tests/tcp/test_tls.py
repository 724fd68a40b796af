"""tcpserver --tls: handlers speak plainly, clients do not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.tcp.tls import usable
from tests.harness import DEADLINE, PATH, Processes, original, ours, run, until
from tests.tcp.serving import NAMELESS, Serving, compile_rules, everything, serve, smtp_home

SHOW = ("sh", "-c", "env | grep -E '^(PROTO|SSL|TCP|RELAY)' | sort")


def certify(folder: Path, name: str, *, into: str = "server") -> tuple[Path, Path]:
    """A certificate for a name, signed by itself, and its key."""
    chain, key = folder / f"{into}.pem", folder / f"{into}.key"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9"]
    words += ["-subj", f"/C=JP/O=Example/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    # Beside, then renamed: as whoever renews certificates does it.
    done = run([original("openssl"), *words, "-keyout", f"{key}.new", "-out", f"{chain}.new"])
    assert done.code == 0, done.err
    os.rename(f"{key}.new", key)
    os.rename(f"{chain}.new", chain)
    return chain, key


def secure(processes: Processes, folder: Path, *words: str, options: tuple[str, ...] = (), **more: object) -> Serving:
    chain, key = certify(folder, "host.example")
    tls = ("--tls", str(chain), str(key))
    return serve(processes, folder, *words, options=(*NAMELESS, *tls, *options), **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def shaken(server: Serving, name: str | None = None, ip: str = "127.0.0.1") -> Iterator[ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with server.client(ip) as client, context.wrap_socket(client, server_hostname=name) as client:
        yield client


def get(server: Serving, say: bytes = b"", name: str | None = None, ip: str = "127.0.0.1") -> bytes:
    with shaken(server, name, ip) as client:
        if say:
            client.sendall(say)
        return everything(client)


def shown(client: ssl.SSLSocket) -> bytes:
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_the_handler_is_told_about_tls(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, *SHOW)
    told = dict(line.split("=", 1) for line in get(server, name="asked.example").decode().splitlines())
    assert told["PROTO"] == "SSL"
    for name in ("LOCALIP", "LOCALPORT", "LOCALHOST", "REMOTEIP", "REMOTEPORT"):
        assert told[f"SSL{name}"] == told[f"TCP{name}"]
    assert told["SSL_PROTOCOL"] == "TLSv1.3"
    assert told["SSL_CIPHER"].startswith("TLS_")
    assert int(told["SSL_CIPHER_USEKEYSIZE"]) >= 128
    assert told["SSL_TLS_SNI"] == "asked.example"
    assert told["SSL_SERVER_S_DN"] == told["SSL_SERVER_I_DN"] == "/C=JP/O=Example/CN=host.example"
    assert told["SSL_SERVER_S_DN_CN"] == "host.example"
    assert told["SSL_SERVER_M_VERSION"] == "3"
    assert told["SSL_SERVER_V_END"].endswith("GMT")


def test_much_goes_both_ways(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "cat")
    data = os.urandom(1 << 20)
    with shaken(server) as client:
        got = b""
        sent = 0
        client.setblocking(False)
        while len(got) < len(data):
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if sent < len(data):
                    sent += client.send(data[sent : sent + 20000])
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                got += client.recv(65536)
        assert got == data


def test_the_end_of_the_clients_words_is_an_end_for_the_handler(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "sh", "-c", "cat >/dev/null; echo all heard")
    with shaken(server) as client:
        client.sendall(b"x" * 100000)
        socket.socket.shutdown(client, socket.SHUT_WR)
        assert everything(client) == b"all heard\n"
    server.until_logged(r"end \d+ status 0$")


@pytest.mark.parametrize(("script", "status"), [("exit 3", 768), ("kill -TERM $$", 15), ("kill -KILL $$", 9)])
def test_the_handlers_end_is_the_connections(processes: Processes, folder: Path, script: str, status: int) -> None:
    server = secure(processes, folder, "sh", "-c", f"echo last words; {script}")
    assert get(server) == b"last words\n"
    server.until_logged(rf"end \d+ status {status}$")


def test_a_client_that_goes_away_is_noticed(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "sh", "-c", "echo hello; cat >/dev/null; echo gone >&2")
    with shaken(server) as client:
        assert client.recv(100) == b"hello\n"
        client.sendall(b"x")
    server.until_logged("^gone$")
    server.until_logged(r"end \d+ status 0$")
    until(lambda: not server.children())


def test_a_handler_that_does_not_read_holds_nobody_up(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "sh", "-c", "exec <&-; sleep 0.2; echo done")
    with shaken(server) as client:
        with contextlib.suppress(OSError):
            for _ in range(50):
                client.sendall(b"x" * 10000)
        assert everything(client) == b"done\n"


def test_a_client_that_speaks_plainly_is_dropped(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "echo", "in")
    server.get(say=b"EHLO client.example\r\n")
    server.until_logged("warning: dropping connection, unable to speak TLS with 127.0.0.1: ")
    assert b"in" not in server.get()
    server.until_logged("unable to speak TLS with 127.0.0.1: connection closed$")
    assert get(server) == b"in\n"


def test_a_new_certificate_is_shown_from_the_next_connections_on(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "echo", "in")
    with shaken(server) as client:
        before = shown(client)
    certify(folder, "new.example")

    def renewed() -> bool:
        with shaken(server) as client:
            return shown(client) != before

    until(renewed)
    (folder / "server.pem").write_text("no certificate\n")

    def told() -> list[str]:
        assert get(server) == b"in\n"
        return [line for line in server.log() if "warning: unable to load" in line]

    assert str(folder / "server.pem") in until(told)[0]
    assert get(server) == b"in\n"


def test_whoever_names_a_host_is_shown_its_certificate(processes: Processes, folder: Path) -> None:
    names = folder / "names"
    names.mkdir()
    chain, key = certify(folder, "other.example", into="other")
    (names / "other.example.pem").write_bytes(chain.read_bytes() + key.read_bytes())
    (folder / "secret.pem").write_bytes(chain.read_bytes() + key.read_bytes())
    server = secure(processes, folder, *SHOW, options=("--tls-names", str(names)))
    with shaken(server) as client:
        usual = shown(client)
    with shaken(server, "Other.Example") as client:
        assert shown(client) != usual
        assert b"SSL_SERVER_S_DN_CN=other.example\n" in everything(client)
    with shaken(server, "unknown.example") as client:
        assert shown(client) == usual


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("mail.example", True),
        ("Mail_1-x.example", True),
        ("../secret", False),
        (".hidden", False),
        ("", False),
        (None, False),
        ("a/b", False),
        ("a\0b", False),
        ("x" * 300, False),
    ],
)
def test_a_name_that_leads_elsewhere_is_none(name: str | None, good: bool) -> None:
    assert usable(name) is good


def test_our_own_handlers_and_limits_and_the_wait_work_over_tls(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '127.0.0.2:deny\n127.0.0.3:allow,GREETDELAY="600"\n')
    env = smtp_home(folder)
    options = ("-x", str(rules), "-B", "banner\n", "--max-per-ip", "2")
    server = secure(processes, folder, "qmail-smtpd", options=options, env=env)
    assert get(server, b"QUIT\r\n") == b"banner\n220 host.example ESMTP\r\n221 host.example\r\n"
    with pytest.raises((ssl.SSLError, OSError)):
        get(server, ip="127.0.0.2")
    assert get(server, b"QUIT\r\n", ip="127.0.0.3") == b"554 you spoke before you were greeted\r\n"
    server.until_logged(r"pregreet \d+ from 127.0.0.3: QUIT")


@pytest.mark.parametrize("what", ["missing", "not a certificate", "another's key"])
def test_a_certificate_that_is_of_no_use_is_said_at_the_start(folder: Path, what: str) -> None:
    chain, key = certify(folder, "host.example")
    if what == "missing":
        chain.unlink()
    elif what == "not a certificate":
        chain.write_text("nothing\n")
    else:
        key = certify(folder, "other.example", into="other")[1]
    done = run([ours("tcpserver"), "--tls", chain, key, "127.0.0.1", "0", "true"])
    assert done.code == 111
    assert done.err.startswith(b"tcpserver: fatal: unable to load %b with " % bytes(chain))
    assert done.err.count(b"\n") == 1


def test_openssl_talks_to_it(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "cat")
    words = ["s_client", "-connect", f"127.0.0.1:{server.port}", "-quiet", "-CAfile", f"{folder}/server.pem"]
    done = run([original("openssl"), *words, "-verify_return_error", "-no_ign_eof"], stdin=b"hello\nQ\n")
    assert b"verify return:1" in done.err


def test_socat_talks_to_it(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "sh", "-c", "cat; echo heard")
    where = f"OPENSSL:127.0.0.1:{server.port},cafile={folder}/server.pem,commonname=host.example"
    done = run([original("socat"), "-t", "10", "-", where], stdin=b"hello\n")
    assert done.out == b"hello\nheard\n", done.err


def test_curl_talks_to_it(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "sh", "-c", "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'; echo $SSL_PROTOCOL")
    where = ["--cacert", f"{folder}/server.pem", "--resolve", f"host.example:{server.port}:127.0.0.1"]
    env = {"PATH": PATH, "no_proxy": "*"}
    done = run([original("curl"), "-sS", *where, f"https://host.example:{server.port}/"], env=env)
    assert done.out == b"TLSv1.3\n", done.err


def test_swaks_talks_to_it(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "qmail-smtpd", env=smtp_home(folder))
    words = ["--tls-on-connect", "--server", f"127.0.0.1:{server.port}", "--quit-after", "HELO", "--helo", "x.example"]
    done = run([original("swaks"), *words])
    assert b"TLS started" in done.out, done.out + done.err
    assert b"220 host.example ESMTP" in done.out


def test_sessions_go_on_after_term(processes: Processes, folder: Path) -> None:
    server = secure(processes, folder, "cat")
    with shaken(server) as client:
        client.sendall(b"before\n")
        assert client.recv(100) == b"before\n"
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(DEADLINE) == 0
        client.sendall(b"after\n")
        assert client.recv(100) == b"after\n"
