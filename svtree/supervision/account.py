"""What is to be told of a service beyond its state: how often it was started, how it ended, what it said and lacks.

Kept for supervise/report (svtree.supervision.report), which is made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svtree.supervision.lifecycle import RUNNING
from svtree.supervision.report import Report, exit_value, moment

if TYPE_CHECKING:
    from svtree.supervision.lifecycle import Lifecycle
    from svtree.supervision.process import Exit
    from svtree.supervision.runner import Runner


class Account:
    """Of one service; its owner writes into it what comes to pass."""

    __slots__ = ("complaints", "exit", "problem", "promises", "starts", "text")

    def __init__(self) -> None:
        """Nothing has come to pass."""
        self.exit: Exit | None = None
        self.starts = 0
        # Whether it is one that says when it is ready.
        self.promises = False
        self.text = self.problem = ""
        self.complaints: tuple[str, ...] = ()

    def report(self, machine: Lifecycle, runner: Runner) -> Report:
        """All of it, beside what the two know."""
        speaks = machine.state in RUNNING and (machine.ready or self.promises)
        return Report(
            since=moment(runner.since),
            restarts=max(0, self.starts - 1),
            exit=exit_value(self.exit),
            ready=machine.ready if speaks else None,
            status=self.text,
            backoff=machine.backoff(),
            adopted=runner.process is not None and runner.process.adopted,
            problem=self.problem,
            complaints=self.complaints,
        )
