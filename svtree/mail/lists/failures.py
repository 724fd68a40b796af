"""Which recipients a bounce of qmail's is about. Pure.

Follows the qmail-send bounce message format (QSBMF): a paragraph "Hi. This is the", then one for each recipient that
begins with <ADDRESS>:, up to one that begins with a dash. A host that cannot deliver copies with VERP senders itself
writes one such bounce for all of them, to LIST-owner-@HOST.
"""

from __future__ import annotations

FIRST = b"Hi. This is the"
# Of the message that is bounced nothing is needed; the recipients' paragraphs come before it.
LIMIT = 1 << 20


def failed(message: bytes) -> list[bytes]:
    """The recipients that could not be delivered to; none where this is no such bounce."""
    _, blank, body = message.partition(b"\n\n")
    first, *rest = body.lstrip(b"\n").split(b"\n\n")
    if not blank or not first.startswith(FIRST):
        return []
    found = []
    for paragraph in rest:
        text = paragraph.lstrip(b"\n")
        if text.startswith(b"-"):
            break
        address, end, _ = text.partition(b">:\n")
        if text.startswith(b"<") and end and b"\n" not in address:
            found.append(address[1:])
    return found
