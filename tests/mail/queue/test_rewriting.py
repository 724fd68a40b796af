from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.queue.rewriting import (
    LOCAL,
    REMOTE,
    Rules,
    bounce_sender,
    folded,
    rewrite,
    sender_for,
    virtual,
    without_prepend,
)

RULES = Rules(
    envnoathost=b"me.example",
    locals=folded([b"me.example", b"Local.Example"]),
    percenthack=folded([b"hack.example", b"Me.example"]),
    virtualdomains=virtual(
        [
            b"nowhere.mil:joe-foo",
            b".fax:uucp-fax",
            b".nowhere.mil:joe-foo-host",
            b"except.fax:",
            b"info@user.example:ann",
            b"no colon",
            b"twice.example:first",
            b"twice.example:last",
        ]
    ),
)
CATCH_ALL = Rules(b"me.example", folded([b"me.example"]), frozenset(), virtual([b":alias-catchall", b"out.example:"]))


@pytest.mark.parametrize(
    ("recipient", "channel", "address"),
    [
        (b"jiro@me.example", LOCAL, b"jiro@me.example"),
        (b"jiro@ME.EXAMPLE", LOCAL, b"jiro@ME.EXAMPLE"),
        (b"jiro", LOCAL, b"jiro@me.example"),
        (b"a@elsewhere.example", REMOTE, b"a@elsewhere.example"),
        (b"a@sub.me.example", REMOTE, b"a@sub.me.example"),
        (b"a%b.example@hack.example", REMOTE, b"a@b.example"),
        (b"a%b.example%hack.example@hack.example", REMOTE, b"a@b.example"),
        (b"a%local.example@me.example", LOCAL, b"a@local.example"),
        (b"a%b%c", REMOTE, b"a%b@c"),
        (b"plain@hack.example", REMOTE, b"plain@hack.example"),
        (b"info@nowhere.mil", LOCAL, b"joe-foo-info@nowhere.mil"),
        (b"info@Nowhere.Mil", LOCAL, b"joe-foo-info@Nowhere.Mil"),
        (b"info@deep.nowhere.mil", LOCAL, b"joe-foo-host-info@deep.nowhere.mil"),
        (b"555@any.fax", LOCAL, b"uucp-fax-555@any.fax"),
        (b"555@except.fax", REMOTE, b"555@except.fax"),
        (b"info@user.example", LOCAL, b"ann-info@user.example"),
        (b"other@user.example", REMOTE, b"other@user.example"),
        (b"x@twice.example", LOCAL, b"last-x@twice.example"),
        (b"a@b@me.example", LOCAL, b"a@b@me.example"),
        (b"@", REMOTE, b"@"),
    ],
)
def test_addresses_lead_where_qmail_send_says(recipient: bytes, channel: int, address: bytes) -> None:
    assert rewrite(RULES, recipient) == (channel, address)


def test_a_catch_all_takes_every_domain_but_locals_and_exceptions() -> None:
    assert rewrite(CATCH_ALL, b"a@b.example") == (LOCAL, b"alias-catchall-a@b.example")
    assert rewrite(CATCH_ALL, b"a@me.example") == (LOCAL, b"a@me.example")
    assert rewrite(CATCH_ALL, b"a@out.example") == (REMOTE, b"a@out.example")


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        (b"joe-foo-info@nowhere.mil", b"info@nowhere.mil"),
        (b"joe-foo-host-info@deep.nowhere.mil", b"info@deep.nowhere.mil"),
        (b"other-info@nowhere.mil", b"other-info@nowhere.mil"),
        (b"joe-foo@nowhere.mil", b"joe-foo@nowhere.mil"),
        (b"555@except.fax", b"555@except.fax"),
        (b"jiro@me.example", b"jiro@me.example"),
        (b"ann-info@user.example", b"ann-info@user.example"),
        (b"no at", b"no at"),
    ],
)
def test_a_bounce_shows_a_virtual_address_as_its_sender_knew_it(recipient: bytes, shown: bytes) -> None:
    assert without_prepend(RULES, recipient) == shown


@pytest.mark.parametrize(
    ("sender", "recipient", "becomes"),
    [
        (b"list-owner-@host.example-@[]", b"a@b.example", b"list-owner-a=b.example@host.example"),
        (b"list-owner-@host.example-@[]", b"a@c@b.example", b"list-owner-a@c=b.example@host.example"),
        (b"list-owner-@host.example-@[]", b"nohost", b"list-owner-@host.example-@[]"),
        (b"owner@host.example", b"a@b", b"owner@host.example"),
        (b"#@[]", b"a@b", b"#@[]"),
        (b"-@[]", b"a@b", b"-@[]"),
        (b"x@-@[]", b"a@b", b"xa=b@"),
        (b"", b"a@b", b""),
    ],
)
def test_a_verp_sender_names_the_recipient(sender: bytes, recipient: bytes, becomes: bytes) -> None:
    assert sender_for(sender, recipient) == becomes


def test_failures_of_a_verp_sender_go_to_the_owner() -> None:
    assert bounce_sender(b"list-owner-@host.example-@[]") == b"list-owner-@host.example"
    assert bounce_sender(b"#@[]") == b"#@[]"
    assert bounce_sender(b"a@b") == b"a@b"


@given(st.binary(max_size=40))
def test_every_address_leads_somewhere_and_has_a_host(recipient: bytes) -> None:
    channel, address = rewrite(RULES, recipient)
    assert channel in (LOCAL, REMOTE)
    assert b"@" in address


def test_hup_changes_locals_and_virtualdomains_alone() -> None:
    new = RULES.with_domains([b"New.example"], [b"v.example:joe"])
    assert new.envnoathost == RULES.envnoathost
    assert new.percenthack == RULES.percenthack
    assert rewrite(new, b"a@new.example") == (LOCAL, b"a@new.example")
    assert rewrite(new, b"info@nowhere.mil") == (REMOTE, b"info@nowhere.mil")
    assert rewrite(new, b"a@v.example") == (LOCAL, b"joe-a@v.example")
