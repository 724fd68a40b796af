"""pgrphack beside the original."""

from __future__ import annotations

import pytest

from tests.harness import original, ours, run

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("arguments", [(), ("./missing",), ("sh", "-c", "echo ok; exit 6")])
def test_the_same_texts_and_codes(arguments: tuple[str, ...]) -> None:
    assert run([ours("pgrphack"), *arguments]) == run([original("pgrphack"), *arguments])


def test_the_child_leads_its_group_and_its_session() -> None:
    for program in (original("pgrphack"), ours("pgrphack")):
        fields = run([program, "cat", "/proc/self/stat"]).out.split()
        assert fields[0] == fields[4] == fields[5]
