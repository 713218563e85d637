"""Loss and top-1 error of a net on images, in evaluation mode, counted over images.

In float32 whatever the training's precision, so that the weights on disk give the recorded errors
again to the last image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.data import Normalizer
from analysis.responses.recorder import evaluating
from analysis.training.distributed import World

EVALUATION_BATCH = 128
"""Images in a batch on a CPU, whose caches are small."""
_GPU_BATCH = 1000
"""On a GPU, which would wait for whoever starts its kernels."""


def evaluate(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalizer: Normalizer,
    *,
    world: World | None = None,
    channels_last: bool = False,
    tick: Callable[[], None] | None = None,
) -> tuple[float, float]:
    """(mean cross-entropy in nats, top-1 error in percent) over all images.

    Args:
        net: the net; its mode is restored. Its `forward` is called, not a compiled version.
        images: (N, 3, H, W) uint8.
        labels: (N,) class indices.
        normalizer: of the input.
        world: with several processes each takes a part.
        channels_last: memory layout of the batches.
        tick: called after each batch; may raise to stop.
    """
    world = world or World()
    device = next(net.parameters()).device
    totals = torch.zeros(2, dtype=torch.float64)
    with evaluating(net):
        size = _GPU_BATCH if device.type == "cuda" else EVALUATION_BATCH
        for indices in world.share(torch.arange(len(images), device=images.device)).split(size):
            batch = normalizer.apply(
                images.index_select(0, indices).to(device), channels_last=channels_last
            )
            logits = net.forward(batch)
            wanted = labels.index_select(0, indices).to(device)
            loss = F.cross_entropy(logits, wanted, reduction="sum")
            wrong = (logits.argmax(1) != wanted).sum()
            totals += torch.stack([loss, wrong.to(loss.dtype)]).cpu()
            if tick:
                tick()
    loss, wrong = world.total(totals).tolist()
    return loss / len(images), 100 * wrong / len(images)
