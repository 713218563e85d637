"""Recording layer responses with hooks while images pass through a net.

Hooks belong to a `with` block: they reduce each BN output on the spot, before anything could
overwrite it, keep no activation, and are removed however the block ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from analysis.nets import Net
from analysis.responses.executed import ExecutedLayers
from analysis.responses.moments import Moments
from analysis.responses.rows import DescribedLayer, described_layers, response_row
from analysis.runs import SavedRecording, tables
from analysis.specs import plan

RECORD_BATCH = 32
"""Images a forward pass: activations then stay in the CPU's cache, where reducing them is cheap."""


class Recorder:
    """`with Recorder(net) as recorder:` run forward passes, then ask for the tables.

    Works on any module with BatchNorm layers, of which a row is a use in the order of execution;
    blocks' refinement is recorded for residual nets of ours (of any module: `observe`). The
    module's mode is left alone: evaluation mode gives the measured responses of Fig. 7.

    Raises (when asked for a table):
        RuntimeError: a layer's hook never fired: no forward pass, or a compiled module, whose
            hooks must be in place before it is compiled. Of a foreign module: none fired.
    """

    def __init__(self, net: nn.Module, refinement: bool = True) -> None:
        self._net = net
        self._foreign = None if isinstance(net, Net) else ExecutedLayers(net)
        self._layers = described_layers(net) if self._foreign is None else []
        self.moments = {layer.bn: Moments(layer.module.num_features) for layer in self._layers}
        infos = plan.blocks(net.spec) if refinement and isinstance(net, Net) else []
        self._blocks = [_BlockSums(info) for info in infos if info.x]
        self._handles: list[RemovableHandle] = []
        self.n_images = 0

    def __enter__(self) -> Recorder:
        modules = dict(self._net.named_modules())
        try:
            counting = self._net.register_forward_pre_hook(self._count, with_kwargs=True)
            self._handles.append(counting)
            if self._foreign is not None:
                self._handles += self._foreign.hook()
            for layer in self._layers:
                self._on_output(layer.module, self.moments[layer.bn].update)
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

    def _count(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        self.n_images += len(tensors[0]) if tensors else 0

    @property
    def not_run(self) -> tuple[str, ...]:
        """The BNs of a foreign module that no pass has used."""
        return self._foreign.not_run if self._foreign is not None else ()

    def _measured(self) -> list[tuple[DescribedLayer, Moments]]:
        if self._foreign is not None:
            silent = [] if self._foreign.uses else list(self.not_run)
            measured = self._foreign.layers()
        else:
            silent = [bn for bn, moments in self.moments.items() if not moments.count]
            measured = [(layer, self.moments[layer.bn]) for layer in self._layers]
        if silent:
            raise RuntimeError(
                f"nothing was recorded at {', '.join(silent[:3])}: run a forward pass inside the "
                "`with` block, on the uncompiled module"
            )
        return measured

    def responses(self, epoch: int = 0) -> pd.DataFrame:
        """The `responses` table, source `measured`; of a foreign module with `kernel_shape`."""
        rows = [
            response_row(layer, epoch, "measured", m.layer_std, m.layer_mean, self.n_images)
            for layer, m in self._measured()
        ]
        shape = ["kernel_shape"] if self._foreign is not None else []
        return pd.DataFrame(rows, columns=[*tables.names("responses"), *shape])

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
        pairs = ((flat_x, flat_x), (flat_f, flat_f), (flat_x, flat_f))
        dots = torch.stack([torch.linalg.vecdot(one, other) for one, other in pairs])
        xx, ff, xf = dots.cpu().double()  # on the host: Apple's GPUs have no float64
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
    """What a measuring pass found: two tables of `analysis.runs.tables`."""

    responses: pd.DataFrame
    refinement: pd.DataFrame
    module: str = ""
    """The class that was recorded."""
    parameters: int | None = None
    """Its trained numbers."""
    not_run: tuple[str, ...] = ()
    """BNs of a foreign module that the passes did not use."""
    points: pd.DataFrame | None = None
    """Normalizations other than BN, and activations (`observe`); None: not looked at."""

    def save(self, title: str, folder: Path | str | None = None, data: str = "") -> SavedRecording:
        """Put it where Compare finds it: `save_recording`."""
        from analysis.responses.saving import save_recording

        return save_recording(self, title, folder, data)


@contextmanager  # ty: ignore[deprecated]
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; every submodule's own mode again after.

    Of a foreign module without inference mode: it may cache a tensor that it then trains with.
    """
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.inference_mode() if isinstance(net, Net) else torch.no_grad():
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
        recorder.not_run,
    )
