from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.harness import BIN, DEADLINE, Processes, ours, run, until

ORIGINAL_PATH = "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin"


def service(folder: Path, name: str, script: str) -> Path:
    directory = folder / name
    directory.mkdir()
    (directory / "run").write_text(script)
    (directory / "run").chmod(0o755)
    return directory


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        # It has just ended.
        return []


def title(started: subprocess.Popen[bytes]) -> psutil.Process:
    """The readproctitle of this svscanboot."""

    def found() -> list[psutil.Process]:
        return [each for each in psutil.Process(started.pid).children() if "errors:" in words(each)]

    return until(found)[0]


def test_services_run_with_a_path_and_nothing_else_of_ours(folder: Path, processes: Processes) -> None:
    directory = service(folder, "one", "#!/bin/sh\nenv > env.new; mv env.new env.out; exec sleep 1000\n")
    started = processes.start([ours("svscanboot"), folder], env={"SECRET": "1"})
    lines = until((directory / "env.out").read_text).splitlines()
    assert f"PATH={BIN}:{ORIGINAL_PATH}" in lines
    assert not any(line.startswith(("SECRET=", "HOME=")) for line in lines)
    assert until(lambda: words(psutil.Process(started.pid))[1]).endswith("/svscan")


def test_what_svscan_complains_of_is_seen_in_ps(folder: Path, processes: Processes) -> None:
    service(folder, "broken", "#!/no/such/interpreter\n")
    started = processes.start([ours("svscanboot"), folder])
    shown = title(started)
    until(lambda: "broken/run" in words(shown)[-1])
    until(lambda: words(shown)[2:4] == ["service", "errors:"])
    until(lambda: len(words(shown)[-1]) == 400)


def test_a_signal_takes_everything_down_and_the_title_with_it(folder: Path, processes: Processes) -> None:
    service(folder, "one", "#!/bin/sh\nexec sleep 1000\n")
    started = processes.start([ours("svscanboot"), folder])
    until(lambda: run([ours("svstat"), folder / "one"]).out.startswith(f"{folder}/one: up".encode()))
    shown = title(started)
    started.send_signal(signal.SIGTERM)
    assert started.wait(DEADLINE) == 0
    until(lambda: not shown.is_running() or shown.status() == psutil.STATUS_ZOMBIE)


def test_it_takes_one_directory_at_most() -> None:
    done = run([ours("svscanboot"), "a", "b"])
    assert (done.code, done.err) == (100, b"svscanboot: usage: svscanboot [ dir ]\n")


@pytest.mark.parametrize("closed", ["", "0<&- 1>&- 2>&-"])
def test_init_may_start_it_without_open_descriptors(folder: Path, processes: Processes, closed: str) -> None:
    directory = service(
        folder, "one", "#!/bin/sh\nls -l /proc/self/fd > fds.new; mv fds.new fds.out; exec sleep 1000\n"
    )
    started = processes.start(["sh", "-c", f'exec "$0" "$1" {closed}', ours("svscanboot"), folder])
    assert "/dev/null" in until((directory / "fds.out").read_text)
    assert title(started)
