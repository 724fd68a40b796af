"""Every log that was recorded from qmail's qmail-send comes out the same from ours: real processes on a real queue."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.golden import exchange
from tests.harness import Processes, free_port, until
from tests.mail.delivery.nameserver import NameServer, own_network
from tests.mail.queue.post import HOST, Post, normalised

SENDER = f"anonymous@{HOST}"
JIRO = f"jiro@{HOST}"
# A message as qmail-inject made it from "to: ADDRESS" and nothing else.
INJECTED = (
    "Date: 23 Nov 2026 23:02:10 -0000\nMessage-ID: <20261123230210.9489.qmail@mail.example.com>\n"
    "From: anonymous@mail.example.com\nto: {}\n"
)


class System(Post):
    """A mail system whose programs may be given more environment."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        super().__init__(folder, processes)
        self.more: dict[str, str] = {}

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().env({**self.more, **(more or {})})


@pytest.fixture
def system(folder: Path, processes: Processes) -> Iterator[System]:
    """A mail system with the one user of the recordings, not running yet."""
    made = System(folder, processes)
    made.user("jiro")
    yield made
    if made.running is not None and made.running.poll() is None:
        made.stop()


def recorded(name: str) -> list[str]:
    """The log of a recording: without its heading and the command that was typed."""
    return [line for line in _text(name).splitlines() if not line.startswith(("# ", "$ "))]


def _text(name: str) -> str:
    return (exchange.DATA / f"{name}.txt").read_text()


def send(system: System, recipients: Sequence[str], sender: str) -> None:
    """Queue the message that was sent when it was recorded."""
    assert system.queue(recipients, sender, INJECTED.format(recipients[0]).encode()).code == 0


def set_up_alias(system: System, name: str) -> None:
    """Have the .qmail file that the recording's heading shows, if it shows one."""
    shown = re.match(r"# alias/\.qmail-(\w+): (.*)", _text(name))
    if shown is not None:
        # A semicolon is the end of a line there, but for the shell's, which a space comes after.
        text = re.sub(r";(?! )", "\n", shown[2])
        (system.home / "alias" / f".qmail-{shown[1]}").write_text(text)


# ------------------------------------------------------------------------------------ scenes: what led to a recording


def bounced(sender: str, recipient: str, *, postmaster: bool = False) -> Callable[[System, str], list[str]]:
    """One message, until the queue is empty again."""

    def play(system: System, name: str) -> list[str]:
        if postmaster:
            system.alias("postmaster", "&jiro")
        set_up_alias(system, name)
        system.start()
        send(system, [recipient], sender)
        system.empty()
        return system.log()[1:]

    return play


def deferred(recipient: str, sender: str) -> Callable[[System, str], list[str]]:
    """One message, until it has been deferred."""

    def play(system: System, name: str) -> list[str]:
        set_up_alias(system, name)
        system.start()
        send(system, [recipient], sender)
        return until_deferred(system, 1)

    return play


def until_deferred(system: System, times: int) -> list[str]:
    """The log, once so many attempts were deferred and what runs was told for the last time."""
    system.seen(r"^delivery \d+: deferral: ", times)
    until(lambda: system.log()[-1] == "status: local 0/10 remote 0/20", what="no delivery runs")
    return system.log()[1:]


def sticky(system: System, name: str) -> list[str]:
    home = system.home / "home" / "jiro"
    home.chmod(0o1700)
    system.start()
    send(system, [JIRO], SENDER)
    return until_deferred(system, 1)


def alarm(system: System, name: str) -> list[str]:
    before = sticky(system, name)
    (system.home / "home" / "jiro").chmod(0o700)
    system.signal(signal.SIGALRM)
    system.empty()
    assert len(system.mail("jiro")) == 1
    return system.log()[1 + len(before) :]


def refused(system: System, name: str) -> list[str]:
    system.control("smtproutes", f":[127.0.0.1]:{free_port()}")
    system.start()
    send(system, ["b@remote.example", "a@remote.example"], SENDER)
    return until_deferred(system, 2)


def unknown_host(system: System, name: str) -> list[str]:
    with NameServer(f"{own_network()}.70", {}) as names:
        system.more["DNSCACHEIP"] = names.address
        shown = bounced(SENDER, "a@no-such-host.invalid", postmaster=True)(system, name)
        assert {asked for asked, _ in names.asked} == {"no-such-host.invalid."}
        return shown


def hup(system: System, name: str) -> list[str]:
    """What is logged from the signal on, but for a message that shows that the new locals are in force."""
    system.start()
    before = len(system.log())
    system.control("locals", f"{HOST}\nnew.example")
    system.signal(signal.SIGHUP)
    signalled = system.log()[before:]
    send(system, ["jiro@new.example"], SENDER)
    system.empty()
    success = [line.replace(JIRO, "jiro@new.example") for line in recorded("send-local-success")]
    assert normalised(system.log()[before + len(signalled) :]) == normalised(success)
    return signalled


def term(system: System, name: str) -> list[str]:
    system.start()
    before = len(system.log())
    assert system.stop() == 0
    return system.log()[before:]


def bounce_text(system: System, name: str) -> list[str]:
    """The bounce itself, in the form of the recording: "$" at the ends of lines."""
    system.start()
    send(system, [f"nouser@{HOST}"], JIRO)
    system.empty()
    (bounce,) = system.mail("jiro")
    return [f"{line}$" for line in bounce.decode().splitlines()]


SCENES: dict[str, Callable[[System, str], list[str]]] = {
    "send-local-success": bounced(SENDER, JIRO),
    "send-bounce": bounced(JIRO, f"nouser@{HOST}"),
    "send-bounce-message": bounce_text,
    "send-double-bounce": bounced(f"nosuch@{HOST}", f"nouser@{HOST}", postmaster=True),
    "send-triple-bounce": bounced(f"nosuch@{HOST}", f"nouser@{HOST}"),
    "send-deferral-sticky": sticky,
    "send-alarm": alarm,
    "send-remote-deferral": refused,
    "send-address-literal": bounced(SENDER, "a@[127.0.0.1]", postmaster=True),
    "send-dns": unknown_host,
    "send-hup": hup,
    "send-exit": term,
    "send-dotqmail-pipe99": bounced(JIRO, f"pipe99@{HOST}"),
    "send-dotqmail-pipe100": bounced(JIRO, f"pipe100@{HOST}"),
    "send-dotqmail-pipe111": deferred(f"pipe111@{HOST}", JIRO),
    "send-dotqmail-two": bounced(JIRO, f"two@{HOST}"),
    "send-dotqmail-empty": deferred(f"empty@{HOST}", JIRO),
    "send-dotqmail-loop": bounced(JIRO, f"loop@{HOST}"),
}
# Two deliveries or messages were under way at once in these, and which is told first is a matter of moments.
AT_ONCE = frozenset(
    {
        "send-double-bounce",
        "send-remote-deferral",
        "send-address-literal",
        "send-dns",
        "send-dotqmail-two",
        "send-dotqmail-loop",
    }
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.root] * (name == "send-dns")) for name in exchange.names("send-")],
)
def test_the_log_is_as_recorded(name: str, system: System) -> None:
    shown, wanted = SCENES[name](system, name), recorded(name)
    if name == "send-bounce-message":
        assert dateless(shown) == dateless(wanted)
    elif name in AT_ONCE:
        assert by_message(shown) == by_message(wanted)
        for lines in (shown, wanted):
            assert [line for line in lines if line.startswith("status:")] == counted(lines)
    else:
        assert normalised(shown) == normalised(wanted)


def by_message(lines: list[str]) -> list[list[str]]:
    """Each message's own lines, in their order; all of them but those of "status:"."""
    found: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for line in normalised(lines):
        if line.startswith("status:"):
            continue
        message, delivery = re.search(r"M\d+|M\?", line), re.search(r"D\d+", line)
        if message and delivery:
            owner[delivery[0]] = message[0]
        key = message[0] if message else owner[delivery[0]] if delivery else "others"
        found.setdefault(key, []).append(re.sub(r"\b[MD]\d+", "N", line))
    return sorted(found.values())


def counted(lines: list[str]) -> list[str]:
    """The status lines that have to be there: one after each beginning and end of a delivery, with what runs then."""
    running: dict[str, str] = {}
    told = []
    for line in lines:
        if begun := re.match(r"starting delivery (\d+): msg \d+ to (local|remote) ", line):
            running[begun[1]] = begun[2]
        elif ended := re.match(r"delivery (\d+): ", line):
            del running[ended[1]]
        else:
            continue
        used = [sum(each == channel for each in running.values()) for channel in ("local", "remote")]
        told.append(f"status: local {used[0]}/10 remote {used[1]}/20")
    return told


def dateless(lines: list[str]) -> list[str]:
    """Lines of a message without dates, and the numbers of processes and users."""
    text = "\n".join(lines)
    text = re.sub(r"\d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000", "DATE", text)
    return re.sub(r"\(qmail \d+ ", "(qmail P ", re.sub(r"by uid \d+", "by uid U", text)).splitlines()
