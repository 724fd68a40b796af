"""AUTH in one connection: which mechanisms there are now, the exchange under way, and how many have failed. Pure."""

from __future__ import annotations

from svtree.mail.smtp import extensions
from svtree.mail.smtp.sasl import Sasl, SaslError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from svtree.mail.smtp.actions import Policy
    from svtree.mail.smtp.sasl import Challenge, Login

# Logins that may fail before the connection is closed.
MOST_FAILURES: Final = 3


class Logins:
    """What the client has to do with AUTH, whether within TLS or before it."""

    def __init__(self, policy: Policy) -> None:
        """Nobody has tried yet."""
        self._policy = policy
        self._exchange: Sasl | None = None
        self._failures = 0

    def methods(self, *, secure: bool) -> tuple[bytes, ...]:
        """The mechanisms that can be used now, on a connection that is TLS or is not."""
        policy = self._policy
        return extensions.mechanisms(
            policy.extensions,
            secure=secure,
            tls=extensions.STARTTLS in policy.extensions.words,
            secrets_known=policy.secrets_known,
        )

    def begin(self, argument: bytes, *, secure: bool) -> Challenge | Login:
        """AUTH with this argument. Raises SaslError."""
        mechanism, space, initial = argument.rstrip(b" ").partition(b" ")
        mechanism = mechanism.upper()
        if mechanism not in self.methods(secure=secure):
            raise SaslError("insecure" if mechanism in extensions.CLEAR and not secure else "no such mechanism")
        self._exchange = Sasl(mechanism, self._policy.challenge())
        return self._exchange.start(initial.lstrip(b" ") if space else None)

    def go_on(self, line: bytes) -> Challenge | Login:
        """The client's answer to a challenge. Raises SaslError."""
        if self._exchange is None:
            raise SaslError("malformed")
        return self._exchange.answer(line)

    def checked(self, outcome: str) -> str:
        """What came of a login, "accepted", "refused" or "cannot tell"; the outcome of table.STEPS."""
        if outcome == "refused":
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                return "refused too often"
        return outcome
