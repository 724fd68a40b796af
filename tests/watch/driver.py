"""A process that watches: `driver.py DIRECTORY...` watches these services and prints what happens, a JSON line each.

A process of its own, so that a test chooses with PYTHONPATH which watchdog it runs with. JOB_SECONDS says how long jobs
may take, SWEEP=never that hints have to do wherever there are any. `--tree DIRECTORY` watches a tree and adds its
entries as services, as the supervisor does. It says "ready" when it knows the services as they are, and "idle", for
each USR1, when whatever was changed before has had its effect. TERM ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence

from svtree.formats.watchfile import Action, Signal
from svtree.system.loop import Loop
from svtree.watch import compiling
from svtree.watch import service as service_module
from svtree.watch.engine import Watcher
from svtree.watch.machine import Complaint


def say(*words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def act(service: bytes, action: Action) -> None:
    detail = [action.number] if isinstance(action, Signal) else []
    say("act", os.path.basename(service).decode(), type(action).__name__, *detail)


def report(service: bytes, complaints: Sequence[Complaint]) -> None:
    say("report", os.path.basename(service).decode(), [complaint.text for complaint in complaints])


def watch_tree(watcher: Watcher, tree: bytes) -> None:
    added: set[bytes] = set()

    def changed() -> None:
        present = {tree + b"/" + name for name in (os.listdir(tree) if os.path.isdir(tree) else [])}
        for service in present - added:
            watcher.add(service)
        for service in added - present:
            watcher.remove(service)
        added.clear()
        added.update(present)
        say("tree", sorted(os.path.basename(service).decode() for service in present))

    watcher.tree(tree, changed)


def main() -> None:
    if "JOB_SECONDS" in os.environ:
        compiling.SECONDS = service_module.SECONDS = float(os.environ["JOB_SECONDS"])
    loop = Loop()
    watcher = Watcher(loop, act=act, report=report, environ=dict(os.environb), log=lambda line: say("log", line))

    if os.environ.get("SWEEP") == "never" and watcher._hints.complete:
        watcher._sweeper.cancel()

    def when_idle(*words: object) -> None:
        # What the kernel has queued is read before the timer fires, since the descriptor is ready by then.
        # A look that is due in the far future is the retry of a job that failed.
        soon = loop.clock.monotonic() + 2
        states = [(service._looking, service._machine) for service in watcher._services.values()]
        if any(looking or (machine.due or soon) < soon or machine._running for looking, machine in states):
            loop.after(0.01, lambda: when_idle(*words))
        else:
            say(*words)

    def asked() -> None:
        if not watcher._hints.complete:
            watcher._sweep()
        loop.after(0.01, lambda: when_idle("idle"))

    if sys.argv[1] == "--tree":
        watch_tree(watcher, os.fsencode(sys.argv[2]))
    else:
        for directory in sys.argv[1:]:
            watcher.add(os.fsencode(directory))
    loop.on_signal(signal.SIGTERM, loop.stop)
    loop.on_signal(signal.SIGUSR1, asked)
    loop.after(0.01, lambda: when_idle("ready"))
    loop.run()
    watcher.close()
    loop.close()


if __name__ == "__main__":
    main()
