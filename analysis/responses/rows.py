"""Which layers of a module have a response, and how a row of the `responses` table names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from analysis.nets import Net, layers

BatchNorm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class DescribedLayer:
    """A BN and the layer whose response it is."""

    bn: str
    """Module path of the BN."""
    module: BatchNorm
    layer: str
    """Module path of the convolution; of the BN itself where a foreign module doesn't tell."""
    order: int
    stage: int
    block: int
    conv: int
    kernel: int


def described_layers(net: nn.Module) -> list[DescribedLayer]:
    """The layers with a BN: of our nets by their plan, of any other module as they are registered.

    Raises:
        ValueError: there is no BatchNorm layer.
    """
    if isinstance(net, Net):
        modules = dict(net.named_modules())
        return [
            DescribedLayer(
                i.response, modules[i.response], i.name, i.order, i.stage, i.block, i.conv, i.kernel
            )
            for i in layers(net)
            if i.response
        ]
    found = _registered(net)
    if not found:
        raise ValueError(
            f"{type(net).__name__} has no BatchNorm layer, so no layer response is defined "
            "(He et al. section 4.2: the BN output before the nonlinearity)"
        )
    return found


def _registered(net: nn.Module) -> list[DescribedLayer]:
    """BNs in registration order, each with the convolution registered last before it."""
    found: list[DescribedLayer] = []
    last: tuple[str, Any] | None = None
    for name, module in net.named_modules():
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
            last = (name, module)
        elif isinstance(module, BatchNorm):
            layer, kernel = name, 0
            if last is not None and _channels(last[1]) == module.num_features:
                layer, kernel = last[0], _kernel(last[1])
            order = len(found) + 1
            found.append(DescribedLayer(name, module, layer, order, 0, 0, order, kernel))
            last = None
    return found


def _channels(module: Any) -> int:
    return module.out_features if isinstance(module, nn.Linear) else module.out_channels


def _kernel(module: Any) -> int:
    return 1 if isinstance(module, nn.Linear) else int(module.kernel_size[0])


def response_row(
    described: DescribedLayer, epoch: int, source: str, std: float, mean: float, n_images: int
) -> dict[str, Any]:
    """One row of the `responses` table."""
    return {
        "epoch": epoch,
        "layer": described.layer,
        "order": described.order,
        "stage": described.stage,
        "block": described.block,
        "conv": described.conv,
        "kernel": described.kernel,
        "source": source,
        "std": std,
        "mean": mean,
        "n_images": n_images,
    }
