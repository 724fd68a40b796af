"""config: make the first control files of this host, as the DNS knows it.

Follows config.sh: the host's name is the one that its first address has in the DNS; local are the names of all its
addresses.
"""

from __future__ import annotations

import os

from svtree.mail.configuring import ADVICE, Writer
from svtree.program import UsageError
from svtree.system.interfaces import addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ
    from svtree.system.resolver import Resolver

USAGE = "config: usage: config"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Ask, and write me, defaultdomain, plusdomain, locals and rcpthosts; 0 also where the DNS knows no name."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    from svtree.system.resolver import Resolver

    writer = Writer(environ)
    host = os.fsencode(os.uname().nodename).lower()
    if not host:
        return _give_up(writer, b"hostname")
    writer.say(b"Your hostname is %s." % host)
    names = Resolver(environ)
    found, name = _canonical(names, host)
    if name is None:
        return _give_up(writer, b"host's canonical name in DNS")
    writer.say(b"Your host's fully qualified name in DNS is %s." % name)
    writer.names(name)
    here = {b".".join(b"%d" % each for each in address) for address in addresses()}
    local = _local_names(writer, names, sorted(here | set(found)))
    writer.say(b" ")
    writer.say(b"If there are any other domain names that point to you,")
    writer.say(b"you will have to add them to %s." % writer.path(b"locals"))
    writer.say(b"You don't have to worry about aliases, i.e., domains with CNAME records.")
    writer.say(b" ")
    writer.say(b"Copying %s to %s..." % (writer.path(b"locals"), writer.path(b"rcpthosts")))
    writer.write(b"rcpthosts", local)
    writer.say(b"Now qmail will refuse to accept SMTP messages except to those hosts.")
    writer.say(ADVICE)
    return 0


def _give_up(writer: Writer, what: bytes) -> int:
    writer.say(b"Sorry, I couldn't find your %s." % what)
    writer.say(b"You will have to set up control/me yourself.")
    return 0


def _canonical(names: Resolver, host: bytes) -> tuple[list[bytes], bytes | None]:
    """The addresses of this host by the DNS, and the name of the first of them; None where there is none."""
    try:
        found = names.addresses(host)
        name = names.name(found[0]) if found else None
    except OSError:
        return [], None
    return found, name.lower() if name else None


def _local_names(writer: Writer, names: Resolver, here: Sequence[bytes]) -> bytes:
    """Write control/locals, address by address; what is in it then."""
    writer.say(b" ")
    writer.say(b"Checking local IP addresses:")
    writer.write(b"locals", b"")
    local = b""
    for address in here:
        try:
            name = names.name(address)
        except OSError:
            name = None
        if name:
            writer.say(b"%s: Adding %s to control/locals..." % (address, name))
            local += name + b"\n"
            writer.write(b"locals", local)
        else:
            writer.say(b"%s: PTR lookup failed. I assume this address has no DNS name." % address)
    return local
