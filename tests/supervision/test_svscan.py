"""svscan as its administrator sees it: a directory of services, and what becomes of them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from svtree.formats import status
from svtree.supervision import report
from tests.harness import until
from tests.supervision.driver import READER, SLEEPER, Tree, alive, last_word

STUBBORN = "#!/bin/sh\ntrap '' TERM\necho begun >>begun\nwhile :; do sleep 0.1; done\n"


def test_every_directory_is_a_service_but_those_with_a_dot_and_files_are_not(tree: Tree) -> None:
    tree.service("one")
    tree.service("two")
    tree.service(".hidden")
    (tree.root / "file").write_text("no directory")
    tree.scan()
    tree.up("one")
    tree.up("two")
    assert not (tree.root / ".hidden" / "supervise").exists()
    assert tree.stop() == 0
    assert tree.said.read_text() == ""


def test_a_service_that_dies_is_started_again(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    first = tree.up("a")
    os.kill(first, signal.SIGKILL)
    second = tree.up("a", other_than=first)
    assert second != first
    assert tree.reports("a", restarts=1).last_exit() == "killed by KILL"


def test_two_starts_are_a_second_apart(tree: Tree) -> None:
    tree.service("a", "#!/bin/sh\necho started >>starts\n")
    begun = time.monotonic()
    tree.scan()
    until(lambda: len((tree.root / "a" / "starts").read_text().split()) >= 4)
    # A start may be seen much later than it was made, but never before.
    assert time.monotonic() - begun >= 3


def test_a_new_directory_is_a_new_service(tree: Tree) -> None:
    tree.scan()
    directory = tree.root.parent / "made"
    directory.mkdir()
    (directory / "run").write_text(SLEEPER)
    (directory / "run").chmod(0o755)
    (tree.root / "a").symlink_to(directory)
    tree.up("a")


def test_hup_looks_at_once(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    tree.up("a")
    tree.service("b")
    assert tree.scanner is not None
    tree.scanner.send_signal(signal.SIGHUP)
    tree.up("b")


def test_two_links_to_one_directory_are_one_service(tree: Tree) -> None:
    directory = tree.service("a")
    (tree.root / "z").symlink_to(directory)
    tree.scan()
    pid = tree.up("a")
    assert tree.up("z") == pid
    assert tree.said.read_text() == ""


def test_a_service_whose_directory_is_renamed_runs_on_and_obeys_under_its_new_name(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    (tree.root / "a").rename(tree.root / ".a")
    tree.svc("dx", ".a")
    until(lambda: not tree.supervised(".a"))
    assert not alive(pid)


def test_a_service_whose_link_was_removed_ends_for_good_with_dx(tree: Tree) -> None:
    elsewhere = tree.root.parent / "elsewhere"
    tree.service("../elsewhere")
    (tree.root / "a").symlink_to(elsewhere)
    tree.scan()
    pid = tree.up("a")
    (tree.root / "a").unlink()
    tree.svc("dx", "../elsewhere")
    until(lambda: not tree.supervised("../elsewhere"))
    assert not alive(pid)
    tree.service("later")
    tree.up("later")
    assert not tree.supervised("../elsewhere")


@pytest.mark.slow
def test_a_service_told_dx_comes_back_while_its_directory_is_there(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    first = tree.up("a")
    tree.svc("dx", "a")
    until(lambda: not alive(first))
    tree.up("a", other_than=first)


def test_a_service_with_a_down_file_waits_for_u(tree: Tree) -> None:
    tree.service("a", files={"down": ""})
    tree.scan()
    until(lambda: tree.supervised("a"))
    assert (tree.status("a").pid, tree.status("a").want) == (0, status.DOWN)
    tree.svc("u", "a")
    tree.up("a")


def test_down_is_term_and_up_is_a_start(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    first = tree.up("a")
    tree.svc("d", "a")
    tree.down("a")
    tree.reports("a", exit={"signal": signal.SIGTERM})
    tree.svc("u", "a")
    tree.up("a", other_than=first)


def test_once_is_one_run(tree: Tree) -> None:
    tree.service("a", "#!/bin/sh\necho ran >>ran\n", {"down": ""})
    tree.scan()
    until(lambda: tree.supervised("a"))
    tree.svc("o", "a")
    tree.reports("a", exit={"code": 0})
    assert tree.status("a").want == status.ONCE
    assert (tree.root / "a" / "ran").read_text() == "ran\n"


def test_pause_and_continue_are_stop_and_cont(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    tree.svc("p", "a")
    until(lambda: tree.status("a").paused and psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    tree.svc("c", "a")
    until(lambda: not tree.status("a").paused and psutil.Process(pid).status() == psutil.STATUS_SLEEPING)


@pytest.mark.parametrize(
    ("letter", "name"),
    [("h", "HUP"), ("a", "ALRM"), ("i", "INT"), ("t", "TERM"), ("q", "QUIT"), ("1", "USR1"), ("2", "USR2")],
)
def test_letters_are_signals(tree: Tree, letter: str, name: str) -> None:
    script = f"#!/bin/sh\ntrap 'echo {name} >>caught' {name}\n: >ready\nwhile :; do sleep 0.02; done\n"
    tree.service("a", script, {"timeout-kill": "100\n"})
    tree.scan()
    tree.up("a")
    until((tree.root / "a" / "ready").exists)
    with (tree.root / "a" / "supervise" / "control").open("w") as control:
        control.write(letter)
    until(lambda: (tree.root / "a" / "caught").read_text() == f"{name}\n")


def test_letters_that_mean_nothing_are_ignored(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    with (tree.root / "a" / "supervise" / "control").open("w") as control:
        control.write("Zz\0\n9")
    tree.svc("p", "a")
    until(lambda: tree.status("a").paused)
    assert tree.up("a") == pid


def test_the_output_of_a_service_goes_to_its_logger(tree: Tree) -> None:
    tree.service("a", "#!/bin/sh\necho a line\nexec sleep 1000\n", {"log/run": READER})
    tree.scan()
    until(lambda: (tree.root / "a" / "log" / "kept").read_text() == "a line\n")
    assert tree.up("a/log")


def test_a_logger_that_appears_later_is_picked_up(tree: Tree) -> None:
    tree.service("a", "#!/bin/sh\necho a line\nexec sleep 1000\n")
    tree.scan()
    first = tree.up("a")
    tree.service("a/log", READER)
    tree.up("a/log")
    tree.svc("t", "a")
    tree.up("a", other_than=first)
    until(lambda: (tree.root / "a" / "log" / "kept").read_text() == "a line\n")


def test_a_logger_gets_everything_before_it_ends(tree: Tree) -> None:
    writer = "#!/bin/sh\ni=0\ntrap 'echo last; exit' TERM\n: >ready\nwhile :; do i=$((i+1)); echo $i; done\n"
    # Slower than the writer, so that the pipe is full, yet done with it long before its time is over.
    slow = "#!/bin/sh\nwhile head -c 4096 >part; test -s part; do cat part >>kept; done\n"
    tree.service("a", writer, {"log/run": slow, "timeout-kill": "100000\n"})
    tree.scan()
    until(lambda: (tree.root / "a" / "log" / "kept").stat().st_size > 1000)
    assert tree.stop() == 0
    lines = (tree.root / "a" / "log" / "kept").read_text().split()
    assert lines == [*(str(each) for each in range(1, len(lines))), "last"]


def test_term_leaves_no_process_whatever_the_services_do(tree: Tree) -> None:
    tree.service("plain", SLEEPER, {"log/run": READER})
    tree.service("stubborn", STUBBORN, {"timeout-kill": "300\n"})
    tree.service("fleeing", "#!/bin/sh\nsetsid sh -c 'sleep 1001 & exec sleep 1002' &\nexec sleep 1003\n")
    tree.service("leaving", "#!/bin/sh\nenv -i setsid sleep 1004 &\nexec sleep 1005\n")
    tree.scan()
    for name in ("plain", "plain/log", "stubborn", "fleeing", "leaving"):
        tree.up(name)
    until((tree.root / "stubborn" / "begun").exists)
    assert tree.scanner is not None
    scanner = psutil.Process(tree.scanner.pid)
    until(lambda: {"1001", "1002", "1004"} <= set(map(last_word, scanner.children(recursive=True))))
    everybody = scanner.children(recursive=True)
    assert tree.stop() == 0
    assert [each for each in everybody if alive(each.pid)] == []


def test_a_logger_that_keeps_failing_is_started_to_read_what_is_left(tree: Tree) -> None:
    failing = "#!/bin/sh\nif test -e ready; then exec cat >>kept; fi\nexit 1\n"
    tree.service("a", "#!/bin/sh\necho a line\nexec sleep 1000\n", {"log/run": failing})
    tree.scan()
    tree.up("a")
    until(lambda: report.read(bytes(tree.root / "a" / "log")).last_exit() == "exit 1")
    (tree.root / "a" / "log" / "ready").touch()
    assert tree.stop() == 0
    assert (tree.root / "a" / "log" / "kept").read_text() == "a line\n"


def test_a_service_with_a_file_last_is_taken_down_after_the_others_and_their_loggers(tree: Tree) -> None:
    told = "#!/bin/sh\ntrap 'echo {name} >>{root}/order; exit' TERM\n: >ready\nwhile :; do sleep 0.01; done\n"
    reader = "#!/bin/sh\ncat >/dev/null\necho {name} >>{root}/order\n"
    for name, more in (("a", {"last": ""}), ("b", {})):
        words = {"root": tree.root.parent, "name": name}
        log = reader.format(**(words | {"name": f"{name}/log"}))
        tree.service(name, told.format(**words), {"log/run": log, **more})
    tree.scan()
    until(lambda: all((tree.root / name / "ready").exists() and tree.up(f"{name}/log") for name in ("a", "b")))
    assert tree.stop() == 0
    assert (tree.root.parent / "order").read_text().split() == ["b", "b/log", "a", "a/log"]


def test_int_takes_the_tree_down_too(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    assert tree.stop(signal.SIGINT) == 0
    assert not alive(pid)


def test_a_paused_service_is_taken_down_as_well(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    tree.svc("p", "a")
    until(lambda: tree.status("a").paused)
    assert tree.stop() == 0
    assert not alive(pid)


def test_orphans_are_reaped(tree: Tree) -> None:
    tree.service("a", "#!/bin/sh\n(sh -c 'echo $$ >orphan; exec sleep 0.2' &)\nexec sleep 1000\n")
    tree.scan()
    tree.up("a")
    orphan = int(until((tree.root / "a" / "orphan").read_text))
    until(lambda: not Path(f"/proc/{orphan}").exists())


def begins(file: Path, line: str) -> bool:
    return file.read_text().startswith(f"{line}\n")


def test_finish_is_told_the_exit_code_and_the_signal(tree: Tree) -> None:
    finish = "#!/bin/sh\necho $1 $2 >>ended\n"
    tree.service("code", "#!/bin/sh\nexit 7\n", {"finish": finish})
    tree.service("signal", SLEEPER, {"finish": finish})
    tree.service("unstarted", "no interpreter", {"finish": finish})
    tree.scan()
    os.kill(tree.up("signal"), signal.SIGKILL)
    for name, words in (("code", "7 0"), ("signal", "-1 9"), ("unstarted", "111 0")):
        until(partial(begins, tree.root / name / "ended", words))


def test_down_signal_is_sent_in_place_of_term(tree: Tree) -> None:
    script = "#!/bin/sh\ntrap 'echo USR1 >caught; exit 0' USR1\ntrap '' TERM\n: >ready\nwhile :; do sleep 0.02; done\n"
    tree.service("a", script, {"down-signal": "USR1\n"})
    tree.scan()
    until((tree.root / "a" / "ready").exists)
    tree.svc("d", "a")
    tree.down("a")
    assert (tree.root / "a" / "caught").exists()


def test_timeout_kill_ends_what_term_does_not(tree: Tree) -> None:
    tree.service("a", STUBBORN, {"timeout-kill": "100\n"})
    tree.scan()
    until((tree.root / "a" / "begun").exists)
    tree.svc("d", "a")
    tree.down("a")
    tree.reports("a", exit={"signal": signal.SIGKILL})


def test_without_timeout_kill_down_waits_as_the_original_does(tree: Tree) -> None:
    tree.service("a", STUBBORN)
    tree.scan()
    until((tree.root / "a" / "begun").exists)
    pid = tree.up("a")
    tree.svc("d", "a")
    until(lambda: tree.status("a").term_sent)
    tree.svc("k", "a")
    tree.down("a")
    assert not alive(pid)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda at: (at / "run").chmod(0o644), "supervise: fatal: unable to start bad/run: access denied\n"),
        (lambda at: (at / "run").unlink(), "supervise: fatal: unable to start bad/run: file does not exist\n"),
        (lambda at: (at / "run").write_text("no #!"), "supervise: fatal: unable to start bad/run: exec format error\n"),
        (
            lambda at: (at / "supervise").write_text("a file"),
            "supervise: fatal: unable to acquire bad/supervise/lock: not a directory\n",
        ),
        (
            lambda at: (at / "supervise" / "control").mkdir(parents=True),
            "supervise: fatal: unable to read bad/supervise/control: file already exists\n",
        ),
    ],
)
def test_what_cannot_be_started_is_one_line_and_the_rest_goes_on(tree: Tree, spoil: object, complaint: str) -> None:
    at = tree.service("bad")
    assert callable(spoil)
    spoil(at)
    tree.service("good")
    tree.scan()
    tree.up("good")
    tree.hears(complaint)
    assert tree.stop() == 0
    assert tree.said.read_text() == complaint


def test_a_run_that_is_mended_is_started(tree: Tree) -> None:
    at = tree.service("a")
    (at / "run").chmod(0o644)
    tree.scan()
    tree.reports("a", problem="unable to start run: access denied")
    (at / "run").chmod(0o755)
    tree.up("a")
    tree.reports("a", problem="")


def test_a_broken_link_is_one_warning(tree: Tree) -> None:
    (tree.root / "gone").symlink_to("nowhere")
    tree.service("good")
    tree.scan()
    tree.up("good")
    tree.hears("svscan: warning: unable to stat gone: file does not exist\n")


def test_a_second_supervisor_keeps_its_hands_off(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    first = tree.scanner
    tree.scan()
    tree.hears("supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n")
    assert tree.stop() == 0
    tree.scanner = first
    assert tree.up("a") == pid


def test_a_directory_that_vanishes_takes_nothing_with_it(tree: Tree) -> None:
    gone = tree.service("gone", STUBBORN)
    tree.service("good")
    tree.scan()
    pid = tree.up("gone")
    until((gone / "begun").exists)

    def removed() -> bool:
        # Its supervisor may be writing there.
        shutil.rmtree(gone, ignore_errors=True)
        return not gone.exists()

    until(removed)
    good = tree.up("good")
    os.kill(pid, signal.SIGKILL)
    tree.hears("supervise: fatal: unable to start gone/run: file does not exist\n")
    assert tree.up("good") == good


def test_a_service_that_keeps_failing_shows_its_back_off(tree: Tree) -> None:
    service = tree.service("a", "#!/bin/sh\ntest -e well && exec sleep 1000\nexit 1\n")
    tree.scan()
    assert until(lambda: tree.report("a").backoff, what="a back-off") in (2, 4, 8, 16)
    (service / "well").touch()
    tree.svc("u", "a")
    tree.reports("a", backoff=0)


def test_the_children_have_the_limits_and_signals_of_a_fresh_program(tree: Tree) -> None:
    tree.service("a", "#!/bin/sh\nulimit -Sn >limit\ngrep SigIgn /proc/self/status >ignored\nexec sleep 1000\n")
    tree.scan()
    tree.up("a")
    until((tree.root / "a" / "ignored").read_text)
    soft = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)[0]
    assert int((tree.root / "a" / "limit").read_text()) == soft
    # Not SIGPIPE and SIGXFSZ, which Python ignores; SIGINT and QUIT may be, by whoever ran the test.
    ignored = int((tree.root / "a" / "ignored").read_text().split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


def test_a_service_has_no_descriptor_of_the_supervisor(tree: Tree) -> None:
    tree.service("a", "#!/bin/sh\nexec ls -l /proc/self/fd >open\n", {"down": "", "log/run": READER})
    tree.scan()
    until(lambda: tree.supervised("a"))
    tree.svc("o", "a")
    tree.reports("a", exit={"code": 0})
    numbers = {line.split()[-3] for line in (tree.root / "a" / "open").read_text().splitlines()[1:]}
    # 3 is the directory that ls reads.
    assert numbers == {"0", "1", "2", "3"}


def test_the_idle_supervisor_does_nothing_between_two_looks(tree: Tree) -> None:
    for number in range(20):
        tree.service(f"s{number}", SLEEPER, {"log/run": READER})
    tree.scan()
    for number in range(20):
        tree.up(f"s{number}")
    assert tree.scanner is not None
    scanner = psutil.Process(tree.scanner.pid)
    until(lambda: scanner.status() == psutil.STATUS_SLEEPING)

    def used_in(seconds: float) -> float:
        before = sum(scanner.cpu_times()[:2])
        deadline = time.monotonic() + seconds
        until(lambda: time.monotonic() > deadline)
        return sum(scanner.cpu_times()[:2]) - before

    # One clock tick is the least that can be seen; the benchmark measures for longer.
    until(lambda: used_in(2.0) <= 0.01)
