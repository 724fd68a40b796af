"""A full disk under the queue: one clear answer, nothing lost, and everything goes on when there is room again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import environment

ROOT = Path(__file__).parents[2]
# Runs in a mount namespace of its own, in which the queue lies on a small tmpfs; the checks are made in there too.
SCENE = r"""
import signal, subprocess, sys
from pathlib import Path
from tests.harness import Processes, until
from tests.mail.queue.post import HOST, Post

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", str(folder)], check=True)
processes = Processes()
post = Post(folder, processes)
post.log_path = Path(sys.argv[2])
ballast = folder / "ballast"

def fill():
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass

try:
    SCENE
except BaseException:
    print(*post.log(), *post.files(), sep="\n", file=sys.stderr)
    raise
finally:
    if post.running is not None and post.running.poll() is None:
        post.stop()
    processes.end()
print("scene played")
"""


def play(folder: Path, scene: str) -> None:
    mounted = folder / "disk"
    mounted.mkdir()
    lines = "\n    ".join(scene.strip().splitlines())
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", SCENE.replace("SCENE", lines), str(mounted), str(folder / "log")],
        env=environment({"PYTHONPATH": str(ROOT)}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if "unshare failed" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.stdout.endswith("scene played\n"), done.stderr


pytestmark = [pytest.mark.root, pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is missing")]


def test_a_full_disk_is_a_write_error_that_leaves_nothing(folder: Path) -> None:
    play(
        folder,
        """
post.program("qmail-local", "exit 0\\n")
fill()
result = post.queue([f"jiro@{HOST}"], message=b"x" * 100_000)
assert (result.code, result.err) == (53, b""), result
assert not post.files(), post.files()
ballast.unlink()
assert post.queue([f"jiro@{HOST}"], message=b"x" * 100_000).code == 0
post.start()
post.empty(600)
""",
    )


def test_a_message_that_cannot_be_sorted_waits_in_todo_until_there_is_room(folder: Path) -> None:
    play(
        folder,
        """
post.program("qmail-local", "exit 0\\n")
assert post.queue([f"user{number}@{HOST}" for number in range(1000)]).code == 0
fill()
post.start()
post.seen("^warning: unable to create (info|local)/")
assert post.files("todo")
ballast.unlink()
# The trigger of the next message is what makes qmail-send look again.
assert post.queue([f"jiro@{HOST}"]).code == 0
post.empty(600)
assert sum("success" in line for line in post.log()) == 1001
""",
    )


def test_a_failure_that_cannot_be_written_down_is_tried_again_and_then_bounces(folder: Path) -> None:
    play(
        folder,
        """
report = "x" * 2900
bounce = folder / "bounce"
bounce.touch()
bounce.chmod(0o666)
post.program("qmail-local", f'case "$8" in "") cat > {bounce}; exit 0;; esac; echo {report}; exit 100\\n')
recipients = [f"user{number}@{HOST}" for number in range(4)]
assert post.queue(recipients, sender=f"s@{HOST}").code == 0
post.control("concurrencylocal", "0")
post.start()
until(lambda: not post.files("todo"))
assert post.stop() == 0
(folder / "qmail/control/concurrencylocal").unlink()
fill()
post.start()
post.seen("^alert: unable to append to bounce message; will try again later")
post.seen("^delivery .*: failure", 4)
assert post.files("local")
ballast.unlink()
post.signal(signal.SIGALRM)
post.empty(600)
text = bounce.read_bytes()
assert sorted(text.count(b"<%s>:\\n%s\\n\\n" % (each.encode(), report.encode())) for each in recipients) == [1] * 4
""",
    )
