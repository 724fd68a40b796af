"""The programs for .qmail files, in .qmail files that qmail-local obeys."""

from __future__ import annotations

import re

from tests.harness import Result
from tests.mail.delivery.home import HOST, Home

MESSAGE = b"Subject: for joe\n\nhi\n"


def deliver(home: Home, *lines: str, message: bytes = MESSAGE) -> Result:
    home.write(".qmail", "".join(line + "\n" for line in lines))
    return home.deliver(message, sender=f"saburo@{HOST}")


def test_condredirect_sends_a_message_on_and_ends_the_file(home: Home) -> None:
    done = deliver(home, f"|condredirect fred@{HOST} grep -q ^Subject:.*joe", "./Maildir/")
    assert done.code == 0
    assert re.fullmatch(rb"did 0\+0\+1\n", done.out)
    assert re.fullmatch(rb"condredirect: qp \d+\n", done.err)
    assert home.mails() == []
    message, envelope = home.queued()
    assert message == f"Delivered-To: joe@{HOST}\n".encode() + MESSAGE
    assert envelope == [f"Fsaburo@{HOST}".encode(), f"Tfred@{HOST}".encode(), b"", b""]


def test_condredirect_leaves_what_the_program_does_not_want_and_forward_does_not_ask(home: Home) -> None:
    done = deliver(home, "|condredirect a@b grep -q ^Subject:.*urgent", f"|forward fred@{HOST} c@d", "./Maildir/")
    assert (done.code, done.out) == (0, b"did 1+0+2\n")
    assert re.fullmatch(rb"forward: qp \d+\n", done.err)
    assert len(home.mails()) == 1
    message, envelope = home.queued()
    assert message == f"Delivered-To: joe@{HOST}\n".encode() + MESSAGE
    assert envelope == [f"Fsaburo@{HOST}".encode(), f"Tfred@{HOST}".encode(), b"Tc@d", b"", b""]


def test_bouncesaying_bounces_with_its_words_and_except_turns_the_question(home: Home) -> None:
    done = deliver(home, "|bouncesaying 'No hay fever, please.' except grep -q hayfever", "./Maildir/")
    assert done == Result(100, b"", b"No hay fever, please.\n")
    assert home.mails() == []


def test_a_program_that_cannot_say_keeps_the_message_in_the_queue(home: Home) -> None:
    done = deliver(home, "|bouncesaying no sh -c 'exit 111'", "./Maildir/")
    assert done == Result(111, b"", b"bouncesaying: fatal: temporary child error\n")


def test_preline_gives_a_program_the_lines_of_an_mbox(home: Home) -> None:
    done = deliver(home, "|preline sh -c 'cat > saved'")
    assert (done.code, done.err) == (0, b"")
    first, rest = (home.path / "saved").read_text().split("\n", 1)
    assert first.startswith(f"From saburo@{HOST} ")
    assert rest == f"Return-Path: <saburo@{HOST}>\nDelivered-To: joe@{HOST}\n" + MESSAGE.decode()


def test_qsmhook_fills_in_the_arguments(home: Home) -> None:
    done = deliver(home, """|qsmhook -n sh -c 'echo "$@"; cat' sh -f %g %u@%h""")
    assert done.out == f"-f saburo@{HOST} joe@{HOST}\n".encode() + MESSAGE + b"did 0+0+1\n"


def test_qreceipt_thanks_who_asked_for_it(home: Home) -> None:
    asking = f"Notice-Requested-Upon-Delivery-To: joe@{HOST}\nMessage-ID: <1@x>\n\nhi\n".encode()
    done = deliver(home, f"|qreceipt joe@{HOST}", "./Maildir/", message=asking)
    assert done == Result(0, b"did 1+0+1\n", b"")
    note, envelope = home.queued()
    assert note.endswith(b". Thanks for asking.\nYour Message-ID: <1@x>\n")
    assert envelope == [b"F", f"Tsaburo@{HOST}".encode(), b"", b""]


def test_a_message_that_the_queue_does_not_take_is_delivered_again_later(home: Home) -> None:
    home.queue(53)
    done = deliver(home, "./Maildir/", f"|forward fred@{HOST}")
    assert done == Result(111, b"", b"forward: fatal: qq write error or disk full (#4.3.0)\n")
