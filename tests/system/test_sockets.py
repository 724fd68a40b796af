"""Sockets handed over by the supervisor."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from svtree.system.sockets import adopt_listener, without_supervisor
from tests.harness import run

# Puts /dev/null at 3 and a listening socket at 4, then says what `inherited` finds.
SCRIPT = """
import os, socket
from svtree.system.descriptors import place
from svtree.system.sockets import inherited
listener = socket.create_server(("127.0.0.1", 0))
place({3: os.open("/dev/null", os.O_RDONLY), 4: os.dup(listener.fileno())})
told = {name: value.replace(b"ME", b"%d" % os.getpid()) for name, value in os.environb.items()}
found = [(each.descriptor, each.name) for each in inherited(told)]
print(found, os.get_inheritable(3), os.get_inheritable(4))
"""


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"LISTEN_FDS": "2", "LISTEN_PID": "ME", "LISTEN_FDNAMES": "a:listen"}, "[(4, b'listen')] True False"),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:listen"}, "[(4, b'listen')] True False"),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "ME"}, "[(4, b'')] True False"),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "ME"}, "[] True True"),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "1"}, "[] True True"),
        ({"LISTEN_FDS": "two", "LISTEN_PID": "ME"}, "[] True True"),
        ({}, "[] True True"),
    ],
)
def test_only_sockets_that_are_meant_for_us_are_taken(told: dict[str, str], found: str) -> None:
    done = run([sys.executable, "-c", SCRIPT], env=told)
    assert (done.out.decode().strip(), done.err) == (found, b"")


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"LISTEN_FDS": "2", "LISTEN_PID": "ME", "LISTEN_FDNAMES": "a:b"}, "[(3, b'a'), (4, b'b')] False False"),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}, "[] True True"),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "1"}, "[] True True"),
    ],
)
def test_whatever_it_is_is_taken_by_who_asks_for_it_if_it_is_surely_meant_for_us(
    told: dict[str, str], found: str
) -> None:
    done = run([sys.executable, "-c", SCRIPT.replace("(told)", "(told, of_any_kind=True)")], env=told)
    assert (done.out.decode().strip(), done.err) == (found, b"")


def test_what_we_have_opened_ourselves_is_not_taken() -> None:
    script = SCRIPT.replace("told =", "os.set_inheritable(3, False); os.set_inheritable(4, False)\ntold =")
    told = {"LISTEN_FDS": "2", "LISTEN_PID": "ME"}
    assert run([sys.executable, "-c", script], env=told).out == b"[] False False\n"


def test_a_listener_is_adopted_if_it_is_bound_as_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for asked in (port, 0):
            adopted = adopt_listener(os.dup(listener.fileno()), "127.0.0.1", asked)
            assert adopted is not None
            adopted.close()


@pytest.mark.parametrize("wrong", ["address", "port", "not listening", "datagram", "unix", "file"])
def test_anything_else_is_left_alone(wrong: str, folder: Path) -> None:
    ip, port = "127.0.0.1", 0
    if wrong == "file":
        descriptor = os.open("/dev/null", os.O_RDONLY)
    else:
        family = socket.AF_UNIX if wrong == "unix" else socket.AF_INET
        kind = socket.SOCK_DGRAM if wrong == "datagram" else socket.SOCK_STREAM
        made = socket.socket(family, kind)
        made.bind(str(folder / "socket") if wrong == "unix" else (ip, 0))
        if wrong not in ("not listening", "datagram"):
            made.listen()
        ip = "127.0.0.2" if wrong == "address" else ip
        port = 1 if wrong == "port" else 0
        descriptor = made.detach()
    assert adopt_listener(descriptor, ip, port) is None
    # It is still open, and the caller's.
    os.close(descriptor)


def test_what_is_between_a_service_and_its_supervisor_goes_no_further() -> None:
    told = {b"LISTEN_FDS": b"1", b"NOTIFY_SOCKET": b"/x", b"WATCHDOG_USEC": b"5", b"LISTEN": b"kept", b"PATH": b"/bin"}
    assert without_supervisor(told) == {b"LISTEN": b"kept", b"PATH": b"/bin"}
