"""What is saved takes effect: once, whole, and by whatever editor; with every watchdog and with none."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import PATH, environment, original, until
from tests.watch.conftest import Watching


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def by_rename(file: Path, text: str) -> None:
    (file.parent / ".tcp.smtp.new").write_text(text)
    (file.parent / ".tcp.smtp.new").rename(file)


def truncated_then_written(file: Path, text: str) -> None:
    with file.open("w") as out:
        for letter in text:
            out.write(letter)
            out.flush()


def removed_then_made(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text)


def as_vim_does(file: Path, text: str) -> None:
    """A swap file, a probe named 4913, the old file moved to a backup, the new one written, its mode set."""
    swap, probe, backup = (file.parent / name for name in (".tcp.smtp.swp", "4913", "tcp.smtp~"))
    swap.write_bytes(b"b0VIM")
    probe.touch()
    probe.chmod(0o644)
    probe.unlink()
    file.rename(backup)
    with file.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    file.chmod(0o644)
    os.utime(file)
    backup.unlink()
    swap.unlink()


def by_copy_and_touch(file: Path, text: str) -> None:
    file.chmod(0o600)
    file.write_text(text)
    os.utime(file, (0, 0))
    file.chmod(0o644)


STYLES: list[Callable[[Path, str], None]] = [
    in_place,
    by_rename,
    truncated_then_written,
    removed_then_made,
    as_vim_does,
    by_copy_and_touch,
]


@pytest.mark.parametrize("save", STYLES, ids=lambda style: style.__name__)
def test_saved_rules_are_in_force_with_one_restart(watching: Watching, save: Callable[[Path, str], None]) -> None:
    with watching.stopped():
        save(watching.service / "tcp.smtp", ":deny\n")
    watching.until_denied()
    assert watching.acts() == ["Restart"]
    assert sorted(path.name for path in watching.service.iterdir()) == [
        "env",
        "run",
        "tcp.smtp",
        "tcp.smtp.cdb",
        "watch",
    ]


def test_rules_behind_a_swapped_link_are_in_force_with_one_restart(folder: Path, watching: Watching) -> None:
    # As Kubernetes mounts a ConfigMap: tcp.smtp -> ..data/tcp.smtp, ..data -> a directory that is replaced.
    mount = folder / "mount"
    for name, text in (("..1", ":allow\n"), ("..2", ":deny\n")):
        (mount / name).mkdir(parents=True)
        (mount / name / "tcp.smtp").write_text(text)
    (mount / "..data").symlink_to("..1")
    (mount / "tcp.smtp").symlink_to("..data/tcp.smtp")
    (watching.service / "link").symlink_to(mount / "tcp.smtp")
    (watching.service / "link").rename(watching.service / "tcp.smtp")
    assert watching.events() == []
    (mount / "..next").symlink_to("..2")
    (mount / "..next").rename(mount / "..data")
    watching.until_denied()
    assert watching.acts() == ["Restart"]


UNCHANGED: dict[str, Callable[[Path], object]] = {
    "touched": lambda file: os.utime(file, (1, 1)),
    "given another mode": lambda file: file.chmod(0o600),
    "saved as it was": lambda file: file.write_bytes(file.read_bytes()),
    "replaced by its like": lambda file: by_rename(file, file.read_text()),
    "read": lambda file: file.read_bytes(),
    "linked": lambda file: os.link(file, file.parent / "other"),
}


@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
@pytest.mark.parametrize("name", ["tcp.smtp", "tcp.smtp.cdb", "run", "watch"])
def test_a_file_that_holds_what_it_held_does_nothing(
    quick: Watching, name: str, change: Callable[[Path], object]
) -> None:
    quick.start()
    quick.events()
    before = (quick.service / "tcp.smtp.cdb").stat().st_ino
    if not (name == "tcp.smtp.cdb" and "replaced" in str(change)):
        with quick.stopped():
            change(quick.service / name)
    assert quick.events() == []
    assert (quick.service / "tcp.smtp.cdb").stat().st_ino == before or name == "tcp.smtp.cdb"


def test_rules_that_say_the_same_in_other_words_restart_nothing(watching: Watching) -> None:
    cdb = watching.service / "tcp.smtp.cdb"
    before = cdb.stat().st_ino
    watching.write("tcp.smtp", "# everybody\n:allow\n")
    assert watching.events() == []
    assert cdb.stat().st_ino == before


def test_a_burst_of_saves_is_one_restart(watching: Watching) -> None:
    with watching.stopped():
        for number in range(50):
            as_vim_does(watching.service / "tcp.smtp", f':deny,N="{number}"\n')
            watching.write("env/A", str(number))
            watching.write("run", f"#!/bin/sh\n# {number}\n")
    watching.until_denied()
    assert watching.acts() == ["Restart"]
    assert watching.decision().environ == ((b"N", b"49"),)


def test_rules_that_do_not_compile_leave_the_old_ones_in_force_until_mended(watching: Watching) -> None:
    watching.write("tcp.smtp", '127.:allow\n:deny,A="\n')
    complaint = "tcp.smtp:2: missing closing quote"
    watching.await_event(["report", "smtpd", [complaint]])
    assert watching.events() == [
        ["log", f"svscan: warning: smtpd/{complaint}"],
        ["report", "smtpd", [complaint]],
    ]
    assert not watching.decision().deny
    watching.write("tcp.smtp", ":deny\n")
    watching.until_denied()
    assert watching.events() == [["report", "smtpd", []], ["act", "smtpd", "Restart"]]


def test_odd_lines_are_in_force_told_once_and_nothing_to_complain_of(quick: Watching) -> None:
    quick.start()
    quick.events()
    odd = "smtpd/tcp.smtp:1: never matches: a prefix ends with a dot, 10.1."
    quick.write("tcp.smtp", "10.1:allow\n:deny\n")
    quick.until_denied()
    assert quick.events() == [["log", f"svscan: warning: {odd}"], ["act", "smtpd", "Restart"]]
    quick.write("tcp.smtp", "10.1:allow\n:deny\n2.2:allow\n")
    other = "smtpd/tcp.smtp:3: never matches: a prefix ends with a dot, 2.2."
    assert quick.events() == [["log", f"svscan: warning: {other}"], ["act", "smtpd", "Restart"]]
    quick.write("tcp.smtp", ":deny\n")
    assert quick.events() == [["act", "smtpd", "Restart"]]


def test_rules_mended_to_what_they_were_restart_nothing(watching: Watching) -> None:
    watching.write("tcp.smtp", ":alow\n")
    watching.await_event(["report", "smtpd", ["tcp.smtp:1: neither allow nor deny after the colon"]])
    watching.write("tcp.smtp", ":allow\n")
    watching.await_event(["report", "smtpd", []])
    assert watching.acts() == []


def test_environment_files_that_come_change_and_go_restart(watching: Watching) -> None:
    watching.write("env/NEW", "1")
    assert watching.acts() == ["Restart"]
    watching.write("env/NEW", "2")
    assert watching.acts() == ["Restart"]
    watching.write("env/.hidden", "1")
    assert watching.acts() == []
    (watching.service / "env" / "NEW").unlink()
    until(lambda: "Restart" in watching.acts())


def test_a_folder_that_is_replaced_goes_on_being_watched(watching: Watching) -> None:
    new = watching.service / "env.new"
    new.mkdir()
    with watching.stopped():
        (watching.service / "env").rename(watching.service / "env.old")
        new.rename(watching.service / "env")
    assert watching.acts() == []
    watching.write("env/A", "1")
    until(lambda: watching.acts() == ["Restart"])


def test_a_service_directory_that_is_replaced_goes_on_being_watched(watching: Watching) -> None:
    subprocess.run(["cp", "-a", watching.service, watching.folder / "new"], check=True)
    with watching.stopped():
        watching.service.rename(watching.folder / "old")
        (watching.folder / "new").rename(watching.service)
    watching.write("tcp.smtp", ":deny\n")
    watching.until_denied()
    assert watching.acts() == ["Restart"]


def test_rules_that_are_gone_are_a_complaint_and_the_old_ones_stay_in_force(watching: Watching) -> None:
    text = (watching.service / "tcp.smtp").read_text()
    (watching.service / "tcp.smtp").unlink()
    watching.await_event(["report", "smtpd", ["tcp.smtp: file does not exist"]])
    assert not watching.decision().deny
    watching.write("tcp.smtp", text)
    watching.await_event(["report", "smtpd", []])
    assert watching.acts() == []


def test_a_cdb_that_is_removed_is_made_again_and_nothing_restarts(watching: Watching) -> None:
    (watching.service / "tcp.smtp.cdb").unlink()
    until((watching.service / "tcp.smtp.cdb").exists)
    assert watching.acts() == []


def test_a_cdb_made_by_hand_restarts(watching: Watching) -> None:
    subprocess.run(
        ["tcprules", "tcp.smtp.cdb", "tcp.tmp"],
        input=b":deny\n",
        cwd=watching.service,
        env=environment(),
        check=True,
    )
    assert watching.acts() == ["Restart"]


def test_a_change_of_the_watch_file_counts_from_its_saving_on(watching: Watching) -> None:
    watching.write("other", "1")
    assert watching.acts() == []
    watching.write("watch", "other hup\n")
    assert watching.acts() == []
    watching.write("other", "2")
    assert watching.acts() == ["Hangup"]
    watching.write("run", "#!/bin/sh\n# no longer watched\n")
    assert watching.acts() == []


def test_a_watch_file_that_makes_no_sense_leaves_the_old_one_in_force(watching: Watching) -> None:
    watching.write("watch", "tcp.smtp tcprules tcp.smtp.cdb\nrun restat\n")
    watching.await_event(["report", "smtpd", ["watch:2: unknown action restat"]])
    watching.write("env/A", "1")
    assert watching.acts() == ["Restart"]


def test_without_the_kernels_hints_one_line_says_so(quick: Watching, tmp_path: Path) -> None:
    (tmp_path / "watchdog.py").write_text('raise ImportError("not on this system")\n')
    quick.start(env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"})
    lines = [event[1] for event in quick.events() if event[0] == "log"]
    assert "".join(map(str, lines)) == (
        "svscan: warning: unable to have changes of files reported (watchdog: not on this system): "
        "looking for them instead"
    )


def test_rules_without_a_cdb_are_compiled_at_the_start(quick: Watching) -> None:
    quick.start()
    cdb = quick.service / "tcp.smtp.cdb"
    assert stat.S_IMODE(cdb.stat().st_mode) == 0o644
    assert not quick.decision().deny


def test_the_cdb_can_be_read_by_the_service_whatever_the_umask(quick: Watching) -> None:
    before = os.umask(0o077)
    try:
        quick.start()
    finally:
        os.umask(before)
    assert stat.S_IMODE((quick.service / "tcp.smtp.cdb").stat().st_mode) == 0o644


def test_rules_saved_while_nobody_watched_are_compiled_at_the_start(quick: Watching) -> None:
    quick.start()
    quick.stop()
    quick.write("tcp.smtp", ":deny\n")
    quick.write("run", "#!/bin/sh\n# changed too, but who starts it now starts this\n")
    quick.start()
    quick.until_denied()
    assert quick.acts() == ["Restart"]
    quick.stop()
    quick.start()
    assert quick.acts() == []


def test_rules_that_did_not_compile_are_complained_of_again_after_a_restart(quick: Watching) -> None:
    quick.start()
    quick.write("tcp.smtp", "oops:\n")
    complaint: list[object] = ["report", "smtpd", ["tcp.smtp:1: neither allow nor deny after the colon"]]
    quick.await_event(complaint)
    quick.stop()
    quick.start()
    quick.await_event(complaint)


def test_a_service_without_a_watch_file_or_a_directory_is_no_error(quick: Watching) -> None:
    (quick.service / "watch").unlink()
    quick.start(quick.service, quick.folder / "none")
    quick.write("tcp.smtp", ":deny\n")
    late = quick.folder / "none"
    late.mkdir()
    (late / "watch").write_text("file restart\n")
    (late / "file").write_text("1")

    def seen() -> bool:
        (late / "file").write_text((late / "file").read_text() + "1")
        return ["act", "none", "Restart"] in quick.all_events()

    until(seen)
    assert [event for event in quick.all_events() if event[0] in ("log", "report")] == []


def test_a_service_reached_by_a_link_is_watched_where_it_is(quick: Watching) -> None:
    elsewhere = quick.folder / "etc"
    elsewhere.mkdir()
    quick.service.rename(elsewhere / "smtpd")
    quick.service.symlink_to("etc/smtpd")
    quick.start()
    quick.events()
    (elsewhere / "smtpd" / "tcp.smtp").write_text(":deny\n")
    quick.until_denied()
    assert quick.acts() == ["Restart"]


def test_a_program_is_run_in_the_service_directory_with_nothing_of_ours_open(quick: Watching) -> None:
    quick.write("watch", "conf run ./make 1 2\nmade signal USR2\nmade hup\n")
    quick.write("conf", "1")
    quick.write("make", '#!/bin/sh\n(pwd; echo "$@"; cd /proc/$$/fd && echo *) > made.new\nmv made.new made\n')
    (quick.service / "make").chmod(0o755)
    quick.start()
    quick.events()
    quick.write("conf", "2")
    until((quick.service / "made").exists)
    where, words, descriptors = (quick.service / "made").read_text().splitlines()
    assert (where, words) == (str(quick.service), "1 2")
    # The shell keeps its script open at 10 or above.
    assert [number for number in descriptors.split() if 2 < int(number) < 10] == []
    assert [event[2:] for event in quick.events()] == [["Signal", int(signal.SIGUSR2)], ["Hangup"]]


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("sh -c exit${IFS}3", "conf: sh exited 3"),
        ("./fails", "conf: ./fails exited 1: no such luck"),
        ("./killed", "conf: ./killed was killed by signal 9"),
        ("./endless", "conf: ./endless did not end within 3 seconds"),
        ("no-such-program", "conf: unable to run no-such-program: file does not exist"),
        ("./conf", "conf: unable to run ./conf: access denied"),
    ],
)
def test_a_program_that_fails_is_a_complaint_until_it_succeeds(quick: Watching, program: str, complaint: str) -> None:
    quick.write("watch", f"conf run {program}\n")
    quick.write("conf", "1")
    for name, script in (
        ("fails", "echo no such luck; yes | head -c 1000000; exit 1"),
        ("killed", "kill -9 $$"),
        ("endless", "sleep 1000 & wait"),
    ):
        quick.write(name, f"#!/bin/sh\n{script}\n")
        (quick.service / name).chmod(0o755)
    quick.start(env={"JOB_SECONDS": "3" if "not end" in complaint else "600"})
    quick.write("conf", "2")
    quick.await_event(["report", "smtpd", [complaint]])
    quick.write("watch", "conf run true\n")
    quick.await_event(["report", "smtpd", []])


@pytest.mark.oracle
def test_the_tcprules_that_is_first_on_path_compiles(quick: Watching) -> None:
    directory = Path(original("tcprules")).parent
    quick.start(path=f"{directory}:{PATH}")
    quick.write("tcp.smtp", ":deny\n")
    quick.until_denied()
    quick.write("tcp.smtp", ":allw\n")
    quick.await_event(["report", "smtpd", ["tcp.smtp: unable to parse this line: :allw"]])


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("sleep 1000 & wait", "tcprules did not end within 1 seconds"),
        ("kill -9 $$", "tcprules was killed by signal 9"),
        ("yes >&2", "tcprules did not end within 1 seconds"),
        ("exit 111", "tcprules exited 111"),
        ("exit 0", "unable to replace tcp.smtp.cdb: file does not exist"),
    ],
)
def test_a_tcprules_gone_mad_is_a_complaint_and_no_more(
    quick: Watching, tmp_path: Path, script: str, complaint: str
) -> None:
    quick.compile()
    seconds = "1" if "not end" in complaint else "600"
    quick.start(path=f"{tmp_path}:{PATH}", env={"JOB_SECONDS": seconds})
    (tmp_path / "tcprules").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "tcprules").chmod(0o755)
    quick.write("tcp.smtp", ":deny\n")
    quick.await_event(["report", "smtpd", [f"tcp.smtp: {complaint}"]])
    assert not quick.decision().deny


def test_without_any_tcprules_that_is_said(quick: Watching, tmp_path: Path) -> None:
    quick.start(path=str(tmp_path))
    quick.await_event(["report", "smtpd", ["tcp.smtp: unable to run tcprules: file does not exist"]])


def test_an_overflowing_queue_loses_no_change(quick: Watching) -> None:
    quick.start()
    quick.events()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with quick.stopped():
        quick.write("env/A", "1")
        quick.write("env/B", "1")
    assert quick.acts() == ["Restart"]
    with quick.stopped():
        for _ in range(limit // 2 + 10):
            # Events that are equal to the one before are not queued.
            os.utime(quick.service / "env" / "A")
            os.utime(quick.service / "env" / "B")
        quick.write("tcp.smtp", ":deny\n")
    quick.until_denied()
    assert quick.acts() == ["Restart"]


def test_ending_amid_a_compilation_leaves_no_process(quick: Watching, tmp_path: Path) -> None:
    quick.start(path=f"{tmp_path}:{PATH}")
    (tmp_path / "tcprules").write_text("#!/bin/sh\ntouch started\nsleep 1000\n")
    (tmp_path / "tcprules").chmod(0o755)
    quick.write("tcp.smtp", ":deny\n")
    until((quick.service / "started").exists)
    quick.stop()


def test_what_comes_to_a_tree_and_goes_from_it_is_told(folder: Path, quick: Watching) -> None:
    tree = folder / "tree"
    tree.mkdir()
    quick.start("--tree", tree)
    quick.await_event(["tree", []])
    (tree / "one").mkdir()
    quick.await_event(["tree", ["one"]])
    (tree / "two").symlink_to("one")
    quick.await_event(["tree", ["one", "two"]])
    (tree / "one").rename(tree / "three")
    quick.await_event(["tree", ["three", "two"]])

    def told() -> int:
        return sum(event[0] == "tree" for event in quick.all_events())

    for name in ("log", "down"):
        before = until(told)
        (tree / "three" / name).mkdir()
        until(lambda before=before: told() > before, what=name)  # type: ignore[misc]
    subprocess.run(["rm", "-r", tree], check=True)
    quick.await_event(["tree", []])
    tree.mkdir()
    (tree / "four").mkdir()
    quick.await_event(["tree", ["four"]])
