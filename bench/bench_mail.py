"""How much mail a second: this qmail beside real qmail in /var/qmail, else beside itself without what makes it fast.

    python -m bench.bench_mail [seconds a case, default 3] [rounds, default 3] [directory, default /var/tmp]

Root is needed for real qmail, which then runs in a mount namespace, with a queue of its own. Without it the other side
is ours with a process for each session, message and delivery, and a sync for each message. Rounds alternate between the
two sides, and medians are compared, so that what else the machine does hits both. 20 clients, messages of 2 kB.

Both sides make the same promise, or ours more: real qmail syncs message and envelope of each message, ours their names
as well. All queues and Maildirs are on the file system of the directory, which is printed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.mail_clients import pop3, rate, smtp
from bench.mail_sides import Alone, Ours, Real

CLIENTS = 20
DELIVERIES = 100
# Messages a connection, recipients a message, and the ratio that is wanted.
SHAPES = (
    ("one message a connection", 1, 1, 1.5),
    ("a hundred a connection", 100, 1, 1.2),
    ("ten recipients a message", 1, 10, 2.0),
)


def accept(side: Ours, seconds: float, messages: int, recipients: int) -> float:
    """Messages accepted a second."""
    side.fresh_queue()
    with side.smtp() as port:
        rate(partial(smtp, messages=1, recipients=1), port, CLIENTS, 0.3)
        return rate(partial(smtp, messages=messages, recipients=recipients), port, CLIENTS, seconds)


def read(side: Ours, seconds: float) -> float:
    """POP3 sessions a second."""
    with side.pop3() as port:
        return rate(pop3, port, CLIENTS, seconds)


def measure(side: Ours, seconds: float) -> list[float]:
    """One round of one side: all cases."""
    found = [accept(side, seconds, messages, recipients) for _, messages, recipients, _ in SHAPES]
    return [*found, side.deliver(DELIVERIES), read(side, seconds)]


def main() -> None:
    """Print the five ratios."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    where = Path(sys.argv[3]) if len(sys.argv) > 3 else Path("/var/tmp")
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=where) as name:
        folder = Path(name)
        folder.chmod(0o755)
        kind = subprocess.run(["stat", "-f", "-c", "%T", name], capture_output=True, text=True, check=True).stdout
        (folder / "ours").mkdir()
        (folder / "other").mkdir()
        sides = Ours(folder / "ours"), (Real if Real.here() else Alone)(folder / "other")
        print(f"{CLIENTS} clients, 2 kB, in {where} ({kind.strip()}); beside {sides[1].name}")
        for side in sides:
            side.fill_mailbox()
        results: list[list[list[float]]] = [[], []]
        for _ in range(rounds):
            for side, result in zip(sides, results, strict=True):
                result.append(measure(side, seconds))
        titles = [(title, wanted) for title, _, _, wanted in SHAPES] + [
            ("local deliveries", 1.0),
            ("POP3 sessions", 1.0),
        ]
        for index, (title, wanted) in enumerate(titles):
            ours, theirs = (statistics.median(each[index] for each in result) for result in results)
            print(f"  {title:28}{ours:8.0f}/s {theirs:8.0f}/s {ours / theirs:7.2f}x (goal: {wanted}x)")
        print("  load average:", *(f"{each:.1f}" for each in os.getloadavg()))


if __name__ == "__main__":
    main()
