"""supervise, svscan as PID 1, and what a full disk and a file watched do to them."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE, Processes, ours, run, until
from tests.supervision.driver import READER, SLEEPER, Tree, alive, last_word, until_gone, until_says


def test_supervise_looks_after_one_service_and_no_logger(tree: Tree) -> None:
    service = tree.service("a", files={"log/run": READER})
    tree.scan("supervise", service)
    tree.up("a")
    assert not (service / "log" / "supervise").exists()


def test_supervise_ends_with_dx(tree: Tree) -> None:
    service = tree.service("a")
    tree.scan("supervise", service)
    pid = tree.up("a")
    tree.svc("dx", "a")
    assert tree.scanner is not None
    assert tree.scanner.wait(DEADLINE) == 0
    assert not alive(pid)
    assert (tree.status("a").pid, tree.said.read_text()) == (0, "")


def test_supervise_told_x_ends_when_its_service_does(tree: Tree) -> None:
    service = tree.service("a")
    tree.scan("supervise", service)
    pid = tree.up("a")
    tree.svc("x", "a")
    tree.svc("p", "a")
    until(lambda: tree.status("a").paused)
    assert tree.up("a") == pid
    tree.svc("k", "a")
    assert tree.scanner is not None
    assert tree.scanner.wait(DEADLINE) == 0


def test_term_to_supervise_ends_the_service_and_all_that_came_of_it(tree: Tree) -> None:
    service = tree.service("a", "#!/bin/sh\nsetsid sleep 1001 &\necho $! >child\nexec sleep 1002\n")
    tree.scan("supervise", service)
    tree.up("a")
    child = int(until((service / "child").read_text))
    assert tree.stop() == 0
    assert not alive(child)


def test_a_relative_name_is_what_messages_use(tree: Tree, processes: Processes) -> None:
    (tree.service("a") / "run").chmod(0o644)
    with tree.said.open("wb") as said:
        processes.start([ours("supervise"), "../service/a"], cwd=tree.root, stderr=said.fileno())
    tree.hears("supervise: fatal: unable to start ../service/a/run: access denied\n")


def test_a_file_that_is_watched_restarts_the_service(tree: Tree) -> None:
    service = tree.service("a", files={"watch": "settings restart\n", "settings": "1\n"})
    tree.scan()
    first = tree.up("a")
    until(lambda: _watched(tree, service, first), what="a restart")
    assert tree.up("a", other_than=first)
    tree.reports("a", exit={"signal": signal.SIGTERM})


def _watched(tree: Tree, service: Path, first: int) -> bool:
    """Change the file until the watch, which begins some time after the start, has seen it."""
    settings = service / "settings"
    settings.write_text(settings.read_text() + "more\n")
    return tree.status("a").pid not in (first, 0)


def test_rules_that_do_not_compile_show_in_the_report_until_mended(tree: Tree) -> None:
    service = tree.service("a", files={"watch": "rules tcprules rules.cdb\n", "rules": ":allow\n"})
    tree.scan()
    until((service / "rules.cdb").exists)
    (service / "rules").write_text(':allow,X="\n')
    assert until(lambda: tree.report("a").complaints)[0].startswith("rules:1: ")
    (service / "rules").write_text(":deny\n")
    tree.reports("a", complaints=())


IN_A_NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.mark.root
def test_as_pid_1_it_reaps_everybody_and_ends_when_told(tree: Tree, processes: Processes) -> None:
    if shutil.which("unshare") is None or run([*IN_A_NAMESPACE, "true"]).code != 0:
        pytest.skip("no namespaces here")
    script = "#!/bin/sh\n(setsid sh -c 'exec sleep 0.1' &)\n(setsid sleep 1001 &)\n: >begun\nexec sleep 1000\n"
    service = tree.service("a", script)
    outer = processes.start([*IN_A_NAMESPACE, ours("svscan"), tree.root])
    until((service / "begun").exists)
    inner = psutil.Process(outer.pid).children()[0]
    assert Path(f"/proc/{inner.pid}/status").read_text().split("NSpid:")[1].split()[1] == "1"
    # The run script, which became sleep, and the orphan that lives on; the other one has been reaped.
    until(lambda: sorted(map(last_word, inner.children())) == ["1000", "1001"])
    inner.terminate()
    assert outer.wait(DEADLINE) == 0


@pytest.mark.root
def test_a_full_disk_is_said_and_the_service_is_kept_alive(tree: Tree, processes: Processes) -> None:
    if shutil.which("unshare") is None or run(["unshare", "--mount", "true"]).code != 0:
        pytest.skip("no namespaces here")
    script = tree.root.parent / "script"
    script.write_text(f"""set -e
mount -t tmpfs -o size=256k none {tree.root}
mkdir {tree.root}/a
printf '#!/bin/sh\\nexec sleep 1000\\n' >{tree.root}/a/run
chmod 755 {tree.root}/a/run
exec 2>{tree.said}
{ours("svscan")} {tree.root} &
until test -s {tree.root}/a/supervise/status; do sleep 0.05; done
dd if=/dev/zero of={tree.root}/fill bs=4k 2>/dev/null || :
{ours("svc")} -t {tree.root}/a
until grep -q 'status.new: out of disk space' {tree.said}; do sleep 0.05; done
rm {tree.root}/fill
until {ours("svstat")} {tree.root}/a | grep -q 'up (pid'; do sleep 0.05; done
kill $!
wait $!
echo ended >{tree.root.parent}/ended
""")
    processes.start(["unshare", "--mount", "sh", script])
    until_says(tree.root.parent / "ended", "ended\n")
    lines = tree.said.read_text().splitlines()
    assert "supervise: warning: unable to write a/supervise/status.new: out of disk space" in lines
    assert len(lines) <= 4


def test_what_an_older_supervisor_left_in_supervise_is_no_hindrance(tree: Tree) -> None:
    service = tree.service("a")
    for _ in range(2):
        tree.scan()
        tree.up("a")
        assert tree.stop() == 0
        until_gone(service)
    (service / "supervise" / "lock").write_bytes(b"what is this?")
    (service / "supervise" / "report").write_bytes(b"[1, 2")
    (service / "supervise" / "status").write_bytes(b"")
    (service / "supervise" / "notify").unlink()
    (service / "supervise" / "notify").write_text("no socket")
    tree.scan()
    tree.up("a")


def test_standard_error_that_nobody_reads_stops_nothing(tree: Tree, processes: Processes) -> None:
    for number in range(40):
        (tree.service(f"bad{number}-{'x' * 200}") / "run").chmod(0o644)
    tree.service("good", SLEEPER)
    full = processes.start([ours("svscan"), tree.root], stderr=subprocess.PIPE)
    assert full.stderr is not None
    fcntl.fcntl(full.stderr, fcntl.F_SETPIPE_SZ, 4096)
    pid = tree.up("good")
    tree.svc("t", "good")
    tree.up("good", other_than=pid)
    full.send_signal(signal.SIGTERM)
    assert full.wait(DEADLINE) == 0


# The interpreter may stand where nobody may go, so everything is loaded first; and the patience of a test is short.
AS_NOBODY = """
import ctypes, os, sys
from svtree import multicall
from svtree.supervision import hunt, service, supervisor
from svtree.watch import engine
multicall.load("svscan")
service.STUCK = 0.2
hunt.LIMIT = 0.2
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.argv = ["svscan", sys.argv[1]]
multicall.run("svscan")
"""


@pytest.mark.root
def test_what_kill_does_not_end_is_said_and_not_waited_for(tree: Tree, processes: Processes) -> None:
    """An ordinary user's service has become root's, out of the reach of its supervisor."""
    tree.root.parent.chmod(0o755)
    service = tree.service("a", "#!/bin/sh\nexec ./root --reuid 0 sleep 1000\n", {"timeout-kill": "100\n"})
    shutil.copy("/usr/bin/setpriv", service / "root")
    (service / "root").chmod(0o4755)
    for path in (tree.root, service):
        shutil.chown(path, 65534, 65534)
    with tree.said.open("wb") as said:
        scanner = processes.start([ours("python3"), "-c", AS_NOBODY, tree.root], stderr=said.fileno())
    pid = tree.up("a")
    until(lambda: psutil.Process(pid).uids().real == 0)
    scanner.terminate()
    try:
        assert scanner.wait(DEADLINE) == 0
        tree.hears("supervise: warning: unable to signal a: permission denied\n")
        tree.hears(f"supervise: warning: unable to end a (pid {pid})\n")
    finally:
        psutil.Process(pid).kill()
