"""qmail-send and its parts as a whole: real processes on a real queue."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE, until
from tests.mail.queue.post import HOST, MESSAGE, Post

JIRO = f"jiro@{HOST}"
DEFERRING = 'echo "not now"; exit 111\n'


def test_a_message_is_delivered_with_its_three_lines_in_front(post: Post) -> None:
    post.user("jiro")
    post.start()
    assert post.queue([JIRO], f"anonymous@{HOST}").code == 0
    post.empty()
    (message,) = post.mail("jiro")
    assert re.fullmatch(
        rb"Return-Path: <anonymous@mail.example.com>\n"
        rb"Delivered-To: jiro@mail.example.com\n"
        rb"Received: \(qmail \d+ invoked by uid %d\); \d+ \w+ \d{4} [0-9:]{8} -0000\n" % os.getuid() + MESSAGE,
        message,
    )


def test_the_log_says_bytes_pid_and_uid_of_a_message(post: Post) -> None:
    assert post.queue([JIRO]).code == 0
    (name,) = post.files("mess")
    size = (post.home / "queue" / name).stat().st_size
    pid = re.search(rb"\0p(\d+)\0", (post.home / "queue" / "todo" / name.rpartition("/")[2]).read_bytes())
    assert pid is not None
    post.program("qmail-local", "exit 0\n")
    post.start()
    post.seen(rf"^info msg \d+: bytes {size} from <{JIRO}> qp {pid[1].decode()} uid {os.getuid()}$")
    post.empty()


def test_hup_reads_locals_and_virtualdomains_again_and_says_nothing(post: Post) -> None:
    post.switched(0)
    post.program("qmail-remote", 'printf "rr\\0Kremote\\0"\n')
    post.start()
    assert post.queue(["a@new.example"]).code == 0
    post.seen("to remote a@new.example")
    post.empty()
    post.seen("^end msg")
    post.control("locals", f"{HOST}\nnew.example")
    post.control("virtualdomains", "virtual.example:joe")
    before = post.log()
    post.signal(signal.SIGHUP)
    assert post.log() == before
    assert post.queue(["b@new.example"]).code == 0
    post.seen("to local b@new.example")
    assert post.queue(["c@virtual.example"]).code == 0
    post.seen("to local joe-c@virtual.example")
    post.empty()


def test_an_unreadable_control_file_at_hup_changes_nothing_and_says_so(post: Post) -> None:
    post.switched(0)
    post.start()
    (post.home / "control" / "locals").mkdir()
    post.signal(signal.SIGHUP)
    post.seen("^alert: unable to reread control.*locals")
    assert post.queue([JIRO]).code == 0
    post.seen(f"to local {JIRO}")
    post.empty()


def test_term_waits_for_what_runs_starts_nothing_and_leaves_no_process(post: Post) -> None:
    fifo = post.folder / "gate"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    post.program("qmail-local", 'read line < "$(dirname "$QMAILHOME")/gate"; exit 0\n')
    post.control("concurrencylocal", "1")
    process = post.start()
    assert post.queue([JIRO, f"second@{HOST}"]).code == 0
    post.seen("starting delivery 1:")
    post.signal(signal.SIGTERM)
    gate = os.open(fifo, os.O_WRONLY)
    os.write(gate, b"go\n")
    os.close(gate)
    assert process.wait(DEADLINE) == 0
    lines = post.log()
    assert lines[-1:] == ["status: exiting"]
    assert any(line.endswith("exitasap") for line in lines)
    assert not any("starting delivery 2:" in line for line in lines)
    (recipients,) = post.files("local")
    assert (post.home / "queue" / recipients).read_bytes() == b"D%s\0Tsecond@%s\0" % (JIRO.encode(), HOST.encode())


def test_what_is_not_done_is_done_by_the_next_qmail_send(post: Post) -> None:
    post.switched(111)
    post.start()
    assert post.queue([JIRO]).code == 0
    post.seen("deferral")
    assert post.stop() == 0
    (recipients,) = post.files("local")
    due = (post.home / "queue" / recipients).stat().st_mtime
    born = (post.home / "queue" / recipients.replace("local", "info")).stat().st_mtime
    # The second attempt of a local message is due 10 squared seconds after its birth, give or take the first one's age.
    assert 100 <= due - int(born) <= (10 + (time.time() - int(born)) ** 0.5) ** 2 + 1
    (post.folder / "exit").write_text("0")
    os.utime(post.home / "queue" / recipients, (time.time() - 5,) * 2)
    post.start()
    post.empty()
    assert len((post.folder / "calls").read_text().splitlines()) == 2


def test_a_message_that_is_too_old_is_tried_once_more_and_bounced(post: Post) -> None:
    post.control("queuelifetime", "1")
    post.program("qmail-local", 'case "$*" in *old*) echo "not now"; exit 111;; esac; cat >> "$QMAILHOME/bounce"\n')
    post.start()
    (post.home / "bounce").touch()
    (post.home / "bounce").chmod(0o666)
    assert post.queue([f"old@{HOST}"]).code == 0
    post.seen("deferral")
    (info,) = post.files("info")
    os.utime(post.home / "queue" / info, (time.time() - 100,) * 2)
    post.signal(signal.SIGALRM)
    post.empty()
    post.seen(r"failure: not_now/I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long\./$")
    assert (
        b"not now\nI'm not going to try again; this message has been in the queue too long.\n"
        in (post.home / "bounce").read_bytes()
    )


def test_no_more_deliveries_run_than_control_says(post: Post) -> None:
    post.control("concurrencylocal", "3")
    post.program("qmail-local", "exit 0\n")
    post.start()
    assert post.queue([f"u{number}@{HOST}" for number in range(20)]).code == 0
    post.empty()
    used = [int(line.split()[2].split("/")[0]) for line in post.log() if line.startswith("status: local")]
    assert max(used) == 3
    post.seen("success", 20)


def test_qmail_local_is_called_with_qmail_lspawns_words(post: Post) -> None:
    home = post.user("jiro")
    post.switched(0)
    post.start("./Mailbox")
    assert post.queue([f"Jiro-Lists-x@{HOST}"], "list-owner-@h.example-@[]").code == 0
    post.empty()
    assert (post.folder / "calls").read_text() == (
        f"-- jiro {home} Jiro-Lists-x - Lists-x {HOST} list-owner-Jiro-Lists-x={HOST}@h.example ./Mailbox\n"
    )


def test_the_postmaster_of_control_gets_the_double_bounce(post: Post) -> None:
    post.control("doublebounceto", "boss")
    post.control("doublebouncehost", "elsewhere.example")
    post.control("bouncefrom", "robot")
    post.control("bouncehost", "bounces.example")
    (post.folder / "sent").touch()
    (post.folder / "sent").chmod(0o666)
    post.program("qmail-local", 'echo "no"; exit 100\n')
    post.program("qmail-remote", 'cat >> "$(dirname "$QMAILHOME")/sent"; printf "rok\\0Ktaken\\0"\n')
    post.start()
    assert post.queue([f"x@{HOST}"], f"y@{HOST}").code == 0
    post.seen("to remote boss@elsewhere.example")
    post.empty()
    text = (post.folder / "sent").read_bytes()
    assert b"\nFrom: robot@bounces.example\nTo: boss@elsewhere.example\n" in text
    assert b"program at bounces.example.\nI tried to deliver a bounce message" in text


def test_a_second_qmail_send_does_not_start(post: Post) -> None:
    post.start()
    second = post.processes.start(["qmail-start", "./Mailbox"], env=post.env(), stdout=-1)
    out, _ = second.communicate(timeout=DEADLINE)
    assert second.returncode == 111
    assert b"already running" in out or os.geteuid() == 0
    assert post.queue([f"nobody-here@{HOST}"]).code == 0
    post.seen("new msg")
    post.seen("end msg", 1)


def test_qmail_send_says_why_it_cannot_start(post: Post) -> None:
    (post.home / "control" / "me").unlink()
    process = post.processes.start(["qmail-start", "./Mailbox"], env=post.env())
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 111
    assert out.startswith(b"alert: cannot start: unable to read controls")


def part(process: subprocess.Popen[bytes], name: str) -> psutil.Process:
    """The part of that name; it may not be what it is to be yet."""

    def found() -> list[psutil.Process]:
        children = psutil.Process(process.pid).children()
        return [each for each in children if any(name in word for word in each.cmdline())]

    (one,) = until(found)
    return one


def test_losing_a_spawner_ends_qmail_send_which_says_so(post: Post) -> None:
    process = post.start()
    part(process, "lspawn").kill()
    assert process.wait(DEADLINE) == 0
    assert "alert: oh no! lost spawn connection! dying..." in post.log()


def test_losing_qmail_clean_ends_qmail_send_which_says_so(post: Post) -> None:
    post.program("qmail-local", "exit 0\n")
    process = post.start()
    part(process, "clean").kill()
    assert post.queue([JIRO]).code == 0
    assert process.wait(DEADLINE) == 0
    assert "alert: oh no! lost qmail-clean connection! dying..." in post.log()
    # Nothing is lost: the message is still in todo/, and the next qmail-send delivers it.
    post.start()
    post.empty()


def test_the_logger_gets_the_log_and_ends_with_the_rest(post: Post) -> None:
    post.program("keeper", 'exec cat > "$(dirname "$QMAILHOME")/kept"\n')
    process = post.processes.start(["qmail-start", "./Mailbox", "keeper"], env=post.env())
    kept = post.folder / "kept"
    until(lambda: kept.read_text().startswith("status: local 0/10 remote 0/20\n"))
    process.terminate()
    assert process.wait(DEADLINE) == 0
    until(lambda: kept.read_text().endswith("status: exiting\n"))


def test_a_todo_file_that_makes_no_sense_is_named_and_the_rest_goes_on(post: Post) -> None:
    post.program("qmail-local", "exit 0\n")
    assert post.queue([JIRO]).code == 0
    (todo,) = post.files("todo")
    (post.home / "queue" / todo).write_bytes(b"u1\0p1\0Xgarbage\0")
    post.start()
    post.seen(f"^warning: unknown record type in {todo}$")
    assert post.queue([JIRO]).code == 0
    post.seen("success")
    until(lambda: len(post.files("mess")) == 1)


def test_messages_that_crashes_left_are_removed_after_36_hours_and_not_before(post: Post) -> None:
    queue = post.home / "queue"
    for number, age in ((23, 129700), (46, 129000)):
        for path in (queue / "mess" / "0" / str(number), queue / "intd" / str(number), queue / "pid" / str(number)):
            path.write_bytes(b"cut")
            os.utime(path, (time.time() - age,) * 2)
    post.start()
    until(lambda: post.files() == {"mess/0/46", "intd/46", "pid/46"})


def test_without_the_trigger_a_message_waits_for_nothing_but_the_next_look(post: Post) -> None:
    post.program("qmail-local", "exit 0\n")
    assert post.queue([JIRO]).code == 0
    (post.home / "queue" / "lock" / "trigger").unlink()
    post.start()
    post.empty()
    assert "warning: unable to open lock/trigger" in post.log()


def test_many_messages_at_once_are_each_delivered_once(post: Post) -> None:
    post.user("jiro")
    for _ in range(60):
        assert post.queue([JIRO]).code == 0
    post.start()
    post.empty()
    assert len(post.mail("jiro")) == 60
    assert len(post.seen("^end msg", 60)) == 60


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_recipients_are_on_disk_before_todo_goes_and_a_bounce_before_its_recipient_is_done(post: Post) -> None:
    trace = post.folder / "trace"
    post.program("qmail-local", 'case "$8" in "") exit 0;; esac; echo no; exit 100\n')
    process = post.start()
    # From outside: a tracer that started qmail-send would hold the pipes whose end tells the other parts to end.
    tracer = post.processes.start(
        ["strace", "-p", str(process.pid), "-o", str(trace), "-e", "trace=openat,fsync,write,pwrite64"]
    )
    assert tracer.stderr is not None
    if b"attached" not in tracer.stderr.readline():
        pytest.skip("strace may not look at other processes here")
    assert post.queue([JIRO], f"s@{HOST}").code == 0
    post.empty()
    assert post.stop() == 0
    tracer.wait(DEADLINE)
    assert _story(trace)[:10] == [
        "create info",
        "create local",
        "sync info",
        "sync local",
        # The names, in either order.
        "sync info",
        "sync local",
        "ask todo",
        "sync bounce",
        "sync bounce",
        "mark local",
    ]


def _story(trace: Path) -> list[str]:
    """What strace saw of the queue, in words: files by the directory that they are in."""
    opened: dict[str, str] = {}
    story = []
    for line in trace.read_text().splitlines():
        if hit := re.match(r'openat\(\d+, "(info|local|bounce)\b[^"]*", ([A-Z_|]+).*\) += (\d+)', line):
            opened[hit[3]] = hit[1]
            if "O_EXCL" in hit[2]:
                story.append(f"create {hit[1]}")
        elif hit := re.match(r"openat\(.*\) += (\d+)", line):
            opened.pop(hit[1], None)
        elif (hit := re.match(r"fsync\((\d+)\) += 0", line)) and hit[1] in opened:
            story.append(f"sync {opened[hit[1]]}")
        elif hit := re.match(r'write\(5, "(todo|foop)/', line):
            story.append(f"ask {hit[1]}")
        elif (hit := re.match(r'pwrite64\((\d+), "D", 1', line)) and hit[1] in opened:
            story.append(f"mark {opened[hit[1]]}")
    # Two directories are synced in the order of a set.
    story[4:6] = sorted(story[4:6])
    return story
