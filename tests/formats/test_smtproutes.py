from __future__ import annotations

import pytest

from svtree.formats.smtproutes import Route, find, parse

ROUTES = parse(
    [
        b"inside.example:firewall.example:26",
        b".af.example:",
        b".b.af.example:[192.0.2.1]",
        b"no colon",
        b"Twice.example:first",
        b"twice.example:second",
        b"port.example:relay:",
        b"word.example:relay:smtp",
        b":heaven.af.example",
    ]
)


@pytest.mark.parametrize(
    ("host", "route"),
    [
        (b"inside.example", Route(b"firewall.example", 26)),
        (b"INSIDE.example", Route(b"firewall.example", 26)),
        (b"sub.inside.example", Route(b"heaven.af.example")),
        (b"x.af.example", None),
        (b"af.example", Route(b"heaven.af.example")),
        (b"x.b.af.example", Route(b"[192.0.2.1]", 25)),
        (b"twice.example", Route(b"second")),
        (b"port.example", Route(b"relay")),
        (b"word.example", Route(b"relay")),
        (b"", Route(b"heaven.af.example")),
        (b"no colon", Route(b"heaven.af.example")),
    ],
)
def test_the_route_of_the_longest_suffix_counts(host: bytes, route: Route | None) -> None:
    assert find(ROUTES, host) == route


def test_without_a_route_for_all_the_dns_decides() -> None:
    assert find(parse([b"a.example:b"]), b"c.example") is None
    assert find({}, b"c.example") is None
