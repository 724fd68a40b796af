"""The QMQP and QMTP servers as machines: beside notqmail's, in pieces, and fed with anything."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtree.formats.envelope import pack
from svtree.formats.netstring import encode
from svtree.mail.queue.codes import explain
from svtree.mail.quick import qmqp, qmtp
from svtree.mail.quick.stream import NEED, Abandon, Begin, End, Finish, Reply, Write

if TYPE_CHECKING:
    from svtree.mail.quick.stream import Conversation

RECORDED = Path(__file__).parent / "recorded.json"
ACCEPTED = b"Kok 1764000000 qp 4321"


class Case(TypedDict):
    """What a client sent to notqmail's server, and what came of it; Latin-1. {K} is the netstring that says yes.

    control/rcpthosts held a.example; `queue` is the exit code of the qmail-queue that was used. `messages` are those
    that were handed over whole, each without the Received line, and its envelope.
    """

    program: str
    input: str
    relay: str | None
    databytes: int
    queue: int
    code: int
    out: str
    messages: list[list[str]]


CASES: list[Case] = json.loads(RECORDED.read_text())


@dataclass
class Served:
    """What a machine did until it ended."""

    code: int = -1
    replies: bytes = b""
    messages: list[tuple[bytes, bytes]] = field(default_factory=list)
    asked: int = 0


def serve(conversation: Conversation, pieces: list[bytes], answer: bytes = ACCEPTED) -> Served:
    """Feed a machine; it may ask for more once after the last piece."""
    served = Served()
    message: bytes | None = None
    action = next(conversation)
    waiting = [piece for piece in pieces if piece]
    while not isinstance(action, End):
        reply = b""
        if action is NEED:
            served.asked += 1
            reply = waiting.pop(0) if waiting else b""
        elif isinstance(action, Begin):
            assert message is None
            message = b""
        elif isinstance(action, Write):
            assert message is not None
            assert action.data
            message += action.data
        elif isinstance(action, Finish):
            assert message is not None
            served.messages.append((message, pack(action.sender, action.recipients)))
            message = None
            reply = answer
        elif isinstance(action, Abandon):
            assert message is not None
            message = None
        elif isinstance(action, Reply):
            served.replies += action.data
        action = conversation.send(reply)
    served.code = action.code
    return served


def accepts(address: bytes) -> bool:
    _, at, host = address.rpartition(b"@")
    return not at or host.lower() == b"a.example"


def machine(case: Case) -> Conversation:
    if case["program"] == "qmail-qmqpd":
        return qmqp.converse()
    relay = None if case["relay"] is None else case["relay"].encode()
    return qmtp.converse(qmtp.Policy(relay, accepts, case["databytes"]))


@pytest.mark.parametrize("size", [1, 2, 7, 100000])
@pytest.mark.parametrize("program", ["qmail-qmqpd", "qmail-qmtpd"])
def test_what_notqmail_answers_is_answered_however_the_bytes_come(program: str, size: int) -> None:
    for case in CASES:
        if case["program"] != program:
            continue
        data = case["input"].encode("latin-1")
        answer = explain(case["queue"]).encode() if case["queue"] else ACCEPTED
        served = serve(machine(case), [data[at : at + size] for at in range(0, len(data), size)], answer)
        wanted = case["out"].encode("latin-1").replace(b"{K},", encode(ACCEPTED))
        messages = [(message.encode("latin-1"), envelope.encode("latin-1")) for message, envelope in case["messages"]]
        assert served.code == case["code"], case
        # The original forgets, when a client breaks the protocol, what it has not sent yet. Ours is told of messages
        # that are in the queue, and will not send them again.
        assert served.replies == wanted or (served.code and served.replies.startswith(wanted)), case
        assert served.messages == messages, case


bytestring = st.binary(max_size=40) | st.text("\r\nab", max_size=12).map(str.encode)
address = st.binary(max_size=12).map(lambda each: each.replace(b"\0", b"0"))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


places = st.lists(st.integers(0, 300), max_size=6)


@given(bytestring, address, st.lists(address, max_size=4), places)
def test_a_message_by_qmqp_arrives_as_it_was_sent(
    message: bytes, sender: bytes, recipients: list[bytes], where: list[int]
) -> None:
    data = encode(b"".join(map(encode, [message, sender, *recipients])))
    served = serve(qmqp.converse(), cut(data, where))
    assert served.messages == [(message, pack(sender, recipients))]
    assert (served.code, served.replies) == (0, encode(ACCEPTED))


@given(st.lists(st.tuples(bytestring, address, st.lists(address, max_size=3)), max_size=3), st.booleans(), places)
def test_messages_by_qmtp_arrive_as_they_were_sent(
    messages: list[tuple[bytes, bytes, list[bytes]]], windows: bool, where: list[int]
) -> None:
    policy = qmtp.Policy(b"", accepts, 0)
    data = b""
    for message, sender, recipients in messages:
        first = b"\r" if windows else b"\n"
        data += b"".join(map(encode, [first + message, sender, b"".join(map(encode, recipients))]))
    served = serve(qmtp.converse(policy), cut(data, where))
    wanted = [(m.replace(b"\r\n", b"\n") if windows else m, pack(s, r)) for m, s, r in messages if r]
    assert served.messages == wanted
    assert served.code == 0
    assert served.replies == encode(ACCEPTED) * sum(len(recipients) for _, _, recipients in messages)


ALPHABET = st.text("0123456789:,\r\nab\0", max_size=60).map(str.encode) | st.binary(max_size=60)


@settings(max_examples=300)
@given(ALPHABET, places, st.booleans())
def test_anything_ends_and_the_same_way_however_it_comes(data: bytes, where: list[int], by_qmtp: bool) -> None:
    def made() -> Conversation:
        return qmtp.converse(qmtp.Policy(None, accepts, 5)) if by_qmtp else qmqp.converse()

    whole = serve(made(), [data])
    pieces = serve(made(), cut(data, where))
    assert whole.code in (0, 100, 111)
    assert (whole.code, whole.replies, whole.messages) == (pieces.code, pieces.replies, pieces.messages)
    assert whole.asked <= 2


def test_what_is_too_large_is_not_passed_on() -> None:
    served = serve(qmtp.converse(qmtp.Policy(b"", accepts, 10)), [encode(b"\n" + b"x" * 100000), encode(b"s")])
    assert served.messages == []


@pytest.mark.parametrize("by_qmtp", [True, False])
def test_a_client_that_names_recipients_for_ever_is_stopped(by_qmtp: bool) -> None:
    many = 200000
    recipients = encode(b"r") * many
    if by_qmtp:
        data = encode(b"\nx") + encode(b"s") + encode(recipients)
        served = serve(qmtp.converse(qmtp.Policy(None, lambda _: False, 0)), [data])
    else:
        data = encode(encode(b"x") + encode(b"s") + recipients)
        served = serve(qmqp.converse(), [data])
    assert (served.code, served.replies, served.messages) == (111, b"", [])


def test_a_client_is_asked_to_come_back_when_it_cannot_be_told_who_is_ours() -> None:
    data = encode(b"\nx") + encode(b"s") + encode(encode(b"r@a.example"))
    served = serve(qmtp.converse(qmtp.Policy(None, lambda _: None, 0)), [data])
    assert (served.code, served.replies) == (111, b"")
