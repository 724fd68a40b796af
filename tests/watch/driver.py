"""A process that watches: `driver.py DIRECTORY...` watches these services and prints what happens, a JSON line each.

A process of its own, so that a test chooses with PYTHONPATH which watchdog it runs with. `--tree DIRECTORY` also
watches a tree and adds its entries as services, as the supervisor does. TERM ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence

from svtree.formats.watchfile import Action, Signal
from svtree.system.loop import Loop
from svtree.watch.engine import Watcher
from svtree.watch.machine import Complaint


def say(*words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def main() -> None:
    loop = Loop()

    def act(service: bytes, action: Action) -> None:
        detail = [action.number] if isinstance(action, Signal) else []
        say("act", os.path.basename(service).decode(), type(action).__name__, *detail)

    def report(service: bytes, complaints: Sequence[Complaint]) -> None:
        say("report", os.path.basename(service).decode(), [complaint.text for complaint in complaints])

    watcher = Watcher(loop, act=act, report=report, environ=dict(os.environb), log=lambda line: say("log", line))
    added: set[bytes] = set()
    if sys.argv[1] == "--tree":
        tree = os.fsencode(sys.argv[2])

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
    else:
        for directory in sys.argv[1:]:
            watcher.add(os.fsencode(directory))
    loop.on_signal(signal.SIGTERM, loop.stop)
    loop.after(0.05, lambda: say("ready"))
    loop.run()
    watcher.close()
    loop.close()


if __name__ == "__main__":
    main()
