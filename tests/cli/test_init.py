from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.harness import ours, run
from tests.mail import certificates

HOST = "mail.example.com"


def init(directory: Path, *more: str) -> Path:
    done = run([ours("svtree"), "init", directory, "--host", HOST, "--user", "jiro:sesame", *more])
    assert done.code == 0, done.err
    return directory


def test_a_tree_has_the_three_services_with_all_that_belongs_to_them(folder: Path) -> None:
    tree = init(folder / "t", "--smtp", "127.0.0.1:2525", "--pop3", "127.0.0.1:1110")
    for name in ("smtpd", "pop3d", "qmail-send"):
        service = tree / "service" / name
        for script in ("run", "log/run"):
            assert os.access(service / script, os.X_OK)
        assert (service / "watch").is_file()
        assert (service / "env" / "QMAILHOME").read_text() == f"{tree}/qmail\n"
    assert (tree / "service/smtpd/tcp.smtp").read_text() == '127.:allow,RELAYCLIENT=""\n:allow\n'
    checked = run([ours("tcprulescheck"), tree / "service/smtpd/tcp.smtp.cdb"], env={"TCPREMOTEIP": "127.0.0.1"})
    assert b"set environment variable RELAYCLIENT=" in checked.out
    assert (tree / "service/smtpd/env/WORKERS").read_text() == "4\n"
    assert (tree / "service/smtpd/env/PORT").read_text() == "2525\n"
    assert (tree / "service/pop3d/env/IP").read_text() == "127.0.0.1\n"


def test_the_control_files_hold_the_host(folder: Path) -> None:
    control = init(folder / "t") / "qmail" / "control"
    for name in ("me", "locals", "rcpthosts"):
        assert (control / name).read_text() == f"{HOST}\n"
    assert (control / "defaultdomain").read_text() == "example.com\n"
    assert (control / "plusdomain").read_text() == "com\n"


def test_a_user_has_a_mailbox_and_a_secret_that_only_the_owner_reads(folder: Path) -> None:
    home = init(folder / "t") / "qmail"
    assert (home / "home/jiro/Maildir/new").is_dir()
    users = home / "users/virtual"
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    assert "sesame" not in users.read_text()
    assert (home / "alias/.qmail-postmaster").read_text() == f"&jiro@{HOST}\n"


def test_without_a_user_postmasters_mail_goes_to_the_alias_mailbox(folder: Path) -> None:
    done = run([ours("svtree"), "init", folder / "t", "--host", HOST])
    assert done.code == 0
    assert (folder / "t/qmail/alias/.qmail-root").read_text() == "./Maildir/\n"


def test_what_is_there_is_never_overwritten(folder: Path) -> None:
    tree = init(folder / "t")
    (tree / "service/smtpd/tcp.smtp").write_text("mine\n")
    done = run([ours("svtree"), "init", tree, "--host", HOST])
    assert (done.code, done.err) == (
        100,
        f"svtree: fatal: unable to write {tree}: it exists and is not an empty directory\n".encode(),
    )
    assert (tree / "service/smtpd/tcp.smtp").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "no host"], b"no host: not a host name"),
        (["--smtp", "25"], b"25 is not HOST:PORT"),
        (["--smtp", "a:b"], b"a:b is not HOST:PORT"),
        (["--smtp", "127.0.0.1:70000"], b"127.0.0.1:70000 is not HOST:PORT"),
        (["--user", "../x:y"], b"../x"),
        (["--user", "a:b", "--user", "a:c"], b"a"),
        (["--what"], b"--what"),
    ],
)
def test_nonsense_is_refused_in_a_line_and_leaves_nothing(folder: Path, words: list[str], said: bytes) -> None:
    done = run([ours("svtree"), "init", folder / "t", *words])
    assert done.code == 100
    assert said in done.err
    assert b"Traceback" not in done.err
    assert os.listdir(folder) == []


def test_a_place_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    done = run([ours("svtree"), "init", folder / "file" / "t", "--host", HOST])
    assert done.code == 100
    assert done.err.startswith(b"svtree: fatal: unable to write ")
    assert done.err.count(b"\n") == 1


def test_a_syslog_given_is_used_and_none_is_brought(folder: Path) -> None:
    tree = init(folder / "t", "--syslog", "udp:127.0.0.1:5514")
    assert (tree / "service/smtpd/log/env/SVTREE_SYSLOG").read_text() == "udp:127.0.0.1:5514\n"
    assert not (tree / "service/syslog").exists()


def test_today_is_off_unless_it_is_asked_for(folder: Path) -> None:
    tree = init(folder / "t")
    assert sorted(os.listdir(tree / "service")) in (
        ["pop3d", "qmail-send", "smtpd"],
        ["pop3d", "qmail-send", "smtpd", "syslog"],
    )
    assert not {"esmtp", "pop3", "rcptcheck", "servercert.pem"} & set(os.listdir(tree / "qmail/control"))


def test_with_a_certificate_come_its_services_and_what_turns_today_on(folder: Path) -> None:
    made, trusted = certificates.make(folder, HOST)
    where = ("--smtps", "127.0.0.1:2465", "--submission", "127.0.0.1:2587", "--pop3s", "127.0.0.1:1995")
    tree = init(folder / "t", "--tls", str(trusted), str(folder / "key.pem"), *where, "--syslog", "udp:127.0.0.1:5514")
    for name, port in (("smtps", "2465"), ("submission", "2587"), ("pop3s", "1995")):
        service = tree / "service" / name
        for script in ("run", "log/run"):
            assert os.access(service / script, os.X_OK)
        assert (service / "watch").is_file()
        assert (service / "env/PORT").read_text() == f"{port}\n"
        assert (service / "env/QMAILHOME").read_text() == f"{tree}/qmail\n"
        assert (service / "log/env/SVTREE_SYSLOG").read_text() == "udp:127.0.0.1:5514\n"
        assert (service / "tcp.smtp.cdb").exists() is (name != "pop3s")
    control = tree / "qmail/control"
    assert (control / "servercert.pem").read_bytes() == made
    assert (control / "esmtp").read_text().split() == ["size", "starttls", "auth", "smtputf8", "enhancedstatuscodes"]
    assert (control / "pop3").read_text().split() == ["capa", "stls", "apop"]
    assert (control / "rcptcheck").read_text() == "1\n"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("cert.pem", "cert.pem"), "no certificate with its key in PEM, or the key wants a password"),
        (("cert.pem", "other.pem"), "no certificate with its key in PEM, or the key wants a password"),
        (("cert.pem", "nothing.pem"), "No such file or directory"),
    ],
)
def test_what_is_no_certificate_with_its_key_is_refused(folder: Path, names: tuple[str, str], said: str) -> None:
    certificates.make(folder, HOST)
    (folder / "key.pem").rename(folder / "other.pem")
    certificates.make(folder, HOST)
    cert, key = (folder / name for name in names)
    done = run([ours("svtree"), "init", folder / "t", "--host", HOST, "--tls", cert, key])
    assert (done.code, done.err) == (100, f"svtree: fatal: unable to use {cert} with {key}: {said}\n".encode())
    assert not (folder / "t").exists()
