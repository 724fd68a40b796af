"""fghack beside the original."""

from __future__ import annotations

import pytest

from tests.harness import original, ours, run

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("./missing",),
        ("sh", "-c", "echo ok; exit 6"),
        ("sh", "-c", "kill -9 $$"),
        ("sh", "-c", "ls /proc/self/fd"),
        ("sh", "-c", "for each in 4 5 10 34; do echo lost >&$each; done"),
    ],
)
def test_the_same_texts_codes_and_descriptors(arguments: tuple[str, ...]) -> None:
    assert run([ours("fghack"), *arguments]) == run([original("fghack"), *arguments])


# Until it is a zombie, or reaped.
RUNS = "grep -qs '^State:.[RSD]' /proc/$$/status"


def test_both_wait_for_a_daemon_that_has_left_its_first_process() -> None:
    for program in (original("fghack"), ours("fghack")):
        done = run(
            [
                program,
                "sh",
                "-c",
                f"(while {RUNS}; do sleep 0.02; done; echo daemon ended) & echo first process ends; exit 3",
            ]
        )
        assert done.code == 3
        assert done.out == b"first process ends\ndaemon ended\n"
