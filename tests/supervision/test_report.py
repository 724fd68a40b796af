from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.supervision import report
from svtree.supervision.process import Exit, signal_number
from svtree.supervision.report import Report, exit_value, parse, read

FULL = Report(
    since=1795563422.025,
    restarts=3,
    exit={"signal": 9},
    ready=False,
    status="listening",
    backoff=8.0,
    adopted=True,
    problem="unable to start run: access denied",
    complaints=("tcp.smtp:1: missing closing quote",),
)


def test_the_file_is_a_json_object_with_the_documented_keys() -> None:
    found = json.loads(FULL.pack())
    assert found["complaints"] == ["tcp.smtp:1: missing closing quote"]
    assert found["exit"] == {"signal": 9}
    documented = {line.split()[0] for line in (report.__doc__ or "").splitlines() if line.startswith("    ")}
    assert set(found) == documented


def test_what_is_written_is_read(folder: Path) -> None:
    (folder / "supervise").mkdir()
    (folder / "supervise" / "report").write_bytes(FULL.pack())
    assert read(bytes(folder)) == FULL


def test_no_report_is_an_empty_report(folder: Path) -> None:
    assert read(bytes(folder)) == Report()


@pytest.mark.parametrize("data", [b"", b"nonsense", b"[]", b"null", b'{"since": "now", "exit": 3, "complaints": [1]}'])
def test_what_is_not_what_it_should_be_has_its_default(data: bytes) -> None:
    assert parse(data) == Report()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_any_value_in_any_place_is_read_or_passed_over(value: object) -> None:
    parse(json.dumps(dict.fromkeys(Report.__match_args__, value)).encode()).pack()


@pytest.mark.parametrize(
    ("ended", "words", "value"),
    [
        (Exit(0, None), "exit 0", {"code": 0}),
        (Exit(111, None), "exit 111", {"code": 111}),
        (Exit(None, 9), "killed by KILL", {"signal": 9}),
        (Exit(None, 15), "killed by TERM", {"signal": 15}),
        (Exit(None, 40), "killed by signal 40", {"signal": 40}),
    ],
)
def test_an_exit_is_said_in_words(ended: Exit, words: str, value: dict[str, int]) -> None:
    assert ended.words() == words
    assert exit_value(ended) == value
    assert Report(exit=value).last_exit() == words


def test_an_unknown_exit_is_no_words() -> None:
    assert exit_value(None) is None
    assert Report().last_exit() == ""


@pytest.mark.parametrize(
    ("word", "number"),
    [
        (b"TERM", 15),
        (b"SIGTERM", 15),
        (b"term", 15),
        (b"10", 10),
        (b"", None),
        (b"0", None),
        (b"99", None),
        (b"X", None),
    ],
)
def test_a_signal_may_be_a_name_or_a_number(word: bytes, number: int | None) -> None:
    assert signal_number(word) == number
