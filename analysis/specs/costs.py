"""What a net costs on paper: parameters, multiply-adds, activation memory; by layer and in all.

From the layer plan alone: no torch. `analysis.lens.complexity` measures times; their table is kept
and read here. VGG-19 is here as the paper's yardstick (Fig. 3, left: "19.6 billion FLOPs").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.errors import SpecError
from analysis.specs import KINDS, NetSpec, plan

VGG19 = "vgg-19"
VGG19_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""(filters, 3x3 layers) of each stage; a 2x2 max-pool follows each (Simonyan and Zisserman, E)."""
VGG19_LINEAR = (4096, 4096, 1000)

PAPER_NETS = (
    VGG19,
    "plain-34-imagenet",
    "resnet-34-imagenet",
    "resnet-18-imagenet",
    "resnet-50-imagenet",
    "resnet-101-imagenet",
    "resnet-152-imagenet",
)
"""At 224 pixels: Table 1 and Fig. 3."""
CIFAR_NETS = (
    "resnet-20", "resnet-32", "resnet-44", "resnet-56", "resnet-110", "plain-34-w16",
    "resnet-34-w16",
)  # fmt: skip
"""At 32 pixels: Table 6."""

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Cost:
    """One weighted layer's cost, of one image."""

    layer: str
    kernel: int
    c_in: int
    c_out: int
    map_size: int
    parameters: int
    multiply_adds: int


def spec_of(name: str) -> NetSpec | None:
    """The net of a name, with 1000 classes where its inputs have 224 pixels; None for VGG-19.

    Raises:
        SpecError: neither; the message lists what is possible.
    """
    if name == VGG19:
        return None
    try:
        spec = NetSpec.parse(name)
    except SpecError as error:
        raise SpecError(
            "{problem} For comparison there is also {net}.", problem=error, net=VGG19
        ) from error
    return NetSpec.parse(name, 1000) if spec.stem == "imagenet" else spec


def title_of(name: str) -> str:
    """What figures call a net: `ResNet-34`, `PreResNet-34`, `plain-34`, `VGG-19`."""
    prefix, _dash, rest = name.partition("-")
    proper = {info.prefix: info.proper for info in KINDS.values()} | {"vgg": "VGG"}
    return f"{proper[prefix]}-{rest}".replace("-imagenet", "")


def image_size(name: str) -> int:
    """Height and width of a net's input in pixels."""
    spec = spec_of(name)
    return 224 if spec is None else spec.image_size


def layer_costs(name: str) -> list[Cost]:
    """Every weighted layer in forward order. Raises SpecError."""
    spec = spec_of(name)
    if spec is None:
        return _vgg19()
    return [
        Cost(
            layer.name, layer.kernel, layer.c_in, layer.c_out, layer.map_size,
            layer.parameters, layer.multiply_adds,
        )
        for layer in plan.layers(spec)
    ]  # fmt: skip


def _vgg19() -> list[Cost]:
    costs, c_in, size = [], 3, 224
    for stage, (filters, count) in enumerate(VGG19_STAGES, start=1):
        for conv in range(1, count + 1):
            weights = 9 * c_in * filters
            name = f"stage{stage}.conv{conv}"
            costs.append(Cost(name, 3, c_in, filters, size, weights + filters, weights * size**2))
            c_in = filters
        size //= 2
    c_in *= size**2
    for number, c_out in enumerate(VGG19_LINEAR, start=1):
        weights = c_in * c_out
        costs.append(Cost(f"head.fc{number}", 1, c_in, c_out, 1, weights + c_out, weights))
        c_in = c_out
    return costs


def activation_bytes(name: str) -> int:
    """Memory that training keeps of one image for the backward pass, in float32. Raises SpecError.

    VGG-19 is torchvision's: no BN, ReLUs in place, dropout between the linear layers.
    """
    spec = spec_of(name)
    return FLOAT_BYTES * (_vgg19_floats() if spec is None else _net_floats(spec))


def _vgg19_floats() -> int:
    """In units of a float32: each ReLU's output, pooled maps and their indices in int64, features.

    Of the two hidden linear layers the output of ReLU, that of dropout, and its mask.
    """
    convs = [cost for cost in _vgg19() if cost.kernel == 3]
    floats = 3 * 224**2 + sum(cost.c_out * cost.map_size**2 for cost in convs)
    last = {cost.map_size: cost.c_out for cost in convs}
    floats += sum(3 * filters * (size // 2) ** 2 for size, filters in last.items())
    return floats + VGG19_STAGES[-1][0] * 7**2 + 3 * sum(VGG19_LINEAR[:-1])


def _net_floats(spec: NetSpec) -> int:
    """In units of a float32.

    Each BN's input (a convolution's output, in a pre-activation net also a block's) and each ReLU's
    output (which is the next layer's input); the image; the pooled features. Post-activation sums,
    BN outputs and zero-padding are not kept. Workspaces and the gradients themselves come on top.
    """
    layers = plan.layers(spec)
    floats = 3 * spec.image_size**2 + layers[-1].c_in
    for layer in layers:
        elements = layer.channels * layer.maps_size**2
        floats += elements * (bool(layer.bn) + bool(layer.activation))
    if spec.stem == "imagenet":
        stem = layers[0]
        pooled = stem.c_out * (stem.map_size // 2) ** 2
        floats += 2 * pooled  # the max-pool's indices in int64, and its input or output:
        floats += pooled if stem.activation else stem.c_out * stem.map_size**2
    return floats


def complexity_info(names: Sequence[str]) -> pd.DataFrame:
    """A row a net: what it costs on paper.

    Columns: net, title, kind (plain, residual, vgg), depth, image_size (pixels), parameters,
    multiply_adds (of one image), vgg19_share (multiply-adds over those of VGG-19),
    activation_bytes (of one image, training).

    Raises:
        SpecError: a name is no net's.
    """
    yardstick = sum(cost.multiply_adds for cost in _vgg19())
    rows = []
    for name in names:
        spec, costs = spec_of(name), layer_costs(name)
        multiply_adds = sum(cost.multiply_adds for cost in costs)
        rows.append(
            {
                "net": name,
                "title": title_of(name),
                "kind": spec.kind if spec else "vgg",
                "depth": spec.depth if spec else 19,
                "image_size": image_size(name),
                "parameters": sum(cost.parameters for cost in costs),
                "multiply_adds": multiply_adds,
                "vgg19_share": multiply_adds / yardstick,
                "activation_bytes": activation_bytes(name),
            }
        )
    return pd.DataFrame(rows)


def layers_info(name: str) -> pd.DataFrame:
    """A row a weighted layer: layer, kernel, c_in, c_out, map_size, parameters, multiply_adds."""
    return pd.DataFrame([vars(cost) for cost in layer_costs(name)])
