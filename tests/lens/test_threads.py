"""The processor's threads are shared out among questions and other programs."""

from __future__ import annotations

import psutil
import pytest
import torch

from analysis.lens import threads
from analysis.lens.threads import share_threads, threads_for


@pytest.mark.parametrize(
    ("allowed", "load", "processors", "expected"),
    [
        (8, 0.0, 8, 8),  # an idle machine: all
        (8, 6.0, 8, 2),  # what others leave
        (2, 0.4, 2, 2),
        (2, 1.0, 2, 1),
        (2, 9.0, 2, 1),  # never none
        (1, 0.0, 64, 1),  # OMP_NUM_THREADS=1
        (8, 32.0, 64, 4),  # eight processors of a large machine that is half idle
    ],
)
def test_share(allowed, load, processors, expected):
    """Known shares."""
    assert threads_for(allowed, load, processors) == expected


@pytest.mark.parametrize(("among", "expected"), [(1, 8), (4, 2), (16, 1)])
def test_torch_takes_so_many(monkeypatch: pytest.MonkeyPatch, among: int, expected: int):
    """Of an idle machine a process takes its part."""
    monkeypatch.setattr(threads, "_ALLOWED", 8)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.0, 0.0, 0.0))
    before = torch.get_num_threads()
    try:
        share_threads(among)

        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
