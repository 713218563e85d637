"""Which layers of a module have a response, and how a row of the `responses` table names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

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
    shape: str = ""
    """The kernel as it is, of a foreign module: `3x1`, which is no 3x3 layer."""


def described_layers(net: nn.Module) -> list[DescribedLayer]:
    """The layers with a BN: of our nets by their plan, of any other module as they are registered.

    What a foreign module executes may differ: `executed` records by that.

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
    batch_norms(net)
    return _registered(net)


def batch_norms(net: nn.Module) -> list[str]:
    """Module paths of a foreign module's BNs, as they are registered.

    Raises:
        ValueError: there is none.
    """
    found = [name for name, module in net.named_modules() if is_batch_norm(module)]
    if not found:
        raise ValueError(
            f"{type(net).__name__} has no BatchNorm layer, so no layer response is defined "
            "(He et al. section 4.2: the BN output before the nonlinearity)"
        )
    return found


def _registered(net: nn.Module) -> list[DescribedLayer]:
    """BNs in registration order, each with its convolution where the module leaves no doubt.

    It does where convolutions are registered before all BNs, or one in a block and the BN in the
    next one (pre-activation): such a BN has its own name.
    """
    found: list[DescribedLayer] = []
    last: tuple[str, Any] | None = None
    for name, module in net.named_modules():
        if is_layer(module):
            several = last is not None and _parent(last[0]) == _parent(name)
            last = (name, module if not several else None)
        elif is_batch_norm(module):
            layer, kernel, shape = name, 0, ""
            if last is not None and last[1] is not None and _are_beside(last[0], name):
                conv = last[1]
                if _channels(conv) == _channels(module):
                    layer, (kernel, shape) = last[0], kernel_of(conv)
            order = len(found) + 1
            found.append(DescribedLayer(name, module, layer, order, 0, 0, order, kernel, shape))
            last = None
    return found


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _are_beside(layer: str, bn: str) -> bool:
    """In one module, or the layer in one of its own beside the BN."""
    return _parent(bn) in (_parent(layer), _parent(_parent(layer)))


def is_layer(module: nn.Module) -> bool:
    """Whether a BN may follow it: a convolution of any dimension, or a linear layer."""
    return isinstance(module, nn.modules.conv._ConvNd | nn.Linear)


def is_batch_norm(module: Any) -> bool:
    """Whether it is a BN, or a frozen one: a class of its own that keeps a BN's four vectors."""
    if isinstance(module, BatchNorm):
        return True
    kept = [getattr(module, name, None) for name in _KEPT]
    return (
        all(isinstance(vector, Tensor) for vector in kept)  # first: a lazy one has no dimensions
        and all(isinstance(vector, Tensor) and vector.dim() == 1 for vector in kept)
        and not isinstance(module, nn.modules.instancenorm._InstanceNorm)
    )  # fmt: skip


_KEPT = ("weight", "bias", "running_mean", "running_var")


def _channels(module: Any) -> int:
    for name in ("out_features", "out_channels", "num_features"):
        if hasattr(module, name):
            return getattr(module, name)
    return len(module.running_var)  # a frozen BN


def kernel_of(module: Any) -> tuple[int, str]:
    """Its side and its shape: (3, `3x3`); (0, `3x1`), as it has no one side; (1, ``) of linear."""
    if isinstance(module, nn.Linear):
        return 1, ""
    sides = [int(side) for side in module.kernel_size]
    return (sides[0] if len(set(sides)) == 1 else 0), "x".join(map(str, sides))


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
        "kernel_shape": described.shape,
    }
