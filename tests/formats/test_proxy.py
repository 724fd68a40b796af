"""The header of the PROXY protocol: what proxies send, what nobody should, and anything at all."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.proxy import FIXED, LINE, SIGNATURE, Proxied, ProxyError, missing, parse

# As HAProxy, nginx and Postfix send them.
V2_TCP4 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + b"\xc8\x28\x00\x19"
V2_LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
PORTS = st.integers(0, 65535)


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 51240 25\r\n", Proxied(b"192.0.2.7", 51240, b"198.51.100.1", 25)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n", Proxied(b"2001:db8::7", 1, b"2001:db8::1", 2)),
        (b"PROXY TCP6 2001:DB8:0:0:0:0:0:7 ::1 1 2\r\n", Proxied(b"2001:db8::7", 1, b"::1", 2)),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 2\r\n", Proxied(b"192.0.2.7", 1, b"192.0.2.1", 2)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::f ffff::f 65535 65535\r\n", None),
        (V2_TCP4, Proxied(b"192.0.2.7", 51240, b"198.51.100.1", 25)),
        (v2(0x21, 0x11, V2_TCP4[FIXED:] + b"\x04\x00\x01x"), Proxied(b"192.0.2.7", 51240, b"198.51.100.1", 25)),
        (V2_LOCAL, None),
        (v2(0x20, 0x11, bytes(12)), None),
        (v2(0x21, 0x00, b""), None),
        (v2(0x21, 0x31, bytes(216)), None),
        (v2(0x21, 0x12, bytes(12)), None),
    ],
)
def test_what_proxies_send_is_understood(data: bytes, told: Proxied | None) -> None:
    assert missing(data) == 0
    assert parse(data) == told


@pytest.mark.parametrize(
    "data",
    [
        b"EHLO client.example\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 51240\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 51240 25 \r\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 51240 25\r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.1 51240 25\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 012 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 25\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n",
        b"PROXY " + b"x" * 200,
        b"PROXY\r\n",
        b"proxy TCP4 192.0.2.7 198.51.100.1 1 25\r\n",
        SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),
        v2(0x21, 0x11, bytes(11)),
        v2(0x21, 0x21, bytes(35)),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyError):
        read(data)


def read(stream: bytes) -> tuple[Proxied | None, bytes]:
    """Read a header as a socket's reader does, never more than `missing` says; what it tells, and what is left."""
    data = b""
    while more := missing(data):
        block, stream = stream[:more], stream[more:]
        if not block:
            raise ProxyError("end")
        data += block
    assert len(data) <= max(LINE, FIXED + 4096)
    return parse(data), stream


@given(ADDRESSES, PORTS, PORTS, st.binary(max_size=50))
def test_a_header_ends_where_the_client_begins(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, there: int, after: bytes
) -> None:
    kind = b"TCP%d" % address.version
    text = str(address).encode()
    line = b"PROXY %b %b %b %d %d\r\n" % (kind, text, text, port, there)
    family = 0x11 if address.version == 4 else 0x21
    packed = v2(0x21, family, address.packed * 2 + struct.pack("!HH", port, there))
    for header in (line, packed):
        told, left = read(header + after)
        assert left == after
        assert told is not None
        assert (told.remote_port, told.local_port) == (port, there)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        assert ipaddress.ip_address(told.remote_ip.decode()) == (mapped or address)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(SIGNATURE.__add__),
        st.binary(max_size=120).map(b"PROXY ".__add__),
        st.lists(st.sampled_from([b"PROXY", b" ", b"TCP4", b"TCP6", b"::", b"1.2.3.4", b"99", b"\r", b"\n"])).map(
            b"".join
        ),
    )
)
def test_whatever_comes_is_a_header_or_an_error(data: bytes) -> None:
    try:
        told, _ = read(data)
    except ProxyError:
        return
    assert told is None or ipaddress.ip_address(told.remote_ip.decode())
