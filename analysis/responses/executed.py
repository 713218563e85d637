"""BN layers of any module by what is executed: order, convolution before each, every use a row.

Our own nets have a plan that says all this; of a foreign module only its forward pass does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.hooks import RemovableHandle

from analysis.responses.moments import Moments
from analysis.responses.rows import (
    DescribedLayer,
    batch_norms,
    is_batch_norm,
    is_layer,
    kernel_of,
)

_FEW = 64
"""Values at a storage's start by which a change is told: a ReLU leaves all one time in 2^64."""


@dataclass
class _Use:
    """One use of a BN in a forward pass."""

    layer: str
    kernel: int
    shape: str
    moments: Moments


@dataclass
class _Made:
    """A layer's output, as long as it lives: its storage, and what tells whether that changed."""

    storage: StorageWeakRef
    state: int | list[float]
    layer: str
    module: Any


@dataclass
class ExecutedLayers:
    """Hooks on a module's layers and BNs, and the responses that they have seen.

    Raises:
        ValueError: there is no BatchNorm layer.
    """

    net: nn.Module
    uses: dict[tuple[str, int], _Use] = field(default_factory=dict)
    """By BN and its use in the pass, from 1; in the order of execution."""

    def __post_init__(self) -> None:
        self.registered = batch_norms(self.net)
        self._made: dict[int, _Made] = {}
        self._count: dict[str, int] = {}

    def hook(self) -> list[RemovableHandle]:
        """Look at every pass from now on; the handles end it."""
        handles = [self.net.register_forward_pre_hook(lambda *_: self._begin())]
        for name, module in self.net.named_modules():
            if is_layer(module):
                handles.append(module.register_forward_hook(self._layer(name)))
            elif is_batch_norm(module):
                entered = self._entered(name)
                handles.append(module.register_forward_pre_hook(entered, with_kwargs=True))
                inside = getattr(module, "act", None)  # timm's: the response is what it is given
                if isinstance(inside, nn.Module):
                    handles.append(inside.register_forward_pre_hook(self._given(name)))
                else:
                    handles.append(module.register_forward_hook(self._left(name)))
        return handles

    def _begin(self) -> None:
        self._made.clear()
        self._count.clear()

    def _layer(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: object, output: Any) -> None:
            if isinstance(output, Tensor):
                storage = StorageWeakRef(output.untyped_storage())
                self._made[storage.cdata] = _Made(storage, _state(output), name, module)

        return hook

    def _entered(self, name: str) -> Callable[..., None]:
        def hook(
            _module: nn.Module, inputs: tuple[Tensor, ...], by_name: dict[str, Tensor]
        ) -> None:
            use = self._count[name] = self._count.get(name, 0) + 1
            if (name, use) not in self.uses:
                (given, *_) = (*inputs, *by_name.values())
                self.uses[name, use] = self._described(name, use, given)

        return hook

    def _described(self, name: str, use: int, given: Tensor) -> _Use:
        """The layer whose output, untouched, the BN was given."""
        made = self._made.get(StorageWeakRef(given.untyped_storage()).cdata)
        layer, kernel, shape = name, 0, ""
        if made is not None and made.state == _state(given):
            layer, (kernel, shape) = made.layer, kernel_of(made.module)
        taken = {earlier.layer for earlier in self.uses.values()}
        called = layer if use == 1 else f"{layer}#{use}"
        while called in taken:  # another BN has this layer too
            use += 1
            called = f"{layer}#{use}"
        return _Use(called, kernel, shape, Moments(given.shape[1]))

    def _given(self, name: str) -> Callable[..., None]:
        return lambda _module, inputs: self._take(name, inputs[0])

    def _left(self, name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: self._take(name, output)

    def _take(self, name: str, response: Tensor) -> None:
        with _disable_current_modes():  # `observe` needn't see some 30 small operations a layer
            self.uses[name, self._count[name]].moments.update(response)

    def layers(self) -> list[tuple[DescribedLayer, Moments]]:
        """What ran, in order, with what it responded."""
        modules = dict(self.net.named_modules())
        found: list[tuple[DescribedLayer, Moments]] = []
        for order, ((bn, _use), use) in enumerate(self.uses.items(), start=1):
            described = DescribedLayer(
                bn, modules[bn], use.layer, order, 0, 0, order, use.kernel, use.shape
            )
            found.append((described, use.moments))
        return found

    @property
    def not_run(self) -> tuple[str, ...]:
        """The BNs that no pass has used."""
        ran = {bn for bn, _use in self.uses}
        return tuple(bn for bn in self.registered if bn not in ran)


def _state(tensor: Tensor) -> int | list[float]:
    """Another after it was written to in place: a count; inference tensors have none, so values."""
    if not tensor.is_inference():
        return tensor._version
    with _disable_current_modes():
        few = min(_FEW, tensor.untyped_storage().nbytes() // tensor.element_size())
        return tensor.as_strided((few,), (1,), 0).tolist()
