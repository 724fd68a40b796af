"""Fixtures for every test: a short directory, programs that end with the test, and the check that nothing is left."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import hypothesis
import psutil
import pytest

from tests.harness import DEADLINE, Processes, claims
from tests.tree.installation import RUN, remove

PR_SET_CHILD_SUBREAPER = 36
# However slow the machine is, and the same examples in each run: a run that passes would pass again. To look for
# others: pytest --hypothesis-profile search.
hypothesis.settings.register_profile(
    "search", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.register_profile("gate", hypothesis.settings.get_profile("search"), derandomize=True, database=None)
hypothesis.settings.load_profile("gate")


def pytest_configure(config: pytest.Config) -> None:
    """Become the parent of every orphan, so that a process left behind is seen, whoever started it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # What nohup or a shell in the background has had ignored would be so in every program under test, whose traps
    # would not work then. Caught and passed over, it is as ignored here, and as usual there.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, _pass_over)
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = str(os.getpid())


def _pass_over(_: int, __: FrameType | None) -> None:
    """A signal that is nothing to us."""


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that began the run ends what the run has shared."""
    if not hasattr(config, "workerinput"):
        remove(os.environ[RUN])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where there is none."""
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have recorded as property "shown": numbers that are asked for, also where workers ran them."""
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if isinstance(report, pytest.TestReport) and report.when == "call":
            for text in (text for name, text in report.user_properties if name == "shown"):
                terminalreporter.write_line(str(text))


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def _reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a process or a descriptor; what it left is ended, so that the next one starts clean."""
    before = _descriptors()
    yield
    deadline = time.monotonic() + DEADLINE
    while True:
        _reap()
        left = psutil.Process().children(recursive=True)
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    names = []
    for process in left:
        try:
            names.append(f"{process.pid} {' '.join(process.cmdline())}")
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(left, timeout=DEADLINE)
    _reap()
    after = {number: target for number, target in _descriptors().items() if before.get(number) != target}
    for claim in claims:
        after.pop(claim.fileno(), None)
    opened = {
        number: target
        for number, target in after.items()
        if not target.startswith(("/dev/urandom", "anon_inode:[eventpoll]"))
    }
    if names or opened:
        pytest.fail(f"left behind: processes {names}, descriptors {opened}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short path (a Unix socket's is at most 107 bytes) that other accounts may enter."""
    path = Path(tempfile.mkdtemp(prefix="sv-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def processes(nothing_left_behind: None) -> Iterator[Processes]:
    """Start programs that are ended with the test."""
    running = Processes()
    yield running
    running.end()
