"""`svtree rules`: explain, lint and update, on real files and services."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.harness import Processes, Result, ours, run, until
from tests.supervision.driver import Tree

RULES = """127.:allow,RELAYCLIENT=""
10.0.0.0/9:deny
10.:allow
=.example:deny
joe@10.1.2.3:deny
10.1.2.3:allow,GREETING="hello",RELAYCLIENT="@x"
2001:db8::/32:deny
"""
SLEEPER = "#!/bin/sh\nexec sleep 1000\n"


def rules(folder: Path, *words: str | Path) -> Result:
    return run([ours("svtree"), "rules", *words], cwd=folder)


@pytest.fixture
def compiled(folder: Path) -> Path:
    """A directory with rules and the cdb made of them."""
    (folder / "tcp.smtp").write_text(RULES)
    compile_rules(folder, RULES)
    return folder


def compile_rules(folder: Path, text: str) -> None:
    done = run([ours("tcprules"), "-q", "tcp.smtp.cdb", "tcp.smtp.tmp"], stdin=text.encode(), cwd=folder)
    assert done.code == 0


def test_explain_tells_the_line_its_variables_and_what_it_shadows(compiled: Path) -> None:
    done = rules(compiled, "explain", "10.1.2.3", "tcp.smtp", "--host", "A.Example")
    assert done == Result(
        0,
        b"""10.1.2.3 is allowed by tcp.smtp:6
    10.1.2.3:allow,GREETING="hello",RELAYCLIENT="@x"
with GREETING=hello
with RELAYCLIENT=@x
Without that line, these would decide, the first of them first:
    tcp.smtp:2: 10.0.0.0/9:deny
    tcp.smtp:3: 10.:allow
    tcp.smtp:4: =.example:deny
Not asked, without its user (--info USER): line 5
In force: tcp.smtp.cdb, compiled from these rules
""",
        b"",
    )


@pytest.mark.parametrize(
    ("client", "first"),
    [
        (["10.1.2.3", "--info", "joe"], b"10.1.2.3 is denied by tcp.smtp:5\n"),
        (["10.200.0.1"], b"10.200.0.1 is allowed by tcp.smtp:3\n"),
        (["192.0.2.1", "--host", "a.example"], b"192.0.2.1 is denied by tcp.smtp:4\n"),
        (["2001:db8::1"], b"2001:db8::1 is denied by tcp.smtp:7\n"),
        (["[2001:DB8:0::1]"], b"[2001:DB8:0::1] is denied by tcp.smtp:7\n"),
        (["::ffff:10.1.2.4"], b"::ffff:10.1.2.4 is denied by tcp.smtp:2\n"),
        (["::1"], b"::1 is allowed: no line of tcp.smtp matches\n"),
    ],
)
def test_explain_answers_for_any_client(compiled: Path, client: list[str], first: bytes) -> None:
    done = rules(compiled, "explain", *client)
    assert done.code == 0
    assert done.out.startswith(first)


def test_explain_says_when_what_is_in_force_differs(compiled: Path) -> None:
    compile_rules(compiled, ":deny\n")
    done = rules(compiled, "explain", "10.1.2.3")
    assert done.code == 1
    assert done.out.endswith(
        b"In force: tcp.smtp.cdb, compiled from other rules: denied by the rule with the empty address\n"
    )
    compile_rules(compiled, RULES + "192.0.2.1:deny\n")
    done = rules(compiled, "explain", "10.1.2.3")
    assert done.code == 0
    assert done.out.endswith(b"compiled from other rules, which say the same to this client\n")
    (compiled / "tcp.smtp.cdb").write_bytes(b"short")
    done = rules(compiled, "explain", "10.1.2.3")
    assert (done.code, b"tcp.smtp.cdb: too short for a cdb" in done.out) == (1, True)
    (compiled / "tcp.smtp.cdb").unlink()
    done = rules(compiled, "explain", "10.1.2.3")
    assert (done.code, b"tcp.smtp.cdb: file does not exist" in done.out) == (1, True)


def test_explain_says_what_holds_while_the_rules_do_not_compile(compiled: Path) -> None:
    (compiled / "tcp.smtp").write_text(RULES + "10.:alow\n")
    done = rules(compiled, "explain", "127.0.0.1")
    assert done.code == 1
    assert done.out == (
        b"tcp.smtp:8: neither allow nor deny after the colon\n    10.:alow\n"
        b"In force: tcp.smtp.cdb: allowed by the rule 127.\nwith RELAYCLIENT=\n"
    )
    answer = json.loads(rules(compiled, "explain", "127.0.0.1", "--json").out)
    assert answer["error"] == {"line": 8, "reason": "neither allow nor deny after the colon", "text": "10.:alow"}
    assert (answer["cdb"]["decision"], answer["cdb"]["environment"]) == ("allow", {"RELAYCLIENT": ""})


def test_explain_answers_in_json_too(compiled: Path) -> None:
    answer = json.loads(rules(compiled, "explain", "10.1.2.3", "--json").out)
    assert (answer["decision"], answer["rule"], answer["line"]["number"]) == ("allow", "10.1.2.3", 6)
    assert answer["environment"] == {"GREETING": "hello", "RELAYCLIENT": "@x"}
    assert [each["number"] for each in answer["shadowed"]] == [2, 3]
    assert answer["not_asked"] == {"host": [4], "info": [5]}
    assert (answer["cdb"]["same"], answer["cdb"]["agrees"], answer["error"]) == (True, True, None)


def test_a_tree_and_a_service_directory_stand_for_their_rules(folder: Path) -> None:
    service = folder / "t" / "service" / "smtpd"
    service.mkdir(parents=True)
    (service / "tcp.smtp").write_text(":deny\n")
    (service / "watch").write_text("tcp.smtp tcprules rules/x.cdb\n")
    for place in (folder / "t", service):
        done = rules(place, "explain", "10.1.2.3")
        assert done.out.startswith(b"10.1.2.3 is denied by ")
        assert b"rules/x.cdb: file does not exist" in done.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["explain", "10.1"], b"svtree rules explain: 10.1 is no address\n"),
        (["explain", "10.1.2.3", "none"], b"svtree rules explain: Invalid value for '[FILE]'"),
        (["explain", "10.1.2.3"], b" has neither service/smtpd/tcp.smtp nor tcp.smtp\n"),
        ([], b"svtree rules: Missing command.\n"),
    ],
)
def test_what_makes_no_sense_is_one_complaint_and_exit_100(folder: Path, words: list[str], complaint: bytes) -> None:
    done = rules(folder, *words)
    assert done.code == 100
    assert complaint in done.err


def test_lint_lists_what_is_to_be_mended(compiled: Path) -> None:
    (compiled / "tcp.smtp").write_text("127.:allow\n:allow\n")
    assert rules(compiled, "lint") == Result(0, b"tcp.smtp: nothing to mend\n", b"")
    (compiled / "tcp.smtp").write_text("=.example:deny\n")
    done = rules(compiled, "lint", "tcp.smtp")
    assert done == Result(0, b"tcp.smtp:1: note: does not match example itself; that would be =example\n", b"")
    (compiled / "tcp.smtp").write_text("10:deny\n:alow\n")
    done = rules(compiled, "lint")
    assert done.code == 1
    assert done.out == (
        b"tcp.smtp:1: warning: never matches: a prefix ends with a dot, 10.\n"
        b"tcp.smtp:2: error: neither allow nor deny after the colon\n"
        b"tcp.smtp: 1 of these lines do not compile: the old rules stay in force\n"
    )


def test_update_outside_a_service_compiles_and_says_so(folder: Path) -> None:
    (folder / "tcp.smtp").write_text(":deny\n")
    place = os.fsencode(folder)
    done = rules(folder, "update", "tcp.smtp")
    program = ours("tcprules").encode()
    assert done == Result(
        0,
        b"Updating %(p)s/tcp.smtp.cdb using %(p)s/tcp.smtp\n"
        b"%(t)s %(p)s/tcp.smtp.cdb %(p)s/tcp.smtp.tmp %(p)s/tcp.smtp < %(p)s/tcp.smtp\n"
        b"%(p)s is no service: tcpserver asks the new rules at the next connection\n"
        b"\nUpdate is successful.\n" % {b"p": place, b"t": program},
        b"",
    )
    assert run([ours("tcprulescheck"), folder / "tcp.smtp.cdb"]).out == b"rule :\ndeny connection\n"
    assert (folder / "tcp.smtp.cdb").stat().st_mode & 0o777 == 0o644


def test_update_with_rules_that_do_not_compile_changes_nothing(compiled: Path) -> None:
    before = (compiled / "tcp.smtp.cdb").read_bytes()
    (compiled / "tcp.smtp").write_text(":alow\n")
    done = rules(compiled, "update")
    assert done.code == 100
    assert done.err.endswith(b"/tcp.smtp:1: neither allow nor deny after the colon\n")
    assert done.out.endswith(b"tcp.smtp.cdb stay in force.\n")
    assert (compiled / "tcp.smtp.cdb").read_bytes() == before


def test_update_passes_on_what_tcprules_warns_of(compiled: Path) -> None:
    (compiled / "tcp.smtp").write_text("10:deny\n")
    done = rules(compiled, "update", "tcp.smtp", "other.cdb")
    assert done.code == 0
    assert done.err.endswith(b"/tcp.smtp:1: never matches: a prefix ends with a dot, 10.\n")
    assert (compiled / "other.cdb").exists()


@pytest.mark.parametrize("watch", [None, "tcp.smtp.cdb restart\n"], ids=["by us", "by its supervisor"])
def test_update_restarts_the_service_once_and_says_so(folder: Path, processes: Processes, watch: str | None) -> None:
    tree = Tree(folder, processes)
    files = {"tcp.smtp": ":allow\n", **({"watch": watch} if watch else {})}
    service = tree.service("smtpd", SLEEPER, files)
    compile_rules(service, ":deny\n")
    tree.scan()
    pid = until(lambda: tree.status("smtpd").pid, what="up")
    done = rules(service, "update", service)
    assert (done.code, done.err) == (0, b"")
    lines = done.out.decode().splitlines()
    if watch and lines[-4] == f"svc -t {service}":
        # So early after its start the supervisor may have taken the new cdb for the one that was there.
        del lines[-4]
    new = int(lines[-3].rpartition(" ")[2])
    assert new not in (0, pid)
    assert lines[2:] == [
        f"{service}/watch: restart" if watch else f"svc -t {service}",
        "Restarting smtpd",
        f"Stopping smtpd: pid {pid}",
        f"Starting smtpd: pid {new}",
        "",
        "Update is successful.",
    ]
    # The same rules again: nothing has changed that a supervisor could notice, so it is asked.
    again = rules(service, "update").out.decode()
    assert f"svc -t {service}\n" in again
    pids = re.search(r"Stopping smtpd: pid (\d+)\nStarting smtpd: pid (\d+)\n\nUpdate is successful\.\n$", again)
    assert pids is not None
    assert pids[1] != pids[2]
    if not watch:
        # A supervisor that was asked, and saw the cdb only later, starts it once more.
        assert int(pids[1]) == new
        tree.reports("smtpd", restarts=2)


def test_update_of_a_service_that_is_down_or_not_supervised_restarts_nothing(
    folder: Path, processes: Processes
) -> None:
    tree = Tree(folder, processes)
    service = tree.service("smtpd", SLEEPER, {"tcp.smtp": ":allow\n", "down": ""})
    done = rules(service, "update")
    assert (done.code, done.out.splitlines()[2]) == (0, b"smtpd is not supervised: there is nothing to restart")
    tree.scan()
    until(lambda: run([ours("svok"), service]).code == 0, what="supervised")
    done = rules(service, "update")
    assert (done.code, done.out.splitlines()[2]) == (0, b"smtpd is down: it will have the new rules when it is up")
