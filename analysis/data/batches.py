"""Whole batches of images: random crops and mirrors as tensor operations, and their random order.

No loop over images, no PIL, no worker processes: an index into the padded batch does it, on the
batch's device. All randomness is drawn on the CPU from a generator that (seed, epoch) alone
determines, so a resumed run sees what an uninterrupted one would, on any device, with no stored
state. Knows nothing of data sets or nets.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch.nn import functional as F

PADDING = 4
"""Pixels added on each side before cropping (section 4.2)."""


def _generator(purpose: str, seed: int, epoch: int) -> torch.Generator:
    # Hashed, so that (seed 0, epoch 1) and (seed 1, epoch 0) share nothing; 32 bits, because
    # torch's CPU engine takes no more of a seed.
    digest = hashlib.sha256(f"{purpose} {seed} {epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The source of an epoch's augmentation: a CPU generator, the same for the same arguments."""
    return _generator("augmentation", seed, epoch)


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits n images: a permutation of 0..n-1, int64 (n,)."""
    return torch.randperm(n, generator=_generator("order", seed, epoch))


def draw_augmentation(
    n: int, generator: torch.Generator, flip: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """How to crop and mirror n images: `(dy, dx, flips)` for `crop_flip`, each (n,).

    dy and dx are int64, uniform in 0..8: the crop's top left corner in the padded image. flips is
    bool, true for half of the images; all false without `flip`. To share a batch among devices,
    draw for all of it and give each its slice.
    """
    dy, dx = torch.randint(0, 2 * PADDING + 1, (2, n), generator=generator)
    if not flip:
        return dy, dx, torch.zeros(n, dtype=torch.bool)
    return dy, dx, torch.randint(0, 2, (n,), generator=generator).bool()


def crop_flip(batch: Tensor, dy: Tensor, dx: Tensor, flips: Tensor) -> Tensor:
    """Pad by 4 zeros, crop back to H x W at (dy, dx), then mirror where `flips`: (N, C, H, W).

    On uint8 pixels this equals torchvision's RandomCrop(H, padding=4) and RandomHorizontalFlip
    on PIL images, pixel for pixel: the border is black. Section 4.2 leaves open whether the mean
    is subtracted before padding; for a border at the mean instead of black, call it on the
    normalised float batch.
    """
    n, c, h, w = batch.shape
    device = batch.device
    dy, dx, flips = (t.to(device, non_blocking=True).view(n, 1, 1) for t in (dy, dx, flips))
    rows = dy + torch.arange(h, device=device).view(1, h, 1)
    columns = torch.arange(w, device=device).view(1, 1, w)
    columns = dx + torch.where(flips, w - 1 - columns, columns)
    index = (rows * (w + 2 * PADDING) + columns).view(n, 1, h * w)
    padded = F.pad(batch, (PADDING,) * 4)
    return padded.flatten(2).gather(2, index.expand(n, c, h * w)).view(n, c, h, w)


def augment(batch: Tensor, generator: torch.Generator, flip: bool = True) -> Tensor:
    """The batch (N, C, H, W), randomly cropped and mirrored: section 4.2's augmentation."""
    return crop_flip(batch, *draw_augmentation(len(batch), generator, flip))
