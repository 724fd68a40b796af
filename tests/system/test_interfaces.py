from __future__ import annotations

import socket

import psutil

from svtree.system.interfaces import addresses, recent_addresses


def test_the_addresses_are_those_of_the_interfaces_that_are_up_and_the_one_that_means_this_host() -> None:
    states = psutil.net_if_stats()
    known = {
        socket.inet_aton(each.address)
        for name, found in psutil.net_if_addrs().items()
        for each in found
        if each.family == socket.AF_INET and states[name].isup
    }
    assert addresses() == known | {b"\0\0\0\0"}


def test_recent_addresses_are_asked_for_again_after_a_while() -> None:
    first = recent_addresses(1000.0)
    assert first == addresses()
    assert recent_addresses(1004.9) is first
    assert recent_addresses(1005.1) is not first
    # A clock of another process's, from before: never older than five seconds.
    assert recent_addresses(3.0) == first
