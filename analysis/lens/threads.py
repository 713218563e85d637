"""How many processor threads a question to a net takes, where others use the processor as well.

OpenMP's threads wait for each other at the end of every convolution, and they wait by spinning.
Where one of them has no processor, all take several times longer than a single thread would: with
one other program at work on two processors, a lesion took 2.8 s by two threads, 0.7 s by one and
0.4 s by two where nothing else was at work.
"""

from __future__ import annotations

import os

import psutil
import torch

_ALLOWED = torch.get_num_threads()
"""By torch's own choice: OMP_NUM_THREADS, or the processors that this process may use."""


def share_threads(among: int) -> None:
    """Let torch take as many threads as `threads_for` says at this moment.

    Args:
        among: processes that may do so at once.
    """
    load, processors = psutil.getloadavg()[0], os.cpu_count() or 1
    torch.set_num_threads(threads_for(max(_ALLOWED // among, 1), load, processors))


def threads_for(allowed: int, load: float, processors: int) -> int:
    """The share of one question: at least 1.

    Args:
        allowed: threads that this process may use.
        load: processes that ran or waited to, on average over the last minute.
        processors: of the machine.
    """
    return max(round(allowed * max(1 - load / processors, 0.0)), 1)
