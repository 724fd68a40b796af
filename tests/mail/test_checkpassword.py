from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from svtree.mail import accounts
from tests import harness
from tests.system.test_pam import services

SHOW = 'echo "$USER|$HOME|$SHELL|$(pwd)|$(id -u):$(id -G)|$OTHER"; test ! -e /proc/self/fd/3 && echo closed'


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / "control").mkdir()
    (folder / "control" / "me").write_text("mail.example.com\n")
    accounts.add(bytes(folder), b"jiro", b"sesame")
    return folder


def check(home: Path, login: bytes | None, *program: str, before: Sequence[str] = ()) -> harness.Result:
    """Run checkpassword, after `before`, with `login` on descriptor 3; None: descriptor 3 is closed."""
    given = "3<&-"
    if login is not None:
        (home / "login").write_bytes(login)
        given = f"3<{home}/login"
    words = ["/bin/sh", "-c", f'exec "$@" {given}', "sh", *before, harness.ours("checkpassword"), *program]
    return harness.run(words, env={"QMAILHOME": str(home), "OTHER": "kept"})


def test_a_good_login_runs_the_program_as_its_user_at_home(home: Path) -> None:
    found = check(home, b"jiro\0sesame\0<1.2@host>\0", "sh", "-c", SHOW)
    account = accounts.find(b"jiro", {b"QMAILHOME": bytes(home)})
    assert account is not None
    same = harness.run(["sh", "-c", 'echo "$(id -u):$(id -G)"']).out.decode().strip()
    owner = f"{account.uid}:{account.gid}" if os.geteuid() == 0 else same
    where = f"{home}/home/jiro"
    assert found.out.decode() == f"jiro|{where}|/bin/sh|{where}|{owner}|kept\nclosed\n"
    assert (found.code, found.err) == (0, b"")


def test_the_programs_exit_code_is_passed_on(home: Path) -> None:
    assert check(home, b"jiro\0sesame\0x\0", "sh", "-c", "exit 7").code == 7


@pytest.mark.parametrize(
    ("login", "code"),
    [
        (b"jiro\0wrong\0<1.2@host>\0", 1),
        (b"nobodyhere\0sesame\0<1.2@host>\0", 1),
        (b"jiro\0\0<1.2@host>\0", 1),
        (b"\0sesame\0<1.2@host>\0", 1),
        (b"jiro\0c68e37733f3126aa1211aa7683e559b0\0<1.2@host>\0", 1),
        (b"jiro\0sesame\0" + b"x" * 500, 0),
        (b"jiro\0sesame\0" + b"x" * 501, 1),
        (b"jiro\0sesame\0", 0),
        (b"jiro\0sesame", 2),
        (b"jiro", 2),
        (b"", 2),
        (None, 111),
    ],
)
def test_the_exit_codes_are_those_of_the_interface(home: Path, login: bytes | None, code: int) -> None:
    found = check(home, login, "true")
    assert (found.code, found.out) == (code, b"")
    assert bool(found.err) is (code == 111)


def test_without_a_program_it_is_misused(home: Path) -> None:
    assert check(home, b"jiro\0sesame\0x\0").code == 2


def test_trouble_with_the_users_file_may_pass_and_is_named(home: Path) -> None:
    with open(accounts.path(bytes(home)), "ab") as file:
        file.write(b"oops\n")
    found = check(home, b"jiro\0sesame\0x\0", "true")
    assert found.code == 111
    assert found.err == b"checkpassword: fatal: %b/users/virtual:2: not NAME:SECRET:HOME\n" % bytes(home)


def test_a_home_that_is_gone_may_come_back(home: Path) -> None:
    (home / "home" / "jiro").rename(home / "home" / "away")
    found = check(home, b"jiro\0sesame\0x\0", "true")
    assert found.code == 111
    assert found.err.endswith(b"/home/jiro: file does not exist\n")


def test_a_program_that_is_not_there_may_come_back(home: Path) -> None:
    found = check(home, b"jiro\0sesame\0x\0", "no-such-program")
    assert (found.code, found.err) == (
        111,
        b"checkpassword: fatal: unable to run no-such-program: file does not exist\n",
    )


@pytest.mark.root
def test_root_checks_the_systems_accounts_and_a_locked_one_cannot_be_entered(home: Path) -> None:
    assert pwd.getpwnam("daemon")
    assert check(home, b"daemon\0*\0x\0", "true").code == 1
    assert check(home, b"daemon\0\0x\0", "true").code == 1


@pytest.fixture
def elsewhere(home: Path) -> list[str]:
    """Words that run a program under another /etc/passwd and /etc/shadow, with an account "pop" (password sesame)."""
    passwd, shadow = home / "passwd", home / "shadow"
    (home / "pop").mkdir(mode=0o700)
    os.chown(home / "pop", 12345, 12346)
    passwd.write_text(f"root:x:0:0::/root:/bin/sh\npop:x:12345:12346::{home}/pop:/bin/false\n")
    made = harness.run(["openssl", "passwd", "-6", "sesame"]).out.decode().strip()
    shadow.write_text(f"root:*:1::::::\npop:{made}:1::::::\n")
    mounts = f"mount --bind {passwd} /etc/passwd && mount --bind {shadow} /etc/shadow"
    words = ["unshare", "--mount", "/bin/sh", "-c", f'{mounts} && exec "$@"', "sh"]
    if shutil.which("unshare", path=harness.PATH) is None or harness.run([*words, "true"]).code != 0:
        pytest.skip("no mount namespaces here")
    return words


@pytest.mark.root
def test_root_lets_a_system_account_in_as_itself_and_at_its_home(home: Path, elsewhere: list[str]) -> None:
    found = check(home, b"pop\0sesame\0x\0", "sh", "-c", SHOW, before=elsewhere)
    assert found.out.decode() == f"pop|{home}/pop|/bin/false|{home}/pop|12345:12346|kept\nclosed\n"
    for login in (b"pop\0wrong\0x\0", b"pop\0\0x\0", b"root\0*\0x\0", b"pop@mail.example.com\0sesame\0x\0"):
        assert check(home, login, "true", before=elsewhere).code == 1, login


@pytest.mark.root
def test_pam_checks_a_system_account_where_it_is_asked_to(home: Path, elsewhere: list[str]) -> None:
    check_program, folder = home / "check", home / "pam.d"
    check_program.write_text("#!/bin/sh\ntest \"$(tr -d '\\0')\" = otherwise\n")
    check_program.chmod(0o755)
    folder.mkdir()
    (folder / "mail").write_text(services(check_program))
    mount = ["/bin/sh", "-c", f'mount --bind {folder} /etc/pam.d && exec "$@"', "sh"]
    words = [*elsewhere, *mount, "env", "CHECKPASSWORD_PAM=mail"]
    assert check(home, b"pop\0otherwise\0x\0", "true", before=words).code == 0
    assert check(home, b"pop\0sesame\0x\0", "true", before=words).code == 1
    assert check(home, b"root\0otherwise\0x\0", "true", before=words).code == 1
    assert check(home, b"jiro\0sesame\0x\0", "true", before=words).code == 0
