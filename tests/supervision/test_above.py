"""What a supervisor tells the one above it, systemd say, by sd_notify(3)."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.harness import DEADLINE, Processes, ours


def test_svscan_says_that_it_is_ready_and_that_it_is_leaving(folder: Path, processes: Processes) -> None:
    (folder / "service").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as above:
        above.bind(str(folder / "above"))
        above.settimeout(DEADLINE)
        env = {"NOTIFY_SOCKET": str(folder / "above"), "WATCHDOG_USEC": "60000000"}
        svscan = processes.start([ours("svscan"), folder / "service"], env=env)
        assert above.recv(512) == b"READY=1"
        assert above.recv(512) == b"WATCHDOG=1"
        svscan.send_signal(signal.SIGTERM)
        assert above.recv(512) == b"STOPPING=1"
        assert svscan.wait(DEADLINE) == 0


def test_nobody_above_who_listens_is_no_reason_to_stop(folder: Path, processes: Processes) -> None:
    (folder / "service").mkdir()
    svscan = processes.start([ours("svscan"), folder / "service"], env={"NOTIFY_SOCKET": str(folder / "nobody")})
    svscan.send_signal(signal.SIGTERM)
    assert svscan.wait(DEADLINE) in (0, -signal.SIGTERM), "TERM may come before the supervisor has taken it"
