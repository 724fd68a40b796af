"""No recording is left out: each is replayed by a test that gets its name, and those that the index names are there."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.golden import exchange, test_pop3_exchanges, test_printed, test_send_logs, test_smtp_exchanges

REPLAYING = (test_smtp_exchanges, test_pop3_exchanges, test_send_logs, test_printed)


def replayed(module: ModuleType) -> Iterator[str]:
    """The names that the module's tests are called with, as parameter `name`."""
    for test in vars(module).values():
        for mark in getattr(test, "pytestmark", []):
            if mark.name == "parametrize" and mark.args[0] == "name":
                for each in mark.args[1]:
                    yield each if isinstance(each, str) else each.values[0]


def test_every_recording_is_replayed() -> None:
    files = {path.stem for path in exchange.DATA.iterdir() if path.name != "INDEX"}
    assert {name for module in REPLAYING for name in replayed(module)} == files
    assert len(files) == 62


def indexed() -> list[tuple[str, str]]:
    """Name and subject of each entry of the index; its last line is the date."""
    entries = [line.split("\t") for line in (exchange.DATA / "INDEX").read_text().splitlines()[:-1]]
    return [(name, about.rstrip()) for name, about in entries]


def test_the_index_names_52_recordings() -> None:
    assert len(indexed()) == 52


@pytest.mark.parametrize(("entry", "about"), indexed())
def test_what_the_index_names_is_there_and_says_the_same_of_itself(entry: str, about: str) -> None:
    assert (exchange.DATA / f"{entry}.txt").read_text().splitlines()[0].rstrip() == f"# {about}"
