"""One file of an envdir directory: what it does to the environment.

Follows envdir of daemontools 0.76: the file's name is the variable, its first line the value without spaces and tabs
at its end, NUL standing for newline; an empty file removes the variable, a first line that is empty sets it to
nothing.
"""

from __future__ import annotations


def value(data: bytes) -> bytes | None:
    """The value in a file with these contents; None for an empty file, which removes the variable."""
    if not data:
        return None
    return data.split(b"\n", 1)[0].rstrip(b" \t").replace(b"\0", b"\n")


def apply(environ: dict[bytes, bytes], name: bytes, data: bytes) -> None:
    """Change `environ` as a file called `name` with contents `data` says.

    The original joins name and value with "=" before it looks for one, so a file `A=B` sets A: to "B=value" or, when
    the file is empty, to "B". A name that begins with "=" names no variable and does nothing.
    """
    key, equals, rest = name.partition(b"=")
    if not key:
        return
    new = value(data)
    if equals:
        environ[key] = rest if new is None else rest + b"=" + new
    elif new is None:
        environ.pop(key, None)
    else:
        environ[key] = new
