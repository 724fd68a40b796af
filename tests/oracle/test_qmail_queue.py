"""Our queue and parts beside real qmail's, where that is installed in /var/qmail.

Its programs look at /var/qmail alone, so the queue under test is bound there in a mount namespace of the test's own.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, environment, ours, until
from tests.mail.queue.post import HOST, MESSAGE, Post, normalised

QMAIL = Path("/var/qmail/bin")
JIRO = f"jiro@{HOST}"

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.root,
    pytest.mark.skipif(not (QMAIL / "qmail-qread").exists(), reason="qmail is not installed in /var/qmail"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is missing"),
]


@pytest.fixture
def post(folder: Path, processes: Processes) -> Iterator[Post]:
    made = Post(folder, processes)
    yield made
    if made.running is not None and made.running.poll() is None:
        made.stop()


def beside(post: Post, *words: str) -> list[str]:
    """The command that runs one of theirs on our queue and our control files."""
    binds = " && ".join(
        f"mount --bind {shlex.quote(str(post.home / part))} /var/qmail/{part}" for part in ("queue", "control")
    )
    return ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh", *words]


def theirs(post: Post, name: str) -> str:
    done = subprocess.run(
        beside(post, str(QMAIL / name)),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_real_qmail_qread_and_qstat_read_our_queue(post: Post) -> None:
    post.program("qmail-local", "exit 111\n")
    post.program("qmail-remote", 'printf "s\\0Zlater\\n\\0"\n')
    post.start()
    assert post.queue([JIRO, "b@remote.example"], "s@h.example").code == 0
    post.seen("deferral", 2)
    assert post.stop() == 0
    assert post.queue([JIRO]).code == 0
    read = re.fullmatch(
        r"\d+ \w+ \d{4} [0-9:]{8} GMT  #\d+  \d+  <s@h\.example> \n\tlocal\t(.*)\n\tremote\t(.*)\n",
        theirs(post, "qmail-qread"),
    )
    assert read is not None
    assert read.groups() == (JIRO, "b@remote.example")
    assert theirs(post, "qmail-qstat") == ("messages in queue: 2\nmessages in queue but not yet preprocessed: 1\n")


@pytest.mark.parametrize("part", ["qmail-clean", "qmail-send"])
def test_a_part_of_real_qmail_works_among_ours(post: Post, part: str) -> None:
    post.program("qmail-local", "echo done\n")
    words = " ".join(map(shlex.quote, beside(post, str(QMAIL / part))))
    post.program(part, f"exec {words}\n")
    post.start()
    assert post.queue([JIRO], f"anonymous@{HOST}").code == 0
    post.empty()
    assert normalised(post.log()) == [
        "status: local 0/10 remote 0/20",
        "new msg M1",
        f"info msg M1: bytes B from <anonymous@{HOST}> qp P uid U",
        f"starting delivery D1: msg M1 to local {JIRO}",
        "status: local 1/10 remote 0/20",
        "delivery D1: success: done/",
        "status: local 0/10 remote 0/20",
        "end msg M1",
    ]
    assert post.stop() == 0
    assert post.log()[-1] == "status: exiting"


def test_our_qmail_queue_writes_what_theirs_writes(post: Post, folder: Path) -> None:
    found = {}
    for which, words in (("ours", [ours("qmail-queue")]), ("theirs", beside(post, str(QMAIL / "qmail-queue")))):
        envelope = folder / "envelope"
        envelope.write_bytes(b"Fs@h\0Ta@b\0Tc@d\0\0")
        with envelope.open("rb") as from_envelope:
            done = subprocess.run(
                words, input=MESSAGE, stdout=from_envelope, env=environment(post.env()), check=False, timeout=DEADLINE
            )
        assert done.returncode == 0
        (mess,) = until(lambda: post.files("mess"))
        number = mess.rpartition("/")[2]
        queue = post.home / "queue"
        found[which] = (
            sorted(name.replace(number, "N") for name in post.files()),
            re.sub(rb"qmail \d+|; [^\n]*", b"", (queue / mess).read_bytes()),
            re.sub(rb"p\d+\0", b"p\0", (queue / "todo" / number).read_bytes()),
            oct((queue / mess).stat().st_mode),
            oct((queue / "todo" / number).stat().st_mode),
        )
        for name in post.files():
            (queue / name).unlink()
    ours_, theirs_ = found["ours"], found["theirs"]
    assert [re.sub(r"/\d+/", "/S/", name) for name in ours_[0]] == [
        re.sub(r"/\d+/", "/S/", name) for name in theirs_[0]
    ]
    assert ours_[1:] == theirs_[1:]
