from __future__ import annotations

import pytest

from svtree.program import UsageError
from svtree.supervision.programs import pgrphack
from tests.harness import ours, run


def test_it_wants_a_child() -> None:
    with pytest.raises(UsageError):
        pgrphack.main([b"pgrphack"], {})


def test_who_leads_a_group_already_goes_on_all_the_same() -> None:
    assert run(["setsid", "-w", ours("pgrphack"), "echo", "on"]).out == b"on\n"
