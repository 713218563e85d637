"""The processor's threads are shared out among questions and other programs."""

from __future__ import annotations

import threading

import psutil
import pytest
import torch

from analysis.lens import threads
from analysis.lens.threads import shared_threads, threads_for


@pytest.mark.parametrize(
    ("allowed", "asking", "load", "processors", "expected"),
    [
        (8, 1, 0.0, 8, 8),  # alone on an idle machine: all
        (8, 2, 0.0, 8, 4),
        (8, 3, 0.0, 8, 2),  # rather one too few than one too many
        (8, 1, 6.0, 8, 2),  # what others leave
        (2, 1, 0.4, 2, 2),
        (2, 1, 1.0, 2, 1),
        (2, 1, 9.0, 2, 1),  # never none
        (1, 1, 0.0, 64, 1),  # OMP_NUM_THREADS=1
        (8, 1, 32.0, 64, 4),  # eight processors of a large machine that is half idle
        (4, 30, 0.0, 4, 1),
    ],
)
def test_share(allowed, asking, load, processors, expected):
    """Known shares."""
    assert threads_for(allowed, asking, load, processors) == expected


def test_two_at_once_take_half_each(monkeypatch: pytest.MonkeyPatch):
    """Torch has so many in the thread that asks; when one has ended, the next has all again."""
    monkeypatch.setattr(threads, "_ALLOWED", 8)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.0, 0.0, 0.0))
    before = torch.get_num_threads()
    seen = []

    def ask() -> None:
        with shared_threads():
            seen.append(torch.get_num_threads())

    try:
        with shared_threads():
            seen.append(torch.get_num_threads())
            second = threading.Thread(target=ask)
            second.start()
            second.join()
        with pytest.raises(ZeroDivisionError), shared_threads():
            raise ZeroDivisionError
        ask()
    finally:
        torch.set_num_threads(before)
    assert seen == [8, 4, 8]
