from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.addresses import (
    ATOM,
    COMMENT,
    LITERAL,
    QUOTED,
    AddressError,
    Token,
    quote,
    rewrite_list,
    tokens,
    unparse,
    unquote,
)

# Bytes that mean something to the parser come often, all others sometimes.
TEXT = st.lists(
    st.one_of(st.sampled_from([bytes((code,)) for code in b'.,@<>:;()[]"\\ \t\r\nab+']), st.binary(max_size=3)),
    max_size=40,
).map(b"".join)


@pytest.mark.parametrize(
    ("address", "quoted"),
    [
        (b"", b""),
        (b"joe@x", b"joe@x"),
        (b"a b@x", b'"a b"@x'),
        (b"a.b.c@x.y", b"a.b.c@x.y"),
        (b".a@x", b'".a"@x'),
        (b"a..b@x", b'"a..b"@x'),
        (b"a@b@x", b'"a@b"@x'),
        (b"@x", b'""@x'),
        (b'a"\\\nb@x', b'"a\\"\\\\\\\nb"@x'),
        (b"caf\xe9@x", b'"caf\xe9"@x'),
        (b"joe", b"joe"),
        (b"joe bloggs", b'"joe bloggs"'),
    ],
)
def test_an_envelope_address_is_quoted_only_where_it_must_be(address: bytes, quoted: bytes) -> None:
    assert quote(address) == quoted


def test_a_field_is_cut_into_words_and_the_characters_between_them() -> None:
    assert tokens(b'To: "J. Q" <joe.b@[1.2]> (a (b) \\) c), caf\xe9') == [
        Token(ATOM, b"To"),
        Token(":"),
        Token(QUOTED, b"J. Q"),
        Token("<"),
        Token(ATOM, b"joe"),
        Token("."),
        Token(ATOM, b"b"),
        Token("@"),
        Token(LITERAL, b"1.2"),
        Token(">"),
        Token(COMMENT, b"a b ) c"),
        Token(","),
        Token(QUOTED, b"caf\xe9"),
    ]


@pytest.mark.parametrize("text", [b"(", b'"a', b"[1", b")", b"]", b'"\\', b"(a(b)", b"(\\)"])
def test_what_is_not_closed_or_not_opened_is_an_error(text: bytes) -> None:
    with pytest.raises(AddressError):
        tokens(text)


def test_a_letter_behind_a_backslash_keeps_its_meaning() -> None:
    # notqmail writes the first as a@b, which is another address.
    assert unparse(tokens(b"a\\@b"), 80) == b'"a@b"\n'
    assert unparse(tokens(b"a\\ b"), 80) == b'"a b"\n'
    assert unparse(tokens(b'"a\\"b"'), 80) == b'"a\\"b"\n'


@given(TEXT)
def test_any_text_is_tokens_or_an_error_and_tokens_survive_being_written(text: bytes) -> None:
    try:
        found = tokens(text)
    except AddressError:
        return
    written = unparse(found, 80)
    again = tokens(written)
    # A newline that would have ended the field is left out, and the text of a comment is flat.
    assert [token.kind for token in again] == [token.kind for token in found]
    if b"\n" not in text and b"\r" not in text:
        assert again == found


@given(TEXT)
def test_a_written_field_is_one_field(text: bytes) -> None:
    try:
        lines = unparse([Token(ATOM, b"To"), Token(":"), *tokens(text)], 80).split(b"\n")
    except AddressError:
        return
    assert lines.pop() == b""
    assert all(line[:1] in (b" ", b"\t") for line in lines[1:])
    assert b"\r" not in b"".join(line for line in lines if b"\\\r" not in line)


@pytest.mark.parametrize(
    ("field", "found", "written"),
    [
        (b"a b", [b"b", b"a"], b"T: X, X\n"),
        (b"a, b c@d", [b"c@d", b"b", b"a"], b"T: X, X, X\n"),
        (b"Joe Q <joe@x> (note)", [b"joe@x"], b"T: Joe Q <X>(note)\n"),
        (b"joe@x (Joe)", [b"joe@x"], b"T: X (Joe)\n"),
        (b"<>", [b""], b"T: <X>\n"),
        (b"g: a, b;, c", [b"c", b"b", b"a"], b"T: g: X, X;, X\n"),
        (b"g: ;", [], b"T: g: ;\n"),
        (b"g: <@r:a@b>;", [b"@r:a@b"], b"T: g: <X>;\n"),
        (b"a <b> c", [b"c", b"b"], b"T: a <X>, X\n"),
        (b"", [], b"T:\n"),
        (b",,", [], b"T: , ,\n"),
    ],
)
def test_every_address_of_a_list_is_found_from_right_to_left(field: bytes, found: list[bytes], written: bytes) -> None:
    seen = []

    def note(address: list[Token]) -> list[Token]:
        seen.append(unquote(address))
        return [Token(ATOM, b"X")]

    assert unparse(rewrite_list(tokens(b"T:" + field), note), 80) == written
    assert seen == found


@pytest.mark.parametrize("field", [b"g: h: a;;", b"a;;", b"a>", b"g: a", b"@r:a@b"])
def test_a_list_that_makes_no_sense_is_an_error(field: bytes) -> None:
    with pytest.raises(AddressError):
        rewrite_list(tokens(b"T:" + field), lambda address: address)


@given(TEXT)
def test_rewriting_to_the_same_loses_and_moves_no_word(text: bytes) -> None:
    try:
        before = tokens(b"T:" + text)
        after = rewrite_list(before, lambda address: address)
    except AddressError:
        return
    # Commas are added, comments carried out of the address in which they stood.
    kept = [[token for token in each if token.kind not in (",", COMMENT)] for each in (before, after)]
    assert kept[0] == kept[1]


def test_long_lists_are_folded_after_commas() -> None:
    field = b"To: " + b", ".join(b"recipient%02d@host.example" % number for number in range(6))
    assert unparse(tokens(field), 80) == (
        b"To: recipient00@host.example, recipient01@host.example,\n"
        b"  recipient02@host.example, recipient03@host.example,\n"
        b"  recipient04@host.example, recipient05@host.example\n"
    )
