from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import DEADLINE, ours, run

HOST = "mail.example.com"
ACCESS = "Connect:192.168.1\tRELAY\nTo:partner.example\tRELAY\nSpam:a@b\tFRIEND\n"
MAIN_CF = "myhostname = mail.example.com\nmynetworks = 10.64.0.0/10\nrelayhost = [smtp.isp.example]:587\n"


@pytest.fixture
def tree(folder: Path) -> Path:
    assert run([ours("svtree"), "init", folder / "t", "--host", HOST, "--user", "jiro:sesame"]).code == 0
    (folder / "access").write_text(ACCESS)
    (folder / "main.cf").write_text(MAIN_CF)
    (folder / "aliases").write_text("root: jiro\nsales: jiro, c@elsewhere.example\n")
    return folder / "t"


def files(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_without_write_it_says_everything_and_changes_nothing(tree: Path, folder: Path) -> None:
    before = files(tree)
    done = run([ours("svtree"), "import", "sendmail", folder / "access", "--aliases", folder / "aliases"], cwd=tree)
    assert (done.code, done.err) == (0, b"")
    said = done.out.decode()
    assert '  192.168.1.:allow,RELAYCLIENT=""\n' in said
    assert "qmail/control/rcpthosts: 3 lines\n  mail.example.com\n  partner.example\n  .partner.example\n" in said
    assert "qmail/alias/.qmail-sales: 2 lines\n  &jiro@mail.example.com\n  &c@elsewhere.example\n" in said
    assert f"  {folder}/access:3: Spam:a@b FRIEND: whose mail" in said.replace("\t", " ")
    assert said.endswith("Nothing has been written; --write does it.\n")
    assert files(tree) == before


def test_with_write_the_files_are_there_and_what_they_replaced_is_kept(tree: Path, folder: Path) -> None:
    before = files(tree)
    command: list[str | bytes | Path] = [
        ours("svtree"),
        "import",
        "sendmail",
        folder / "access",
        "--aliases",
        folder / "aliases",
    ]
    done = run([*command, "--tree", tree, "--write"])
    assert (done.code, done.err) == (0, b"")
    assert (
        f"Wrote {tree}/service/smtpd/tcp.smtp, kept {tree}/service/smtpd/tcp.smtp.before-import.\n" in done.out.decode()
    )
    after = files(tree)
    assert b"192.168.1.:allow" in after["service/smtpd/tcp.smtp"]
    assert after["service/smtpd/tcp.smtp.before-import"] == before["service/smtpd/tcp.smtp"]
    assert after["qmail/control/rcpthosts"] == b"mail.example.com\npartner.example\n.partner.example\n"
    assert after["qmail/alias/.qmail-sales"] == b"&jiro@mail.example.com\n&c@elsewhere.example\n"
    # Once more changes nothing, and so keeps nothing.
    assert run([*command, "--tree", tree, "--write"]).code == 0
    assert files(tree) == after
    (folder / "access").write_text("Connect:192.168.2\tRELAY\n")
    assert run([*command, "--tree", tree, "--write"]).code == 0
    assert b"192.168.1." in files(tree)["service/smtpd/tcp.smtp.before-import-2"]


def test_postfix_too(tree: Path, folder: Path) -> None:
    done = run([ours("svtree"), "import", "postfix", folder / "main.cf", "--tree", tree, "--write"])
    assert (done.code, done.err) == (0, b"")
    after = files(tree)
    assert after["service/smtpd/tcp.smtp"] == b'10.64.0.0/10:allow,RELAYCLIENT=""\n:allow\n'
    assert after["qmail/control/smtproutes"] == b":smtp.isp.example:587\n"
    assert after["qmail/control/locals"].startswith(b"mail.example.com\nlocalhost.example.com\n")


def test_the_tree_lives_on_by_what_was_imported(tree: Path, folder: Path) -> None:
    assert run([ours("svtree"), "import", "postfix", folder / "main.cf", "--tree", tree, "--write"]).code == 0
    smtpd = tree / "service/smtpd"
    compiled = run(["sh", "-c", "tcprules tcp.smtp.cdb tcp.smtp.tmp < tcp.smtp"], cwd=smtpd)
    assert (compiled.code, compiled.err) == (0, b"")
    for client, word in (("10.127.255.255", b"RELAYCLIENT"), ("10.128.0.0", b"")):
        said = run([ours("tcprulescheck"), smtpd / "tcp.smtp.cdb"], env={"TCPREMOTEIP": client}).out
        assert (b"RELAYCLIENT" in said) is bool(word)


def test_a_long_map_shows_how_far_it_is_and_is_cut_in_what_is_shown_only(tree: Path, folder: Path) -> None:
    lines = [
        f"Connect:10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\tRELAY\n" for number in range(200_000)
    ]
    (folder / "access").write_text("".join(lines))
    done = run(
        [ours("svtree"), "import", "sendmail", folder / "access", "--tree", tree, "--write"], timeout=5 * DEADLINE
    )
    assert done.code == 0
    assert b"200001 of 200001 lines\n" in done.err
    assert b"  ... and " in done.out
    assert files(tree)["service/smtpd/tcp.smtp"].count(b"\n") == 200_003


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["import", "sendmail"], 100, b"Missing argument 'ACCESS'"),
        (["import", "sendmail", "/missing"], 100, b"/missing"),
        (["import", "exim", "x"], 100, b"No such command 'exim'"),
        (["import", "sendmail", "access", "--write", "--tree", "nothing"], 100, b"nothing is no tree"),
    ],
)
def test_what_makes_no_sense_is_one_line(tree: Path, folder: Path, words: list[str], code: int, said: bytes) -> None:
    done = run([ours("svtree"), *words], cwd=folder)
    assert done.code == code
    assert said in done.err
    assert b"Traceback" not in done.err
