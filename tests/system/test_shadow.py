from __future__ import annotations

from pathlib import Path

import pytest

from svtree.system import shadow


@pytest.mark.root
def test_every_hash_is_what_the_shadow_file_says() -> None:
    lines = [line.split(b":") for line in Path("/etc/shadow").read_bytes().splitlines()]
    assert lines
    assert {line[0]: shadow.secret_of(line[0]) for line in lines} == {line[0]: line[1] for line in lines}


@pytest.mark.root
def test_the_kind_of_hash_this_system_uses_is_that_of_the_first_there_is() -> None:
    hashes = [line.split(b":")[1] for line in Path("/etc/shadow").read_bytes().splitlines()]
    assert shadow.any_secret() == next((each for each in hashes if each.startswith(b"$")), b"")


def test_a_name_that_nobody_has_has_no_hash() -> None:
    assert shadow.secret_of(b"no-such-account") == b""
    assert shadow.secret_of(b"\xff\xfe") == b""
