"""The fixture of the tests of distributions."""

from __future__ import annotations

import pytest

from tests.packaging.workshop import Workshop
from tests.packaging.workshop import workshop as make


@pytest.fixture
def workshop() -> Workshop:
    """Both distributions and the tools, made by the first test that asks."""
    return make()
