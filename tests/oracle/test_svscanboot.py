"""svscanboot beside the original script, each with a directory of its own in the place of /etc/service."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.harness import Processes, original, ours, run, until

pytestmark = [pytest.mark.oracle, pytest.mark.root]
IN_PLACE = 'mount --bind "$1" /etc/service && exec "$0"'


@pytest.fixture(autouse=True)
def mountable() -> None:
    if not Path("/etc/service").is_dir() or Path("/service").exists():
        pytest.skip("needs Debian's /etc/service")
    if run(["unshare", "-m", "mount", "--bind", "/tmp", "/mnt"]).code:
        pytest.skip("may not mount here")


def boot(processes: Processes, program: str, folder: Path) -> subprocess.Popen[bytes]:
    for name, script in (
        ("broken", "#!/no/such/interpreter\n"),
        ("env", "#!/bin/sh\nenv > out.new; mv out.new out; sleep 1000\n"),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "run").write_text(script)
        (folder / name / "run").chmod(0o755)
    return processes.start(["unshare", "-m", "sh", "-c", IN_PLACE, program, folder], env={"SECRET": "1"})


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        # It has just ended.
        return []


@pytest.mark.parametrize("whose", [original, ours])
def test_the_title_has_the_errors_and_the_services_a_path_alone(
    whose: Callable[[str], str], folder: Path, processes: Processes
) -> None:
    started = boot(processes, whose("svscanboot"), folder)

    def errors() -> list[str]:
        below = [words(each) for each in psutil.Process(started.pid).children(recursive=True)]
        return [each[-1] for each in below if each[-3:-1] == ["service", "errors:"] and "broken" in each[-1]]

    try:
        shown = until(errors)[0]
        assert len(shown) == 400
        assert shown.startswith("...")
        environ = until((folder / "env" / "out").read_text).splitlines()
        path = next(line for line in environ if line.startswith("PATH="))
        assert path.endswith("/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin")
        assert not any(line.startswith("SECRET=") for line in environ)
    finally:
        until(nothing_runs)


def nothing_runs() -> bool:
    """The original's tree does not end with its top: end what there is, from the top, until nothing is there."""
    left = psutil.Process().children(recursive=True)
    for each in left:
        with contextlib.suppress(psutil.Error):
            each.kill()
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return not left
