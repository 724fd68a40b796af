"""tcprules and tcprulescheck beside ucspi-tcp's own: same bytes, same words, same exit codes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.harness import Result, original, ours, run

pytestmark = pytest.mark.oracle

LINES = [
    b'127.:allow,RELAYCLIENT=""\n192.168.1.:allow,RELAYCLIENT=""\n:allow\n',
    b'133.30.109.XX:allow,RELAYCLIENT=""\n',
    b"1.2.3.4-9:deny\n1.2.5-7.:deny,A=xbx\n9-11.:allow\n",
    b"1.2.3.-5:deny\n1.2.3.9-:deny\n5-3.:deny\n1.2-300.:deny\n18446744073709551617-3.:allow\n1.007-9:deny\n",
    b"=host.example:deny\n=.example:allow\n=:deny\njoe@1.2.3-4:allow\n=a-b:deny\n",
    b"# comment\n\n \t \nno colon\n192.168.3.0/24\n :allow,  A=/x/,B=xyx \t \n",
    b'allow, RELAYCLIENT=" "\n10.:allow, RELAYCLIENT=" "\n',
    b':allow,A="without a newline"',
    b"1.:allow\n1.:deny\n1.:allow,A='1'\n",
    b':allow,A="nul\0in it"\n',
    b"1.\0x-2:allow\n",
    b"",
    b"".join(b'10.%d.%d.:allow,N="%d"\n' % (n % 256, n // 256, n % 7) for n in range(6000)),
    b"a:b:allow\n",
    b':allow,X="\n',
    b":deny:allow\n",
    b"::1:alow\n",
    b"1:2:allow\n",
    b"1.2.3.x-5:allow\n",
    b":allow x \n",
    b":allow,A=\n",
    b':allow,A="b"c\n',
    b':allow,A="b",\n',
    b"a:\n",
    b":denyx\n",
    b"1-2-3:allow\n",
    b"1.:allow\n2.:\0hidden\n",
    b"1.:allow\n2.:all\n3.:allow\n",
    b"x" * 5000 + b":deny\n" + b"y" * 5000 + b":den\n",
]


def compile_with(program: str, folder: Path, text: bytes) -> tuple[Result, dict[str, bytes]]:
    """What the program says, and the files it leaves. The original keeps its last block until it is sure."""
    folder.mkdir()
    # Many of these lines are odd, of which the original has nothing to say.
    quiet = ["-q"] if program == ours("tcprules") else []
    done = run([program, *quiet, "a.cdb", "a.tmp"], stdin=text, cwd=folder)
    return done, {path.name: path.read_bytes() if path.suffix == ".cdb" else b"" for path in folder.iterdir()}


CORRECT = b"""# what a correct file may have: nothing is said about it
127.:allow,RELAYCLIENT=""
192.168.1.:allow,RELAYCLIENT=""
192.0.2.7:deny
192.0.2.0-31:allow,GREETING=/hello, friend/
=.example.org:deny
=example.org:allow
joe@192.0.2.7:allow
joe@=mail.example:deny
=:allow,NAMED="yes"
  # an indented comment

:allow
"""


def test_nothing_is_said_about_a_correct_file(folder: Path) -> None:
    results = []
    for name, program in (("theirs", original("tcprules")), ("ours", ours("tcprules"))):
        (folder / name).mkdir()
        done = run([program, "a.cdb", "a.tmp"], stdin=CORRECT, cwd=folder / name)
        results.append((done, (folder / name / "a.cdb").read_bytes()))
    assert results[0] == results[1]
    assert results[0][0] == Result(0, b"", b"")


@pytest.mark.parametrize("text", LINES, ids=range(len(LINES)))
def test_the_same_input_gives_the_same_cdb_or_the_same_complaint(folder: Path, text: bytes) -> None:
    theirs = compile_with(original("tcprules"), folder / "theirs", text)
    assert compile_with(ours("tcprules"), folder / "ours", text) == theirs


WORDS = st.lists(
    st.sampled_from(
        [
            b"1",
            b"2.",
            b".",
            b"-",
            b"=",
            b"@",
            b":",
            b":allow",
            b":deny",
            b",A=",
            b",",
            b'"',
            b"x",
            b" ",
            b"\t",
            b"\n",
            b"#",
        ]
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=WORDS)
def test_whatever_is_typed_both_do_the_same(folder: Path, text: bytes) -> None:
    # Of these words an IPv6 address, which the original does not know, cannot be made without this.
    assume(b"::" not in text)
    there = folder / str(len(os.listdir(folder)))
    there.mkdir()
    theirs = compile_with(original("tcprules"), there / "theirs", text)
    assert compile_with(ours("tcprules"), there / "ours", text) == theirs


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        ([], b""),
        (["a.cdb"], b""),
        (["none/a.cdb", "none/a.tmp"], b""),
        (["none/a.cdb", "a.tmp"], b":allow\n"),
        (["a.cdb", "/dev/full"], b":allow\n"),
        (["directory", "a.tmp"], b":allow\n"),
        (["a.cdb", "directory"], b":allow\n"),
    ],
)
def test_what_cannot_be_written_is_told_in_the_same_words(folder: Path, arguments: list[str], stdin: bytes) -> None:
    (folder / "directory").mkdir()
    theirs = run([original("tcprules"), *arguments], stdin=stdin, cwd=folder)
    assert theirs.code in (100, 111)
    assert run([ours("tcprules"), *arguments], stdin=stdin, cwd=folder) == theirs


def test_input_that_cannot_be_read_is_told_in_the_same_words(folder: Path) -> None:
    script = 'exec "$0" a.cdb a.tmp 0> out'
    theirs = run(["/bin/sh", "-c", script, original("tcprules")], cwd=folder)
    assert theirs.err == b"tcprules: fatal: unable to read input: file descriptor not open\n"
    assert run(["/bin/sh", "-c", script, ours("tcprules")], cwd=folder) == theirs


@pytest.mark.parametrize("mask", ["022", "077", "000"])
def test_the_cdb_has_the_same_mode(folder: Path, mask: str) -> None:
    modes = []
    for program in (original("tcprules"), ours("tcprules")):
        run(["/bin/sh", "-c", f'umask {mask}; exec "$0" a.cdb a.tmp', program], stdin=b":allow\n", cwd=folder)
        modes.append((folder / "a.cdb").stat().st_mode)
        (folder / "a.cdb").unlink()
    assert modes[0] == modes[1]


CHECKED = b"""joe@192.0.2.1:allow,A="1",B="2"
joe@=host.example:deny
192.0.2.1:deny,A="1"
192.0.2.:allow,RELAYCLIENT="",X="a=b"
=host.example:allow,WHO="host"
=.example:deny
=:allow,N="1"
x:allow
"""


@pytest.mark.parametrize("rules", [CHECKED, b":deny\n", b""], ids=["rules", "deny", "none"])
@pytest.mark.parametrize(
    "client",
    [
        {},
        {"TCPREMOTEIP": "192.0.2.1"},
        {"TCPREMOTEIP": "192.0.2.1", "TCPREMOTEINFO": "joe"},
        {"TCPREMOTEIP": "192.0.2.9", "TCPREMOTEINFO": "joe", "TCPREMOTEHOST": "host.example"},
        {"TCPREMOTEIP": "192.0.2.9", "TCPREMOTEHOST": "host.example"},
        {"TCPREMOTEIP": "192.0.2.9", "TCPREMOTEHOST": "other.example"},
        {"TCPREMOTEIP": "198.51.100.1", "TCPREMOTEHOST": "other.example"},
        {"TCPREMOTEIP": "198.51.100.1", "TCPREMOTEHOST": "example"},
        {"TCPREMOTEIP": "198.51.100.1", "TCPREMOTEHOST": ""},
        {"TCPREMOTEIP": "x", "TCPREMOTEINFO": ""},
        {"TCPREMOTEIP": "", "TCPREMOTEINFO": ""},
        {"TCPREMOTEIP": "fe80::1"},
    ],
    ids=lambda client: ",".join(client.values()),
)
def test_a_client_is_told_the_same_rule(folder: Path, rules: bytes, client: dict[str, str]) -> None:
    run([ours("tcprules"), "a.cdb", "a.tmp"], stdin=rules, cwd=folder)
    theirs = run([original("tcprulescheck"), "a.cdb"], env=client, cwd=folder)
    assert theirs.code == 0
    assert run([ours("tcprulescheck"), "a.cdb"], env=client, cwd=folder) == theirs


def test_odd_data_in_a_cdb_are_told_the_same(folder: Path) -> None:
    text = b"+0,29:->+A=1\0Zwhat\0\0+noequals\0D\0+B=2\0\n\n"
    run([original("cdb"), "-c", "a.cdb"], stdin=text, cwd=folder)
    theirs = run([original("tcprulescheck"), "a.cdb"], cwd=folder)
    assert theirs.out.endswith(b"deny connection\n")
    assert run([ours("tcprulescheck"), "a.cdb"], cwd=folder) == theirs


@pytest.mark.parametrize("content", [None, b"", b"short", b"\xff" * 4096], ids=["missing", "empty", "short", "garbage"])
def test_a_cdb_that_cannot_be_read_is_told_in_the_same_words(folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / "a.cdb").write_bytes(content)
    theirs = run([original("tcprulescheck"), "a.cdb"], cwd=folder)
    assert theirs.code == 111
    assert run([ours("tcprulescheck"), "a.cdb"], cwd=folder) == theirs


def test_without_arguments_the_usage_is_the_same() -> None:
    assert run([ours("tcprulescheck")]) == run([original("tcprulescheck")])


CLASSIC = st.sampled_from(
    b" 10. 10.1. 10.1.2. 10.1.2.3 10.1.2.0-9 10.0-9. 10./8 10.1.0.0/16 10.1.2.9/24 10.1.2.3/32 = =.example".split(b" ")
    + b"=a.example joe@10.1.2.3 joe@=a.example ::ffff:10.1.2.3 ::ffff:10.1.0.0/112".split(b" ")
)
BEYOND = st.sampled_from(b"10.1.2.0/25 10.0.0.0/9 0.0.0.0/0 ::/0 ::1 2001:db8::/32 joe@::1".split())
TOLD = st.sampled_from([b"allow", b"deny", b'allow,A="1"'])
OLD_CLIENTS = (
    {"TCPREMOTEIP": "10.1.2.3"},
    {"TCPREMOTEIP": "10.9.9.9", "TCPREMOTEHOST": "a.example"},
    {"TCPREMOTEIP": "10.1.2.3", "TCPREMOTEHOST": "b.example", "TCPREMOTEINFO": "joe"},
    {"TCPREMOTEIP": "192.0.2.1"},
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.booleans(), CLASSIC, BEYOND, TOLD), max_size=8), st.sampled_from(OLD_CLIENTS))
def test_an_old_reader_finds_the_rules_it_understands_and_no_others(
    folder: Path, choices: list[tuple[bool, bytes, bytes, bytes]], client: dict[str, str]
) -> None:
    lines = [(classic, (address if classic else beyond) + b":" + told) for classic, address, beyond, told in choices]
    answers = []
    for reader, chosen in (("tcprulescheck", lines), (None, [line for line in lines if line[0]])):
        text = b"\n".join(line for _, line in chosen)
        assert run([ours("tcprules"), "-q", "a.cdb", "a.tmp"], stdin=text, cwd=folder).code == 0
        program = original(reader) if reader else ours("tcprulescheck")
        answers.append(run([program, "a.cdb"], env=client, cwd=folder))
    assert answers[0] == answers[1]
