"""Completing an address: no route, a host, a full host name. Pure.

Follows qmail-header(5): an address without a host is at the default host, a host without a dot is in the default
domain, one that ends with a plus sign in the plus domain.
"""

from __future__ import annotations

from svtree.formats.addresses import ATOM, LITERAL, Token
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.addresses import Tokens


@record
class Defaults:
    """What is put behind an incomplete address, as tokens: "@host", ".domain" and ".plus.domain"."""

    host: tuple[Token, ...]
    domain: tuple[Token, ...]
    plus: tuple[Token, ...]


def complete(address: Tokens, defaults: Defaults) -> Tokens:
    """The address as it is meant. The empty address and anything@[], a bounce's sender, are meant as they are."""
    if [token.kind for token in address[-2:]] == ["@", LITERAL] and not address[-1].text:
        return address
    address = _without_route(address)
    for kind in (".", "@"):
        if address and address[-1].kind == kind:
            address = address[:-1]
    if not address:
        return address
    if not any(token.kind == "@" for token in address):
        address = [*address, *defaults.host]
    last = address[-1]
    if last.kind == ATOM and last.text.endswith(b"+"):
        address = [*address[:-1], Token(ATOM, last.text[:-1]), *defaults.plus]
    return address if _is_full(address) else [*address, *defaults.domain]


def _without_route(address: Tokens) -> Tokens:
    """The address after a source route, "@relay,@relay:"; a route that does not end is all there is."""
    if not address or address[0].kind != "@":
        return address
    colon = next((at for at, token in enumerate(address) if token.kind == ":"), len(address))
    return address[colon + 1 :]


def _is_full(address: Tokens) -> bool:
    """Tell whether the host, all that is behind the last @, has a dot or is a literal."""
    for token in reversed(address):
        if token.kind == "@":
            return False
        if token.kind in (".", LITERAL):
            return True
    return False
