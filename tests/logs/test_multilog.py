"""multilog as a process: what its directory looks like, signals, trouble."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from svtree.formats import tai64
from tests.harness import DEADLINE, Processes, ours, run, until

Contents = Callable[[Path], bytes]


def numbered(count: int, width: int = 60) -> bytes:
    return b"".join(b"%0*d\n" % (width, number) for number in range(count))


def test_lines_are_logged_and_current_is_complete_at_the_end(folder: Path) -> None:
    assert run([ours("multilog"), "./main"], stdin=b"one\ntwo\npartial", cwd=folder).code == 0
    current = folder / "main" / "current"
    assert current.read_bytes() == b"one\ntwo\npartial\n"
    assert stat.S_IMODE(current.stat().st_mode) == 0o744
    assert stat.S_IMODE((folder / "main").stat().st_mode) == 0o700
    assert sorted(os.listdir(folder / "main")) == ["current", "lock", "state"]


def test_a_complete_current_is_gone_on_with(folder: Path) -> None:
    for line in (b"one\n", b"two\n"):
        run([ours("multilog"), "./main"], stdin=line, cwd=folder)
    assert (folder / "main" / "current").read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("width", [1, 60, 1500, 3000, 5000, 70_000, 200_000])
@pytest.mark.parametrize("stamp", [(), ("t",)])
def test_rotation_keeps_every_byte_and_no_log_is_longer_than_its_size(
    folder: Path, contents: Contents, width: int, stamp: tuple[str, ...]
) -> None:
    lines = numbered(max(8, 300_000 // (width + 30)), width)
    assert run([ours("multilog"), *stamp, "s4096", "n10000", "./main"], stdin=lines, cwd=folder).code == 0
    logged = contents(folder / "main")
    if stamp:
        stamps = [tai64.parse(each) for each in re.findall(rb"@[0-9a-f]{24}(?= )", logged)]
        assert stamps == sorted(set(stamps))
        logged = re.sub(rb"@[0-9a-f]{24} ", b"", logged)
    assert logged == lines
    old = [path for path in (folder / "main").iterdir() if path.name.startswith("@")]
    assert old
    for path in old:
        assert re.fullmatch(r"@[0-9a-f]{24}\.s", path.name)
        assert 4096 - 2000 <= path.stat().st_size <= 4096
        assert stat.S_IMODE(path.stat().st_mode) == 0o744
        assert width > 2000 or path.read_bytes().endswith(b"\n")


def test_as_many_old_logs_are_kept_as_n_allows(folder: Path) -> None:
    for count in ("n5", "n2", "n3"):
        run([ours("multilog"), "s4096", count, "./main"], stdin=numbered(2000), cwd=folder)
        old = [name for name in os.listdir(folder / "main") if name.startswith("@")]
        assert len(old) == int(count[1:]) - 1


def test_several_directories_get_their_own_lines_and_turn_over_by_themselves(folder: Path, contents: Contents) -> None:
    lines = numbered(3000)
    script = ["s4096", "n9999", "./all", "-*7", "s8192", "./others", "-*", "+*7", "./sevens", "-*", "./none"]
    assert run([ours("multilog"), *script], stdin=lines, cwd=folder).code == 0
    # There is no second try: *7 matches what has its first 7 at its end.
    sevens = [line for line in lines.splitlines(keepends=True) if line.find(b"7") == len(line) - 2]
    assert contents(folder / "all") == lines
    assert contents(folder / "others") == b"".join(
        line for line in lines.splitlines(keepends=True) if line not in sevens
    )
    assert contents(folder / "sevens") == b"".join(sevens)
    assert contents(folder / "none") == b""


def test_a_long_line_goes_whole_to_those_who_selected_it(folder: Path, contents: Contents) -> None:
    long = b"+" + b"x" * 300_000
    lines = b"a\n" + long + b"\nb\n-" + b"y" * 300_000 + b"\nc\n"
    script = ["s4096", "n9999", "./all", "--*", "./plus", "-*", "./none"]
    assert run([ours("multilog"), *script], stdin=lines, cwd=folder).code == 0
    assert contents(folder / "all") == lines
    assert contents(folder / "plus") == b"a\n" + long + b"\nb\nc\n"
    assert contents(folder / "none") == b""


def test_term_ends_it_after_the_line_it_is_in(folder: Path, processes: Processes) -> None:
    os.mkfifo(folder / "fifo")
    pipe = os.open(folder / "fifo", os.O_RDWR)
    try:
        logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=pipe)
        os.write(pipe, b"one\ntw")
        until(lambda: (folder / "main" / "current").read_bytes() == b"one\n")
        logger.terminate()
        os.write(pipe, b"o\nthree\n")
        assert logger.wait(DEADLINE) == 0
        assert (folder / "main" / "current").read_bytes() == b"one\ntwo\n"
        assert os.read(pipe, 100) == b"three\n"
        assert not (folder / "main" / ".unwritten").exists()
    finally:
        os.close(pipe)


def test_alrm_turns_the_log_over(folder: Path, processes: Processes) -> None:
    reader, writer = os.pipe()
    try:
        logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=reader)
        os.write(writer, b"one\n")
        current = folder / "main" / "current"
        until(lambda: current.read_bytes() == b"one\n")
        logger.send_signal(signal.SIGALRM)
        until(lambda: current.read_bytes() == b"")
        os.write(writer, b"two\n")
        until(lambda: current.read_bytes() == b"two\n")
        old = [path for path in (folder / "main").iterdir() if path.name.startswith("@")]
        assert [path.read_bytes() for path in old] == [b"one\n"]
    finally:
        os.close(reader)
        os.close(writer)
    assert logger.wait(DEADLINE) == 0


def test_an_unclean_end_is_marked_and_nothing_of_it_lost(folder: Path, processes: Processes) -> None:
    reader, writer = os.pipe()
    try:
        logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=reader)
        os.write(writer, b"one\ntw")
        until(lambda: (folder / "main" / "current").read_bytes() == b"one\n")
        until(lambda: (folder / "main" / ".unwritten").read_bytes().endswith(b"tw"))
        logger.kill()
        logger.wait()
        logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=reader)
        os.write(writer, b"o\n")
        until(lambda: (folder / "main" / "current").read_bytes() == b"two\n")
        old = [path for path in (folder / "main").iterdir() if path.name.startswith("@")]
        assert [(path.name[25:], path.read_bytes()) for path in old] == [(".u", b"one\n")]
    finally:
        os.close(reader)
        os.close(writer)
    assert logger.wait(DEADLINE) == 0


def test_what_a_killed_logger_left_is_written_even_if_the_next_input_is_a_file(
    folder: Path, processes: Processes
) -> None:
    reader, writer = os.pipe()
    try:
        logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=reader)
        os.write(writer, b"left")
        until(lambda: (folder / "main" / ".unwritten").read_bytes().endswith(b"left"))
        logger.kill()
        logger.wait()
    finally:
        os.close(reader)
        os.close(writer)
    (folder / "file").write_bytes(b"one\n")
    with (folder / "file").open("rb") as file:
        logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=file.fileno())
        assert logger.wait(DEADLINE) == 0
    assert (folder / "main" / "current").read_bytes() == b"left\none\n"
    assert not (folder / "main" / ".unwritten").exists()


def test_a_processor_keeps_what_it_prints_and_hands_its_state_on(folder: Path, contents: Contents) -> None:
    command = '!read n <&4; echo $((n + 1)) >&5; echo "run $n"; wc -l'
    result = run([ours("multilog"), "s4096", "n99", command, "./main"], stdin=numbered(300), cwd=folder)
    assert (result.code, result.err) == (0, b"")
    logged = contents(folder / "main")
    assert re.findall(rb"run \d*\n", logged)[:3] == [b"run \n", b"run 1\n", b"run 2\n"]
    runs = logged.count(b"run ")
    assert (folder / "main" / "state").read_bytes() == b"%d\n" % runs
    assert sorted(name for name in os.listdir(folder / "main") if name[0] != "@") == ["current", "lock", "state"]


def test_a_processor_that_fails_is_run_again(folder: Path) -> None:
    command = "!test -f ../ok && exec cat; touch ../ok; exit 1"
    result = run([ours("multilog"), "s4096", command, "./main"], stdin=numbered(50), cwd=folder)
    assert (result.code, result.err) == (0, b"multilog: warning: processor failed in ./main, pausing\n")


def test_a_full_disk_is_said_and_waited_for_and_nothing_is_lost(
    folder: Path, processes: Processes, contents: Contents
) -> None:
    if os.geteuid() != 0 or run(["unshare", "-m", "true"]).code:
        pytest.skip("needs root and mount namespaces")
    (folder / "disk").mkdir()
    (folder / "script").write_text(
        "mount -t tmpfs -o size=128k none disk || exit 1\n"
        "dd if=/dev/zero of=disk/ballast bs=1k count=110 2>/dev/null\n"
        "multilog s99999 n99 ./disk/main 2>err <&3 & pid=$!\n"
        "until grep -qs pausing err; do sleep 0.05; done\n"
        "rm disk/ballast; wait $pid; code=$?; cp -a disk/main copy; exit $code\n"
    )
    command = "exec 3<&0 </dev/null; exec sh ./script"
    result = run(["unshare", "-m", "sh", "-c", command], stdin=numbered(1000), cwd=folder)
    assert (result.code, result.err) == (0, b"")
    assert (
        (folder / "err")
        .read_bytes()
        .startswith(b"multilog: warning: unable to write to ./disk/main/current, pausing: out of disk space\n")
    )
    assert contents(folder / "copy") == numbered(1000)


@pytest.mark.parametrize(("more", "logged"), [(b"", b"one\nleft\n"), (b"more\n", b"one\nmore\n")])
def test_after_another_boot_nothing_is_cut_and_only_what_is_surely_missing_is_written(
    folder: Path, processes: Processes, contents: Contents, more: bytes, logged: bytes
) -> None:
    reader, writer = os.pipe()
    logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=reader)
    os.write(writer, b"one\nleft")
    until(lambda: (folder / "main" / ".unwritten").read_bytes().endswith(b"left"))
    until(lambda: (folder / "main" / "current").read_bytes() == b"one\n")
    logger.kill()
    logger.wait()
    os.close(reader)
    os.close(writer)
    spool = folder / "main" / ".unwritten"
    words = spool.read_bytes().split(b" ")
    spool.write_bytes(b" ".join([*words[:3], b"another-boot" + b"x" * (len(words[3]) - 12), *words[4:]]))
    with (folder / "main" / "current").open("ab") as current:
        current.write(more)
    assert run([ours("multilog"), "./main"], cwd=folder).code == 0
    assert contents(folder / "main") == logged


def test_what_somebody_else_wrote_meanwhile_is_not_cut(folder: Path, processes: Processes, contents: Contents) -> None:
    reader, writer = os.pipe()
    logger = processes.start([ours("multilog"), "./main"], cwd=folder, stdin=reader)
    os.write(writer, b"one\nx")
    until(lambda: (folder / "main" / ".unwritten").read_bytes().endswith(b"x"))
    until(lambda: (folder / "main" / "current").read_bytes() == b"one\n")
    logger.kill()
    logger.wait()
    os.close(reader)
    os.close(writer)
    with (folder / "main" / "current").open("ab") as current:
        current.write(b"y" * 1000 + b"\n")
    assert run([ours("multilog"), "./main"], cwd=folder).code == 0
    assert contents(folder / "main") == b"one\n" + b"y" * 1000 + b"\nx\n"
