"""svscan and supervise beside the originals, and driven by the originals' svc and svstat and by runit's sv."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from svtree.formats import status
from tests.harness import DEADLINE, Processes, Result, original, ours, run, until
from tests.supervision.driver import (
    READER,
    SLEEPER,
    Tree,
    until_dead,
    until_gone,
    until_says,
    until_supervised,
)

pytestmark = pytest.mark.oracle


@pytest.fixture
def tree(folder: Path, processes: Processes) -> Tree:
    return Tree(folder, processes)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("supervise", ()),
        ("supervise", ("a", "b")),
        ("supervise", ("nowhere",)),
        ("supervise", ("file",)),
        ("supervise", ("blocked",)),
        ("supervise", ("",)),
        ("svscan", ("nowhere",)),
        ("svscan", ("file",)),
        ("svscan", ("",)),
    ],
)
def test_what_they_cannot_do_they_say_alike(folder: Path, program: str, arguments: tuple[str, ...]) -> None:
    (folder / "file").write_text("")
    (folder / "blocked").mkdir()
    (folder / "blocked" / "supervise").write_text("")
    theirs = run([original(program), *arguments], cwd=folder)
    assert run([ours(program), *arguments], cwd=folder) == theirs
    assert theirs.code in (100, 111)


def test_a_directory_that_is_taken_is_taken_for_either(folder: Path, processes: Processes) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "down").touch()
    for first in (original("supervise"), ours("supervise")):
        holder = processes.start([first, "a"], cwd=folder)
        until(lambda: run([ours("svok"), folder / "a"]).code == 0)
        expected = Result(111, b"", b"supervise: fatal: unable to acquire a/supervise/lock: temporary failure\n")
        for second in (original("supervise"), ours("supervise")):
            assert run([second, "a"], cwd=folder) == expected
        run([ours("svc"), "-x", folder / "a"])
        assert holder.wait(DEADLINE) == 0


@pytest.mark.parametrize("who", [original, ours])
def test_what_a_run_that_cannot_be_started_is_called(tree: Tree, who: object, processes: Processes) -> None:
    assert callable(who)
    (tree.service("a") / "run").chmod(0o644)
    (tree.service("b") / "run").unlink()
    (tree.service("c", "no interpreter") / "run").chmod(0o755)
    with tree.said.open("wb") as said:
        path = {"PATH": "/usr/bin:/bin"} if who is original else {}
        scanner = processes.start([who("svscan"), tree.root], stderr=said.fileno(), env=path)
        for name, why in (("a", "access denied"), ("b", "file does not exist"), ("c", "exec format error")):
            tree.hears(f"supervise: fatal: unable to start {name}/run: {why}\n")
    # First, lest it starts another supervise. The original's leaves its supervises behind; those must have gone.
    scanner.terminate()
    scanner.wait(DEADLINE)
    for name in "abc":
        run([original("svc"), "-dx", tree.root / name])
        until_gone(tree.root / name)


def bytes_of(tree: Tree, name: str) -> bytes:
    """What both write alike of a status: all but the time, the pid and what daemontools does not know."""
    return (tree.root / name / "supervise" / "status").read_bytes()[16:18]


def _says(service: Path, words: bytes, *, paused: bool) -> bool:
    text = run([original("svstat"), service]).out
    return words in text and (b", paused" in text) == paused


@pytest.mark.parametrize("down", [False, True])
def test_the_first_bytes_of_status_go_the_same_way(tree: Tree, processes: Processes, down: bool) -> None:
    seen: dict[str, list[tuple[bytes, bytes]]] = {}
    for name, program in (("theirs", original("supervise")), ("ours", ours("supervise"))):
        service = tree.service(name, files={"down": ""} if down else {})
        processes.start([program, service])
        until_supervised(service)
        seen[name] = []
        for letters, words in (
            ("c", b": down " if down else b": up ("),
            ("u", b": up ("),
            ("p", b", paused"),
            ("c", b": up ("),
            ("d", b": down "),
            ("o", b": up ("),
            ("d", b": down "),
        ):
            run([original("svc"), f"-{letters}", service])
            until(partial(_says, service, words, paused=letters == "p"))
            text = run([original("svstat"), service]).out.partition(b": ")[2]
            seen[name].append((bytes_of(tree, name), b" ".join(w for w in text.split() if not w.strip(b")").isdigit())))
        run([original("svc"), "-dx", service])
        until_gone(service)
        seen[name].append((bytes_of(tree, name), b""))
    assert seen["ours"] == seen["theirs"]


def test_the_originals_svc_and_svstat_drive_ours(tree: Tree) -> None:
    service = tree.service("a", files={"log/run": READER})
    tree.scan()
    pid = tree.up("a")
    assert run([original("svok"), service]).code == 0
    assert run([original("svstat"), service]).out.startswith(b"%s: up (pid %d) " % (bytes(service), pid))
    for letters, words in (("p", b", paused"), ("c", b"seconds\n"), ("d", b": down "), ("u", b": up (pid ")):
        assert run([original("svc"), f"-{letters}", service]) == Result(0, b"", b"")
        until(partial(_says, service, words, paused=letters == "p"))
    assert tree.stop() == 0
    assert run([original("svok"), service]).code == 100


def test_runits_sv_drives_ours(tree: Tree) -> None:
    service = tree.service("a", files={"log/run": READER})
    tree.scan()
    pid = tree.up("a")
    tree.up("a/log")

    def sv(command: str) -> bytes:
        done = run([original("sv"), "-w", "60", command, service], timeout=2 * DEADLINE)
        assert done.err == b""
        return done.out

    assert sv("status").startswith(b"run: %s: (pid %d) " % (bytes(service), pid))
    assert b"; run: log: (pid " in sv("status")
    assert sv("down").startswith(b"ok: down: ")
    assert sv("up").startswith(b"ok: run: ")
    second = tree.up("a", other_than=pid)
    assert sv("restart").startswith(b"ok: run: ")
    third = tree.up("a", other_than=second)
    assert sv("pause").startswith(b"ok: run: ")
    until(lambda: b", paused" in sv("status"))
    assert sv("cont").startswith(b"ok: run: ")
    until(lambda: b"paused" not in sv("status"))
    assert sv("term").startswith(b"ok: run: ")
    tree.up("a", other_than=third)
    # Told to wait, sv takes "down" for what is wanted of a single run; daemontools writes 0, and so do we.
    assert run([original("sv"), "once", service]).code == 0
    until(lambda: tree.status("a").want == status.ONCE)
    assert sv("check").startswith(b"ok: run: ")
    assert sv("down").startswith(b"ok: down: ")
    # Out of the tree, lest it is found and supervised anew.
    service.rename(tree.root / ".a")
    assert run([original("sv"), "exit", tree.root / ".a"]).code == 0
    until(lambda: not tree.supervised(".a"))


def test_a_service_removed_and_told_dx_is_gone_for_both(tree: Tree, processes: Processes) -> None:
    for program in (original("svscan"), ours("svscan")):
        elsewhere = tree.root.parent / Path(program).parts[1]
        tree.service(f"../{elsewhere.name}")
        (tree.root / "a").symlink_to(elsewhere)
        path = {"PATH": "/usr/bin:/bin"} if program == original("svscan") else {}
        scanner = processes.start([program, tree.root], env=path)
        pid = tree.up("a")
        (tree.root / "a").unlink()
        run([ours("svc"), "-dx", elsewhere])
        until_gone(elsewhere)
        until_dead(pid)
        scanner.send_signal(signal.SIGTERM)
        scanner.wait(DEADLINE)


@pytest.mark.slow
def test_a_service_told_dx_comes_back_within_five_seconds_for_both(tree: Tree, processes: Processes) -> None:
    for program in (original("svscan"), ours("svscan")):
        service = tree.service(Path(program).parts[1])
        path = {"PATH": "/usr/bin:/bin"} if program == original("svscan") else {}
        scanner = processes.start([program, tree.root], env=path)
        first = tree.up(service.name)
        run([ours("svc"), "-dx", service])
        until_dead(first)
        tree.up(service.name, other_than=first)
        service.rename(tree.root / f".{service.name}")
        run([ours("svc"), "-dx", tree.root / f".{service.name}"])
        until_gone(tree.root / f".{service.name}")
        scanner.send_signal(signal.SIGTERM)
        scanner.wait(DEADLINE)


def test_a_line_without_a_newline_and_a_pipe_full_of_lines_reach_the_logger_of_both(
    tree: Tree, processes: Processes
) -> None:
    script = "#!/bin/sh\nseq 20000\nprintf end\nexec sleep 1000\n"
    expected = "".join(f"{number}\n" for number in range(1, 20001)) + "end"
    for program in (original("svscan"), ours("svscan")):
        service = tree.service(Path(program).parts[1], script, {"log/run": READER, "down": ""})
        path = {"PATH": "/usr/bin:/bin"} if program == original("svscan") else {}
        scanner = processes.start([program, tree.root], env=path)
        until_supervised(service)
        run([ours("svc"), "-u", service])
        kept = service / "log" / "kept"
        until_says(kept, expected)
        scanner.send_signal(signal.SIGTERM)
        scanner.wait(DEADLINE)
        run([ours("svc"), "-dx", service, service / "log"])
        until_gone(service)
        until_gone(service / "log")
        service.rename(tree.root / f".{service.name}")


def test_the_originals_supervise_takes_over_a_directory_of_ours(tree: Tree, processes: Processes) -> None:
    """What we leave in supervise/ is in nobody's way."""
    service = tree.service("a", SLEEPER)
    tree.scan()
    pid = tree.up("a")
    assert tree.stop() == 0
    theirs = processes.start([original("supervise"), service])
    until(lambda: b"up (pid" in run([original("svstat"), service]).out)
    run([original("svc"), "-dx", service])
    assert theirs.wait(DEADLINE) == 0
    tree.scan()
    assert tree.up("a", other_than=pid)
    assert os.stat(service / "supervise" / "status").st_size == status.SIZE
