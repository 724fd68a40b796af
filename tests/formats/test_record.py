from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from svtree.formats.record import record


@record
class Point:
    x: int
    y: int = 0

    @property
    def double(self) -> int:
        return 2 * self.x


@record
class Positive:
    value: int

    def __post_init__(self) -> None:
        if self.value <= 0:
            raise ValueError("not positive")


def test_a_record_has_its_fields_defaults_and_methods() -> None:
    assert (Point(1).x, Point(1).y, Point(1, 2).y, Point(x=3).double) == (1, 0, 2, 6)


def test_records_are_equal_by_value_and_hashable() -> None:
    assert Point(1, 2) == Point(1, 2) != Point(2, 1)
    assert len({Point(1, 2), Point(1, 2)}) == 1
    stranger: object = (1, 2)
    assert Point(1, 2) != stranger


def test_a_record_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Point(1).z = 2  # type: ignore[attr-defined]


def test_a_record_shows_itself_matches_and_checks_itself() -> None:
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
    with pytest.raises(ValueError, match="not positive"):
        Positive(0)
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_a_record_is_copied_and_pickled() -> None:
    assert copy.deepcopy(Point(1, 2)) == Point(1, 2)
    assert pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)


def test_importing_record_imports_neither_dataclasses_nor_typing() -> None:
    code = "import sys, svtree.formats.record; print({'dataclasses', 'typing', 're', 'enum'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert done.stdout == b"set()\n"
