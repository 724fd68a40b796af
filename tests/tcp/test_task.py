"""Messages between tcpserver and its workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.rules import Decision
from svtree.tcp.connection import Peer, Proxy
from svtree.tcp.task import Report, Task

# What a rule can set: no NUL, as in any environment.
text = st.binary(max_size=40).filter(lambda value: b"\0" not in value)
pairs = st.lists(st.tuples(text, text), max_size=5).map(tuple)


@given(st.integers(1, 65535), st.none() | pairs)
def test_a_task_arrives_as_it_was_sent(port: int, told: tuple[tuple[bytes, bytes], ...] | None) -> None:
    decision = None if told is None else Decision(None, False, told)
    task = Task(Peer(b"127.0.0.1", port), decision)
    assert Task.parse(task.pack()) == task


@given(st.sampled_from([b"10.0.0.1", b"fe80::1"]), st.sampled_from([b"192.0.2.1", b"2001:db8::1"]))
def test_who_has_come_by_a_proxy_arrives_with_it(proxy: bytes, local: bytes) -> None:
    task = Task(Peer(b"192.0.2.7", 9, proxy=Proxy(proxy, local, 25)), None)
    assert Task.parse(task.pack()) == task


@given(st.integers(0, 255), st.booleans())
def test_a_report_arrives_as_it_was_sent(code: int, leaving: bool) -> None:
    assert Report.parse(Report(code, leaving).pack()) == Report(code, leaving)
