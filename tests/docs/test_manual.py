"""The examples of the manual pages: all are commands that a shell takes; those that need nothing of the machine run."""

from __future__ import annotations

import os
import re
import textwrap
from importlib.metadata import files
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS
from tests.docs.reader import Reader
from tests.harness import BIN, environment, run

PAGES = sorted((Path(__file__).parents[2] / "docs" / "man").glob("*.rst"))
SECTION = re.compile(r"^EXAMPLES?\n=+\n(.*?)(?=^[A-Z][A-Z ,]+\n=+\n|\Z)", re.MULTILINE | re.DOTALL)
LITERAL = re.compile(r"::\n\n((?: +.*\n|\n)+)")
NAMES = {each.name for each in PROGRAMS}
# What a shell line of a page may begin with that is not a program of ours.
OTHERS = {"cd", "df", "echo", "exec", "mkdir", "printf"}
# Pages whose examples run in a directory with a tree, a message and rules, by themselves, and end.
ALONE = (
    "addcr.1",
    "checkpassword.8",
    "config-fast.8",
    "delcr.1",
    "maildir2mbox.1",
    "maildirmake.1",
    "predate.1",
    "qmail-newmrh.8",
    "qmail-queue.8",
    "sendmail.8",
    "svok.8",
    "tcprules.1",
)
# Pages with a transcript, whose answers are compared.
TRANSCRIPTS = ("tai64n.8", "tcprulescheck.1")


def examples(page: Path) -> list[str]:
    section = SECTION.search(page.read_text())
    return [textwrap.dedent(block).strip() for block in LITERAL.findall(section[1])] if section else []


def commands(block: str) -> str:
    """The part of an example that a shell reads: a script, a .qmail line's program, what follows a prompt, or ""."""
    lines = block.splitlines()
    if any(line.startswith("$ ") for line in lines):
        return "\n".join(line[2:] for line in lines if line.startswith("$ "))
    if lines[0].startswith("|"):
        return "\n".join(line[1:] for line in lines if line.startswith("|"))
    words = [word.lstrip("(") for word in lines[0].split() if not re.match(r"[A-Z_]+=", word)]
    name = words[0].rstrip(";") if words else ""
    return block if block.startswith("#!") or name in NAMES | OTHERS else ""


SHELL = [(page.stem, text) for page in PAGES for block in examples(page) if (text := commands(block))]


@pytest.fixture
def home(folder: Path) -> Path:
    """A directory with what examples speak of."""
    home = folder / "jiro"
    home.mkdir()
    made = run([BIN / "svtree", "init", home / "mail", "--host", "mail.example.com", "--user", "jiro:sesame"])
    assert made.code == 0, made.err
    (home / "tcp.smtp").write_text('192.168.1.:allow,RELAYCLIENT=""\n2001:db8::/32:deny\n:allow\n')
    compiled = run([BIN / "tcprules", "tcp.smtp.cdb", "tcp.smtp.tmp"], stdin=(home / "tcp.smtp").read_bytes(), cwd=home)
    assert compiled.code == 0, compiled.err
    for name in ("letter", "message"):
        (home / name).write_text("Subject: hi\nTo: jiro\n\nhi\n")
    (home / "mail" / "qmail" / "control" / "morercpthosts").write_text("example.net\n")
    return home


@pytest.mark.parametrize(("page", "text"), SHELL, ids=[page for page, _ in SHELL])
def test_an_example_is_shell(page: str, text: str) -> None:
    checked = run(["sh", "-n"], stdin=text.encode() + b"\n")
    assert (checked.code, checked.err) == (0, b""), f"{page}: {text}"


def test_most_pages_have_an_example_for_the_shell() -> None:
    assert len({page for page, _ in SHELL}) > len(PAGES) * 0.8


@pytest.mark.parametrize("page", ALONE)
def test_an_example_runs(page: str, home: Path) -> None:
    qmail = home / "mail" / "qmail"
    for text in (text for name, text in SHELL if name == page):
        if page == "maildir2mbox.1":
            assert run([BIN / "maildirmake", home / "Maildir"]).code == 0
        if page == "config-fast.8":
            for each in (qmail / "control").iterdir():
                each.unlink()
        done = run(["sh", "-ec", text], cwd=home, env={"HOME": str(home), "QMAILHOME": str(qmail), "USER": "jiro"})
        assert done.code == 0, f"{text}: {done}"


@pytest.mark.parametrize("page", TRANSCRIPTS)
def test_a_transcript_is_what_is_printed(page: str, home: Path) -> None:
    from tests.docs.blocks import Block

    reader = Reader(home)
    try:
        for path in PAGES:
            if path.stem == page:
                for block in examples(path):
                    reader.read(Block(path, 0, "console", block + "\n"))
    finally:
        reader.end()


def test_the_package_brings_every_manual_page_to_where_man_looks() -> None:
    installed = {os.path.realpath(each.locate()) for each in files("svtree") or () if "share/man" in str(each)}
    wanted = {f"{BIN.parent}/share/man/man{each.section}/{each.name}.{each.section}" for each in PROGRAMS}
    assert {os.path.realpath(path) for path in wanted} <= installed
    for path in wanted:
        assert Path(path).read_text().startswith(('.\\"', "'\\\"")), path
    assert environment()["PATH"].startswith(str(BIN)), "man finds share/man beside the bin of PATH"
