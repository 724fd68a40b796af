"""As root, each part is its own user, the queue belongs to them, and mail is delivered as its recipient.

Runs in a mount namespace of its own, with /etc/passwd and /etc/group that have qmail's accounts; where the interpreter
lies in a directory that only root may enter, that directory is replaced there by one that lets others through.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import environment

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.root, pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is missing")]

GROUPS = {"qmail": 7790, "nofiles": 7791, "mary": 7799}
USERS = {
    "alias": (7781, 7791),
    "qmaild": (7782, 7791),
    "qmaill": (7783, 7791),
    "qmailp": (7784, 7791),
    "qmailq": (7785, 7790),
    "qmailr": (7786, 7790),
    "qmails": (7787, 7790),
    "mary": (7788, 7799),
}
OPEN_A_WAY = r"""
set -e
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
shift
# Each argument up to "--": a directory to be kept, below one that others may not enter.
while [ "$1" != -- ]; do
    closed="$1" kept="$2"; shift 2
    mkdir -p "$HOLD"; mount --bind "$kept" "$HOLD"
    mount -t tmpfs -o mode=755 tmpfs "$closed"
    mkdir -p "$kept"; mount --move "$HOLD" "$kept"
done
shift
exec "$@"
"""
SCENE = r"""
import json, os, subprocess, sys
from pathlib import Path
import psutil
from tests.harness import DEADLINE, PATH, Processes, until
from tests.mail.queue.post import HOST, Post

folder = Path(sys.argv[1])
processes = Processes()
post = Post(folder, processes)
mary = folder / "mary"
mary.mkdir()
(mary / ".qmail").write_text("|id -un > who; id -Gn >> who\n./Mailbox\n")
os.chown(mary, 7788, 7799)
os.chown(mary / ".qmail", 7788, 7799)
os.chown(post.home / "alias", 7781, 7791)
(post.home / "alias" / ".qmail-list").write_text("&mary\n")
found = {}

def owner(path):
    status = (post.home / "queue" / path).lstat()
    return [status.st_uid, status.st_gid, oct(status.st_mode & 0o777)]

def parts():
    seen = {}
    for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children()]:
        with each.oneshot():
            word = next((Path(w).name for w in each.cmdline() if "qmail-" in w), Path(each.cmdline()[0]).name)
            groups = Path(f"/proc/{each.pid}/status").read_text().split("Groups:")[1].split("\n")[0].split()
            seen[word] = [each.uids().real, each.uids().saved, each.gids().real, [int(g) for g in groups]]
    return seen

try:
    with post.log_path.open("ab") as log:
        process = processes.start(["qmail-start", "./Mailbox", "tee", "-a", str(folder / "logged")],
                                  env=post.env(), stdout=log.fileno(), stderr=log.fileno())
    logged = folder / "logged"
    until(lambda: "status: local" in post.log_path.read_text())
    # Not all of them may be what they are to be yet.
    until(lambda: {"qmail-send", "qmail-lspawn", "qmail-rspawn", "qmail-clean", "qmail-queued", "tee"} <= set(parts()))
    found["parts"] = parts()
    assert post.queue([f"mary@{HOST}"]).code == 0
    post.empty()
    found["who"] = (mary / "who").read_text()
    assert post.queue([f"list@{HOST}"]).code == 0
    until(lambda: (mary / "Mailbox").read_text().count("Subject: testing") == 2)
    post.empty()
    found["log"] = post.log()
    assert post.queue([f"nobody-here@{HOST}"], sender=f"mary@{HOST}").code == 0
    until(lambda: "failure notice" in (mary / "Mailbox").read_text())
    post.empty()
    found["mailbox"] = (mary / "Mailbox").read_text()
    found["mailbox_owner"] = [(mary / "Mailbox").stat().st_uid, (mary / "Mailbox").stat().st_gid]
    process.terminate()
    assert process.wait(DEADLINE) == 0
    assert post.queue([f"mary@{HOST}"]).code == 0
    (mess,) = post.files("mess")
    (todo,) = post.files("todo")
    found["files"] = {"mess": owner(mess), "todo": owner(todo)}
    found["queue"] = {name: owner(name) for name in (".", "pid", "intd", "todo", "bounce", "mess", "mess/7", "info/7",
        "local/7", "remote/7", "lock", "lock/sendmutex", "lock/tcpto", "lock/trigger", "socket")}
finally:
    processes.end()
print(json.dumps(found))
"""


def closed_directories() -> list[str]:
    """Pairs of a directory that others may not enter, and the one below it that they need."""
    pairs: list[str] = []
    for needed in {Path(sys.base_prefix), Path(sys.prefix).resolve(), ROOT}:
        for above in [*needed.parents][::-1]:
            if not above.stat().st_mode & 0o001:
                pairs += [str(above), str(needed)]
                break
    return pairs


def test_each_part_runs_as_its_own_user_and_owns_its_own_files(folder: Path) -> None:
    (folder / "passwd").write_text(
        Path("/etc/passwd").read_text()
        + "".join(f"{name}:x:{uid}:{gid}::{folder}/{name}:/bin/sh\n" for name, (uid, gid) in USERS.items())
    )
    (folder / "group").write_text(
        Path("/etc/group").read_text() + "".join(f"{name}:x:{gid}:\n" for name, gid in GROUPS.items())
    )
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", OPEN_A_WAY, "sh", str(folder), *closed_directories(), "--"),
            *(sys.executable, "-c", SCENE, str(folder)),
        ],
        env=environment({"PYTHONPATH": str(ROOT), "HOLD": str(folder / "hold")}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if "unshare failed" in done.stderr or ("permission denied" in done.stderr and not done.stdout):
        pytest.skip("no mount namespaces here: " + done.stderr)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["parts"] == {
        "qmail-send": [7787, 7787, 7790, [7790]],
        "qmail-lspawn": [0, 0, 7790, [7790]],
        "qmail-rspawn": [7786, 7786, 7790, [7790]],
        "qmail-clean": [7785, 7785, 7790, [7790]],
        "qmail-queued": [7785, 7785, 7790, [7790]],
        "tee": [7783, 7783, 7791, [7791]],
    }
    assert found["who"] == "mary\nmary\n"
    assert found["mailbox_owner"] == [7788, 7799]
    assert any(line.startswith("info msg") and line.endswith("uid 7781") for line in found["log"]), found["log"]
    assert "invoked by alias" in found["mailbox"]
    assert "invoked for bounce" in found["mailbox"]
    assert found["files"] == {"mess": [7785, 0, "0o644"], "todo": [7785, 0, "0o644"]}
    queue, send, remote, group = 7785, 7787, 7786, 7790
    assert found["queue"] == {
        ".": [queue, group, "0o751"],
        "pid": [queue, group, "0o700"],
        "intd": [queue, group, "0o700"],
        "todo": [queue, group, "0o750"],
        "bounce": [send, group, "0o700"],
        "mess": [queue, group, "0o750"],
        "mess/7": [queue, group, "0o750"],
        "info/7": [send, group, "0o700"],
        "local/7": [send, group, "0o700"],
        "remote/7": [send, group, "0o700"],
        "lock": [queue, group, "0o750"],
        "lock/sendmutex": [send, group, "0o600"],
        "lock/tcpto": [remote, group, "0o644"],
        "lock/trigger": [send, group, "0o622"],
        "socket": found["queue"]["socket"],
    }
    assert found["queue"]["socket"][0] == queue
    assert found["queue"]["socket"][2] == "0o666"
