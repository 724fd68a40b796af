"""The recorded exchanges, with a tree that `svtree init` made."""

from __future__ import annotations

from tests.golden import exchange
from tests.golden.test_smtp_exchanges import CONTROLS, ENVIRONMENT, MISSING
from tests.harness import until
from tests.tree.conftest import Tree

# Those that want a mailbox with twelve certain messages have a test of their own in tests/golden.
POP3 = ("pop3-apop", "pop3-badpass", "pop3-baduser", "pop3-errors-auth")


def test_smtp_exchanges_are_as_recorded(tree: Tree) -> None:
    control = tree.directory / "qmail" / "control"
    (control / "rcpthosts").write_text("mail.example.com\nlocalhost\n")
    tree.write("smtpd/tcp.smtp", '127.0.0.1:allow,RELAYCLIENT=""\n127.0.0.2:deny\n:allow\n')
    until(lambda: not tree.greeting("127.0.0.2"))
    wrong = []
    for name in exchange.names("smtp-"):
        if name in MISSING or name in ENVIRONMENT:
            continue
        for file, text in CONTROLS.get(name, {}).items():
            (control / file).write_text(text + "\n")
        recorded = exchange.read(name)
        if exchange.replay(recorded, tree.smtp_port) != exchange.expected(recorded):
            wrong.append(name)
        for file in CONTROLS.get(name, {}):
            (control / file).unlink()
    assert wrong == []


def test_pop3_exchanges_are_as_recorded(tree: Tree) -> None:
    for name in POP3:
        recorded = exchange.read(name)
        assert exchange.replay(recorded, tree.pop3_port) == exchange.expected(recorded), name
