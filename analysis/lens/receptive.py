"""Which pixels can a position of a layer's map see? Arithmetic on the layer plan, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.specs import NetSpec
from analysis.specs.plan import layers


@dataclass(frozen=True)
class Field:
    """A layer's receptive field, in input pixels."""

    size: int
    """Height and width."""
    step: int
    """Input pixels from one position of the map to the next."""

    def box(self, row: int, column: int, size: int) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of what a position sees of a size x size image."""
        reach = self.size // 2
        top, left = row * self.step - reach, column * self.step - reach
        clipped = max(top, 0), max(left, 0)
        return (*clipped, min(top + self.size, size), min(left + self.size, size))


def receptive_fields(spec: NetSpec) -> dict[str, Field]:
    """By layer, of its maps (`LayerInfo.maps`). Shortcuts only make it easier to see less.

    Odd kernels, padded by half their size: position i is centred on input pixel i * step.
    """
    fields: dict[str, Field] = {}
    size = step = 1
    before: dict[str, Field] = {}
    for layer in layers(spec):
        if layer.role == "head":
            fields[layer.name] = Field(size, step)  # of what it pools: the last block's maps
            continue
        if layer.role == "projection":
            start = before[layer.block_name]
            fields[layer.name] = Field(start.size, start.step * layer.stride)
            continue
        before.setdefault(layer.block_name, Field(size, step))
        if layer.preactivated:
            fields[layer.name] = Field(size, step)
        size += (layer.kernel - 1) * step
        step *= layer.stride
        fields.setdefault(layer.name, Field(size, step))
        if layer.role == "stem" and spec.stem == "imagenet":
            size, step = size + 2 * step, 2 * step  # the 3x3 max-pool
    return fields
