"""Which lines are called mistakes, in which words, and that correct ones are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.rulelint import ERROR, NOTE, WARNING, Finding, lint
from svtree.formats.rules import RulesError, decide, records

CORRECT = b"""# all kinds of lines
   # an indented comment

127.:allow,RELAYCLIENT=""
10.0.0.0/8:allow,RELAYCLIENT=""
192.0.2.7:deny
192.0.2.0-255:allow,GREETING=/hello, friend/
198.51.100-101.:deny,DIEMSG="go away"
203.0.113.128/25:deny
203.0.113.0/25:allow
2001:db8::1:deny
2001:db8::/32:allow,RELAYCLIENT=""
[2001:db8:1::]/48:deny
fc00::/7:allow,RELAYCLIENT=""
::1:allow,RELAYCLIENT=""
=mail.example:allow
=a-b.example:allow
=.example:deny
=example:allow
joe@192.0.2.7:allow
joe@2001:db8::7:allow
joe@=mail.example:allow
=:allow,NAMED="yes"
0.0.0.0/0:allow
::/0:deny
:allow
"""


def test_there_is_nothing_to_say_about_a_correct_file() -> None:
    assert lint(CORRECT) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"192.168.2:allow", "never matches: a prefix ends with a dot, 192.168.2."),
        (b"192.168.2-3:allow", "never matches: a prefix ends with a dot, 192.168.2-3."),
        (b"10:allow", "never matches: a prefix ends with a dot, 10."),
        (b"192.168.3.0/24 allow", "there is no colon, so the line says nothing"),
        (b"10.0.0.0/33:deny", "never matches: the length of an IPv4 network is 0 to 32"),
        (b"10.0.0.0/08:deny", "never matches: the length of an IPv4 network is 0 to 32"),
        (b"10.0.0.0/255.0.0.0:deny", "never matches: the mask of a network is a length, 10.0.0.0/8"),
        (b"10.0.0.0/255.0.1.0:deny", "never matches: that is no network: ADDRESS/LENGTH"),
        (b"10.1.2.3/8:deny", "bits beyond the length do not count; this is 10.0.0.0/8"),
        (b"2001:db8::1/32:deny", "bits beyond the length do not count; this is 2001:db8::/32"),
        (
            b"2001:db8:::deny",
            "matches that one address, which is no client's; a network has a length, 2001:db8::/64",
        ),
        (b"1.2.3.4.:deny", "never matches: an address has four numbers; a prefix has fewer and ends with a dot"),
        (b"1.2.3.256:deny", "never matches: the numbers of an address are 0 to 255, without zeros before them"),
        (b"1.2.3.04:deny", "never matches: the numbers of an address are 0 to 255, without zeros before them"),
        (b"192.168.1.*:deny", "never matches: there are no wildcards; a prefix ends with a dot, 192.168.1."),
        (b"133.30.109.XX:allow", "never matches: that is no address"),
        (b"[1.2.3.4]:deny", "never matches: brackets are for IPv6"),
        (b" 127.:allow", "never matches: a space is in the address"),
        (b"127. :allow", "never matches: a space is in the address"),
        (b"localhost:allow", "never matches: that is no address; a name comes after =, =localhost"),
        (b"1.2.3.4-500:deny", "a range ends at 255"),
        (b"1.2.3.9-4:deny", "an empty range: the line says nothing"),
        (b"1-2.3-4.5.6:deny", "never matches: only one number can be a range"),
        (b"=Mail.example:deny", "never matches: names of clients are in small letters, =mail.example"),
        (b"=*.example:deny", "never matches: there are no wildcards; the end of a name begins with a dot, =.example"),
        (b"=mail.example.:deny", "never matches: names of clients have no dot at their end, =mail.example"),
        (b"=.:deny", "never matches: names of clients have no dot at their end, ="),
        (b"=1.2.3.4:deny", "never matches: that is an address, not a name; without =, 1.2.3.4"),
        (b"=a b:deny", "never matches: a space is in the name"),
        (b"joe@10.:deny", "never matches: after @ a whole address is needed"),
        (b"joe@10.0.0.0/8:deny", "never matches: after @ a whole address is needed"),
        (b"joe@mail.example:deny", "never matches: after @ there must be an address, or = and a name, @=mail.example"),
        (b"joe@=.example:deny", "never matches: after @= a whole name is needed"),
        (b'127.:allow, RELAYCLIENT=""', 'the name of the variable is " RELAYCLIENT": spaces count, leave them out'),
        (b'127.:allow,relayclient=""', "the variable relayclient is not RELAYCLIENT"),
        (b'127.:allow,A="1",A="2"', "A is set twice; the last value counts"),
        (b'127.:allow,="1"', "a variable without a name"),
        (
            b'127.:allow,RELAYCLIENT=" "',
            "RELAYCLIENT with a space adds that space to every recipient; it is to be empty",
        ),
        (b':allow,RELAYCLIENT=""', "lets everybody send mail to anywhere: an open relay"),
        (b'=:allow,RELAYCLIENT=""', "lets everybody who has a host name send mail to anywhere: an open relay"),
        (b'0.0.0.0/0:allow,RELAYCLIENT=""', "lets everybody who comes by IPv4 send mail to anywhere: an open relay"),
        (b'::/0:allow,RELAYCLIENT=""', "lets everybody who comes by IPv6 send mail to anywhere: an open relay"),
        (
            b'2000::/3:allow,RELAYCLIENT=""',
            "lets a good part of all IPv6 addresses send mail to anywhere: an open relay",
        ),
    ],
)
def test_a_mistake_is_a_warning_that_says_what_to_write(line: bytes, expected: str) -> None:
    assert lint(b"# first\n" + line + b"\n9.:deny\n") == [Finding(2, WARNING, expected)]


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (b"127.:allow\n127.0.0.0/8:deny", 2, "never matches: line 1 came first for 127.0.0.0/8"),
        (b"::ffff:1.2.3.4:deny\n1.2.3.4:allow", 2, "never matches: line 1 came first for 1.2.3.4"),
        (b":deny\n127.:allow\n:allow", 3, "never matches: line 1 came first for the empty address"),
        (b"1.2.3.1:deny\n1.2.3.2:deny\n1.2.3.1-2:allow", 3, "never matches: lines 1 to 2 came first for 1.2.3.1-2"),
        (b"=a:deny\n=a:deny", 2, "never matches: line 1 came first for =a"),
        (b"10.:allow\n10.0.0.0/9:deny\n10.128.0.0/9:deny", 1, "never matches: more exact rules cover all of it"),
        (b"1.2.3.0-255:deny\n1.2.3.:allow", 2, "never matches: more exact rules cover all of it"),
        (b"::/1:deny\n8000::/1:deny\n::/0:allow", 3, "never matches: more exact rules cover all of it"),
    ],
)
def test_a_line_in_the_shadow_of_others_is_a_warning(text: bytes, line: int, expected: str) -> None:
    assert lint(text) == [Finding(line, WARNING, expected)]


@pytest.mark.parametrize(
    "text",
    [
        b"1.2.3.4:allow\n1.2.3.0-255:deny",
        b"10.0.0.0/9:deny\n10.:allow",
        b"10.0.0.0/9:deny\n10.128.0.0/10:deny\n10.192.0.0/11:deny\n10.:allow",
        b"1.2.3.0-254:deny\n1.2.3.:allow",
    ],
)
def test_an_exception_to_a_rule_is_no_mistake(text: bytes) -> None:
    assert lint(text) == []


def test_the_end_of_a_name_without_the_name_is_a_note() -> None:
    expected = "does not match example.org itself; that would be =example.org"
    assert lint(b"=.example.org:deny\n") == [Finding(1, NOTE, expected)]
    assert lint(b"=.example.org:deny\n=example.org:deny") == []


def test_a_line_that_is_no_rule_is_an_error_and_the_rest_is_looked_at() -> None:
    found = lint(b"127.:alow\n:allow\r\n10:deny\n")
    assert [(each.line, each.severity) for each in found] == [(1, ERROR), (2, ERROR), (3, WARNING)]
    assert found[1].text.endswith("the line ends with a carriage return")


@given(st.binary(max_size=60) | st.text('19.:/-=@[]*x allowdeny,"\n\0', max_size=60).map(str.encode))
def test_whatever_is_written_is_answered_and_errors_are_those_of_the_compiler(text: bytes) -> None:
    errors = [each.line for each in lint(text) if each.severity == ERROR]
    first = None
    try:
        list(records(text))
    except RulesError as error:
        first = error.line
    assert (errors[0] if errors else None) == first


ADDRESSES = st.sampled_from(
    b" 1. 1.2. 1.2.0.0/15 1.3.0.0/16 1.2.3.4 1.2.3.0-255 1.2.3. 1.0.0.0/9 1.128.0.0/9 1.2 1.2.3.4/33 x".split(b" ")
    + b"::/0 ::/1 8000::/1 ::1 1.2.3.9-3".split(b" ")
)
CLIENTS = [
    b"1.2.3.4",
    b"1.2.3.9",
    b"1.2.9.9",
    b"1.3.0.1",
    b"1.9.9.9",
    b"1.200.0.1",
    b"9.9.9.9",
    b"::1",
    b"::2",
    b"a::1",
]


@given(st.lists(ADDRESSES, min_size=1, max_size=6))
def test_a_line_that_is_said_to_match_nobody_decides_about_nobody(addresses: list[bytes]) -> None:
    text = b"\n".join(b'%s:allow,N="%d"' % (address, line) for line, address in enumerate(addresses, 1))
    get = dict(reversed(list(records(text)))).get
    deciding = {int(decision.environ[0][1]) for client in CLIENTS if (decision := decide(get, client)).environ}
    never = {each.line for each in lint(text) if each.text.startswith(("never", "an empty"))}
    assert not deciding & never
