"""qmail-lspawn obeys users/cdb before it looks for an account."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness import DEADLINE, ours, run
from tests.mail.queue.post import HOST, Post

SHOW = 'for each; do printf "%s|" "$each"; done; id -u\n'
# Whom the tests can have mail delivered by.
UID = os.getuid() or 65534


def assign(post: Post, *lines: str) -> None:
    (post.home / "users" / "assign").write_text("".join(line + "\n" for line in lines) + ".\n")
    done = run([ours("qmail-newu")], env=post.env())
    assert (done.code, done.err) == (0, b"")


def report(post: Post, local: str, words: Sequence[str] = ()) -> str:
    """What qmail-lspawn says of a delivery to `local`; `words` come before it."""
    assert post.queue([f"{local}@{HOST}"]).code == 0
    name = max(post.files("mess")).partition("/")[2]
    process = post.processes.start(
        [*words, ours("qmail-lspawn"), "./Mailbox"], env=post.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    order = b"\0%s\0s@x\0%s@%s\0" % (name.encode(), local.encode(), HOST.encode())
    out, err = process.communicate(order, timeout=DEADLINE)
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


@pytest.fixture
def words(post: Post) -> list[str]:
    """What makes a program see the account qmailp on a machine that does not have it; only root needs it."""
    post.program("qmail-local", SHOW)
    if os.geteuid() != 0:
        return []
    for name, line in (("passwd", "qmailp:x:7793:7791::/:/bin/sh\n"), ("group", "nofiles:x:7791:\n")):
        lines = [
            each for each in Path("/etc", name).read_text().splitlines(True) if each[:7] not in ("qmailp:", "nofiles")
        ]
        (post.folder / name).write_text("".join(lines) + line)
    binds = " && ".join(f"mount --bind {post.folder}/{name} /etc/{name}" for name in ("passwd", "group"))
    return ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh"]


def test_another_qmail_getpw_is_asked_as_qmailp_in_the_place_of_the_accounts(post: Post, words: list[str]) -> None:
    answer = f"joe\\000{UID}\\000{os.getgid() or 65534}\\000{post.home}\\000-\\000%s\\000"
    post.program("qmail-getpw", f"printf '{answer}' \"$1-$(id -u)\"\n")
    who = os.getuid() or 7793
    assert report(post, "Joe-x", words) == f"K--|joe|{post.home}|Joe-x|-|Joe-x-{who}|{HOST}|s@x|./Mailbox|{UID}\n"
    assign(post, f"=exact:other:{UID}:1:{post.home}:::")
    assert report(post, "exact", words).startswith("K--|other|")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 116", "ZUnable to find alias user!\n"),
        ("exit 118", "ZTemporary failure in qmail-lspawn.\n"),
        ("kill -9 $$", "ZTemporary failure in qmail-lspawn.\n"),
        ("echo nonsense", "ZInternal qmail-lspawn bug.\n"),
    ],
)
def test_what_it_cannot_say_keeps_mail_in_the_queue(post: Post, words: list[str], script: str, said: str) -> None:
    post.program("qmail-getpw", script + "\n")
    assert report(post, "joe", words) == said


def test_a_qmail_getpw_that_cannot_be_run_keeps_mail_in_the_queue(post: Post, words: list[str]) -> None:
    post.program("qmail-getpw", "")
    (post.folder / "bin" / "qmail-getpw").write_text("#!/nonexistent/sh\n")
    assert report(post, "joe", words) == "ZUnable to run qmail-getpw.\n"
