from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.smtp import extensions, table
from svtree.mail.smtp.actions import Begin, Check, End, Policy, Reply, StartTls
from svtree.mail.smtp.extensions import ExtensionError, Extensions, Parameters, parse
from svtree.mail.smtp.sasl import Challenge, Login, Sasl, SaslError
from svtree.mail.smtp.session import Session

ALL = parse([b"size", b"starttls", b"auth", b"smtputf8", b"enhancedstatuscodes"])
CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"


def policy(offered: Extensions = ALL, **more: object) -> Policy:
    fields: dict[str, object] = {
        "greeting": b"mail.example.com",
        "remote_host": b"unknown",
        "literal_host": b"mail.example.com",
        "here": frozenset(),
        "relay": None,
        "accepts": lambda address: address.endswith(b"@mail.example.com"),
        "bad_senders": frozenset(),
        "databytes": 1000,
        "extensions": offered,
        "certified": True,
        "challenge": lambda: CHALLENGE,
    }
    return Policy(**{**fields, **more})  # type: ignore[arg-type] # a test's shorthand


class Talk:
    """A session in which `outcomes` come of logins, one after the other."""

    def __init__(self, rules: Policy, outcomes: tuple[str, ...] = ()) -> None:
        self.session = Session(rules)
        self.logins: list[Login] = []
        self.begun: list[Begin] = []
        self.handshakes = 0
        self.code: int | None = None
        self._outcomes = list(outcomes)

    def say(self, data: bytes) -> list[bytes]:
        said = b""
        actions = self.session.receive(data)
        while actions:
            more = []
            for action in actions:
                if isinstance(action, Reply):
                    said += action.data
                elif isinstance(action, StartTls):
                    self.handshakes += 1
                    more = self.session.secured()
                elif isinstance(action, Check):
                    self.logins.append(action.login)
                    more = self.session.checked(self._outcomes.pop(0))
                elif isinstance(action, Begin):
                    self.begun.append(action)
                    more = self.session.begun()
                elif isinstance(action, End):
                    self.code = action.code
            actions = more
        return said.split(b"\r\n")[:-1]


def b64(text: bytes) -> bytes:
    return base64.b64encode(text)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], Extensions()),
        ([b"size", b"SIZE"], Extensions(frozenset({b"size"}))),
        ([b"auth cram-md5 plain"], Extensions(frozenset({b"auth"}), (b"CRAM-MD5", b"PLAIN"))),
    ],
)
def test_the_control_files_words_are_understood(lines: list[bytes], found: Extensions) -> None:
    assert parse(lines) == found


@pytest.mark.parametrize("line", [b"startls", b"size 5", b"auth gssapi"])
def test_a_mistyped_word_is_an_error_and_not_silently_off(line: bytes) -> None:
    with pytest.raises(ExtensionError, match="unknown"):
        parse([line])


def test_without_the_file_ehlo_is_qmail_smtpds_and_the_new_verbs_are_unknown() -> None:
    talk = Talk(policy(Extensions()))
    assert talk.say(b"EHLO x\r\nSTARTTLS\r\nAUTH PLAIN\r\n") == [
        b"250-mail.example.com",
        b"250-PIPELINING",
        b"250 8BITMIME",
        b"502 unimplemented (#5.5.1)",
        b"502 unimplemented (#5.5.1)",
    ]
    assert talk.say(b"MAIL FROM:<a@b> SIZE=99999 NONSENSE\r\n") == [b"250 ok"]


def test_ehlo_offers_passwords_only_within_tls_and_starttls_only_before() -> None:
    talk = Talk(policy())
    assert talk.say(b"EHLO x\r\n") == [
        b"250-mail.example.com",
        b"250-PIPELINING",
        b"250-8BITMIME",
        b"250-SIZE 1000",
        b"250-STARTTLS",
        b"250-SMTPUTF8",
        b"250 ENHANCEDSTATUSCODES",
    ]
    assert talk.say(b"AUTH PLAIN AGEAYg==\r\n") == [b"538 5.7.11 encryption required for that auth type"]
    assert talk.say(b"STARTTLS\r\n") == [b"220 2.0.0 ready for tls"]
    assert b"250-AUTH PLAIN LOGIN" in talk.say(b"EHLO x\r\n")
    assert talk.say(b"STARTTLS\r\n") == [b"503 5.5.1 this connection is secure already"]
    assert talk.handshakes == 1


def test_cram_md5_is_offered_where_every_secret_is_known_or_it_is_asked_for() -> None:
    assert b"250-AUTH CRAM-MD5" in Talk(policy(secrets_known=True)).say(b"EHLO x\r\n")
    assert Talk(policy(parse([b"auth cram-md5", b"starttls"]))).say(b"EHLO x\r\n")[-1] == b"250 AUTH CRAM-MD5"
    assert Talk(policy(parse([b"auth"]))).say(b"EHLO x\r\n")[-1] == b"250 AUTH PLAIN LOGIN"


def test_what_is_sent_behind_starttls_before_the_handshake_is_never_heard() -> None:
    talk = Talk(policy())
    injected = b"EHLO x\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\nRCPT TO:<jiro@mail.example.com>\r\nRSET\r\n"
    assert talk.say(injected)[-1] == b"220 2.0.0 ready for tls"
    assert talk.say(b"RCPT TO:<jiro@mail.example.com>\r\n") == [b"503 5.5.1 MAIL first"]


def test_starttls_without_a_certificate_is_put_off() -> None:
    talk = Talk(policy(certified=False))
    assert b"250-STARTTLS" not in talk.say(b"EHLO x\r\n")
    assert talk.say(b"STARTTLS\r\n") == [b"454 4.3.0 TLS not available"]
    assert talk.say(b"STARTTLS now\r\n") == [b"501 5.5.4 STARTTLS takes no argument"]


@pytest.mark.parametrize(
    ("lines", "login"),
    [
        ([b"AUTH PLAIN " + b64(b"\0jiro\0sesame")], Login(b"jiro", b"sesame")),
        ([b"auth plain", b64(b"jiro\0jiro\0sesame")], Login(b"jiro", b"sesame")),
        ([b"AUTH LOGIN", b64(b"jiro"), b64(b"sesame")], Login(b"jiro", b"sesame")),
        ([b"AUTH LOGIN " + b64(b"jiro"), b64(b"sesame")], Login(b"jiro", b"sesame")),
        ([b"AUTH CRAM-MD5", b64(b"jiro abc")], Login(b"jiro", CHALLENGE, b"abc")),
    ],
)
def test_each_mechanism_comes_to_a_login_and_then_any_recipient_is_taken(lines: list[bytes], login: Login) -> None:
    talk = Talk(policy(secure=True, secrets_known=True), ("accepted",))
    talk.say(b"EHLO x\r\n")
    refused = talk.say(b"MAIL FROM:<a@b>\r\nRCPT TO:<x@elsewhere.example>\r\nRSET\r\n")[1]
    assert refused.startswith(b"553 5.7.1 ")
    for line in lines[:-1]:
        assert talk.say(line + b"\r\n")[0][:4] == b"334 "
    assert talk.say(lines[-1] + b"\r\n") == [b"235 2.7.0 ok, go ahead"]
    assert talk.logins == [login]
    assert talk.say(lines[0] + b"\r\n") == [b"503 5.5.1 you are authenticated already"]
    assert talk.say(b"MAIL FROM:<a@b>\r\nRCPT TO:<x@elsewhere.example>\r\nDATA\r\n") == [
        b"250 2.1.0 ok",
        b"250 2.1.5 ok",
        b"354 go ahead",
    ]
    assert talk.begun == [Begin(b"x", b"ESMTPSA")]


def test_challenges_are_what_clients_wait_for() -> None:
    talk = Talk(policy(secure=True, secrets_known=True), ("refused",))
    assert talk.say(b"AUTH LOGIN\r\n") == [b"334 " + b64(b"Username:")]
    assert talk.say(b64(b"jiro") + b"\r\n") == [b"334 " + b64(b"Password:")]
    assert talk.say(b"*\r\n") == [b"501 5.7.0 auth exchange canceled"]
    assert talk.say(b"AUTH CRAM-MD5\r\n") == [b"334 " + b64(CHALLENGE)]
    assert talk.say(b"*\r\n") == [b"501 5.7.0 auth exchange canceled"]
    assert talk.say(b"AUTH PLAIN\r\n") == [b"334 "]


@pytest.mark.parametrize(
    "line",
    [
        b"AUTH PLAIN =",
        b"AUTH PLAIN !!!",
        b"AUTH PLAIN " + b64(b"jiro\0sesame"),
        b"AUTH PLAIN " + b64(b"root\0jiro\0sesame"),
        b"AUTH PLAIN " + b64(b"\0jiro\0"),
        b"AUTH PLAIN " + b64(b"\0" + b"x" * 600 + b"\0sesame"),
        b"AUTH CRAM-MD5 " + b64(b"jiro abc"),
    ],
)
def test_what_is_no_answer_is_told_so_and_nobody_is_asked(line: bytes) -> None:
    talk = Talk(policy(secure=True, secrets_known=True))
    assert talk.say(line + b"\r\n") == [b"501 5.5.4 malformed auth input"]
    assert talk.logins == []


def test_the_third_failure_closes_the_connection() -> None:
    talk = Talk(policy(secure=True), ("refused", "cannot tell", "refused", "refused"))
    line = b"AUTH PLAIN " + b64(b"\0jiro\0x") + b"\r\n"
    assert [talk.say(line)[0][:3] for _ in range(4)] == [b"535", b"454", b"535", b"421"]
    assert talk.code == 1


def test_no_login_within_a_message() -> None:
    talk = Talk(policy(secure=True))
    talk.say(b"EHLO x\r\nMAIL FROM:<a@b>\r\n")
    assert talk.say(b"AUTH PLAIN\r\n") == [b"503 5.5.1 no auth during a mail transaction"]


@pytest.mark.parametrize(
    ("argument", "answer"),
    [
        (b"<a@b> SIZE=1000", b"250 2.1.0 ok"),
        (b"<a@b> size=1001", b"552 5.3.4 sorry, that message size exceeds my databytes limit"),
        (b"<a@b> SIZE=x", b"555 5.5.4 syntax error"),
        (b"<a@b> SIZE", b"555 5.5.4 syntax error"),
        (b"<a@b> BODY=8BITMIME SMTPUTF8 AUTH=<>", b"250 2.1.0 ok"),
        (b"<a@b> RET=HDRS", b"555 5.5.4 syntax error"),
        (b'<"a> SIZE=x"@b>', b"250 2.1.0 ok"),
        (b"<>", b"250 2.1.0 ok"),
        (b"a@b SIZE=5", b"250 2.1.0 ok"),
    ],
)
def test_the_parameters_of_mail(argument: bytes, answer: bytes) -> None:
    assert Talk(policy()).say(b"MAIL FROM:" + argument + b"\r\n") == [answer]


def test_the_word_for_the_received_line_tells_how_the_message_came() -> None:
    def word(before: bytes, rules: Policy) -> bytes:
        talk = Talk(rules)
        talk.say(before + b"\r\nRCPT TO:<jiro@mail.example.com>\r\nDATA\r\n")
        return talk.begun[0].protocol

    assert word(b"HELO x\r\nMAIL FROM:<a@b>", policy()) == b"SMTP"
    assert word(b"EHLO x\r\nMAIL FROM:<a@b>", policy()) == b"ESMTP"
    assert word(b"EHLO x\r\nMAIL FROM:<a@b>", policy(Extensions())) == b"SMTP"
    assert word(b"EHLO x\r\nMAIL FROM:<a@b>", policy(secure=True)) == b"ESMTPS"
    assert word(b"EHLO x\r\nMAIL FROM:<\xc3\xa9@b> SMTPUTF8", policy(secure=True)) == b"UTF8SMTPS"


def test_a_recipient_without_a_mailbox_is_refused_before_the_message() -> None:
    asked = []

    def exists(address: bytes) -> bool:
        asked.append(address)
        return address != b"nobody@mail.example.com"

    talk = Talk(policy(Extensions(), exists=exists))
    assert talk.say(b"MAIL FROM:<>\r\nRCPT TO:<nobody@mail.example.com>\r\nRCPT TO:<x@y>\r\n") == [
        b"250 ok",
        b"550 sorry, no mailbox here by that name. (#5.1.1)",
        b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    ]
    assert asked == [b"nobody@mail.example.com"]


def test_every_reply_has_a_code_of_its_own_class_when_codes_are_on() -> None:
    for step, outcomes in table.STEPS.items():
        for reply, _ in outcomes.values():
            said = extensions.enhanced(reply, step)
            if reply[:1] in b"245" and step not in {table.HELLO, table.EXTENDED_HELLO, table.SECURITY}:
                assert said[4:6] == reply[:1] + b".", said


@given(st.binary(max_size=80))
def test_whatever_stands_behind_mail_is_parameters_or_a_syntax_error(argument: bytes) -> None:
    found = extensions.parameters(argument, ALL)
    assert found is None or isinstance(found, Parameters)


@given(st.sampled_from([b"PLAIN", b"LOGIN", b"CRAM-MD5"]), st.lists(st.binary(max_size=40), min_size=1, max_size=4))
def test_whatever_a_client_answers_is_a_login_a_question_or_an_error(mechanism: bytes, answers: list[bytes]) -> None:
    sasl = Sasl(mechanism, CHALLENGE)
    step: Challenge | Login | str = sasl.start(None)
    for answer in answers:
        if isinstance(step, Challenge):
            try:
                step = sasl.answer(answer)
            except SaslError as error:
                step = str(error)
    if isinstance(step, str):
        assert step in table.STEPS[table.AUTHENTICATION]
    else:
        assert isinstance(step, Challenge) or step.packed().count(b"\0") == 3


@given(st.binary(max_size=600))
def test_any_session_with_everything_on_stays_in_its_states(data: bytes) -> None:
    talk = Talk(policy(secure=True, secrets_known=True), ("refused",) * 600)
    said = talk.say(data)
    assert all(line[:3].isdigit() for line in said)


def test_the_digest_is_that_of_rfc_2195() -> None:
    from svtree.mail import passwords

    digest = hmac.digest(b"tanstaaftanstaaf", CHALLENGE, "md5").hex().encode()
    assert digest == b"b913a602c7eda7a495b4e6e7334d3890"
    assert passwords.opens(b"{PLAIN}tanstaaftanstaaf", CHALLENGE, digest)
    assert not passwords.opens(b"{PLAIN}tanstaaftanstaaf", CHALLENGE, b"0" + digest[1:])
    assert not passwords.opens(b"{PLAIN}tanstaaftanstaaf", CHALLENGE, b"")


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
def test_whatever_is_in_the_control_file_it_is_words_or_an_error_that_names_them(lines: list[bytes]) -> None:
    try:
        found = parse(lines)
    except ExtensionError as error:
        assert str(error).startswith("unknown ")  # noqa: PT017 - either outcome is right
    else:
        assert found.words <= extensions.WORDS


def test_where_a_login_is_required_nobody_sends_without_one() -> None:
    talk = Talk(policy(login_required=True, secure=True, relay=b""), ("refused", "accepted"))
    refused = b"530 5.7.0 sorry, log in first\r\n"
    assert talk.say(b"EHLO x\r\n")[-1] == b"250 ENHANCEDSTATUSCODES"
    for _ in range(2):
        assert talk.say(b"MAIL FROM:<a@b>\r\n") == [refused.rstrip()]
        assert talk.say(b"RCPT TO:<c@mail.example.com>\r\n") == [b"503 5.5.1 MAIL first"]
        if not talk.logins:
            talk.say(b"AUTH PLAIN AGEAYg==\r\n")
    talk.say(b"AUTH PLAIN AGEAYg==\r\n")
    assert talk.say(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@elsewhere>\r\n") == [b"250 2.1.0 ok", b"250 2.1.5 ok"]
