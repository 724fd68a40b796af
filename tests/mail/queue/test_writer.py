"""Putting messages into the queue: qmail-queue, in-process submission, and the order in which things reach the disk."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from svtree.mail.queue import codes, submit
from svtree.mail.queue.submit import SubmitError, explain
from tests.harness import BIN, DEADLINE, environment, ours, until
from tests.mail.queue.post import HOST, MESSAGE, Post

JIRO = f"jiro@{HOST}"
ENVELOPE = b"Fa@b\0Tc@d\0\0"


def environ(post: Post) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment(post.env()).items()}


def one_message(post: Post) -> tuple[int, bytes, bytes]:
    """The only message of a queue: number, mess/N, todo/N."""
    (mess,) = post.files("mess")
    number = int(mess.rpartition("/")[2])
    queue = post.home / "queue"
    return number, (queue / mess).read_bytes(), (queue / "todo" / str(number)).read_bytes()


def test_qmail_queue_writes_the_files_that_INTERNALS_describes(post: Post) -> None:  # noqa: N802 - a file's name
    assert post.queue_raw(MESSAGE, b"Fs@h\0Ta@b\0Tc@d\0\0").code == 0
    number, message, todo = one_message(post)
    queue = post.home / "queue"
    assert post.files() == {f"mess/{number % 23}/{number}", f"intd/{number}", f"todo/{number}"}
    status = (queue / "mess" / str(number % 23) / str(number)).stat()
    assert status.st_ino == number
    assert status.st_mode & 0o777 == 0o644
    assert (queue / "todo" / str(number)).stat().st_ino == (queue / "intd" / str(number)).stat().st_ino
    read = re.fullmatch(rb"u(\d+)\0p(\d+)\0Fs@h\0Ta@b\0Tc@d\0", todo)
    assert read is not None
    assert int(read[1]) == os.getuid()
    line = rb"Received: \(qmail %s invoked by uid %s\); \d+ \w+ \d{4} [0-9:]{8} -0000\n" % (read[2], read[1])
    assert re.fullmatch(line + re.escape(MESSAGE), message)


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (b"", 54),
        (b"Fa@b\0", 54),
        (b"Fa@b\0Tc@d\0", 54),
        (b"Fa@b\0Tc@d", 54),
        (b"Xa@b\0\0", 91),
        (b"\0", 91),
        (b"Fa@b\0Xc@d\0\0", 91),
        (b"F" + b"a" * 1003 + b"\0\0", 11),
        (b"Fa@b\0T" + b"a" * 1003 + b"\0\0", 11),
    ],
)
def test_a_bad_envelope_has_the_originals_exit_code_and_leaves_nothing(post: Post, envelope: bytes, code: int) -> None:
    result = post.queue_raw(MESSAGE, envelope)
    assert (result.code, result.err) == (code, b"")
    assert not post.files()


def test_an_envelope_without_recipients_is_taken(post: Post) -> None:
    assert post.queue_raw(b"", b"F\0\0").code == 0
    assert one_message(post)[2].endswith(b"\0F\0")


@pytest.mark.parametrize(
    ("broken", "code"), [("", 61), ("queue", 62), ("queue/pid", 62), ("queue/mess", 64), ("queue/intd", 65)]
)
def test_a_broken_queue_has_the_originals_exit_code(post: Post, broken: str, code: int) -> None:
    shutil.rmtree(post.home / broken)
    assert post.queue([JIRO]).code == code
    if code > 62:
        assert not post.files()


def test_a_todo_directory_that_takes_no_names_fails_and_leaves_nothing(post: Post) -> None:
    (post.home / "queue" / "todo").rmdir()
    (post.home / "queue" / "todo").write_bytes(b"")
    assert post.queue([JIRO]).code == 66
    assert not post.files()


def test_qmail_queue_takes_no_arguments(post: Post) -> None:
    done = subprocess.run(
        [ours("qmail-queue"), "x"], env=environment(post.env()), capture_output=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 100
    assert done.stderr.startswith(b"qmail-queue: usage: ")


def test_a_writer_whose_day_is_over_dies_at_once_and_cleans_nothing(post: Post) -> None:
    out, into = os.pipe()
    process = post.processes.start([ours("qmail-queue")], env=post.env(), stdin=subprocess.PIPE, stdout=out)
    os.close(out)
    until(lambda: post.files("mess"), what="a message begun")

    def ended() -> bool:
        # The first one may come just before it reads, and interrupt nothing; its own would come again.
        process.send_signal(signal.SIGALRM)
        return process.poll() is not None

    until(ended)
    assert process.returncode == 52
    os.close(into)
    assert len(post.files("mess")) == 1
    assert not post.files("todo")


def test_hup_and_int_do_not_stop_a_writer(post: Post) -> None:
    out, into = os.pipe()
    process = post.processes.start([ours("qmail-queue")], env=post.env(), stdin=subprocess.PIPE, stdout=out)
    os.close(out)
    until(lambda: post.files("mess"), what="a message begun")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    assert process.stdin is not None
    process.stdin.write(MESSAGE)
    process.stdin.close()
    os.write(into, ENVELOPE)
    os.close(into)
    assert process.wait(DEADLINE) == 0
    assert post.files("todo")


def test_every_byte_is_kept(post: Post) -> None:
    message = bytes(range(256)) * 3000
    assert post.queue_raw(message, ENVELOPE).code == 0
    assert one_message(post)[1].endswith(b"-0000\n" + message)


# ----------------------------------------------------------------------------------------------------------- submission


@pytest.mark.parametrize(
    ("origin", "word"),
    [
        (None, b"by uid %d" % os.getuid()),
        (b"network", b"from network"),
        (b"bounce", b"for bounce"),
        (b"alias", b"by alias"),
        (b"nonsense", b"by uid %d" % os.getuid()),
    ],
)
def test_the_received_line_says_who_submitted(post: Post, origin: bytes | None, word: bytes) -> None:
    submission = submit.begin(environ(post), origin)
    submission.write(b"one ")
    submission.write(b"two\n")
    assert submission.finish(b"a@b", [b"c@d"]) == os.getpid()
    _, message, todo = one_message(post)
    assert message.startswith(b"Received: (qmail %d invoked %s); " % (os.getpid(), word))
    assert message.endswith(b"\none two\n")
    assert todo == b"u%d\0p%d\0Fa@b\0Tc@d\0" % (os.getuid(), os.getpid())


def test_an_abandoned_submission_leaves_nothing(post: Post) -> None:
    submission = submit.begin(environ(post))
    submission.write(b"x" * 200_000)
    assert post.files("mess")
    submission.abandon()
    assert not post.files()
    with pytest.raises(SubmitError):
        submission.finish(b"a@b", [])


def test_a_failure_is_told_at_the_end_not_before(post: Post) -> None:
    shutil.rmtree(post.home / "queue" / "mess")
    submission = submit.begin(environ(post))
    submission.write(b"x" * 200_000)
    with pytest.raises(SubmitError) as caught:
        submission.finish(b"a@b", [b"c@d"])
    assert caught.value.code == codes.MESSAGE_FILE
    assert str(caught.value) == "Zqq trouble creating files in queue (#4.3.0)"


def test_an_address_that_is_too_long_is_a_permanent_failure(post: Post) -> None:
    submission = submit.begin(environ(post))
    with pytest.raises(SubmitError) as caught:
        submission.finish(b"a" * 1003, [b"c@d"])
    assert caught.value.code == 11
    assert not post.files()


def test_qmailqueue_names_another_program_which_gets_message_and_envelope(post: Post) -> None:
    post.program("my-queue", 'cat > "$QMAILHOME/message"; cat <&1 > "$QMAILHOME/envelope"; pwd > "$QMAILHOME/where"\n')
    submission = submit.begin({**environ(post), b"QMAILQUEUE": b"my-queue"})
    submission.write(b"hello\n")
    assert submission.finish(b"a@b", [b"c@d", b"e@f"]) > 0
    assert (post.home / "message").read_bytes() == b"hello\n"
    assert (post.home / "envelope").read_bytes() == b"Fa@b\0Tc@d\0Te@f\0\0"
    assert (post.home / "where").read_text().strip() == str(post.home)
    assert not post.files()


def test_a_foreign_qmail_queue_first_on_path_takes_the_place_of_ours(post: Post) -> None:
    post.program("qmail-queue", "cat > /dev/null; cat <&1 > /dev/null; exit 31\n")
    with pytest.raises(SubmitError) as caught:
        submit.begin(environ(post)).finish(b"a@b", [b"c@d"])
    assert caught.value.code == 31
    assert str(caught.value) == "Dmail server permanently rejected message (#5.3.0)"


@pytest.mark.parametrize(
    ("script", "code", "text"),
    [
        ("exit 0\n", 54, "Zqq read error (#4.3.0)"),
        ("exit 53\n", 53, "Zqq write error or disk full (#4.3.0)"),
        ("kill -9 $$\n", 111, "Zqq crashed (#4.3.0)"),
        ("cat > /dev/null; echo -n 'Dno spam (#5.7.1)' >&6; exit 82\n", 82, "Dno spam (#5.7.1)"),
        ("cat > /dev/null; exit 82\n", 82, "Zqq temporary problem (#4.3.0)"),
    ],
)
def test_what_a_foreign_queue_exits_with_is_what_the_client_hears(
    post: Post, script: str, code: int, text: str
) -> None:
    post.program("my-queue", script)
    submission = submit.begin({**environ(post), b"QMAILQUEUE": b"my-queue"})
    # More than pipes hold, so that the early end of the program is noticed.
    submission.write(b"x" * 300_000)
    with pytest.raises(SubmitError) as caught:
        submission.finish(b"a@b", [b"c@d"])
    assert (caught.value.code, caught.value.text) == (code, text)


def test_a_queue_program_that_is_missing_cannot_be_executed(post: Post) -> None:
    with pytest.raises(SubmitError) as caught:
        submit.begin({**environ(post), b"QMAILQUEUE": b"no-such-program"}).finish(b"a@b", [b"c@d"])
    assert caught.value.code == 120
    assert str(caught.value) == "Zunable to exec qq (#4.3.0)"


def test_an_abandoned_foreign_queue_sees_no_envelope_and_is_reaped(post: Post) -> None:
    post.program("my-queue", 'cat > /dev/null; cat <&1 > "$QMAILHOME/envelope"\n')
    submission = submit.begin({**environ(post), b"QMAILQUEUE": b"my-queue"})
    submission.write(b"x")
    submission.abandon()
    assert (post.home / "envelope").read_bytes() == b""


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, ""),
        (11, "Denvelope address too long for qq (#5.1.3)"),
        (12, "Dqq permanent problem (#5.3.0)"),
        (40, "Dqq permanent problem (#5.3.0)"),
        (41, "Zqq temporary problem (#4.3.0)"),
        (51, "Zqq out of memory (#4.3.0)"),
        (52, "Zqq timeout (#4.3.0)"),
        (53, "Zqq write error or disk full (#4.3.0)"),
        (54, "Zqq read error (#4.3.0)"),
        (61, "Zqq trouble in home directory (#4.3.0)"),
        (62, "Zqq trouble creating files in queue (#4.3.0)"),
        (66, "Zqq trouble creating files in queue (#4.3.0)"),
        (81, "Zqq internal bug (#4.3.0)"),
        (91, "Zqq internal bug (#4.3.0)"),
        (115, "Denvelope address too long for qq (#5.1.3)"),
        (120, "Zunable to exec qq (#4.3.0)"),
        (111, "Zqq temporary problem (#4.3.0)"),
    ],
)
def test_exit_codes_are_explained_in_the_originals_words(code: int, text: str) -> None:
    assert explain(code) == text


# ------------------------------------------------------------------------------------------------------------ the disk


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_message_envelope_and_names_are_on_disk_before_todo_and_todo_before_success(post: Post) -> None:
    trace = post.folder / "trace"
    wanted = "openat,linkat,fsync,fdatasync,syncfs,exit_group"
    post.program("traced", f"exec strace -o {trace} -e trace={wanted} {BIN}/qmail-queue\n")
    read, into = os.pipe()
    os.write(into, ENVELOPE)
    os.close(into)
    process = post.processes.start([post.folder / "bin" / "traced"], env=post.env(), stdin=subprocess.PIPE, stdout=read)
    os.close(read)
    process.communicate(MESSAGE, timeout=DEADLINE)
    assert process.returncode == 0
    assert _story(trace) == [
        "create pid",
        "link mess",
        "create intd",
        "sync pid",
        "sync intd",
        "sync mess",
        "link todo",
        "sync todo",
        "exit 0",
    ]


def _story(trace: Path) -> list[str]:
    """What strace saw of the queue, in words: files by the directory that they were opened in."""
    opened: dict[str, str] = {}
    story = []
    for line in trace.read_text().splitlines():
        if hit := re.match(r'openat\(\d+, "(pid|intd|mess|todo)\b[^"]*", (\S+)\) += (\d+)', line.replace(", 0644", "")):
            opened[hit[3]] = hit[1]
            if "O_EXCL" in hit[2]:
                story.append(f"create {hit[1]}")
        elif hit := re.match(r"openat\(.*\) += (\d+)", line):
            opened.pop(hit[1], None)
        elif hit := re.match(r'linkat\(\d+, "[^"]*", \d+, "(\w+)/', line):
            story.append(f"link {hit[1]}")
        elif hit := re.match(r"(?:fsync|fdatasync)\((\d+)\) += 0", line):
            story.append(f"sync {opened[hit[1]]}")
        elif hit := re.match(r"exit_group\((\d+)\)", line):
            story.append(f"exit {hit[1]}")
    return story
