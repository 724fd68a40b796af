"""Whether there is a mailbox for a recipient: what qmail-send, qmail-lspawn and qmail-local would say, asked before.

On where control/rcptcheck says 1. An address that goes elsewhere is nobody's business here. A local one is put through
the same rules as in the queue (locals, virtualdomains, percenthack), the same search for the account as in
qmail-lspawn, and the same names of .qmail files as in qmail-local. What cannot be told now, because a file may not be
read or the accounts have a mistyped line, is taken: the delivery will be tried until it can be told.
"""

from __future__ import annotations

import os
import stat

from svtree.formats.dotqmail import candidates
from svtree.mail.controls import Controls, home
from svtree.mail.delivery import recipients
from svtree.mail.queue.rewriting import LOCAL, Rules, folded, rewrite, virtual
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.mail.delivery.recipients import Recipient
    from svtree.program import Environ


class Mailboxes:
    """The control files as they are now."""

    def __init__(self, environ: Environ, complain: Callable[[str], None]) -> None:
        """`complain` is told, in a line, why something cannot be told. Raises ControlError."""
        controls = Controls(home(environ))
        self._environ = environ
        self._complain = complain
        self._rules = Rules(
            envnoathost=controls.line_or_me("envnoathost") or b"envnoathost",
            locals=folded(controls.lines_or_me("locals")),
            percenthack=folded(controls.lines("percenthack") or ()),
            virtualdomains=virtual(controls.lines("virtualdomains") or ()),
        )

    def exists(self, address: bytes) -> bool:
        """Whether mail for `address` has somewhere to go, as far as can be told."""
        channel, target = rewrite(self._rules, address)
        if channel != LOCAL:
            return True
        local = target.rpartition(b"@")[0]
        if not local:
            # qmail-lspawn delivers to nobody, and bounces nothing.
            return True
        try:
            who = recipients.find(local, self._environ)
            return who is not None and _has_instructions(who)
        except (recipients.RecipientError, recipients.CdbTroubleError) as error:
            self._complain(f"unable to look for a mailbox: {error}")
        except OSError as error:
            which = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
            self._complain(f"unable to look for a mailbox: {which}{reason(error)}")
        return True


def _has_instructions(who: Recipient) -> bool:
    """An account's own address always has; an extension if one of its .qmail files is there. Raises OSError."""
    if not who.dash:
        return True
    for candidate in candidates(who.dash, who.extension):
        try:
            found = os.stat(who.home + b"/" + candidate.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno is not None and len(candidate.name) > os.pathconf("/", "PC_NAME_MAX"):
                # No file has such a name, and qmail-local finds none.
                continue
            raise
        if stat.S_ISREG(found.st_mode):
            return True
    return False
