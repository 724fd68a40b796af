from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.dotqmail import DotQmailError, Instruction, candidates, instructions, safe_extension


def test_each_line_is_one_instruction() -> None:
    text = b"# comment\n./Maildir/\n./Mailbox \t\n\n|preline vacation; exit 99\n&a@b.c\nd@e.f\n+list\n+other\n/abs/dir/"
    assert instructions(text) == [
        Instruction("maildir", b"./Maildir/"),
        Instruction("mbox", b"./Mailbox"),
        Instruction("program", b"preline vacation; exit 99"),
        Instruction("forward", b"a@b.c"),
        Instruction("forward", b"d@e.f"),
        Instruction("list", b""),
        Instruction("maildir", b"/abs/dir/"),
    ]


@pytest.mark.parametrize("text", [b"", b"\n", b" \t\n./Maildir/\n", b"\0./Maildir/\n"])
def test_a_blank_first_line_is_an_error(text: bytes) -> None:
    with pytest.raises(DotQmailError, match=r"^Uh-oh: first line of \.qmail file is blank\. \(#4\.2\.1\)$"):
        instructions(text)


def test_a_line_ends_at_a_nul_byte() -> None:
    assert instructions(b"./a\0/\n&x@y\0z\n") == [Instruction("mbox", b"./a"), Instruction("forward", b"x@y")]


@pytest.mark.parametrize(
    ("dash", "extension", "names"),
    [
        # The table of qmail-local.c.
        (b"", b"", [b".qmail", b".qmaildefault"]),
        (b"-", b"", [b".qmail-", b".qmail-default"]),
        (b"-", b"a", [b".qmail-a", b".qmail-default"]),
        (b"-", b"a-", [b".qmail-a-", b".qmail-a-default", b".qmail-default"]),
        (b"-", b"A-B", [b".qmail-a-b", b".qmail-a-default", b".qmail-default"]),
        (b"-", b"a-b-", [b".qmail-a-b-", b".qmail-a-b-default", b".qmail-a-default", b".qmail-default"]),
        (b"-", b"x.y", [b".qmail-x:y", b".qmail-default"]),
    ],
)
def test_the_files_that_control_an_address_are_tried_from_the_most_special_on(
    dash: bytes, extension: bytes, names: list[bytes]
) -> None:
    assert [each.name for each in candidates(dash, extension)] == names


def test_what_default_stands_for_is_told_with_each_file() -> None:
    assert [each.default for each in candidates(b"-", b"list-Joe")] == [None, 5, 0]
    assert next(candidates(b"-", b"list-default")).default == 5


@given(st.binary(max_size=30))
def test_no_extension_climbs_out_of_the_home(extension: bytes) -> None:
    assert b"." not in safe_extension(extension)
    assert len(safe_extension(extension)) == len(extension)


@given(st.binary(max_size=200))
def test_any_text_is_instructions_or_an_error(text: bytes) -> None:
    try:
        found = instructions(text)
    except DotQmailError:
        return
    for each in found:
        assert b"\n" not in each.value
        assert b"\0" not in each.value
        assert not each.value.endswith((b" ", b"\t"))
