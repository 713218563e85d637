"""How many processor threads a question to a net takes, where others use the processor as well.

OpenMP's threads wait for each other at the end of every convolution, and they wait by spinning.
Where one of them has no processor, all take several times longer than a single thread would: with
one other program at work on two processors, a lesion took 2.8 s by two threads, 0.7 s by one and
0.4 s by two where nothing else was at work.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

import psutil
import torch

_ALLOWED = torch.get_num_threads()
"""By torch's own choice: OMP_NUM_THREADS, or the processors that this process may use."""
_asking = 0
_lock = Lock()


@contextmanager
def shared_threads() -> Generator[None]:
    """Let torch take, in this thread, as many threads as `threads_for` says at this moment."""
    global _asking
    with _lock:
        _asking += 1
        torch.set_num_threads(
            threads_for(_ALLOWED, _asking, psutil.getloadavg()[0], os.cpu_count() or 1)
        )
    try:
        yield
    finally:
        with _lock:
            _asking -= 1


def threads_for(allowed: int, asking: int, load: float, processors: int) -> int:
    """The share of one question: at least 1.

    Args:
        allowed: threads that this process may use.
        asking: questions that are being answered, with this one.
        load: processes that ran or waited to, on average over the last minute.
        processors: of the machine.
    """
    free = max(1 - load / processors, 0.0)
    return max(round(allowed * free) // asking, 1)
