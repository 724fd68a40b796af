"""The POP3 server session as two pure machines: bytes in, actions out.

What they are: the AUTHORIZATION state of RFC 1939 as qmail-popup has it, and the TRANSACTION and UPDATE states as
qmail-pop3d has them, reply for reply. What they are not: they read no file, no clock and no password. Whoever drives
them performs the actions in the order they come:

- `Reply`: send these bytes, at the latest before waiting for more of the client's;
- `StartTls`: send what there is to send, shake hands, then say `secured`; a connection that fails in it is closed;
- `Check`: have this login checked and, if it is good, served; then say `checked`;
- `Open`: open a message, then say `opened` or `not_opened`; nothing else happens before;
- `Send`: send the message that was opened, in dots and CRLF (`svtree.mail.pop3.stuffing`);
- `Update`: remove and rename, then say `updated`;
- `End`: close the connection.

`svtree.mail.pop3.table` says what is answered when; here is how an outcome is found.
"""

from __future__ import annotations

from svtree.formats.numbers import scan
from svtree.formats.record import record
from svtree.mail.commands import Command, Commands, TooLongError
from svtree.mail.pop3 import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final, TypeAlias

# RFC 1939 knows no line over 255 bytes; a login goes through a pipe, and must fit into it.
LONGEST_LINE: Final = 8192


@record
class Reply:
    """Send this."""

    data: bytes


@record
class StartTls:
    """From here on the connection is TLS."""


@record
class Check:
    """Have a login checked; `password` is the digest where the client said APOP."""

    user: bytes
    password: bytes


@record
class Open:
    """Open the message with this index."""

    index: int


@record
class Send:
    """Send the opened message: its header and `lines` lines of its body, all of them if None."""

    lines: int | None


@record
class Update:
    """Remove these messages, by index; every other one is old from now on."""

    deleted: tuple[int, ...]


@record
class End:
    """Close the connection."""


if TYPE_CHECKING:
    Action: TypeAlias = Reply | StartTls | Check | Open | Send | Update | End


@record
class Offer:
    """What control/pop3 offers: the lines that answer CAPA (None: nothing does), and whether STLS can be had."""

    capabilities: tuple[bytes, ...] | None = None
    tls: bool = False
    certified: bool = False
    secure: bool = False


@record
class Message:
    """What the client may know of a message beforehand: its size in bytes as stored, and its name for ever."""

    size: int
    unique: bytes


NOTHING_NEW: Final = Offer()


class Machine:
    """What the two machines have in common: lines become commands, outcomes become replies."""

    def __init__(self, state: str, offer: Offer) -> None:
        """The session begins with `greet`."""
        self.state = state
        self._offer = offer
        self._secure = offer.secure
        self._commands = Commands(LONGEST_LINE)
        self._waiting = False
        self._actions: list[Action] = []

    def receive(self, data: bytes) -> list[Action]:
        """The client has sent `data`."""
        if self.state != table.OVER:
            self._commands.feed(data)
        return self._go_on()

    def _go_on(self) -> list[Action]:
        """Do all that can be done with the lines that are there."""
        while not self._waiting and self.state != table.OVER:
            try:
                command = self._commands.take()
            except TooLongError:
                self._answer(table.TROUBLE, "line too long")
                break
            if command is None:
                break
            self._do(self._meant(command.verb), command)
        actions, self._actions = self._actions, []
        return actions

    def _meant(self, verb: bytes) -> str:
        otherwise = table.OTHERWISE[self.state]
        step = table.TABLE[self.state].get(verb, otherwise)
        offered = self._offer.tls if step == table.SECURITY else self._offer.capabilities is not None
        return step if offered or step not in table.OFFERED else otherwise

    def _tell_capabilities(self) -> None:
        offer = self._offer
        lines = [
            *(offer.capabilities or ()),
            *((b"STLS",) if offer.tls and offer.certified and not self._secure else ()),
        ]
        self._answer(table.CAPABILITIES, "done")
        self._actions.append(Reply(b"".join(line + b"\r\n" for line in [*lines, b"."])))

    def _do(self, step: str, command: Command) -> None:
        """Perform a step; the machines add those that need more than an answer."""
        del command
        self._answer(step, "done")

    def _answer(self, step: str, outcome: str, words: Mapping[bytes, bytes] | None = None) -> None:
        """Say what the table says and go where it says."""
        text, state = table.STEPS[step][outcome]
        for name, word in (words or {}).items():
            text = text.replace(name, word)
        if text:
            self._actions.append(Reply(text + b"\r\n"))
        if state != table.SAME:
            self.state = state
        if state == table.OVER:
            self._actions.append(End())


class Authorization(Machine):
    """Until somebody has logged in."""

    def __init__(self, timestamp: bytes, offer: Offer = NOTHING_NEW) -> None:
        """`timestamp` is "<PID.TIME@HOST>", what APOP's digest begins with; without one there is no APOP."""
        super().__init__(table.STRANGER, offer)
        self._timestamp = timestamp
        self._user = b""
        self._step = table.LOGIN

    def greet(self) -> list[Action]:
        """The client has connected."""
        return [Reply(b"+OK " + self._timestamp + b"\r\n")]

    def checked(self, outcome: str) -> list[Action]:
        """What came of the login, as table.STEPS names it."""
        self._waiting = False
        self._answer(self._step, outcome)
        return self._go_on()

    def secured(self) -> list[Action]:
        """The connection is TLS: whatever was said before it is forgotten."""
        self._waiting = False
        self._secure = True
        self._user = b""
        return self._go_on()

    def _do(self, step: str, command: Command) -> None:
        argument = command.argument
        if step == table.CAPABILITIES:
            self._tell_capabilities()
        elif step == table.SECURITY:
            self._begin_tls()
        elif step == table.USER:
            if argument:
                self._user = argument
            self._answer(table.USER, "done" if argument else "nothing given")
        elif step == table.LOGIN:
            self._check(table.LOGIN, self._user, argument, given=bool(argument))
        elif step == table.DIGEST:
            user, space, digest = argument.partition(b" ")
            if self._timestamp:
                self._check(table.DIGEST, user, digest, given=bool(space))
            else:
                self._answer(table.NOT_YET, "done")
        else:
            self._answer(step, "done")

    def _begin_tls(self) -> None:
        if self._secure:
            self._answer(table.SECURITY, "secure already")
        elif not self._offer.certified:
            self._answer(table.SECURITY, "not available")
        else:
            self._answer(table.SECURITY, "agreed")
            # Whatever is here already came unprotected: somebody between us and the client may have put it there.
            self._commands.take_rest()
            self._waiting = True
            self._actions.append(StartTls())

    def _check(self, step: str, user: bytes, password: bytes, *, given: bool) -> None:
        self._step = step
        if not given:
            self._answer(step, "nothing given")
            return
        self._waiting = True
        self._actions.append(Check(user, password))


class Transaction(Machine):
    """A mailbox and the client whose it is."""

    def __init__(self, messages: Sequence[Message], offer: Offer = NOTHING_NEW) -> None:
        """`messages` are numbered from 1 in this order, for the whole session."""
        super().__init__(table.TRANSACTION, offer)
        self._messages = messages
        self._deleted: set[int] = set()
        self._highest = 0
        self._lines: int | None = None

    def greet(self) -> list[Action]:
        """The client has logged in."""
        self._answer(table.NOTHING, "done")
        return self._go_on()

    def opened(self) -> list[Action]:
        """The message that `Open` asked for is open."""
        self._waiting = False
        self._answer(table.RETRIEVE, "opened")
        self._actions.append(Send(self._lines))
        return self._go_on()

    def not_opened(self) -> list[Action]:
        """It cannot be opened; another client may have removed it."""
        self._waiting = False
        self._answer(table.RETRIEVE, "not opened")
        return self._go_on()

    def updated(self, not_removed: int) -> list[Action]:
        """The mailbox is as the client wanted it, but for so many messages that could not be removed."""
        self._waiting = False
        for _ in range(not_removed):
            self._answer(table.QUIT, "not removed")
        self._answer(table.QUIT, "done")
        return self._go_on()

    def _do(self, step: str, command: Command) -> None:
        if step == table.CAPABILITIES:
            self._tell_capabilities()
        elif step in {table.LISTING, table.UNIQUE}:
            self._list(step, command.argument)
        elif step == table.RETRIEVE:
            self._retrieve(command.argument)
        elif step == table.DELETE:
            self._delete(command.argument)
        elif step == table.STATUS:
            size = sum(each.size for index, each in enumerate(self._messages) if index not in self._deleted)
            # The count is that of all messages, deleted or not: qmail-pop3d's, and clients have seen no other.
            self._answer(table.STATUS, "done", {b"COUNT": b"%d" % len(self._messages), b"SIZE": b"%d" % size})
        elif step == table.HIGHEST:
            self._answer(table.HIGHEST, "done", {b"NUMBER": b"%d" % self._highest})
        elif step == table.QUIT:
            self._waiting = True
            self._actions.append(Update(tuple(sorted(self._deleted))))
        else:
            if step == table.RESET:
                self._deleted.clear()
                self._highest = 0
            self._answer(step, "done")

    def _index(self, number: int | None) -> int | str:
        """The index of the message that a number names, or the outcome if it names none."""
        if number is None:
            return "no number"
        if number == 0:
            return "zero"
        if number > len(self._messages):
            return "too high"
        return "deleted" if number - 1 in self._deleted else number - 1

    def _list(self, step: str, argument: bytes) -> None:
        if argument:
            index = self._index(scan(argument)[0])
            if isinstance(index, str):
                self._answer(step, index)
                return
            each = self._messages[index]
            words = {b"NUMBER": b"%d" % (index + 1), b"SIZE": b"%d" % each.size}
            # Last, since a name may hold anything.
            self._answer(step, "one", {**words, b"NAME": each.unique})
            return
        self._answer(step, "all")
        lines = [
            b"%d %s\r\n" % (index + 1, each.unique if step == table.UNIQUE else b"%d" % each.size)
            for index, each in enumerate(self._messages)
            if index not in self._deleted
        ]
        self._actions.append(Reply(b"".join([*lines, b".\r\n"])))

    def _retrieve(self, argument: bytes) -> None:
        """RETR, and TOP, which is RETR with a number of lines; without one, TOP too is the whole message."""
        number, rest = scan(argument)
        index = self._index(number)
        if isinstance(index, str):
            self._answer(table.RETRIEVE, index)
            return
        self._lines = scan(rest.lstrip(b" "))[0]
        self._waiting = True
        self._actions.append(Open(index))

    def _delete(self, argument: bytes) -> None:
        index = self._index(scan(argument)[0])
        if isinstance(index, str):
            self._answer(table.DELETE, index)
            return
        self._deleted.add(index)
        self._highest = max(self._highest, index + 1)
        self._answer(table.DELETE, "done")
