"""qmail-pw2u: make users/assign of a passwd file on standard input.

Follows qmail-pw2u(8): users/include, exclude, mailnames, subusers and append say what more and what less there shall
be.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.mail.delivery import assigning
from svtree.program import Fatal, options
from svtree.system.streams import read_all, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-pw2u: usage: qmail-pw2u [ -/ohHuUC ] [ -c char ] < passwd > users/assign"
STRATEGIES = {"o": assigning.SKIP, "h": assigning.STOP, "H": assigning.IGNORE}


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Read accounts, write assignments, nothing where one cannot be made."""
    letters, _ = options(argv, "/ohHuUc:C", USAGE)
    policy = assigning.Policy()
    for letter, value in letters:
        if letter in STRATEGIES:
            policy.homes = STRATEGIES[letter]
        elif letter in "uU":
            policy.capitals = letter == "u"
        elif letter == "/":
            policy.dash = b"-/"
        else:
            policy.delimiter = value[:1]
    try:
        os.chdir(controls.home(environ))
    except OSError as error:
        raise Fatal("unable to chdir") from error
    try:
        files = assigning.Files.read()
    except OSError as error:
        raise Fatal("unable to read controls") from error
    try:
        accounts = read_all(0)
    except OSError as error:
        raise Fatal("unable to read input") from error
    try:
        text = assigning.assignments(accounts, files, policy)
    except assigning.AssigningError as error:
        raise Fatal(error.message) from error
    try:
        write_all(1, text)
    except OSError as error:
        raise Fatal("unable to write output") from error
    return 0
