"""What an eye sees: paths by pattern, content by digest, and the directories that decide about both."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from svtree.formats.watchfile import Compile, Entry, Restart
from svtree.watch.looking import TICK, Eye
from svtree.watch.machine import Look


class Clock:
    """Stands at the moment it is set to."""

    def __init__(self) -> None:
        self.ns = 0

    def monotonic(self) -> float:
        return self.ns / 1e9

    def wall(self) -> float:
        return self.ns / 1e9

    def wall_ns(self) -> int:
        return self.ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(folder: Path) -> Path:
    path = folder / "service"
    path.mkdir()
    return path


@pytest.fixture
def eye(service: Path, clock: Clock) -> Eye:
    return Eye(os.fsencode(service), clock)


def entry(pattern: str) -> Entry:
    return Entry(1, pattern.encode(), Restart())


def look(eye: Eye, *entries: Entry) -> Look:
    *_, last = eye.look(entries)
    assert last is not None
    return last


def seen(eye: Eye, pattern: str) -> dict[str, bytes | str | None]:
    asked = entry(pattern)
    return {os.fsdecode(path): content for path, content in look(eye, asked).found[asked].items()}


def test_a_path_matches_itself_whether_it_exists_or_not(eye: Eye, service: Path) -> None:
    assert seen(eye, "conf") == {"conf": None}
    assert seen(eye, "no/such/conf") == {"no/such/conf": None}
    (service / "conf").write_text("")
    assert seen(eye, "conf") == {"conf": b""}
    assert seen(eye, "conf/below") == {"conf/below": None}


def test_a_glob_matches_what_exists(eye: Eye, service: Path) -> None:
    for name in ("a/x.conf", "a/y.conf", "a/.z.conf", "b/x.conf", "b/other"):
        (service / name).parent.mkdir(exist_ok=True)
        (service / name).write_text("1")
    assert list(seen(eye, "a/*.conf")) == ["a/x.conf", "a/y.conf"]
    assert list(seen(eye, "a/.*")) == ["a/.z.conf"]
    assert list(seen(eye, "?/[xy].conf")) == ["a/x.conf", "a/y.conf", "b/x.conf"]
    assert list(seen(eye, "*/other")) == ["b/other"]
    assert list(seen(eye, "none/*")) == []
    assert list(seen(eye, f"{service}/b/*")) == [f"{service}/b/other", f"{service}/b/x.conf"]


def test_the_same_content_has_the_same_mark_and_another_another(eye: Eye, service: Path) -> None:
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (service / name).write_text(text)
    marks = seen(eye, "?")
    assert marks["a"] == marks["b"] != marks["c"]


def test_what_is_no_file_has_a_mark_and_is_not_read(eye: Eye, service: Path) -> None:
    os.mkfifo(service / "fifo")
    (service / "directory").mkdir()
    assert all(isinstance(content, bytes) for content in seen(eye, "*").values())
    assert list(seen(eye, "*")) == ["directory", "fifo"]


def test_what_cannot_be_read_says_why(eye: Eye, service: Path) -> None:
    (service / "loop").symlink_to("loop")
    assert seen(eye, "loop") == {"loop": "symbolic link loop"}
    assert list(seen(eye, "n" * 300).values()) == ["file name too long"]


def test_a_glance_finds_every_kind_of_change(eye: Eye, service: Path, clock: Clock) -> None:
    (service / "env").mkdir()
    (service / "env" / "A").write_text("1")
    (service / "conf").write_text("1")
    entries = [entry("conf"), entry("env/*"), entry("none")]

    def change_is_seen() -> bool:
        clock.ns = (service / "conf").stat().st_ctime_ns + 10 * TICK
        found = eye.glance()
        look(eye, *entries)
        return found

    change_is_seen()
    assert not change_is_seen()
    (service / "conf").write_text("2")
    assert change_is_seen()
    (service / "env" / "B").write_text("1")
    assert change_is_seen()
    (service / "env" / "B").unlink()
    assert change_is_seen()
    (service / "none").write_text("")
    assert change_is_seen()
    (service / "watch").write_text("")
    assert change_is_seen()
    (service / "env").rename(service / "gone")
    assert change_is_seen()
    assert not change_is_seen()


def test_a_second_change_in_the_same_tick_of_the_clock_is_not_missed(eye: Eye, service: Path, clock: Clock) -> None:
    conf = service / "conf"
    conf.write_text("1")
    clock.ns = conf.stat().st_ctime_ns
    first = seen(eye, "conf")
    # The times could be those of a change that came after the reading, so they prove nothing.
    assert eye.glance()
    clock.ns += 2 * TICK
    assert seen(eye, "conf") == first
    assert not eye.glance()


def test_a_file_that_has_not_changed_is_not_read_again(eye: Eye, service: Path, clock: Clock) -> None:
    conf = service / "conf"
    conf.write_bytes(b"x" * (1 << 20))
    clock.ns = conf.stat().st_ctime_ns + 2 * TICK
    assert len(list(eye.look([entry("conf")]))) > 4
    assert len(list(eye.look([entry("conf")]))) == 1


def test_a_cdb_is_missing_or_older_than_its_rules_or_neither(eye: Eye, service: Path) -> None:
    rules = Entry(1, b"tcp.smtp", Compile(b"tcp.smtp.cdb"))
    (service / "tcp.smtp").write_text("1")
    found = look(eye, rules)
    assert (set(found.missing), set(found.older)) == ({rules}, set())
    (service / "tcp.smtp.cdb").write_text("1")
    later = (service / "tcp.smtp").stat().st_ctime_ns + TICK
    os.utime(service / "tcp.smtp.cdb", ns=(later, later))
    found = look(eye, rules)
    assert not found.missing | found.older
    # An older file moved into place: its mtime is of long ago, the rename is in its ctime.
    os.utime(service / "tcp.smtp.cdb", (1, 1))
    os.utime(service / "tcp.smtp", (0, 0))
    assert look(eye, rules).older == {rules}


def names(eye: Eye, *patterns: str) -> dict[str, set[str] | None]:
    return {
        os.fsdecode(path): None if place.names is None else {os.fsdecode(name) for name in place.names}
        for path, place in eye.places([entry(pattern) for pattern in patterns]).items()
    }


def test_the_places_of_a_service_are_the_directories_that_decide_about_it(
    eye: Eye, folder: Path, service: Path
) -> None:
    (service / "env").mkdir()
    assert names(eye, "conf", "env/*", "no/such") == {
        str(service): {"watch", "conf", "env", "no"},
        str(service / "env"): None,
    }


def test_links_add_the_places_where_they_lead(eye: Eye, folder: Path, service: Path) -> None:
    (folder / "mount" / "..1").mkdir(parents=True)
    (folder / "mount" / "..data").symlink_to("..1")
    (folder / "mount" / "conf").symlink_to("..data/conf")
    (service / "conf").symlink_to("../mount/conf")
    assert names(eye, "conf") == {
        str(folder): {"mount"},
        str(service): {"watch", "conf"},
        str(folder / "mount"): {"conf", "..data", "..1"},
        str(folder / "mount" / "..1"): {"conf"},
    }


def test_an_absolute_path_is_decided_by_every_directory_but_the_root(eye: Eye, folder: Path) -> None:
    (folder / "etc").mkdir()
    found = names(eye, f"{folder}/etc/conf")
    assert "/" not in found
    assert found[str(folder / "etc")] == {"conf"}
    assert found[str(folder)] == {"etc"}


def test_the_directory_of_its_name_decides_about_a_service_that_is_a_link_or_missing(
    folder: Path, clock: Clock
) -> None:
    (folder / "there").mkdir()
    (folder / "link").symlink_to("there")
    assert names(Eye(os.fsencode(folder / "link"), clock)) == {
        str(folder): {"link", "there"},
        str(folder / "there"): {"watch"},
    }
    assert names(Eye(os.fsencode(folder / "none"), clock)) == {str(folder): {"none"}}


def test_a_loop_of_links_ends(eye: Eye, service: Path) -> None:
    (service / "a").symlink_to("b")
    (service / "b").symlink_to("a")
    assert names(eye, "a")[str(service)] == {"watch", "a", "b"}
