"""envuidgid beside the original."""

from __future__ import annotations

import pytest

from tests.harness import original, ours, run

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("root",),
        ("no-such-account", "true"),
        ("root", "./missing"),
        ("root", "sh", "-c", "echo $UID $GID; exit 3"),
        ("nobody", "sh", "-c", "id -u; echo $UID $GID"),
    ],
)
def test_the_same_texts_codes_and_variables(arguments: tuple[str, ...]) -> None:
    assert run([ours("envuidgid"), *arguments]) == run([original("envuidgid"), *arguments])


def test_variables_of_that_name_are_replaced() -> None:
    for program in (original("envuidgid"), ours("envuidgid")):
        result = run([program, "root", "env"], env={"UID": "7", "GID": "8"})
        assert [each for each in result.out.split(b"\n") if each[:4] in (b"UID=", b"GID=")].sort() == [
            b"GID=0",
            b"UID=0",
        ].sort()
