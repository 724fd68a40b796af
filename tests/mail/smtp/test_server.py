from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from svtree import multicall
from svtree.mail.queue.layout import make_queue
from svtree.program import Chain
from tests import harness
from tests.mail.wire import serve

MESSAGE = b"MAIL FROM:<a@b>\r\nRCPT TO:<jiro@mail.example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"


@pytest.fixture
def home(folder: Path) -> Path:
    """A qmail directory of mail.example.com with an empty queue."""
    (folder / "control").mkdir()
    for name in ("me", "rcpthosts"):
        (folder / "control" / name).write_text("mail.example.com\n")
    make_queue(bytes(folder))
    return folder


def queued(home: Path) -> list[bytes]:
    return [path.read_bytes() for path in home.glob("queue/mess/*/*")]


def script(home: Path, text: str) -> str:
    """A program to be $QMAILQUEUE."""
    path = home / "qmail-queue"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def session(home: Path, said: bytes, **env: str) -> tuple[list[bytes], int, bytes]:
    """The server's lines without their ends, the exit code and standard error of a whole session."""
    with serve(["qmail-smtpd"], {"QMAILHOME": str(home), **env}) as served:
        served.client.sendall(said)
        served.client.shutdown(socket.SHUT_WR)
        lines = served.rest().split(b"\r\n")[:-1]
        return lines, *served.end()


def test_quit_is_exit_code_0_and_anything_else_1(home: Path) -> None:
    assert session(home, b"QUIT\r\n")[1:] == (0, b"")
    assert session(home, b"NOOP\r\n")[1:] == (1, b"")
    assert session(home, b"")[1:] == (1, b"")


def test_the_clients_address_and_names_are_in_the_header(home: Path) -> None:
    session(
        home,
        b"HELO <dude>\r\n" + MESSAGE + b"QUIT\r\n",
        TCPREMOTEIP="192.0.2.1",
        TCPREMOTEHOST="client.example",
        TCPREMOTEINFO="joe",
        TCPLOCALHOST="mail.example.com",
    )
    (message,) = queued(home)
    assert (
        b"\nReceived: from client.example (HELO ?dude?) (joe@192.0.2.1)\n  by mail.example.com with SMTP; " in message
    )


def test_a_control_file_that_cannot_be_read_is_named_in_the_log(home: Path) -> None:
    (home / "control" / "rcpthosts").unlink()
    (home / "control" / "rcpthosts").mkdir()
    lines, code, said = session(home, b"QUIT\r\n")
    assert (lines, code) == ([b"421 unable to read controls (#4.3.0)"], 1)
    assert said == b"qmail-smtpd: fatal: unable to read %b/control/rcpthosts: is a directory\n" % bytes(home)


def test_without_a_name_there_is_no_service_and_the_log_says_why(home: Path) -> None:
    (home / "control" / "me").unlink()
    lines, code, said = session(home, b"QUIT\r\n")
    assert (lines, code) == ([b"421 unable to read controls (#4.3.0)"], 1)
    assert said == b"qmail-smtpd: fatal: unable to read %b/control/me: file does not exist\n" % bytes(home)


def ask(home: Path, recipient: bytes, **env: str) -> bytes:
    """The answer to one recipient."""
    return session(home, b"MAIL FROM:<a@b>\r\nRCPT TO:<" + recipient + b">\r\nQUIT\r\n", **env)[0][2][:3]


def test_rcpthosts_takes_hosts_and_what_is_under_a_dot_in_any_case(home: Path) -> None:
    (home / "control" / "rcpthosts").write_text("# ours\nExample.com\n.sub.example\n\n")
    answers = {
        b"x@example.COM": b"250",
        b"x@www.example.com": b"553",
        b"x@a.b.sub.example": b"250",
        b"x@sub.example": b"553",
        b"x@": b"553",
        b"no-host": b"250",
        b"x@elsewhere.example@example.com": b"250",
        b"x@example.com@elsewhere.example": b"553",
        b"x%elsewhere.example@example.com": b"250",
        b'"x@elsewhere.example"': b"553",
    }
    assert {recipient: ask(home, recipient) for recipient in answers} == answers


def test_morercpthosts_takes_more_and_a_broken_one_is_named_and_loses_no_mail(home: Path) -> None:
    cdb = home / "control" / "morercpthosts.cdb"
    source = b"more.example:allow\n.under.example:allow\n"
    # A cdb whose keys are hosts, made with what is at hand.
    from svtree.formats import cdb as writer

    cdb.write_bytes(b"".join(writer.make([(line.split(b":")[0], b"") for line in source.splitlines()])))
    assert ask(home, b"x@MORE.example") == b"250"
    assert ask(home, b"x@a.under.example") == b"250"
    assert ask(home, b"x@less.example") == b"553"
    cdb.write_bytes(cdb.read_bytes()[:-8])
    lines, code, said = session(home, b"MAIL FROM:<>\r\nRCPT TO:<a@mail.example.com>\r\nRCPT TO:<a@more.example>\r\n")
    assert lines[-2:] == [b"250 ok", b"421 unable to read controls (#4.3.0)"]
    assert code == 1
    assert said.startswith(b"qmail-smtpd: warning: unable to read %b/control/morercpthosts.cdb: " % bytes(home))


def test_databytes_of_the_environment_comes_before_that_of_control(home: Path) -> None:
    (home / "control" / "databytes").write_text("5\n")
    assert session(home, MESSAGE)[0][-1].startswith(b"552 ")
    assert session(home, MESSAGE, DATABYTES="100")[0][-1].startswith(b"250 ")
    (home / "control" / "databytes").write_text("0\n")
    assert session(home, MESSAGE, DATABYTES="5")[0][-1].startswith(b"552 ")
    assert len(queued(home)) == 1


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_in_the_queue(home: Path) -> None:
    assert session(home, MESSAGE[:-3])[1] == 1
    assert session(home, MESSAGE.replace(b"x\r\n.", b"x\n."))[0][-1].startswith(b"451 See https")
    assert queued(home) == []


def test_what_another_qmail_queue_answers_is_passed_on(home: Path) -> None:
    read = "cat >/dev/null; cat <&1 >/dev/null; "
    said = {
        "exit 31": b"554 mail server permanently rejected message (#5.3.0)",
        "exit 53": b"451 qq write error or disk full (#4.3.0)",
        "kill -9 $$": b"451 qq crashed (#4.3.0)",
    }
    for command, answer in said.items():
        program = script(home, read + command)
        assert session(home, MESSAGE, QMAILQUEUE=program)[0][-1] == answer, command


def test_a_silent_client_is_told_so_and_its_message_forgotten(home: Path) -> None:
    (home / "control" / "timeoutsmtpd").write_text("3\n")
    with serve(["qmail-smtpd"], {"QMAILHOME": str(home)}) as served:
        served.client.sendall(MESSAGE[:-3])
        assert served.rest().endswith(b"354 go ahead\r\n451 timeout (#4.4.2)\r\n")
        assert served.end() == (1, b"")
    assert queued(home) == []


def test_a_client_that_takes_no_answers_is_left_after_the_time_limit(home: Path) -> None:
    (home / "control" / "timeoutsmtpd").write_text("1\n")
    with serve(["qmail-smtpd"], {"QMAILHOME": str(home)}) as served:
        served.client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                served.client.send(b"HELP\r\n" * 10000)
        harness.until(lambda: served.process.poll() is not None)
        assert served.process.returncode == 1


def test_answers_to_commands_in_one_packet_come_in_one_packet(home: Path) -> None:
    with serve(["qmail-smtpd"], {"QMAILHOME": str(home)}) as served:
        served.line()
        served.client.sendall(b"NOOP\r\n" * 50)
        harness.until(lambda: len(served.client.recv(65536, socket.MSG_PEEK)) == 50 * len(b"250 ok\r\n"))
        assert served.client.recv(65536) == b"250 ok\r\n" * 50


def test_a_large_message_passes_through_little_memory(home: Path) -> None:
    counted = home / "counted"
    program = script(home, f"wc -c >{counted}; cat <&1 >/dev/null; exit 0")
    block = (b"x" * 76 + b"\r\n") * 1024
    with serve(["qmail-smtpd"], {"QMAILHOME": str(home), "QMAILQUEUE": program}) as served:
        served.client.sendall(MESSAGE[:-3])
        for _ in range(400):
            served.client.sendall(block)
        served.client.sendall(b".\r\n")
        answers = b""
        while answers.count(b"\n") < 5:
            answers += served.client.recv(4096)
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        assert served.ask(b"QUIT") == b"221 mail.example.com\r\n"
        assert served.end()[0] == 0
    assert b"250 ok" in answers.splitlines()[-1]
    assert int(counted.read_text()) > 400 * 1024 * 77
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    # 32 MB have passed.
    assert peak < 30_000


def test_over_pipes_instead_of_a_socket_it_is_the_same(home: Path) -> None:
    found = harness.run(
        [harness.ours("qmail-smtpd")], stdin=b"HELP\r\n" * 3000 + b"QUIT\r\n", env={"QMAILHOME": str(home)}
    )
    assert found.code == 0
    assert found.out.count(b"214 notqmail") == 3000
    assert found.out.endswith(b"221 mail.example.com\r\n")


def in_this_process(environ: dict[bytes, bytes], said: bytes) -> tuple[int | Chain, list[bytes]]:
    """A session of qmail-smtpd without a process of its own, as tcpserver's standing workers have it."""
    kept = os.dup(0), os.dup(1)
    client, server = socket.socketpair()
    with client, server:
        client.sendall(said)
        try:
            for standard in (0, 1):
                os.dup2(server.fileno(), standard)
            code = multicall.call("qmail-smtpd", [b"qmail-smtpd"], environ)
        finally:
            for standard, copy in enumerate(kept):
                os.dup2(copy, standard)
                os.close(copy)
        server.close()
        with client.makefile("rb") as answers:
            return code, [line[:3] for line in answers]


def test_one_process_serves_client_after_client_and_keeps_nothing(home: Path) -> None:
    plain = {b"QMAILHOME": bytes(home), b"PATH": harness.PATH.encode()}
    said = b"MAIL FROM:<a@b>\r\nRCPT TO:<x@where.example>\r\nDATA\r\nNOOP\r\n.\r\nQUIT\r\n"
    accepted = (0, [b"220", b"250", b"250", b"354", b"250", b"221"])
    refused = (0, [b"220", b"250", b"553", b"503", b"250", b"502", b"221"])
    too_big = (0, [b"220", b"250", b"250", b"354", b"552", b"221"])
    assert in_this_process({**plain, b"RELAYCLIENT": b"", b"DATABYTES": b"1"}, said) == too_big
    assert in_this_process(plain, said) == refused
    assert in_this_process({**plain, b"RELAYCLIENT": b""}, said) == accepted
    assert in_this_process(plain, said) == refused
    assert len(queued(home)) == 1


def test_an_option_is_a_misunderstanding(home: Path) -> None:
    found = harness.run([harness.ours("qmail-smtpd"), "-x"], env={"QMAILHOME": str(home)})
    assert (found.code, found.out) == (100, b"")
    assert found.err.startswith(b"qmail-smtpd: usage: ")
