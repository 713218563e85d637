"""What a training records, one entry each: the trainer is given a tuple of them.

A recorder looks at the net when a training starts, after each update, after each epoch and at the
end, and answers with rows of tables. The trainer keeps what is recorded during an epoch until the
epoch is stored, so that a kill loses the epoch's rows together with the epoch. A new statistic is
a new entry in `RECORDERS` and its table in `analysis.runs.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from analysis.data import Normalizer
from analysis.nets import Net
from analysis.responses import closed_form
from analysis.responses.probe import probe, probe_images
from analysis.training.finish import measure

Rows = pd.DataFrame | list[Mapping[str, Any]]
Recorded = Mapping[str, Rows]
"""Rows by table."""


@dataclass
class View:
    """What a recorder is shown."""

    net: Net
    """In the middle of its training; gradients are those of the last update."""
    normalizer: Normalizer
    test: Tensor
    """(N, 3, H, W) uint8, where they are fastest."""
    test_labels: Tensor
    tick: Callable[[], None]
    """To be called now and then in long work; may raise to stop."""
    compiled: bool = False
    """Whether torch.compile is at work."""
    epoch: int = 0
    """Complete epochs."""
    iteration: int = 0
    """Updates done."""
    history: dict[str, Any] = field(default_factory=dict)
    """After an epoch: its row."""

    def eager(self) -> AbstractContextManager[object]:
        """For forward passes with hooks: a compiled net would be compiled again, in pieces."""
        return torch.compiler.set_stance("force_eager") if self.compiled else nullcontext()


class Recorder:
    """A recorder that records nothing: entries override what they need."""

    def on_start(self, view: View) -> Recorded:
        """Before the first update of a whole training; not when it is resumed."""
        return {}

    def on_update(self, view: View) -> Recorded:
        """After an update: called often, so it has to look quickly whether there is work."""
        return {}

    def on_epoch(self, view: View) -> Recorded:
        """After an epoch and its evaluation."""
        return {}

    def on_end(self, view: View) -> Recorded:
        """After the last epoch."""
        return {}


class History(Recorder):
    """One row per epoch."""

    def on_epoch(self, view: View) -> Recorded:  # noqa: D102
        return {"history": [view.history]}


class ClosedForm(Recorder):
    """Layer responses from BN's parameters, every epoch: they cost no forward pass."""

    def on_epoch(self, view: View) -> Recorded:  # noqa: D102
        return {"responses": closed_form(view.net, view.epoch)}


class Probes(Recorder):
    """Responses, refinement, zeros and gradients on a fixed probe, densest in the first updates.

    Until the first epoch ends, BN normalizes the probe by the probe's own batches: its running
    statistics still say little (they start at mean 0 and variance 1, and move by a tenth at each
    update). From then on as in evaluation.
    """

    UPDATES = frozenset({1, 2, 5, 10, 20, 50, 100, 200})
    """Of the first epoch."""

    def __init__(self) -> None:
        self._images: Tensor | None = None

    def _look(self, view: View, early: bool) -> Recorded:
        if self._images is None:
            self._images = probe_images(view.test, view.test_labels)
        with view.eager():
            return probe(view.net, self._images, view.normalizer, view.epoch, view.iteration, early)

    def on_start(self, view: View) -> Recorded:  # noqa: D102
        return self._look(view, early=True)

    def on_update(self, view: View) -> Recorded:  # noqa: D102
        if view.epoch or view.iteration not in self.UPDATES:
            return {}
        return self._look(view, early=True)

    def on_epoch(self, view: View) -> Recorded:  # noqa: D102
        return self._look(view, early=False)


class Measured(Recorder):
    """Responses and refinement over all test images, once, at the end."""

    def on_end(self, view: View) -> Recorded:  # noqa: D102
        with view.eager():
            found = measure(view.net, view.test, view.normalizer, view.epoch, tick=view.tick)
        refinement = {"refinement": found.refinement} if len(found.refinement) else {}
        return {"responses": found.responses, **refinement}


def recorders() -> tuple[Recorder, ...]:
    """What every training records, in the order in which its tables are written."""
    return History(), ClosedForm(), Probes(), Measured()


class Told:
    """Recorders and what they have said that is not on disk yet."""

    def __init__(self, entries: tuple[Recorder, ...]) -> None:
        self._entries = entries
        self.waiting: list[tuple[str, Rows]] = []

    def tell(self, event: str, view: View) -> None:
        """Call `event` (`on_start`, ...) of all entries and keep their rows."""
        for entry in self._entries:
            self.waiting.extend(getattr(entry, event)(view).items())

    def take(self) -> list[tuple[str, Rows]]:
        """All that waits, in order; then nothing waits."""
        taken, self.waiting = self.waiting, []
        return taken
