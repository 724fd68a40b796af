from __future__ import annotations

from pathlib import Path

from tests.harness import Processes, ours, run, until


def test_it_goes_on_while_a_daemon_that_closed_the_usual_descriptors_lives(folder: Path, processes: Processes) -> None:
    script = "(exec 0<&- 1>&- 2>&- 3<&- 4<&- 5<&- 6<&-; sleep 60) & echo $! > daemon"
    started = processes.start([ours("fghack"), "sh", "-c", script], cwd=folder)
    daemon = until(lambda: (folder / "daemon").read_text().strip())
    until(lambda: len(Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()) == 1)
    assert started.poll() is None
    # The shell in between waits in nobody's name: its child is the one that holds the pipe.
    run(["sh", "-c", f"pkill -P {daemon}; kill {daemon}"])
    assert started.wait(20) == 0


def test_what_is_written_to_its_pipe_does_not_stop_the_daemon() -> None:
    assert run([ours("fghack"), "sh", "-c", "head -c 1000000 /dev/zero >&9; echo done"]).out == b"done\n"
