"""Where an address leads: local or remote, and under which name. Pure.

Follows addresses(5), qmail-send(8) and rewrite(), senderadd() and stripvdomprepend() in qmail-send.c.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCAL = 0
REMOTE = 1
# The sender of a bounce of a bounce; what cannot be delivered from it is dropped.
DOUBLE_BOUNCE = b"#@[]"
# The end of a sender that stands for a different one for each recipient (VERP).
VERP = b"-@[]"


@record
class Rules:
    """The control files that decide: names in lower case; a virtual domain or user with what to prepend."""

    envnoathost: bytes
    locals: frozenset[bytes]
    percenthack: frozenset[bytes]
    virtualdomains: Mapping[bytes, bytes]

    def with_domains(self, names: Iterable[bytes], virtualdomains: Iterable[bytes]) -> Rules:
        """These rules with locals and virtualdomains read anew, as HUP has it."""
        return Rules(self.envnoathost, folded(names), self.percenthack, virtual(virtualdomains))


def folded(names: Iterable[bytes]) -> frozenset[bytes]:
    """A list of names in the form that `Rules` holds."""
    return frozenset(name.lower() for name in names)


def virtual(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    """The lines of control/virtualdomains, NAME:PREPEND. A line without colon counts for nothing, the last one wins."""
    found = {}
    for line in lines:
        name, colon, prepend = line.partition(b":")
        if colon:
            found[name.lower()] = prepend
    return found


def rewrite(rules: Rules, recipient: bytes) -> tuple[int, bytes]:
    """LOCAL or REMOTE, and the address to deliver to."""
    address = recipient if b"@" in recipient else recipient + b"@" + rules.envnoathost
    at = address.rindex(b"@")
    while address[at + 1 :].lower() in rules.percenthack:
        percent = address.rfind(b"%", 0, at)
        if percent < 0:
            break
        address = address[:percent] + b"@" + address[percent + 1 : at]
        at = percent
    at = address.rindex(b"@")
    if address[at + 1 :].lower() in rules.locals:
        return LOCAL, address
    prepend = _match(rules.virtualdomains, address, at)
    if prepend:
        return LOCAL, prepend + b"-" + address
    return REMOTE, address


def _match(virtualdomains: Mapping[bytes, bytes], address: bytes, at: int) -> bytes | None:
    """What the whole address, its domain, the longest .suffix of that, or the catch-all says; empty is an exception."""
    folded_address = address.lower()
    places = [0, *_suffixes(address, at + 1)]
    for place in places:
        prepend = virtualdomains.get(folded_address[place:])
        if prepend is not None:
            return prepend
    return None


def _suffixes(address: bytes, start: int) -> list[int]:
    return [start, *(place for place in range(start, len(address)) if address[place] == 46), len(address)]


def without_prepend(rules: Rules, recipient: bytes) -> bytes:
    """A virtual domain's recipient as its sender knew it: for bounces."""
    at = recipient.rfind(b"@")
    if at < 0:
        return recipient
    folded_address = recipient.lower()
    for place in _suffixes(recipient, at + 1):
        prepend = rules.virtualdomains.get(folded_address[place:])
        if prepend is not None:
            return recipient[len(prepend) + 1 :] if prepend and recipient.startswith(prepend + b"-") else recipient
    return recipient


def sender_for(sender: bytes, recipient: bytes) -> bytes:
    """The envelope sender for one recipient: owner-@host-@[] becomes owner-BOX=HOST@host for BOX@HOST."""
    if not sender.endswith(VERP):
        return sender
    at = sender.rfind(b"@", 0, len(sender) - 4)
    there = recipient.rfind(b"@")
    # A sender that has nothing between its @ and the mark is not one of these.
    if there < 0 or at < 0 or at + 5 > len(sender):
        return sender
    return b"%s%s=%s@%s" % (sender[:at], recipient[:there], recipient[there + 1 :], sender[at + 1 : -4])


def bounce_sender(sender: bytes) -> bytes:
    """Whom a failure is reported to: owner-@host for owner-@host-@[]."""
    return sender[:-4] if sender.endswith(VERP) else sender
