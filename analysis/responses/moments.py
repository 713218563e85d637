"""Mean and variance per channel of any number of batches, in memory O(channels)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Above this ratio of mean square to variance, sums of squares lose too many float32 digits.
_CANCELLATION = 1e3


class Moments:
    """Per-channel count, mean and centred second moment of activations (N, C, ...).

    Batches are merged in float64 on the host (Chan et al. 1979), so that any split into batches
    gives the same numbers. Within a batch each (image, channel) plane is summed in float32 where
    the tensor is (Apple's GPUs have no float64), and planes are added in float64 on the host: two
    plain reductions, which cost a sixth of `torch.var_mean` on a CPU.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.m2 = torch.zeros(channels, dtype=torch.float64)

    def update(self, y: Tensor) -> None:
        """Add a batch (N, C, ...); reads it and keeps nothing of it."""
        y = y.detach()
        if y.dtype in (torch.bfloat16, torch.float16):
            y = y.float()
        count, mean, var = _batch_moments(y)
        total = self.count + count
        delta = mean - self.mean
        self.mean += delta * (count / total)
        self.m2 += var * count + delta.square() * (self.count * count / total)
        self.count = total

    @property
    def var(self) -> Tensor:
        """Variance of each channel, (C,) float64, population (over n)."""
        return self.m2 / max(self.count, 1)

    @property
    def layer_std(self) -> float:
        """Standard deviation over all elements of the layer: within channels and between them."""
        return math.sqrt(float(self.var.mean() + self.mean.var(correction=0)))

    @property
    def layer_mean(self) -> float:
        """Mean over all elements of the layer."""
        return float(self.mean.mean())


def _batch_moments(y: Tensor) -> tuple[int, Tensor, Tensor]:
    """Count, mean (C,) and population variance (C,) of a batch, float64 on the CPU."""
    mean, second, count = _means(y)
    if _cancels(mean, second):
        # About the mean nothing cancels: y - shift is exact where it is small.
        shift = mean.to(y.dtype)
        at = shift.to(y.device).reshape(-1, *[1] * (y.dim() - 2))
        rest, second, count = _means(y - at)
        return count, shift.double() + rest, (second - rest.square()).clamp_(min=0)
    return count, mean, (second - mean.square()).clamp_(min=0)


def _cancels(mean: Tensor, second: Tensor) -> bool:
    var = (second - mean.square()).clamp_(min=0)
    pooled = var.mean() + mean.var(correction=0)
    return float(second.mean()) > _CANCELLATION * float(pooled)


def _means(y: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and mean square by channel, (C,) float64 on the host, and elements a channel."""
    channels = y.shape[1]
    count = y.numel() // channels
    channels_last = y.dim() == 4 and not y.is_contiguous() and y.stride(1) == 1
    if channels_last or y.dim() == 2:
        rows = y.movedim(1, -1).reshape(len(y), -1, channels)
        sums, norms = rows.sum(1), torch.linalg.vector_norm(rows, dim=1)
    else:
        planes = y.reshape(len(y), channels, -1)
        sums, norms = planes.sum(2), torch.linalg.vector_norm(planes, dim=2)
    sums, norms = torch.stack([sums, norms]).cpu().double()
    return sums.sum(0) / count, norms.square().sum(0) / count, count
