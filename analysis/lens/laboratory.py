"""A bench on which blocks of a net are weakened, removed or swapped: x + alpha F(x).

A residual block can be weakened by any alpha, since what its shortcut gives always has the shape
of F(x). A plain block can be removed whole, where its input and output have one shape.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from math import ceil

import torch
from torch import Tensor, nn

from analysis.lens.hooks import lock_of
from analysis.nets import Net
from analysis.responses.recorder import RECORD_BATCH, evaluating
from analysis.runs.learned import Lesion
from analysis.specs.plan import BlockInfo, blocks

KEPT_BYTES = 300_000_000
"""Of the blocks' inputs in a laboratory."""


class Laboratory:
    """A net and the images that lesions of it are tried on.

    Keeps the images' way to some of the blocks, so that a lesion costs what comes after it only.
    """

    def __init__(self, net: Net, x: Tensor) -> None:
        """Pass the images through once.

        Args:
            net: one of ours; a copy is used, so that others may go on with it.
            x: normalised, (N, 3, H, W).
        """
        self.net = deepcopy(net)
        self._infos = blocks(net.spec)
        self._blocks = [self.net.get_submodule(info.name) for info in self._infos]
        self._inputs: dict[int, Tensor] = {}
        with evaluating(self.net):
            y = _batched(self.net.stem, x)
            step = ceil(y.nbytes * len(self._blocks) / KEPT_BYTES)
            for at, block in enumerate(self._blocks):
                if at % step == 0:
                    self._inputs[at] = y
                y = _batched(block, y)
            self.intact = _batched(self.net.classify, y)
        """The logits without a lesion, (N, classes)."""

    def logits(self, lesion: Lesion) -> Tensor:
        """The images' logits (N, classes) under a lesion.

        Raises:
            KeyError: no such block.
            ValueError: a block that can't be weakened so, or two that can't be swapped.
        """
        order, strengths = self._order(lesion), self._strengths(lesion)
        changed = [at for at, index in enumerate(order) if at != index or strengths[index] != 1]
        if not changed:
            return self.intact
        start = max(at for at in self._inputs if at <= changed[0])
        with lock_of(self.net), evaluating(self.net):
            y = self._inputs[start]
            for index in order[start:]:
                y = self._pass(index, strengths[index], y)
            return _batched(self.net.classify, y)

    def _order(self, lesion: Lesion) -> list[int]:
        order = list(range(len(self._infos)))
        if lesion.swapped:
            names = [info.name for info in self._infos]
            a, b = (names.index(name) for name in lesion.swapped)
            if not can_swap(self._infos[a], self._infos[b]):
                raise ValueError(f"{lesion.swapped} are of different shapes")
            order[a], order[b] = b, a
        return order

    def _strengths(self, lesion: Lesion) -> list[float]:
        known = {info.name for info in self._infos}
        if not lesion.strengths.keys() <= known:
            raise KeyError(sorted(lesion.strengths.keys() - known)[0])
        strengths = [lesion.strengths.get(info.name, 1.0) for info in self._infos]
        for info, strength in zip(self._infos, strengths, strict=True):
            if strength != 1 and not info.x and (strength != 0 or not info.keeps_shape):
                raise ValueError(f"{info.name} has no shortcut: it can be removed or not at all")
        return strengths

    def _pass(self, index: int, strength: float, x: Tensor) -> Tensor:
        info, block = self._infos[index], self._blocks[index]
        if strength == 1:
            return _batched(block, x)
        if not info.x:
            return x
        if not strength and not info.projects_activated:
            shortcut = _batched(self.net.get_submodule(info.x), x)
            return self.net.get_submodule(info.last_relu)(shortcut) if info.last_relu else shortcut

        def weaken(_module: nn.Module, _inputs: object, f: Tensor) -> Tensor:
            return f * strength if strength else torch.zeros_like(f)

        handle = self.net.get_submodule(info.f).register_forward_hook(weaken)
        try:
            return _batched(block, x)
        finally:
            handle.remove()


def can_swap(a: BlockInfo, b: BlockInfo) -> bool:
    """Whether each of two blocks can take the other's place."""
    return replace(a, block=0) == replace(b, block=0) and a.keeps_shape


def _batched(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Part after part, so that activations stay in the CPU's cache."""
    return torch.cat([module(part) for part in x.split(RECORD_BATCH)])
