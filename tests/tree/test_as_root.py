"""The tree as root runs it: every part as its own account, nothing setuid, mail for system accounts."""

from __future__ import annotations

import os
import re
import smtplib
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.harness import Processes, free_port, run, until
from tests.tree.conftest import HOST, Tree
from tests.tree.installation import shared_bin

pytestmark = [pytest.mark.root, pytest.mark.slow]

GROUPS = {"qmail": 7790, "nofiles": 7791, "jiro": 7801}
# The uid, group and home of each.
ACCOUNTS = {
    "alias": (7790, "nofiles", "qmail/alias"),
    "qmaild": (7791, "nofiles", "qmail"),
    "qmaill": (7792, "nofiles", "qmail"),
    "qmailp": (7793, "nofiles", "qmail"),
    "qmailq": (7794, "qmail", "qmail"),
    "qmailr": (7795, "qmail", "qmail"),
    "qmails": (7796, "qmail", "qmail"),
    "jiro": (7801, "jiro", "jiro"),
}
# Made by openssl passwd -6, salt "svtree", of the word sesame.
SECRET = "$6$svtree$nFCurcRmf4TGv5tazPC7c2Oau5UkieVxbIzMZR.SrRw0IhT37Z7Lm4fh4q/sVChJIO/TNGHe.TOnCbcg3/C90."


def accounts(folder: Path, homes: Path) -> None:
    """Write passwd, group and shadow files that hold the machine's accounts and ours."""
    users = "".join(
        f"{n}:x:{uid}:{GROUPS[group]}::{homes / home}:/bin/sh\n" for n, (uid, group, home) in ACCOUNTS.items()
    )
    groups = "".join(f"{name}:x:{gid}:\n" for name, gid in GROUPS.items())
    (folder / "passwd").write_text(Path("/etc/passwd").read_text() + users)
    (folder / "group").write_text(Path("/etc/group").read_text() + groups)
    (folder / "shadow").write_text(f"root:*:19000:0:99999:7:::\njiro:{SECRET}:19000:0:99999:7:::\n")
    (folder / "shadow").chmod(0o600)


class Private:
    """Words to put before a command so that it, and all it starts, sees these accounts instead of the machine's."""

    def __init__(self, folder: Path) -> None:
        binds = " && ".join(f"mount --bind {folder}/{name} /etc/{name}" for name in ("passwd", "group", "shadow"))
        self.words = ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh"]


@pytest.fixture
def rooted(folder: Path, processes: Processes) -> Iterator[Tree]:
    """A tree of root's, running, on a machine that has qmail's accounts and a user jiro."""
    programs = shared_bin()
    accounts(folder, folder)
    private = Private(folder)
    if run([*private.words, "true"]).code:
        pytest.skip("not permitted to mount")
    home = folder / "jiro"
    for path in (home, home / "Maildir", *(home / "Maildir" / each for each in ("new", "cur", "tmp"))):
        path.mkdir(mode=0o700)
        os.chown(path, 7801, 7801)
    (folder / "qmail").symlink_to(folder / "t" / "qmail")
    tree = Tree(folder / "t", processes, free_port(), free_port())
    env = {"PATH": f"{programs}:/usr/bin:/bin"}
    made = run(
        [
            *private.words,
            *(programs / "svtree", "init", tree.directory, "--host", HOST),
            *("--smtp", f"127.0.0.1:{tree.smtp_port}", "--pop3", f"127.0.0.1:{tree.pop3_port}"),
        ],
        env=env,
    )
    assert made.code == 0, made.err
    tree.output = folder / "output"
    with tree.output.open("wb") as output:
        tree.supervisor = processes.start(
            [*private.words, programs / "svtree", "run", tree.directory],
            env=env,
            stdout=output.fileno(),
            stderr=output.fileno(),
        )
    tree.wait()
    yield tree
    if tree.supervisor.poll() is None:
        assert tree.down() == 0


def running(tree: Tree) -> dict[str, set[str]]:
    """Program name -> the names of the accounts it runs as in the tree."""
    names = {uid: name for name, (uid, _, _) in ACCOUNTS.items()} | {0: "root"}
    found: dict[str, set[str]] = {}
    assert tree.supervisor is not None
    for process in psutil.Process(tree.supervisor.pid).children(recursive=True):
        try:
            words = process.cmdline()
            uid = process.uids().effective
        except psutil.NoSuchProcess:
            continue
        program = next((os.path.basename(word) for word in words if "/bin/python" not in word), "")
        found.setdefault(program, set()).add(names.get(uid, str(uid)))
    return found


def test_every_part_runs_as_its_own_account(rooted: Tree) -> None:
    parts = {"qmail-send", "qmail-lspawn", "qmail-rspawn", "qmail-clean", "qmail-queued", "splogger", "multilog"}

    def all_parts() -> dict[str, set[str]]:
        found = running(rooted)
        return found if parts <= found.keys() else {}

    seen = until(all_parts)
    assert seen["qmail-send"] == {"qmails"}
    assert seen["qmail-lspawn"] == {"root"}
    assert seen["qmail-rspawn"] == {"qmailr"}
    assert seen["qmail-clean"] == {"qmailq"}
    assert seen["qmail-queued"] == {"qmailq"}
    assert seen["splogger"] == {"qmaill"}
    assert seen["multilog"] == {"qmaill"}
    # smtpd has given up root for good; pop3d needs it to become the user who logs in.
    assert seen["tcpserver"] == {"qmaild", "root"}


def test_mail_for_a_system_account_comes_in_and_goes_out(rooted: Tree) -> None:
    rooted.send("Subject: for jiro\r\n\r\nx\r\n", sender=f"saburo@{HOST}")
    message = rooted.received("for jiro")
    assert b"invoked from network" in message
    (mail,) = (rooted.directory.parent / "jiro" / "Maildir").glob("[nc]*/*")
    assert mail.stat().st_uid == 7801


def test_the_queue_belongs_to_its_accounts_and_nothing_is_setuid(rooted: Tree) -> None:
    queue = rooted.directory / "qmail" / "queue"
    assert (queue / "mess").stat().st_uid == 7794
    assert (queue / "info").stat().st_uid == 7796
    assert (queue / "todo").stat().st_uid == 7794
    for folder in (rooted.directory, shared_bin()):
        # find, because files come and go in a tree that runs.
        special = run(["find", folder, "-type", "f", "-perm", "/6000"])
        assert special.out == b""
    assert stat.S_IMODE((rooted.directory / "qmail" / "relay-ctrl").stat().st_mode) == 0o700


def test_an_ordinary_user_injects_through_the_socket(rooted: Tree) -> None:
    program = shared_bin() / "qmail-inject"
    done = run(
        [
            *Private(rooted.directory.parent).words,
            *("setpriv", "--reuid=7801", "--regid=7801", "--clear-groups", program),
        ],
        stdin=f"To: jiro@{HOST}\nSubject: injected\n\nx\n".encode(),
        env={"PATH": f"{shared_bin()}:/usr/bin:/bin", "QMAILHOME": f"{rooted.directory}/qmail", "USER": "jiro"},
    )
    assert (done.code, done.err) == (0, b"")
    assert b"invoked by uid 7801); " in rooted.received("injected")


def logins_on(tree: Tree) -> psutil.Process:
    """Have smtpd check logins and mailboxes; its tcpserver, which the supervisor has started anew for that."""
    control = tree.directory / "qmail" / "control"
    before = tree.pid("smtpd")
    (control / "esmtp").write_text("auth\n")
    (control / "rcptcheck").write_text("1\n")
    until(lambda: tree.pid("smtpd") not in (0, before) and answering(tree) and tree.greeting())
    return psutil.Process(tree.pid("smtpd"))


def answering(tree: Tree) -> list[psutil.Process]:
    """The processes of qmail-authority in the tree, which are nobody's children there."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [os.path.basename(word) for word in process.info["cmdline"] or ()]
        if "qmail-authority" in words[:2] and process.info["cwd"] == str(tree.path("smtpd")):
            found.append(process)
    return found


def served(tree: Tree) -> list[int]:
    """Who has served the stranger's connections, those that are over as well."""
    return [int(pid) for pid in re.findall(r"tcpserver: ok (\d+) \S+ :127\.0\.0\.3:", tree.logs())]


def test_a_stranger_talks_to_qmaild_alone_while_root_checks_his_login_and_mailboxes(rooted: Tree) -> None:
    server = logins_on(rooted)
    with rooted.smtp("127.0.0.3") as client:
        client.ehlo()
        client.mail("a@b.example")
        assert client.rcpt(f"nobodyhere@{HOST}")[0] == 550
        assert client.rcpt(f"jiro@{HOST}")[0] == 250
        client.rset()
        # Neither who listens nor who talks is root, or can be.
        for process in (server, *server.children(recursive=True)):
            assert set(process.uids()) == {7791}
            assert set(process.gids()) == {7791}
        # Who is root hears nobody but the sessions.
        apart = answering(rooted)
        assert {process.uids().real for process in apart} == {0}
        for process in apart:
            assert [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (0, 1)] == ["/dev/null"] * 2
            assert not process.net_connections("inet")
        assert client.login("jiro", "sesame")[0] == 235
        assert client.sendmail(f"jiro@{HOST}", [f"jiro@{HOST}"], "Subject: by login\n\nx\n") == {}
    assert b" with ESMTPA; " in rooted.received("by login")
    with rooted.smtp("127.0.0.3") as client:
        client.ehlo()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("jiro", "wrong")
    until(lambda: "login of jiro from 127.0.0.3 failed, number 1 in a row" in rooted.logs())


def test_a_standing_worker_goes_on_after_mailboxes_were_asked_for_and_not_after_a_login(rooted: Tree) -> None:
    server = logins_on(rooted)
    for _ in range(6):
        with rooted.smtp("127.0.0.3") as client:
            client.mail("a@b.example")
            assert client.rcpt(f"nobodyhere@{HOST}")[0] == 550
            assert client.rcpt(f"jiro@{HOST}")[0] == 250
    # There are four. One that is replaced would never be seen again.
    assert len(set(until(lambda: [pids for pids in [served(rooted)] if len(pids) == 6])[0])) <= 4
    with rooted.smtp("127.0.0.3") as client:
        client.ehlo()
        assert client.login("jiro", "sesame")[0] == 235
        worker = until(lambda: [pids for pids in [served(rooted)] if len(pids) == 7])[0][-1]
        assert worker in {process.pid for process in server.children()}
    until(lambda: worker not in {process.pid for process in server.children()})
    assert rooted.greeting()


def test_whoever_answers_is_started_anew_when_it_dies_and_ends_with_the_service(rooted: Tree) -> None:
    logins_on(rooted)
    watcher, hearing = until(lambda: idle(rooted))
    hearing.kill()
    until(lambda: hearing not in idle(rooted)[1:] and len(idle(rooted)) == 2)
    with rooted.smtp("127.0.0.3") as client:
        client.ehlo()
        assert client.login("jiro", "sesame")[0] == 235
    assert watcher.is_running()
    until(lambda: "has died (status 9): starting it anew" in rooted.logs())
    assert rooted.svc("-d", "smtpd").code == 0
    until(lambda: not answering(rooted))


def idle(tree: Tree) -> list[psutil.Process]:
    """The process that watches and, after it, the one that hears; nothing while there are sessions that ask."""
    found = answering(tree)
    parents = {each.ppid() for each in found}
    return sorted(found, key=lambda each: each.pid not in parents) if len(found) == 2 else []


def test_another_qmail_smtpd_never_runs_as_root(rooted: Tree) -> None:
    foreign = rooted.directory.parent / "foreign"
    foreign.mkdir()
    (foreign / "qmail-smtpd").write_text("#!/bin/sh\nid -u\n")
    (foreign / "qmail-smtpd").chmod(0o755)
    (rooted.directory / "qmail" / "control" / "esmtp").write_text("size\n")
    rooted.write("smtpd/env/PATH", f"{foreign}:{shared_bin()}:/usr/bin:/bin\n")
    until(lambda: rooted.greeting() == b"7791\n", what="the uid of qmaild")
