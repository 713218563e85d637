"""From uint8 pixels to what a net takes: float32 with the training set's mean subtracted.

It is part of a trained net, and is saved with the weights. Knows nothing of data sets or files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_CHUNK = 1024
"""Images summed at a time: float32 holds their sum exactly (1024 * 255 < 2**24)."""


@dataclass(frozen=True, eq=False)
class Normalizer:
    """Subtracts a mean, and divides by a standard deviation only where an imported net wants it.

    The paper subtracts the per-pixel mean and does not divide (section 4.2). Values are in 0..1.
    """

    mean: Tensor
    """float32, per pixel (3, H, W) or per channel (3, 1, 1)."""
    std: Tensor | None = None
    """float32, per channel (3, 1, 1); None: do not divide."""

    @classmethod
    def fit(cls, images: Tensor) -> Normalizer:
        """The per-pixel mean of uint8 images (N, 3, H, W), in 0..1; memory does not grow with N."""
        total = torch.zeros(images.shape[1:], dtype=torch.float64)
        for chunk in images.split(_CHUNK):
            total += chunk.to(torch.float32).sum(0).cpu()
        return cls((total / (255 * len(images))).to(torch.float32))

    def apply(self, batch: Tensor, channels_last: bool = False) -> Tensor:
        """uint8 (N, 3, H, W) -> float32 (N, 3, H, W) on the same device.

        Equals torchvision's ToTensor and Normalize bit for bit; move the normalizer to the
        batch's device with `to` first.
        """
        layout = torch.channels_last if channels_last else torch.contiguous_format
        # In this order: bytes are permuted faster than floats, and an equal layout of the mean
        # keeps the subtraction vectorised.
        x = batch.contiguous(memory_format=layout).to(torch.float32).div_(255)
        x.sub_(self.mean.unsqueeze(0).contiguous(memory_format=layout))
        return x if self.std is None else x.div_(self.std)

    def to(self, device: torch.device | str) -> Normalizer:
        """The same on another device."""
        return Normalizer(self.mean.to(device), None if self.std is None else self.std.to(device))

    def state_dict(self) -> dict[str, Tensor]:
        """`mean`, and `std` where there is one: what `from_state_dict` takes."""
        return {"mean": self.mean} if self.std is None else {"mean": self.mean, "std": self.std}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Normalizer:
        """The normalizer that `state_dict` described."""
        return cls(state["mean"], state.get("std"))
