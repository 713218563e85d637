"""Recording layer responses with hooks while images pass through a net.

Hooks belong to a `with` block: they reduce each BN output on the spot, before anything could
overwrite it, keep no activation, and are removed however the block ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from analysis import plan, tables
from analysis.nets import Net
from analysis.responses.moments import Moments
from analysis.responses.rows import described_layers, response_row

RECORD_BATCH = 32
"""Images a forward pass: activations then stay in the CPU's cache, where reducing them is cheap."""


class Recorder:
    """`with Recorder(net) as recorder:` run forward passes, then ask for the tables.

    Works on any module with BatchNorm layers; blocks' refinement is recorded for residual nets of
    ours. The module's mode is left alone: evaluation mode gives the measured responses of Fig. 7.

    Raises (when asked for a table):
        RuntimeError: a layer's hook never fired: no forward pass, or a compiled module, whose
            hooks must be in place before it is compiled.
    """

    def __init__(self, net: nn.Module, refinement: bool = True) -> None:
        self._net = net
        self._layers = described_layers(net)
        self.moments = {layer.bn: Moments(layer.module.num_features) for layer in self._layers}
        infos = plan.blocks(net.spec) if refinement and isinstance(net, Net) else []
        self._blocks = [_BlockSums(info) for info in infos if info.x]
        self._handles: list[RemovableHandle] = []
        self.n_images = 0

    def __enter__(self) -> Recorder:
        modules = dict(self._net.named_modules())
        try:
            self._handles.append(self._net.register_forward_pre_hook(self._count))
            for layer in self._layers:
                self._on_response(layer.module, self.moments[layer.bn].update)
            for sums in self._blocks:
                self._on_output(modules[sums.info.f], sums.take_f)
                self._on_output(modules[sums.info.x], sums.take_x)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._remove()

    def _remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for sums in self._blocks:
            sums.f = None

    def _on_output(self, module: nn.Module, take: Callable[[Tensor], None]) -> None:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            take(output)  # and return None: a hook's return value would replace the output

        self._handles.append(module.register_forward_hook(hook))

    def _on_response(self, bn: nn.Module, take: Callable[[Tensor], None]) -> None:
        """The BN's output before the nonlinearity, also where that is inside (timm's BNs)."""
        inside = getattr(bn, "act", None)
        if not isinstance(inside, nn.Module):
            self._on_output(bn, take)
            return

        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            take(inputs[0])

        self._handles.append(inside.register_forward_pre_hook(hook))

    def _count(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.n_images += len(inputs[0])

    def responses(self, epoch: int = 0) -> pd.DataFrame:
        """The `responses` table, source `measured`."""
        silent = [bn for bn, moments in self.moments.items() if not moments.count]
        if silent:
            raise RuntimeError(
                f"nothing was recorded at {', '.join(silent[:3])}: run a forward pass inside the "
                "`with` block, on the uncompiled module"
            )
        rows = []
        for layer in self._layers:
            m = self.moments[layer.bn]
            rows.append(
                response_row(layer, epoch, "measured", m.layer_std, m.layer_mean, self.n_images)
            )
        return pd.DataFrame(rows, columns=tables.names("responses"))

    def refinement(self, epoch: int = 0) -> pd.DataFrame:
        """The `refinement` table; empty for plain nets and modules that are not ours."""
        rows = [sums.row(epoch, order) for order, sums in enumerate(self._blocks, start=1)]
        return pd.DataFrame(rows) if rows else tables.empty("refinement")


class _BlockSums:
    """Running sums of a block's |x|^2, |F|^2 and cos(x, x + F); F waits for x in one pass only."""

    def __init__(self, info: plan.BlockInfo) -> None:
        self.info = info
        self.f: Tensor | None = None
        self.x_squares = self.f_squares = self.cosines = 0.0
        self.elements = self.images = 0

    def take_f(self, f: Tensor) -> None:
        self.f = f.detach()

    def take_x(self, x: Tensor) -> None:
        f, self.f = self.f, None
        if f is None:
            return
        flat_x, flat_f = x.detach().reshape(len(x), -1).float(), f.reshape(len(f), -1).float()
        xx = torch.linalg.vecdot(flat_x, flat_x).double()
        ff = torch.linalg.vecdot(flat_f, flat_f).double()
        xf = torch.linalg.vecdot(flat_x, flat_f).double()
        lengths = (xx * (xx + 2 * xf + ff)).clamp(min=0).sqrt()
        cosines = torch.where(lengths > 0, (xx + xf) / lengths, torch.zeros_like(lengths))
        self.x_squares += float(xx.sum())
        self.f_squares += float(ff.sum())
        self.cosines += float(cosines.sum())
        self.elements += flat_x.numel()
        self.images += len(x)

    def row(self, epoch: int, order: int) -> dict[str, object]:
        rms_x = math.sqrt(self.x_squares / max(self.elements, 1))
        rms_f = math.sqrt(self.f_squares / max(self.elements, 1))
        return {
            "epoch": epoch,
            "block_name": self.info.name,
            "order": order,
            "stage": self.info.stage,
            "block": self.info.block,
            "rms_x": rms_x,
            "rms_f": rms_f,
            "ratio": rms_f / rms_x if rms_x else math.inf,
            "cosine": self.cosines / max(self.images, 1),
            "n_images": self.images,
        }


@dataclass(frozen=True)
class Recording:
    """What a measuring pass found: two tables of `analysis.tables`."""

    responses: pd.DataFrame
    refinement: pd.DataFrame
    module: str = ""
    """The class that was recorded."""
    parameters: int | None = None
    """Its trained numbers."""


@contextmanager  # ty: ignore[deprecated]
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; every submodule's own mode again after."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def record(net: nn.Module, images: Tensor | Iterable[Tensor], epoch: int = 0) -> Recording:
    """Measure responses (and refinement) over images, in evaluation mode.

    Args:
        net: one of ours or any module with BatchNorm layers; its device is used.
        images: normalised, (N, 3, H, W), or an iterable of such batches.
        epoch: what the tables' `epoch` column says.
    """
    batches = images.split(RECORD_BATCH) if isinstance(images, Tensor) else images
    device = next(net.parameters()).device
    with Recorder(net) as recorder, evaluating(net):
        for batch in batches:
            net(batch.to(device))
    return Recording(
        recorder.responses(epoch),
        recorder.refinement(epoch),
        type(net).__name__,
        sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad),
    )
