"""Who a message is from and for, as far as the policy takes them: what MAIL and RCPT come to. Pure."""

from __future__ import annotations

from svtree.mail.smtp import addresses, extensions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from svtree.mail.smtp.actions import Policy

# All recipients of a message together, in bytes: some hundred thousand addresses.
MOST_RECIPIENTS: Final = 8 << 20
# What an address costs besides its bytes: the list's own eight, and Python's for a short object.
COST: Final = 64


class Envelope:
    """Of one message after the other. The methods return outcomes of table.STEPS."""

    def __init__(self, policy: Policy) -> None:
        """Nothing has been said yet."""
        self._policy = policy
        self.parameters = extensions.Parameters()
        self.sender = b""
        self.recipients: list[bytes] = []
        self._sender_is_bad = False
        self._size = 0

    def begin(self, argument: bytes) -> str:
        """MAIL with this argument."""
        address = self._address(argument)
        if address is None:
            return "too long"
        found = self._understood(argument)
        if found is None:
            return "bad parameter"
        if found.size is not None and 0 < self._policy.databytes < found.size:
            return "too big"
        self.parameters = found
        lowered = address.lower()
        at = lowered.rfind(b"@")
        bad = self._policy.bad_senders
        self._sender_is_bad = lowered in bad or (at >= 0 and lowered[at:] in bad)
        self.sender = address
        self.recipients = []
        self._size = 0
        return "taken"

    def add(self, argument: bytes, relay: bytes | None) -> str:
        """RCPT with this argument; `relay` is what is appended where any recipient is taken."""
        address = self._address(argument)
        if address is None:
            return "too long"
        if self._understood(argument) is None:
            return "bad parameter"
        if self._sender_is_bad:
            return "bad sender"
        if relay is not None:
            address += relay
        else:
            accepted = self._policy.accepts(address)
            if not accepted:
                return "cannot tell" if accepted is None else "not ours"
        if self._policy.exists is not None and not self._policy.exists(address):
            return "no mailbox"
        self._size += len(address) + COST
        if self._size > MOST_RECIPIENTS:
            return "too many"
        self.recipients.append(address)
        return "taken"

    def _address(self, argument: bytes) -> bytes | None:
        address = addresses.parse(argument)
        address = addresses.localize(address, self._policy.literal_host, self._policy.here)
        return address if len(address) <= addresses.LONGEST else None

    def _understood(self, argument: bytes) -> extensions.Parameters | None:
        # qmail-smtpd looks at no parameter.
        offered = self._policy.extensions
        return extensions.parameters(argument, offered) if offered.words else extensions.Parameters()
