"""The relay-ctrl programs, alone and in the chains of the HOWTO."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, Result, free_port, ours, run, until

SHOW = ["sh", "-c", 'echo "${RELAYCLIENT-none} ${USER-nobody} ${DOMAIN-nowhere}"']
LISTING = """
import os
numbers = [n for n in range(3, 300) if os.path.exists(f"/proc/self/fd/{n}")]
print(any("spool" in os.readlink(f"/proc/self/fd/{n}") for n in numbers))
"""


@pytest.fixture
def spool(folder: Path) -> Path:
    """The directories of the HOWTO: configuration and spool."""
    (folder / "etc").mkdir()
    (folder / "relay").mkdir(mode=0o700)
    (folder / "relay" / "spool").mkdir()
    (folder / "relay" / "spool").chmod(0o777)
    (folder / "etc" / "RELAY_CTRL_DIR").write_text(f"{folder}/relay/spool\n")
    (folder / "etc" / "RELAY_CTRL_EXPIRY").write_text("600\n")
    return folder


def chain(spool: Path, *words: str | Path, env: dict[str, str] | None = None) -> Result:
    command: list[str | bytes | Path] = [ours("envdir"), spool / "etc", ours("relay-ctrl-chdir"), *words]
    done = run(command, env={"TCPREMOTEIP": "192.0.2.7", **(env or {})})
    return Result(done.code, done.out, re.sub(rb"\[\d+\]", b"[PID]", done.err))


def test_a_login_opens_relaying_and_age_ends_it(spool: Path) -> None:
    check = (ours("relay-ctrl-check"), *SHOW)
    assert chain(spool, *check).out == b"none nobody nowhere\n"
    allowed = chain(
        spool, ours("relay-ctrl-allow"), "sh", "-c", "pwd; exit 3", env={"USER": "joe", "DOMAIN": "b.example"}
    )
    assert (allowed.code, allowed.err) == (3, b"")
    assert allowed.out == os.getcwdb() + b"\n"
    assert chain(spool, *check).out == b" joe b.example\n"
    assert chain(spool, *check, env={"TCPREMOTEIP": "192.0.2.8"}).out == b"none nobody nowhere\n"
    assert chain(spool, *check, env={"TCPREMOTEIP": "::ffff:192.0.2.7"}).out == b" joe b.example\n"
    assert chain(spool, *check, env={"RELAY_CTRL_RELAYCLIENT": "@fixup"}).out == b"@fixup joe b.example\n"
    old = spool / "relay" / "spool" / "192.0.2.7"
    os.utime(old, (1, 1))
    assert chain(spool, *check).out == b"none nobody nowhere\n"
    assert not old.exists()
    old.touch()
    os.utime(old, (1, 1))
    assert run([ours("envdir"), spool / "etc", ours("relay-ctrl-age")]) == Result(0, b"", b"")
    assert not old.exists()


def test_what_is_executed_after_them_does_not_have_the_directory(spool: Path) -> None:
    listing = (sys.executable, "-c", LISTING)
    assert chain(spool, *listing).out == b"True\n"
    assert chain(spool, ours("relay-ctrl-check"), *listing).out == b"False\n"
    assert chain(spool, ours("relay-ctrl-allow"), *listing).out == b"False\n"


def test_what_check_says_when_it_is_asked_to(spool: Path) -> None:
    log = {"RELAY_CTRL_LOG_IPS": "", "RELAY_CTRL_LOG_ENV": ""}
    check = (ours("relay-ctrl-check"), "true")
    assert chain(spool, *check, env=log).err == b"relay-ctrl-check[PID]: IP 192.0.2.7 not found\n"
    chain(spool, ours("relay-ctrl-allow"), env={"USER": "joe"})
    assert chain(spool, *check, env=log).err == (
        b"relay-ctrl-check[PID]: IP 192.0.2.7 found, setting $RELAYCLIENT\nrelay-ctrl-check[PID]: Setting USER=joe\n"
    )
    os.utime(spool / "relay" / "spool" / "192.0.2.7", (1, 1))
    assert chain(spool, *check, env=log).err == b"relay-ctrl-check[PID]: Expired IP 192.0.2.7 found, removing\n"
    assert chain(spool, *check, env={**log, "RELAYCLIENT": ""}).err == (
        b"relay-ctrl-check[PID]: $RELAYCLIENT already set, not checking IP\n"
    )


@pytest.mark.parametrize(
    ("command", "env", "code", "err"),
    [
        (["relay-ctrl-chdir"], {}, 1, b"relay-ctrl-chdir: usage: relay-ctrl-chdir program [arguments]\n"),
        (["relay-ctrl-chdir", "true"], {}, 111, b"relay-ctrl-chdir: fatal: $RELAY_CTRL_DIR is not set.\n"),
        (
            ["relay-ctrl-chdir", "true"],
            {"RELAY_CTRL_DIR": "/missing"},
            111,
            b"relay-ctrl-chdir: fatal: Could not open dir '/missing': No such file or directory\n",
        ),
        (
            ["relay-ctrl-chdir", "true"],
            {"RELAY_CTRL_DIR": "/dev/null"},
            111,
            b"relay-ctrl-chdir: fatal: '/dev/null' is not a directory\n",
        ),
        (["relay-ctrl-check"], {}, 1, b"relay-ctrl-check: usage: relay-ctrl-check program [arguments]\n"),
        (
            ["relay-ctrl-check", "true"],
            {},
            0,
            b"relay-ctrl-check[PID]: Warning: $TCPREMOTEIP not set, not checking IP\n",
        ),
        (
            ["relay-ctrl-check", "true"],
            {"TCPREMOTEIP": "127.0.0.1"},
            0,
            b"relay-ctrl-check[PID]: Warning: $RELAY_CTRL_DIR is not set\n",
        ),
        (
            ["relay-ctrl-check", "true"],
            {"TCPREMOTEIP": "127.0.0.1", "RELAY_CTRL_DIR_FD": "x"},
            0,
            b"relay-ctrl-check[PID]: Warning: Invalid value for $RELAY_CTRL_DIR_FD\n",
        ),
        (["relay-ctrl-allow"], {}, 111, b"relay-ctrl-allow: fatal: Must be run from tcp-env or tcpserver.\n"),
        (
            ["relay-ctrl-allow", "true"],
            {"TCPREMOTEIP": "../../x"},
            111,
            b"relay-ctrl-allow: fatal: Must be run from tcp-env or tcpserver.\n",
        ),
        (
            ["relay-ctrl-allow", "true"],
            {"TCPREMOTEIP": "127.0.0.1"},
            0,
            b"relay-ctrl-allow[PID]: Warning: $RELAY_CTRL_DIR is not set.\n",
        ),
        (["relay-ctrl-age"], {}, 1, b"relay-ctrl-age: fatal: $RELAY_CTRL_DIR is not set.\n"),
        (
            ["relay-ctrl-age"],
            {"RELAY_CTRL_DIR": "/missing"},
            1,
            b"relay-ctrl-age: fatal: Could not change directory to '/missing'.\n",
        ),
    ],
)
def test_texts_and_exit_codes(command: list[str], env: dict[str, str], code: int, err: bytes) -> None:
    done = run([ours(command[0]), *command[1:]], env=env)
    assert (done.code, re.sub(rb"\[\d+\]", b"[PID]", done.err)) == (code, err)


def test_courier_allows_only_after_a_login_that_succeeded(spool: Path) -> None:
    courier = {"AUTHUSER": "x", "AUTHARGV0": "y"}
    for env, granted in (
        (courier, False),
        ({**courier, "AUTHENTICATED": ""}, False),
        ({**courier, "AUTHENTICATED": "joe"}, True),
    ):
        assert chain(spool, ours("relay-ctrl-allow"), env=env).code == 0
        assert (spool / "relay" / "spool" / "192.0.2.7").exists() is granted


def greeting(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
        client.sendall(b"")
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(1000), b""))


@pytest.mark.root
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_as_root_the_servers_accounts_reach_the_directory_through_tcpserver(
    spool: Path, processes: Processes, options: tuple[str, ...]
) -> None:
    """The commands of the HOWTO: the parent is root's alone, what runs after tcpserver is somebody else."""
    relay = spool / "relay" / "spool"
    ports = {name: free_port() for name in ("pop3", "smtp")}
    tcpserver: list[str | bytes | Path] = [
        ours("tcpserver"),
        *options,
        "-R",
        "-H",
        "-l",
        "0",
        "-u",
        "65534",
        "-g",
        "65534",
        "127.0.0.1",
    ]
    prefix: list[str | bytes | Path] = [ours("envdir"), spool / "etc", ours("relay-ctrl-chdir"), *tcpserver]
    # recordio and the like could stand here; argv0 is one of ours that runs its child unchanged.
    processes.start([*prefix, str(ports["pop3"]), ours("relay-ctrl-allow"), "/bin/sh", "-c", "id -u; exec cat"])
    processes.start(
        [*prefix, str(ports["smtp"]), ours("relay-ctrl-check"), "/bin/sh", "-c", "id -u; echo ${RELAYCLIENT-none}"]
    )
    assert until(lambda: greeting(ports["smtp"])) == b"65534\nnone\n"
    assert until(lambda: greeting(ports["pop3"])) == b"65534\n"
    grant = relay / "127.0.0.1"
    assert grant.stat().st_uid == 65534
    for _ in range(5):
        assert greeting(ports["smtp"]) == b"65534\n\n"
    os.utime(grant, (1, 1))
    assert greeting(ports["smtp"]) == b"65534\nnone\n"
