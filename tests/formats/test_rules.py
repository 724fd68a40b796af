"""The language of tcp.smtp, as tcprules reads it, and the order in which tcpserver asks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import cdb
from svtree.formats.rulekeys import NETWORKS, candidates
from svtree.formats.rules import (
    ALLOW,
    BATCH,
    DEFAULT,
    DENY,
    Decision,
    Rule,
    RulesError,
    decide,
    decode,
    fields,
    parse,
    records,
)

WORDS = st.lists(
    st.sampled_from(
        [b"1", b".", b"-", b"=", b"@", b":", b"allow", b":deny", b",A", b'"', b" ", b"#", b"\0", b"\n", b"/", b"::"]
    ),
    max_size=14,
).map(b"".join)


def keys(line: bytes) -> list[bytes]:
    return [key for key, _ in records(line)]


def data(line: bytes) -> bytes:
    return next(records(line))[1]


def test_a_line_becomes_a_rule_with_its_number_address_action_and_variables() -> None:
    text = b'# hosts\n\n127.:allow,RELAYCLIENT="",A=/b"c/\n=.example.org:deny\n:allow'
    assert list(parse(text)) == [
        Rule(3, b"127.", ALLOW, ((b"RELAYCLIENT", b""), (b"A", b'b"c'))),
        Rule(4, b"=.example.org", DENY, ()),
        Rule(5, b"", ALLOW, ()),
    ]


@pytest.mark.parametrize("line", [b"", b"#1.2.3.4:allow", b"no colon", b" \t", b"192.168.3.0/24 allow"])
def test_a_comment_and_a_line_without_colon_say_nothing(line: bytes) -> None:
    assert list(records(line)) == []
    assert list(parse(line)) == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (b"1.2.3.4", [b"1.2.3.4"]),
        (b"1.2.3-5.", [b"1.2.3.", b"1.2.4.", b"1.2.5."]),
        (b"1.2.3.254-999", [b"1.2.3.254", b"1.2.3.255"]),
        (b"9-10.2.", [b"9.2.", b"10.2."]),
        (b"1.2.3.-1", [b"1.2.3.0", b"1.2.3.1"]),
        (b"1.2.3.9-", []),
        (b"1.5-3.", []),
        (b"18446744073709551617-2.", [b"1.", b"2."]),
        (b"1.01-02", [b"1.1", b"1.2"]),
        (b"=a-b.example", [b"=a-b.example"]),
        (b"user@1.2.3-4", [b"user@1.2.3-4"]),
        (b" 1.", [b" 1."]),
    ],
)
def test_a_range_is_a_rule_for_each_number_up_to_255(address: bytes, expected: list[bytes]) -> None:
    assert keys(address + b":deny") == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (b"allow", b""),
        (b"deny", b"D\0"),
        (b'deny,A="x"', b"D\0+A=x\0"),
        (b'allow,RELAYCLIENT=""', b"+RELAYCLIENT=\0"),
        (b'allow,A=xyx,B=/"/ \t ', b'+A=y\0+B="\0'),
        (b'allow, A="a, b"', b"+ A=a, b\0"),
        (b'allow,="v"', b"+=v\0"),
        (b"allow,A==b=", b"+A=b\0"),
    ],
)
def test_what_stands_after_the_colon_becomes_fields(told: bytes, expected: bytes) -> None:
    assert data(b"1.:" + told) == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"a:", "neither allow nor deny"),
        (b"::::1:allow", "an IPv6 address that is none"),
        (b"::1:alow", "neither allow nor deny"),
        (b"a: allow", "neither allow nor deny"),
        (b"a:denyx", "a comma is missing"),
        (b'a:allow,A="b"c', "a comma is missing"),
        (b"a:allow,A", "a variable without ="),
        (b"a:allow,", "a variable without ="),
        (b"a:allow,A=", "a variable without value"),
        (b'a:allow,A="b', "missing closing quote"),
        (b"1.a-2:allow", "a range that is not of numbers"),
        (b"1.2-3-4:allow", "a range that is not of numbers"),
    ],
)
def test_a_line_that_is_no_rule_is_named_with_its_number_and_the_reason(line: bytes, why: str) -> None:
    text = b"# first\n:allow\n" + line + b" \n:deny\n"
    for read in (parse, records):
        with pytest.raises(RulesError) as caught:
            list(read(text))
        assert (caught.value.line, caught.value.text) == (3, line)
        assert caught.value.reason.startswith(why)


def test_a_number_of_any_length_in_a_range_is_read() -> None:
    assert keys(b"1." + b"0" * 10000 + b"1-2:allow") == [b"1.1", b"1.2"]


@given(st.lists(WORDS, max_size=4).map(b"\n".join))
def test_reading_for_people_and_reading_for_the_cdb_agree(text: bytes) -> None:
    complaints = []
    for read in (parse, records):
        try:
            list(read(text))
        except RulesError as error:
            complaints.append((error.line, error.text, error.reason))
    assert len(set(complaints)) < 2
    assert len(complaints) != 1
    if complaints:
        return
    rules = list(parse(text))
    decisions = [(decode(None, value).deny, decode(None, value).environ) for _, value in records(text)]
    for rule in rules:
        if b"-" not in rule.address:
            assert (rule.action == DENY, rule.environ) in decisions


def test_addresses_are_asked_for_from_the_most_exact_to_the_empty_one() -> None:
    assert list(candidates(b"1.2.3.4", b"a.b.example", b"joe")) == [
        b"joe@1.2.3.4",
        b"joe@=a.b.example",
        b"1.2.3.4",
        b"=a.b.example",
        b"1.2.3.",
        b"1.2.",
        b"1.",
        b"=.b.example",
        b"=.example",
        b"=",
        b"",
    ]


def test_what_is_not_known_is_not_asked_for() -> None:
    assert list(candidates(b"1.2.3.4")) == [b"1.2.3.4", b"1.2.3.", b"1.2.", b"1.", b""]
    assert list(candidates(b"1.2", None, b"")) == [b"@1.2", b"1.2", b"1.", b""]
    assert list(candidates(b"1.2", b"")) == [b"1.2", b"=", b"1.", b"=", b""]


RULES = b"""192.0.2.7:deny
192.0.2.:allow,RELAYCLIENT=""
=mail.example:allow,WHO="mail"
=.example:deny
=:allow,NAMED="yes"
joe@192.0.2.7:allow
:deny
"""


@pytest.mark.parametrize(
    ("ip", "host", "info", "expected"),
    [
        (b"192.0.2.7", None, None, Decision(b"192.0.2.7", True, ())),
        (b"192.0.2.7", None, b"joe", Decision(b"joe@192.0.2.7", False, ())),
        (b"192.0.2.8", b"mail.example", None, Decision(b"=mail.example", False, ((b"WHO", b"mail"),))),
        (b"192.0.2.8", b"x.example", None, Decision(b"192.0.2.", False, ((b"RELAYCLIENT", b""),))),
        (b"10.0.0.1", b"x.example", None, Decision(b"=.example", True, ())),
        (b"10.0.0.1", b"example", None, Decision(b"=", False, ((b"NAMED", b"yes"),))),
        (b"10.0.0.1", None, None, Decision(b"", True, ())),
    ],
)
def test_the_first_rule_that_matches_decides(
    ip: bytes, host: bytes | None, info: bytes | None, expected: Decision
) -> None:
    get = cdb.Reader(b"".join(cdb.make(records(RULES)))).get
    assert decide(get, ip, host, info) == expected


def test_where_no_rule_matches_the_connection_is_allowed() -> None:
    assert decide({b"1.": b"D\0"}.get, b"2.3.4.5", b"host", b"info") == DEFAULT
    assert Decision(None, False, ()) == DEFAULT


def test_fields_of_other_kinds_and_an_unfinished_one_say_nothing() -> None:
    assert decode(b"x", b"+A=1\0Zwhat\0\0+noequals\0+A=2=3\0D") == Decision(b"x", False, ((b"A", b"1"), (b"A", b"2=3")))
    assert fields(b"D\0rest") == [b"D"]


LONG = [b"10.%d.:%s" % (number, (b"allow", b"deny", b'allow,A="1-2"')[number % 3]) for number in range(3 * BATCH // 8)]


@pytest.mark.parametrize("ways", [1, 2, 3])
def test_a_long_file_is_read_as_its_lines_are_one_by_one(ways: int) -> None:
    odd = [b"# comment", b"1-2.:deny", b"no colon", b"deny:1.2.3.4:deny", b"", b'9.:allow,A="-#" ', b"#9.:allow"]
    odd += [b"a#b:deny", b"10.0.0.0/9:deny", b"::1:deny"]
    lines = [line for number, line in enumerate(LONG) if number % 3 < ways]
    one_by_one = [record for line in lines for record in records(line)]
    assert list(records(b"\n".join(lines))) == one_by_one
    assert list(records(b"\n".join(lines) + b"\n")) == one_by_one
    for place, line in enumerate(odd):
        lines[len(lines) // 2 + 200 * place] = line.replace(b"deny:1.2.3.4:", b"deny:")
    one_by_one = [record for line in lines for record in records(line) if record[0] != NETWORKS]
    assert list(records(b"\n".join(lines))) == [*one_by_one, (NETWORKS, b"4/9")]


@pytest.mark.parametrize(
    "silent",
    [b"# 1.2.3.4:deny", b"", b" \t ", b"#", b"nothing", b" # 1:deny", b"9.9.9.9:deny \t \t \t \t ", b"8.8.8.8:deny "],
)
def test_what_says_nothing_among_many_lines_says_nothing(silent: bytes) -> None:
    lines = [line for number, each in enumerate(LONG) for line in ([each] if number % 9 else [silent, each])]
    one_by_one = [record for line in lines for record in records(line)]
    assert list(records(b"\n".join(lines))) == one_by_one
    assert list(records(b"\n".join([*lines, silent, b""]))) == [*one_by_one, *records(silent)]


def test_many_lines_that_all_say_nothing_make_nothing() -> None:
    assert list(records(b"# nothing\n\n" * BATCH)) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 256), st.integers(0, 256), st.sampled_from([b"", b".", b".7", b".0/24", b".0/31"])),
        min_size=1,
        max_size=8,
    )
)
def test_ranges_in_a_long_file_are_those_of_its_lines(found: list[tuple[int, int, bytes]]) -> None:
    lines = [b"1.2.%d-%d%b:deny" % each for each in found]
    text = b"\n".join(lines * (BATCH // 64)) + b"\n"
    one_by_one = [record for line in lines for record in records(line) if record[0] != NETWORKS]
    assert [record for record in records(text) if record[0] != NETWORKS] == one_by_one * (BATCH // 64)


def test_a_bad_line_of_a_long_file_is_named_by_its_number() -> None:
    lines = list(LONG)
    for place in (len(LONG) - 1, 0, len(LONG) // 2 + 7):
        lines[place] = b"deny:1.2.3.4:deny" if place else b"10.:alow"
        for text in (b"\n".join(lines), b"\n".join(lines) + b"\n"):
            with pytest.raises(RulesError) as caught:
                list(records(text))
            assert (caught.value.line, caught.value.text) == (place + 1, lines[place])
        lines[place] = LONG[place]


def test_lines_that_only_together_have_a_colon_each_are_read_one_by_one() -> None:
    text = b"1.:deny\n" + b"foo\ndeny:1.2.3.4\n:deny\n" * BATCH
    with pytest.raises(RulesError) as caught:
        list(records(text))
    assert caught.value.line == 3
    lines = [b"1.:deny"] * (BATCH // 4) + [b"foo", b"deny\0:deny,A=:x:", b"2.:deny"] * (BATCH // 8)
    assert list(records(b"\n".join(lines))) == [record for line in lines for record in records(line)]
