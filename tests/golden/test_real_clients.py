"""Real clients, other people's, send and fetch."""

from __future__ import annotations

import os
import shutil
import smtplib
from pathlib import Path

import pytest

from tests import harness
from tests.golden.conftest import HOST, Post


def installed(name: str) -> str:
    path = shutil.which(name, path=harness.PATH)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def mailbox(post: Post) -> Path:
    return Path(os.fsdecode(post.user.home), "Maildir")


def put(post: Post, name: str, text: bytes) -> None:
    path = mailbox(post) / "new" / name
    path.write_bytes(text)
    os.chown(path, post.user.uid, post.user.gid)


def test_swaks_sends_with_pipelining_and_without(post: Post) -> None:
    port = post.smtp()
    for more in ([], ["--pipeline"]):
        sent = harness.run(
            [
                installed("swaks"),
                *("--server", f"127.0.0.1:{port}", "--helo", "client.example"),
                *("--from", "a@b.example", "--to", f"jiro@{HOST},hogehoge@elsewhere.example"),
                *("--header", "Subject: from swaks", "--body", "one\n.two\n..three"),
                *more,
            ]
        )
        assert sent.code == 0, sent.out + sent.err
        assert b" qp " in sent.out
    for message in post.queued():
        assert b"Received: from unknown (HELO client.example) (127.0.0.1)\n" in message
        assert message.split(b"\n\n", 1)[1].rstrip() == b"one\n.two\n..three"


def test_swaks_is_refused_relaying_from_elsewhere(post: Post) -> None:
    sent = harness.run(
        [
            installed("swaks"),
            *("--server", f"127.0.0.1:{post.smtp()}", "--local-interface", "127.0.0.3"),
            *("--from", "a@b.example", "--to", "hogehoge@elsewhere.example"),
        ]
    )
    assert sent.code != 0
    assert b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)" in sent.out
    assert post.queued() == []


def test_the_standard_librarys_client_sends_many_messages_over_one_connection(post: Post) -> None:
    with smtplib.SMTP("127.0.0.1", post.smtp(), "client.example", timeout=harness.DEADLINE) as client:
        client.ehlo()
        assert client.has_extn("8bitmime")
        for number in range(20):
            assert client.sendmail("a@b.example", [f"jiro@{HOST}"], f"Subject: {number}\n\nx\n") == {}
    assert len(post.queued()) == 20


@pytest.mark.parametrize("pipelining", ["on", "off"])
def test_mpop_fetches_and_removes(post: Post, folder: Path, pipelining: str) -> None:
    mpop = installed("mpop")
    texts = {b"Subject: one\n\n.dot\nlast line\n", b"Subject: two\n\n" + b"x" * 900 + b"\n"}
    for number, text in enumerate(sorted(texts)):
        put(post, f"{number}.x.host", text)
    for each in ("", "new", "cur", "tmp"):
        (folder / "fetched" / each).mkdir(parents=True, exist_ok=True)
    fetched = harness.run(
        [
            mpop,
            *("--file=", "--host=127.0.0.1", f"--port={post.pop3()}", "--tls=off", "--auth=user", "--user=jiro"),
            *("--passwordeval=echo sesame", "--received-header=off", f"--pipelining={pipelining}"),
            *(f"--delivery=maildir,{folder}/fetched", f"--uidls-file={folder}/uidls"),
        ]
    )
    assert fetched.code == 0, fetched.out + fetched.err
    # The empty line before the dot is qmail-pop3d's.
    assert {path.read_bytes().removesuffix(b"\n") for path in (folder / "fetched" / "new").iterdir()} == texts
    assert [*(mailbox(post) / "new").iterdir(), *(mailbox(post) / "cur").iterdir()] == []


def test_curl_fetches_where_no_timestamp_leads_it_to_apop(post: Post) -> None:
    curl = installed("curl")
    put(post, "1.x.host", b"Subject: one\n\nbody\n")
    port = post.pop3(NOAPOP="")
    fetched = harness.run([curl, "-sS", "--user", "jiro:sesame", f"pop3://127.0.0.1:{port}/1"])
    assert (fetched.code, fetched.out) == (0, b"Subject: one\r\n\r\nbody\r\n\r\n"), fetched.err
