"""The classic tests for an open relay, each refused or kept at home; and messages smuggled in messages."""

from __future__ import annotations

import contextlib
import socket

import pytest

from tests import harness
from tests.golden.conftest import HOST, Post
from tests.harness import DEADLINE, Processes, until

STRANGER = "127.0.0.3"
VICTIM = "victim@elsewhere.example"
NOT_OURS = b"553 "

# (sender, recipient) as they stand in the commands: the list of abuse.net and of rlytest, and some more.
CLASSICS = [
    ("<spam@abuse.example>", f"<{VICTIM}>"),
    ("<spam@abuse.example>", VICTIM),
    ("<>", f"<{VICTIM}>"),
    (f"<spam@{HOST}>", f"<{VICTIM}>"),
    ("<spam>", f"<{VICTIM}>"),
    ("<spam@[127.0.0.1]>", f"<{VICTIM}>"),
    ("<spam@localhost>", f"<{VICTIM}>"),
    (f"<spam@{HOST}>", f"<victim%elsewhere.example@{HOST}>"),
    (f"<spam@{HOST}>", "<victim%elsewhere.example@[127.0.0.1]>"),
    (f"<spam@{HOST}>", f'<"{VICTIM}">'),
    (f"<spam@{HOST}>", '<"victim%elsewhere.example">'),
    (f"<spam@{HOST}>", f"<{VICTIM}@{HOST}>"),
    (f"<spam@{HOST}>", f'<"{VICTIM}"@{HOST}>'),
    (f"<spam@{HOST}>", f"<{VICTIM}@[127.0.0.1]>"),
    (f"<spam@{HOST}>", f'<"{VICTIM}"@[127.0.0.1]>'),
    (f"<spam@{HOST}>", f"<@{HOST}:{VICTIM}>"),
    (f"<spam@{HOST}>", f"<@[127.0.0.1]:{VICTIM}>"),
    (f"<spam@{HOST}>", f"<@{HOST},@elsewhere.example:{VICTIM}>"),
    (f"<spam@{HOST}>", "<elsewhere.example!victim>"),
    (f"<spam@{HOST}>", f"<elsewhere.example!victim@{HOST}>"),
    (f"<spam@{HOST}>", "<elsewhere.example!victim@[127.0.0.1]>"),
    (f"<spam@{HOST}>", f"<{HOST}!elsewhere.example!victim>"),
    (f"<spam@{HOST}>", f"<victim@elsewhere.example.{HOST}>"),
    (f"<spam@{HOST}>", f"<{VICTIM}\\@{HOST}>"),
    (f"<spam@{HOST}>", f"<victim@{HOST}@elsewhere.example>"),
    (f"<spam@{HOST}>", f"<victim@elsewhere.example(@{HOST})>"),
    (f"<spam@{HOST}>", f"<victim@elsewhere.example\0@{HOST}>"),
    (f"<spam@{HOST}>", f"<victim@elsewhere.example {HOST}>"),
    (f"<spam@{HOST}>", "<victim@[127.0.0.2]>"),
    (f"<spam@{HOST}>", "<victim@[192.0.2.1]>"),
    (f"<spam@{HOST}>", "<victim@127.0.0.1>"),
    (f"<spam@{HOST}>", "<victim@[IPv6:2001:db8::1]>"),
    (f"<spam@{HOST}>", "<victim@[IPv6:::ffff:192.0.2.1]>"),
    (f"<spam@{HOST}>", "<postmaster@elsewhere.example>"),
    (f"<spam@{HOST}>", f"<;{VICTIM}>"),
    (f"<spam@{HOST}>", "<|cat@elsewhere.example>"),
]


def connect(post: Post, **env: str) -> tuple[socket.socket, bytes]:
    client = socket.create_connection(("127.0.0.1", post.smtp(**env)), timeout=DEADLINE, source_address=(STRANGER, 0))
    return client, client.recv(512)


def ask(client: socket.socket, command: bytes) -> bytes:
    client.sendall(command + b"\r\n")
    said = b""
    while not said.endswith(b"\n"):
        said += client.recv(4096)
    return said


@pytest.mark.parametrize("mode", ["as recorded", "today"])
def test_no_classic_trick_relays(post: Post, mode: str) -> None:
    post.control("localiphost", HOST)
    if mode == "today":
        post.control("esmtp", "size\nstarttls\nauth\nsmtputf8\nenhancedstatuscodes")
        post.control("rcptcheck", "1")
    client, _ = connect(post)
    outcomes = {}
    with contextlib.closing(client):
        for sender, recipient in CLASSICS:
            assert ask(client, b"RSET")[:4] == b"250 "
            assert ask(client, b"MAIL FROM:" + sender.encode())[:4] == b"250 "
            outcomes[sender, recipient] = ask(client, b"RCPT TO:" + recipient.encode())[:4]
    for (sender, recipient), code in outcomes.items():
        if code == b"250 ":
            # Taken for a mailbox of this host, with whatever name; nobody makes another host of that: the last @ is
            # ours or there is none, and control/percenthack names nobody.
            address = recipient.strip("<>").replace('"', "").replace("\\", "").partition("\0")[0]
            address = address.rpartition(":")[2] if address.startswith("@") else address
            assert mode == "as recorded", (sender, recipient)
            assert address.rpartition("@")[2] in {HOST, "[127.0.0.1]"} or "@" not in address, (sender, recipient)
    assert outcomes["<>", f"<{VICTIM}>"] == NOT_OURS
    assert outcomes[f"<spam@{HOST}>", f"<@{HOST}:{VICTIM}>"] == NOT_OURS


def test_what_is_taken_for_this_host_is_never_sent_elsewhere(post: Post, processes: Processes) -> None:
    post.control("localiphost", HOST)
    client, _ = connect(post)
    with contextlib.closing(client):
        assert ask(client, f"MAIL FROM:<spam@{HOST}>".encode())[:4] == b"250 "
        answers = [ask(client, b"RCPT TO:" + recipient.encode())[:4] for _, recipient in CLASSICS]
        assert answers.count(b"250 ") >= 8
        assert ask(client, b"DATA")[:4] == b"354 "
        assert ask(client, b"Subject: x\r\n\r\nx\r\n.")[:4] == b"250 "
    (post.home / "alias").mkdir()
    log = post.home / "send.log"
    with log.open("wb") as output:
        command = [harness.ours("qmail-start"), "./Maildir/"]
        send = processes.start(command, env={"QMAILHOME": str(post.home)}, stdout=output.fileno())
    until(lambda: b"triple bounce: discarding" in log.read_bytes() and not post.queued())
    send.terminate()
    assert send.wait(60) == 0
    begun = [line for line in log.read_text().splitlines() if line.startswith("starting delivery ")]
    assert len(begun) >= answers.count(b"250 ")
    assert [line for line in begun if " to local " not in line] == []


SECOND = (
    b"MAIL FROM:<spam@abuse.example>\r\nRCPT TO:<jiro@mail.example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
)


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\r\n.\r\r\n",
        b"\n\n.\r\n",
        b"\r\n..\r\n",
    ],
)
def test_nothing_but_a_dot_between_two_line_ends_ends_a_message(post: Post, end: bytes) -> None:
    client, _ = connect(post)
    with contextlib.closing(client):
        ask(client, b"MAIL FROM:<a@b.example>")
        ask(client, f"RCPT TO:<jiro@{HOST}>".encode())
        ask(client, b"DATA")
        client.sendall(b"Subject: outer\r\n\r\nx" + end + SECOND + b"QUIT\r\n")
        with contextlib.suppress(ConnectionResetError):
            while client.recv(4096):
                continue
    # Either the session ended at the stray line feed, or all of it is one message.
    assert len(post.queued()) <= 1
    for message in post.queued():
        assert b"\n\nx" in message
        assert b"Subject: smuggled\n" in message.split(b"Subject: outer\n")[1]
        assert b"MAIL FROM:<spam@abuse.example>" in message
