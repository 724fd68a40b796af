"""rblsmtpd and clients with IPv6 addresses, of which the original knows nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Result, ours, run
from tests.tcp.nameserver import Running, Zone, nameserver

pytestmark = pytest.mark.root  # port 53, the only one that a resolver asks
NETWORK = ".8.b.d.0.1.0.0.2"
LISTED, CLEARED = "1" + ".0" * 23 + NETWORK, "2" + ".0" * 23 + NETWORK
CLIENT = b"RCPT TO:<a@b.example>\r\nQUIT\r\n"


@pytest.fixture
def names() -> Iterator[Running]:
    zone = Zone(
        addresses={CLEARED + ".good.example": ["127.0.0.2"], LISTED + ".bad.example": ["127.0.0.2"]},
        texts={LISTED + ".bad.example": [b"listed"], CLEARED + ".bad.example": [b"listed, too"]},
    )
    with nameserver(zone, 53) as server:
        yield server


def session(names: Running, ip: str, *options: str) -> Result:
    env = {"TCPREMOTEIP": ip, "DNSCACHEIP": names.ip}
    return run([ours("rblsmtpd"), *options, "echo", "accepted"], env=env, stdin=CLIENT)


@pytest.mark.parametrize("ip", ["2001:db8::1", "2001:DB8:0:0::0001"])
def test_a_listed_client_hears_what_the_txt_record_of_its_digits_says(names: Running, ip: str) -> None:
    done = session(names, ip, "-b", "-r", "bad.example")
    assert done.out == b"220 rblsmtpd.local\r\n553 listed\r\n221 rblsmtpd.local\r\n"
    assert done.err.startswith(b"rblsmtpd: %b pid " % ip.encode())
    # It may have asked again, where nobody answers soon.
    assert set(names.zone.asked) == {LISTED + ".bad.example"}


def test_an_a_record_of_its_digits_lets_a_client_through(names: Running) -> None:
    lists = ("-a", "good.example", "-r", "bad.example")
    assert session(names, "2001:db8::2", *lists) == Result(0, b"accepted\n", b"")
    assert b"451 listed\r\n" in session(names, "2001:db8::1", *lists).out


def test_who_is_on_no_list_is_served(names: Running) -> None:
    assert session(names, "2001:db8::3", "-r", "bad.example") == Result(0, b"accepted\n", b"")
