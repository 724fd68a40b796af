"""qmail-queue's exit codes and what they mean to the one who asked.

The texts are those of qmail.c, with the letter in front: D for a message that will never be taken, Z for one that may
be later. SMTP servers and mail clients print them.
"""

from __future__ import annotations

TOO_LONG = 11
NO_MEMORY = 51
TIMED_OUT = 52
WRITE = 53
READ = 54
CONNECTION = 56
HOME = 61
QUEUE_DIRECTORY = 62
PID_FILE = 63
MESSAGE_FILE = 64
ENVELOPE_FILE = 65
TODO_LINK = 66
REJECTED = 31
REFUSED_NOW = 71
NOT_CONNECTED = 73
COMMUNICATION = 74
CUSTOM = 82
BUG = 81
BAD_ENVELOPE = 91
CRASHED = 111
CANNOT_RUN = 120

_CREATING = "Zqq trouble creating files in queue (#4.3.0)"
TEXTS = {
    0: "",
    TOO_LONG: "Denvelope address too long for qq (#5.1.3)",
    115: "Denvelope address too long for qq (#5.1.3)",
    REJECTED: "Dmail server permanently rejected message (#5.3.0)",
    NO_MEMORY: "Zqq out of memory (#4.3.0)",
    TIMED_OUT: "Zqq timeout (#4.3.0)",
    WRITE: "Zqq write error or disk full (#4.3.0)",
    READ: "Zqq read error (#4.3.0)",
    55: "Zqq unable to read configuration (#4.3.0)",
    CONNECTION: "Zqq trouble making network connection (#4.3.0)",
    HOME: "Zqq trouble in home directory (#4.3.0)",
    QUEUE_DIRECTORY: _CREATING,
    PID_FILE: _CREATING,
    MESSAGE_FILE: _CREATING,
    ENVELOPE_FILE: _CREATING,
    TODO_LINK: _CREATING,
    REFUSED_NOW: "Zmail server temporarily rejected message (#4.3.0)",
    72: "Zconnection to mail server timed out (#4.4.1)",
    NOT_CONNECTED: "Zconnection to mail server rejected (#4.4.1)",
    COMMUNICATION: "Zcommunication with mail server failed (#4.4.2)",
    BUG: "Zqq internal bug (#4.3.0)",
    BAD_ENVELOPE: "Zqq internal bug (#4.3.0)",
    CANNOT_RUN: "Zunable to exec qq (#4.3.0)",
}
CRASH_TEXT = "Zqq crashed (#4.3.0)"


class SubmitError(Exception):
    """The message was not taken; `code` is qmail-queue's exit code, `text` the D or Z line for the client."""

    def __init__(self, code: int, text: str = "") -> None:
        """`text` is what a foreign qmail-queue said itself (code 82, or that it crashed)."""
        self.code = code
        self.text = text or explain(code)
        super().__init__(self.text)


def explain(code: int) -> str:
    """What an exit code of qmail-queue means: a line that begins with D or Z; empty for 0."""
    known = TEXTS.get(code)
    if known is not None:
        return known
    return "Dqq permanent problem (#5.3.0)" if 11 <= code <= 40 else "Zqq temporary problem (#4.3.0)"
