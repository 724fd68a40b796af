"""qmail-lspawn obeys users/cdb before it looks for an account."""

from __future__ import annotations

import os
import pwd
import subprocess

import pytest

from tests.harness import ours, run
from tests.mail.queue.post import HOST, Post

SHOW = 'for each; do printf "%s|" "$each"; done; id -u\n'
ANSWER = "joe\\0{uid}\\0{gid}\\0{home}\\0-\\0%s\\0"
# Whom the tests can have mail delivered by.
UID = os.getuid() or 65534


def assign(post: Post, *lines: str) -> None:
    (post.home / "users" / "assign").write_text("".join(line + "\n" for line in lines) + ".\n")
    done = run([ours("qmail-newu")], env=post.env())
    assert (done.code, done.err) == (0, b"")


def report(post: Post, local: str) -> str:
    """What qmail-lspawn says of a delivery to `local`."""
    assert post.queue([f"{local}@{HOST}"]).code == 0
    name = max(post.files("mess")).partition("/")[2]
    process = post.processes.start(
        [ours("qmail-lspawn"), "./Mailbox"], env=post.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    order = b"\0%s\0s@x\0%s@%s\0" % (name.encode(), local.encode(), HOST.encode())
    out, err = process.communicate(order, timeout=30)
    assert (process.returncode, err) == (0, b"")
    return out[2:-1].decode()


def test_an_assigned_address_is_delivered_as_the_line_says(post: Post) -> None:
    post.program("qmail-local", SHOW)
    post.user("joe")
    assign(
        post,
        f"=joe:other:{UID}:{os.getgid() or 65534}:{post.home}:::",
        f"+Sales-:shop:{UID}:{os.getgid() or 65534}:{post.home}/shop:-:list-:",
    )
    assert report(post, "joe") == f"K--|other|{post.home}|joe|||{HOST}|s@x|./Mailbox|{UID}\n"
    assert report(post, "SALES-Summer") == (
        f"K--|shop|{post.home}/shop|SALES-Summer|-|list-Summer|{HOST}|s@x|./Mailbox|{UID}\n"
    )


def test_what_is_not_assigned_is_looked_for_among_the_accounts(post: Post) -> None:
    post.program("qmail-local", SHOW)
    home = post.user("joe")
    assign(post, f"=other:other:{UID}:1:{post.home}:::")
    assert report(post, "joe-list").startswith(f"K--|joe|{home}|joe-list|-|list|")
    assert report(post, "nobody-here").startswith(f"K--|alias|{post.home}/alias|nobody-here|-|nobody-here|")


@pytest.mark.parametrize("data", [b"", b"no cdb", bytes(2048)])
def test_a_cdb_that_cannot_be_read_keeps_mail_in_the_queue(post: Post, data: bytes) -> None:
    post.program("qmail-local", SHOW)
    post.user("joe")
    (post.home / "users" / "cdb").write_bytes(data)
    assert report(post, "joe") == "ZTrouble reading users/cdb in qmail-lspawn.\n"


@pytest.mark.root
def test_nothing_is_delivered_by_root_whatever_is_assigned(post: Post) -> None:
    post.program("qmail-local", SHOW)
    assign(post, f"=joe:root:0:0:{post.home}:::", f"=fred:root:none:0:{post.home}:::")
    for local in ("joe", "fred"):
        assert report(post, local) == "ZNot allowed to perform deliveries as root.\n"


def test_a_user_s_own_tree_delivers_by_nobody_else(post: Post) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can be anybody")
    assign(post, f"=joe:joe:{UID + 1}:1:{post.home}:::")
    assert report(post, "joe") == f"Z{post.home} belongs to another user. (#4.3.0)\n"


def own_getpw(post: Post, script: str) -> None:
    """Put a qmail-getpw of the administrator's first on PATH; as root it is run by the account qmailp."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("qmailp")
        except KeyError:
            pytest.skip("no account qmailp")
    post.program("qmail-local", SHOW)
    post.program("qmail-getpw", script)


def test_another_qmail_getpw_is_asked_in_the_place_of_the_accounts(post: Post) -> None:
    own_getpw(post, f"printf '{ANSWER.format(uid=UID, gid=os.getgid() or 65534, home=post.home)}' \"its-$1\"\n")
    assert report(post, "Joe-x") == f"K--|joe|{post.home}|Joe-x|-|its-Joe-x|{HOST}|s@x|./Mailbox|{UID}\n"
    assign(post, f"=exact:other:{UID}:1:{post.home}:::")
    assert report(post, "exact").startswith("K--|other|")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 116", "ZUnable to find alias user!\n"),
        ("exit 118", "ZTemporary failure in qmail-lspawn.\n"),
        ("kill -9 $$", "ZTemporary failure in qmail-lspawn.\n"),
        ("echo nonsense", "ZInternal qmail-lspawn bug.\n"),
    ],
)
def test_what_another_qmail_getpw_cannot_say_keeps_mail_in_the_queue(post: Post, script: str, said: str) -> None:
    own_getpw(post, script + "\n")
    assert report(post, "joe") == said


def test_a_qmail_getpw_that_cannot_be_run_keeps_mail_in_the_queue(post: Post) -> None:
    own_getpw(post, "")
    (post.folder / "bin" / "qmail-getpw").write_text("#!/nonexistent/sh\n")
    assert report(post, "joe") == "ZUnable to run qmail-getpw.\n"
