"""Nets with every number in them drawn at random, BN statistics too; and an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from analysis.nets import Net, build
from analysis.specs import NetSpec

NAMES = (
    "plain-8-w4", "resnet-8-w4", "resnet-8-w4-B", "resnet-18-w4-C", "resnet-50-w4",
    "preresnet-8-w4", "preresnet-18-w4-C", "preresnet-50-w4", "preresnet-8-w4-B-raw-nofinal",
)  # fmt: skip


def net(name: str = "resnet-8-w4", seed: int = 0) -> Net:
    """A net in evaluation mode whose BNs scale, shift and have statistics."""
    made = build(NetSpec.parse(name), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in (
                (module.weight, 0.5), (module.bias, -0.5),
                (module.running_mean, -0.5), (module.running_var, 0.5),
            ):  # fmt: skip
                tensor.data.uniform_(low, low + 1, generator=generator)
    return made.eval()


def image(seed: int = 0, n: int = 1) -> Tensor:
    """Normalised images (n, 3, 32, 32)."""
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 0.3
