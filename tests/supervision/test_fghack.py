from __future__ import annotations

from pathlib import Path

import psutil

from tests.harness import DEADLINE, Processes, ours, run, until


def test_it_goes_on_while_a_daemon_that_closed_the_usual_descriptors_lives(folder: Path, processes: Processes) -> None:
    script = "(exec 0<&- 1>&- 2>&- 3<&- 4<&- 5<&- 6<&-; exec sleep 60) & echo $! > daemon"
    started = processes.start([ours("fghack"), "sh", "-c", script], cwd=folder)
    daemon = psutil.Process(int(until(lambda: (folder / "daemon").read_text().strip())))
    # The first process has ended: fghack waits for the pipe alone.
    until(lambda: all(each.status() == psutil.STATUS_ZOMBIE for each in psutil.Process(started.pid).children()))
    until(lambda: daemon.cmdline()[0] == "sleep")
    assert started.poll() is None
    daemon.kill()
    assert started.wait(DEADLINE) == 0


def test_what_is_written_to_its_pipe_does_not_stop_the_daemon() -> None:
    assert run([ours("fghack"), "sh", "-c", "head -c 1000000 /dev/zero >&9; echo done"]).out == b"done\n"
