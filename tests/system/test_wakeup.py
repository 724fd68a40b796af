from __future__ import annotations

import os
import select
import signal

from svtree.system import heap
from svtree.system.wakeup import ALARM, TERM, Wakeup


def test_a_signal_makes_the_descriptor_readable_until_it_is_taken() -> None:
    before = signal.getsignal(signal.SIGTERM)
    wakeup = Wakeup(TERM, ALARM)
    try:
        assert not wakeup.pending()
        assert wakeup.take() == set()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGALRM)
        assert select.select([wakeup.descriptor], [], [], 5)[0]
        assert wakeup.pending()
        assert wakeup.take() == {TERM, ALARM}
        assert not wakeup.pending()
        assert not select.select([wakeup.descriptor], [], [], 0)[0]
    finally:
        wakeup.close()
    assert signal.getsignal(signal.SIGTERM) is before


def test_memory_is_kept_for_reuse() -> None:
    assert heap.keep(800_000)
