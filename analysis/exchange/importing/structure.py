"""The weighted layers of a foreign state dict in forward order, and which BN follows which one.

A layer is what its tensors are: a kernel of four dimensions is a convolution, a matrix a linear
layer, a vector with running statistics a BN. Order is that of the file; where names of siblings
differ in their numbers alone (conv1 and conv2, 2 and 10), the numbers say it. Knows no net.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.errors import ImportRefused
from analysis.exchange.importing.layouts import split_key

Shape = tuple[int, ...]

_DIGITS = re.compile(r"\d+")
_WORDS = re.compile(r"conv(olution)?(2d)?|batch_?norm(2d)?|bn|norm(alization)?|_", re.I)
_LONGEST, _DEEPEST = 300, 30


@dataclass(frozen=True)
class Layer:
    """A convolution, BN or linear layer of the file."""

    path: str
    shape: Shape
    """Of its weight."""

    @property
    def c_out(self) -> int:
        """Filters, channels or outputs."""
        return self.shape[0]

    @property
    def c_in(self) -> int:
        """Input channels of a filter, or inputs."""
        return self.shape[1]

    @property
    def kernel(self) -> int:
        """Height of a filter; 0 unless it is square."""
        return self.shape[2] if self.shape[2] == self.shape[3] else 0


@dataclass(frozen=True)
class Structure:
    """All weighted layers of a file, each kind in forward order."""

    convs: tuple[Layer, ...]
    bns: tuple[Layer, ...]
    linears: tuple[Layer, ...]
    norms: tuple[Layer, ...]
    """Vectors with a weight and no running statistics: GroupNorm, LayerNorm or the like."""


def structure_of(shapes: Mapping[str, Shape]) -> Structure:
    """The layers in these tensors."""
    leaves: dict[str, dict[str, Shape]] = {}
    for key, shape in shapes.items():
        path, leaf = split_key(key)
        if len(key) <= _LONGEST and key.count(".") <= _DEEPEST:
            leaves.setdefault(path, {})[leaf] = tuple(shape)
    convs, bns, linears, norms = [], [], [], []
    for path in in_order(leaves):
        tensors = leaves[path]
        weight = tensors.get("weight", ())
        if "running_mean" in tensors and "running_var" in tensors:
            bns.append(Layer(path, tensors["running_mean"]))
        elif len(weight) == 4:
            convs.append(Layer(path, weight))
        elif len(weight) == 2:
            linears.append(Layer(path, weight))
        elif len(weight) == 1:
            norms.append(Layer(path, weight))
    return Structure(tuple(convs), tuple(bns), tuple(linears), tuple(norms))


def in_order(paths: Iterable[str]) -> list[str]:
    """Paths in the file's order, siblings that differ only in numbers sorted by them."""
    children: dict[str, dict[str, None]] = {}
    split = {path: path.split(".") for path in paths}
    for parts in split.values():
        for depth, part in enumerate(parts):
            children.setdefault(".".join(parts[:depth]), {})[part] = None
    ranks = {parent: _ranks(list(names)) for parent, names in children.items()}
    return sorted(
        split,
        key=lambda path: tuple(
            ranks[".".join(split[path][:depth])][part] for depth, part in enumerate(split[path])
        ),
    )


def _ranks(names: list[str]) -> dict[str, int]:
    """Position by name; each pattern of names keeps its places, its numbers ascend in them."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(_DIGITS.sub("#", name), []).append(place)
    ranks: dict[str, int] = {}
    for taken in places.values():
        ordered = sorted((names[p] for p in taken), key=lambda n: [*map(int, _DIGITS.findall(n))])
        ranks |= dict(zip(ordered, taken, strict=True))
    return ranks


def paired(convs: Iterable[Layer], bns: Iterable[Layer], before: bool = False) -> dict[str, Layer]:
    """The BN of each convolution by the convolution's path.

    Names that are equal but for "conv" and "bn" belong together, and neighbours in a sequence;
    what is left goes by its order.

    Args:
        convs: in forward order.
        bns: in forward order, as many.
        before: whether a BN comes before its convolution (pre-activation).

    Raises:
        ImportRefused: one of them has no BN of its number of channels.
    """
    left = {layer.path: layer for layer in convs}
    free = {layer.path: layer for layer in bns}
    found: dict[str, Layer] = {}

    def take(conv: str, bn: str) -> None:
        conv_layer, layer = left[conv], free[bn]
        if layer.c_out == (conv_layer.c_in if before else conv_layer.c_out):
            found[conv] = layer
            del left[conv], free[bn]

    for path in list(left):
        parent, _, last = path.rpartition(".")
        beside = f"{parent}.{int(last) + (-1 if before else 1)}" if last.isdigit() else ""
        if beside in free:
            take(path, beside)
    reduced = Counter(_WORDS.sub("", path) for path in free)
    by_name = {_WORDS.sub("", path): path for path in free}
    same = Counter(_WORDS.sub("", path) for path in left)
    for path in list(left):
        short = _WORDS.sub("", path)
        if same[short] == reduced[short] == 1:
            take(path, by_name[short])
    _pair_by_order(left, free, found, before)
    return found


def _pair_by_order(
    left: Mapping[str, Layer], free: Mapping[str, Layer], found: dict[str, Layer], before: bool
) -> None:
    for conv, bn in zip(left.values(), free.values(), strict=False):
        channels = conv.c_in if before else conv.c_out
        if bn.c_out != channels:
            raise ImportRefused(
                "{conv} has {n} filters, and {bn}, which comes at its place among the BNs, {other} "
                "channels: say which BN it has: --map {bn}=NAME",
                conv=conv.path,
                n=channels,
                bn=bn.path,
                other=bn.c_out,
            )
        found[conv.path] = bn
