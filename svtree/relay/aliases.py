"""An aliases file of Sendmail or Postfix, as text, into .qmail files below alias/. Pure.

Follows aliases(5). Here an alias is asked for only where no account has its name; there it goes before accounts. What
a program is run as, and where a file belongs, is alias here; so both are remarked.
"""

from __future__ import annotations

from svtree.relay.conversion import Draft, logical_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def convert(text: bytes, source: str, draft: Draft, host: bytes) -> None:
    """Put the aliases into the draft; `host` is what is put after local names, none if empty."""
    for number, line in logical_lines(text, source, draft):
        name, targets = _split(line)
        if targets is None:
            draft.remark(source, number, line, "no alias")
            continue
        file = _file(name)
        if file is None:
            draft.remark(source, number, line, "a name that no address here can have")
            continue
        lines = []
        for target in targets:
            reason = None
            if target.lstrip(b"\\").lower() == name.lower():
                reason = "an alias that is among its own targets: here it is the account's own .qmail file that says so"
            else:
                told, reason = _line(target, host)
                lines += [told] if told else []
            if reason:
                draft.remark(source, number, target, reason)
        if not lines:
            continue
        if file in draft.aliases:
            draft.remark(source, number, line, "an alias of the same name stands earlier")
            continue
        draft.aliases[file] = lines
        if file.startswith(b".qmail-owner-"):
            # Where qmail looks for who gets the bounces of the list.
            draft.aliases.setdefault(b".qmail-" + file.removeprefix(b".qmail-owner-") + b"-owner", lines)


def _split(line: bytes) -> tuple[bytes, list[bytes] | None]:
    """The name and its targets; None where it is no alias."""
    if line[:1] == b'"':
        name, quote, rest = line[1:].partition(b'"')
        rest = rest.lstrip()
        if not quote or rest[:1] != b":":
            return line, None
        return name, list(_targets(rest[1:]))
    name, colon, rest = line.partition(b":")
    return name.strip(), list(_targets(rest)) if colon and name.strip() else None


def _targets(text: bytes) -> Iterator[bytes]:
    """What stands between commas outside of quotes, without the quotes around it."""
    held = bytearray()
    is_quoted = is_escaped = False
    for byte in text + b",":
        if is_escaped:
            held += bytes([byte]) if is_quoted else b"\\" + bytes([byte])
            is_escaped = False
        elif byte == 92:
            is_escaped = True
        elif byte == 34:
            is_quoted = not is_quoted
        elif byte == 44 and not is_quoted:
            if held.strip():
                yield bytes(held.strip())
            held.clear()
        else:
            held.append(byte)
    if held.strip(b" ,"):
        # A quote that does not end; what is in it is still said.
        yield bytes(held).rstrip(b", ")


def _file(name: bytes) -> bytes | None:
    """The .qmail file that an alias becomes."""
    small = name.strip().lower().partition(b"@")[0]
    if not small or small.strip(b"abcdefghijklmnopqrstuvwxyz0123456789-_.+=") or (b"@" in name):
        return None
    return b".qmail-" + small.replace(b".", b":")


def _line(target: bytes, host: bytes) -> tuple[bytes | None, str | None]:
    """The line of a .qmail file, and what is to be said of it."""
    if target[:1] == b"|":
        return target, "carried; the program runs as the user alias, with the variables of qmail-command(8)"
    if target == b"/dev/null":
        return b"# what comes here is dropped", None
    if target[:1] == b"/":
        return target, "carried; the file must belong to the user alias"
    if target[:9].lower() == b":include:":
        return None, "no list out of another file: put its addresses into the .qmail file, one a line with &"
    if target[:1] == b":":
        return None, "a directive that is not known here"
    address = target.lstrip(b"\\")
    if b" " in address or b"<" in address or b"\n" in address:
        return None, "no address"
    return b"&" + (address if b"@" in address or not host else address + b"@" + host), None
