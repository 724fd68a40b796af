"""Messages a second into the queue, 2 kB each: written in-process, and over qmail-queued; by 1 client and by 20.

    python -m bench.bench_mail [seconds a case, default 4] [directory, default a temporary one]

Then how many a second qmail-send delivers into a Maildir, end to end. Every case makes the same promise: what is
counted is on disk. One client shows what a sync costs, many show how far the file system shares them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from svtree.mail import accounts
from svtree.mail.queue import submit, writer
from svtree.mail.queue.client import ViaSocket
from svtree.mail.queue.layout import make_queue

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = 20
MESSAGE = b"Subject: bench\n\n" + b"x" * 78 + b"\n" + (b"y" * 78 + b"\n") * 24
BIN = Path(sys.executable).parent
HOST = "bench.example"
RECORDS = b"Fsender@elsewhere.example\0Tjiro@bench.example\0"


def in_process(home: bytes) -> None:
    put(writer.Queue(home))


def put(queue: writer.Queue) -> None:
    entry = writer.Entry(queue, os.getuid(), os.getpid(), b"from network")
    entry.write(MESSAGE)
    entry.address(RECORDS)
    entry.commit()
    queue.close()


def by_socket(home: bytes) -> None:
    client = ViaSocket(home, None, 10)
    client.write(MESSAGE)
    client.address(RECORDS)
    client.commit()


def rate(action: Callable[[bytes], None], home: bytes, seconds: float, clients: int) -> float:
    """Messages a second of so many processes that do nothing else."""
    out, into = os.pipe()
    end = time.monotonic() + seconds
    children = []
    for _ in range(clients):
        pid = os.fork()
        if not pid:
            count = 0
            try:
                while time.monotonic() < end:
                    action(home)
                    count += 1
                os.write(into, b"%d\n" % count)
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    os.close(into)
    with os.fdopen(out) as answers:
        return sum(map(int, answers)) / seconds


def fresh(folder: Path, name: str) -> bytes:
    """An empty mail system."""
    home = folder / name
    (home / "control").mkdir(parents=True)
    (home / "alias").mkdir()
    (home / "control" / "me").write_text(HOST + "\n")
    make_queue(os.fsencode(home))
    return os.fsencode(home)


def environ(home: bytes) -> dict[str, str]:
    return {**os.environ, "QMAILHOME": os.fsdecode(home), "PATH": f"{BIN}:{os.environ['PATH']}"}


def deliveries(folder: Path, count: int) -> float:
    """Messages a second from the queue into a Maildir."""
    home = fresh(folder, "deliveries")
    user = accounts.add(home, b"jiro", b"secret")
    for _ in range(count):
        in_process(home)
    log = folder / "log"
    with log.open("wb") as into:
        begin = time.perf_counter()
        process = subprocess.Popen([BIN / "qmail-start", "./Maildir/"], env=environ(home), stdout=into)
        new = Path(os.fsdecode(user.home)) / "Maildir" / "new"
        while len(os.listdir(new)) < count:
            time.sleep(0.02)
        taken = time.perf_counter() - begin
        process.send_signal(signal.SIGTERM)
        process.wait()
    return count / taken


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    submit.preload()
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for clients in (1, CLIENTS):
            rows = {"in-process": rate(in_process, fresh(folder, f"own{clients}"), seconds, clients)}
            home = fresh(folder, f"socket{clients}")
            server = subprocess.Popen([BIN / "qmail-queued"], env=environ(home))
            rows["over qmail-queued"] = rate(by_socket, home, seconds, clients)
            server.terminate()
            server.wait()
            for what, value in rows.items():
                print(f"{clients:3} clients  {what:20}{value:9.0f}/s")
        print(f"             {'delivered, Maildir':20}{deliveries(folder, 300):9.0f}/s")


if __name__ == "__main__":
    main()
