"""What Python's garbage collector looks at.

Streamlit has it look at every object after each run of a page, so that memory does not grow. Most
of them belong to modules (torch, plotly, pandas) and to what is kept for all sessions (figures,
tables, nets): to look at these takes longer than the page, and all sessions wait meanwhile.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import Literal

LONG = 0.03
"""Seconds of processor time that a look at everything may take."""
MORE = 1.25
"""Of the objects that were looked at last, how many there are at the next look at all of them."""


class _Watch:
    """How long the last look at everything took."""

    def __init__(self) -> None:
        self.seconds = self._start = 0.0
        self.modules = self.objects = 0
        """That there were when the collector was last told what to pass over."""

    def __call__(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        """As `gc.callbacks` are called."""
        if info["generation"] < 2:
            return
        if phase == "start":
            self._start = time.thread_time()
        else:
            self.seconds = time.thread_time() - self._start


_watch = _Watch()


def pass_over_what_there_is() -> None:
    """Leave it out without a look at it: where none of it can be garbage."""
    gc.freeze()
    _watch.objects = gc.get_freeze_count()


def pass_over_the_lasting() -> None:
    """Leave out what there is now, where modules came or the last look took long.

    Garbage among it is found by a look at all of it, where that has become a quarter more.
    """
    if _watch not in gc.callbacks:
        gc.callbacks.append(_watch)
    if len(sys.modules) == _watch.modules and _watch.seconds < LONG:
        return
    everything = gc.get_freeze_count() > MORE * _watch.objects
    if everything:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
    _watch.modules, _watch.seconds = len(sys.modules), 0.0
    if everything:
        _watch.objects = gc.get_freeze_count()
