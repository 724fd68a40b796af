"""The control files of qmail-send: qmail-send(8), and getcontrols() in qmail-send.c for what is missing."""

from __future__ import annotations

from svtree.formats.record import record
from svtree.mail.controls import ControlError, Controls
from svtree.mail.queue import rewriting
from svtree.mail.queue.bouncetext import Postmaster

WEEK = 604800
CONCURRENCY = (("concurrencylocal", 10), ("concurrencyremote", 20))


@record
class Settings:
    """Seconds a message may stay in the queue, deliveries at once (local, remote), addresses, bounces."""

    lifetime: int
    concurrency: tuple[int, int]
    rules: rewriting.Rules
    postmaster: Postmaster


def read(controls: Controls) -> Settings:
    """All of them; ControlError where one cannot be read, or where locals and me are both missing."""
    local, remote = (controls.number(name, default) for name, default in CONCURRENCY)
    return Settings(
        lifetime=controls.number("queuelifetime", WEEK),
        concurrency=(local, remote),
        rules=rewriting.Rules(
            envnoathost=_or_me(controls, "envnoathost"),
            locals=rewriting.folded(_locals(controls)),
            percenthack=rewriting.folded(controls.lines("percenthack") or []),
            virtualdomains=rewriting.virtual(controls.lines("virtualdomains") or []),
        ),
        postmaster=Postmaster(
            bouncefrom=controls.line("bouncefrom", b"MAILER-DAEMON") or b"",
            bouncehost=_or_me(controls, "bouncehost"),
            doublebounceto=b"%s@%s"
            % (controls.line("doublebounceto", b"postmaster") or b"", _or_me(controls, "doublebouncehost")),
        ),
    )


def reread(controls: Controls, rules: rewriting.Rules) -> rewriting.Rules:
    """What HUP reads again, locals and virtualdomains, in the place of what was; ControlError changes nothing."""
    return rules.with_domains(_locals(controls), controls.lines("virtualdomains") or [])


def _locals(controls: Controls) -> list[bytes]:
    names = controls.lines("locals")
    if names is not None:
        return names
    me = controls.me()
    if me is None:
        raise ControlError("neither control/locals nor control/me is there")
    return [me]


def _or_me(controls: Controls, name: str) -> bytes:
    value = controls.line_or_me(name)
    return name.encode() if value is None else value
