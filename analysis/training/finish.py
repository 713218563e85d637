"""Measuring a trained net: responses and refinement over images, with hooks, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from analysis.data import Normalizer
from analysis.nets import Net
from analysis.responses import Recording, record
from analysis.responses.recorder import RECORD_BATCH


def measure(
    net: Net,
    images: Tensor,
    normalizer: Normalizer,
    epoch: int,
    tick: Callable[[], None] | None = None,
) -> Recording:
    """Responses and refinement of a net, float32, uncompiled.

    Args:
        net: the net, on any device.
        images: (N, 3, H, W) uint8.
        normalizer: of the input.
        epoch: what the tables say.
        tick: called after each batch; may raise to stop.
    """
    device = next(net.parameters()).device

    def batches():
        for batch in images.split(RECORD_BATCH):
            yield normalizer.apply(batch.to(device))
            if tick:
                tick()

    return record(net, batches(), epoch)
