"""A regular look inside a net on a few fixed images: the tables `probes` and `probe_blocks`.

One forward pass with hooks, each reducing on the spot; of every stage one map is kept until the
stage ends, for the drift. Knows nothing of training: the trainer and `analysis probe` call it.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from analysis.data import Normalizer, balanced_choice
from analysis.nets import Net
from analysis.responses.recorder import Recorder, evaluating
from analysis.runs import tables
from analysis.specs import plan
from analysis.specs.plan import BlockInfo

PROBE_IMAGES = 256
"""Test images, class-balanced, the same for every net on the same data."""
_BATCH = 128


def probe_images(images: Tensor, labels: Tensor) -> Tensor:
    """The probe of a test set: at most 256 images, uint8 (N, 3, H, W), chosen by seed 0."""
    chosen = balanced_choice(labels.cpu(), min(PROBE_IMAGES, len(labels)))
    return images.index_select(0, chosen.to(images.device))


def probe(
    net: Net,
    images: Tensor,
    normalizer: Normalizer,
    epoch: int,
    iteration: int,
    batch_statistics: bool = False,
) -> dict[str, pd.DataFrame]:
    """The rows of `probes` and, for nets with shortcuts, `probe_blocks`.

    Args:
        net: the net, on any device; its mode and its BN statistics stay as they are.
        images: (N, 3, H, W) uint8, of `probe_images`.
        normalizer: of the input, on the net's device.
        epoch: complete epochs.
        iteration: updates done.
        batch_statistics: normalize by each batch's own statistics, as in training: in the first
            updates the running ones are still those of no data.
    """
    device = next(net.parameters()).device
    blocks = [_BlockLook(info) for info in plan.blocks(net.spec) if info.x]
    zeros = {layer.activation: _Zeros() for layer in plan.layers(net.spec) if layer.activation}
    mode = _batch_statistics(net) if batch_statistics else evaluating(net)
    with Recorder(net, refinement=False) as recorder, _looking(net, blocks, zeros), mode:
        for batch in images.split(_BATCH):
            net.forward(normalizer.apply(batch.to(device)))
    at = {"epoch": epoch, "iteration": iteration}
    found = {"probes": _layer_rows(net, recorder, zeros, at, len(images))}
    if blocks:
        rows = [look.row(order) | at for order, look in enumerate(blocks, start=1)]
        found["probe_blocks"] = pd.DataFrame(rows)
    return {name: _rounded(frame, name) for name, frame in found.items()}


@contextmanager
def _batch_statistics(net: nn.Module) -> Generator[None]:
    """Training mode for BNs, without a trace in their running statistics; no gradients."""
    bns = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [(bn, bn.track_running_stats) for bn in bns]
    with evaluating(net):
        try:
            for bn in bns:
                bn.train()
                bn.track_running_stats = False
            yield
        finally:
            for bn, tracked in before:
                bn.track_running_stats = tracked


@contextmanager
def _looking(net: Net, blocks: list[_BlockLook], zeros: dict[str, _Zeros]) -> Generator[None]:
    modules = dict(net.named_modules())
    handles = []
    stages: dict[int, Tensor] = {}
    try:
        for path, count in zeros.items():
            handles.append(modules[path].register_forward_hook(count.look))
        for look in blocks:
            look.stages = stages
            handles.append(modules[look.info.f].register_forward_hook(look.take_f))
            handles.append(modules[look.info.x].register_forward_hook(look.take_x))
        yield
    finally:
        for handle in handles:
            handle.remove()
        stages.clear()


class _Zeros:
    """The share of zeros in what a ReLU gives."""

    def __init__(self) -> None:
        self._zeros: list[Tensor] = []
        self._elements = 0

    def look(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._zeros.append((output == 0).sum())
        self._elements += output.numel()

    @property
    def share(self) -> float:
        """0 to 1; NaN where nothing passed."""
        if not self._elements:
            return math.nan
        return int(torch.stack(self._zeros).sum()) / self._elements


class _BlockLook:
    """Per image: rms of x and F, their ratio, cos(x, x + F), and cos(the stage's first x, x)."""

    def __init__(self, info: BlockInfo) -> None:
        self.info = info
        self.stages: dict[int, Tensor] = {}
        self._f: Tensor | None = None
        self._rows: list[Tensor] = []

    def take_f(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._f = output.detach().flatten(1).float()

    def take_x(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        x, f, self._f = output.detach().flatten(1).float(), self._f, None
        assert f is not None
        if self.info.block == 1:
            self.stages[self.info.stage] = x
        first = self.stages[self.info.stage]
        h = x + f
        norms = [torch.linalg.vector_norm(v, dim=1) for v in (x, f)]
        scale = math.sqrt(x.shape[1])
        cosines = [nn.functional.cosine_similarity(a, b) for a, b in ((x, h), (first, x))]
        self._rows.append(
            torch.stack([norms[0] / scale, norms[1] / scale, norms[1] / norms[0], *cosines])
        )

    def row(self, order: int) -> dict[str, Any]:
        """The block's row of `probe_blocks`."""
        values = torch.cat(self._rows, dim=1).cpu().double()
        rms_x, rms_f, _, _, drift = values.nanmedian(dim=1).values.tolist()
        row: dict[str, Any] = {
            "block_name": self.info.name, "order": order, "stage": self.info.stage,
            "block": self.info.block, "rms_x": rms_x, "rms_f": rms_f, "drift": drift,
            "n_images": values.shape[1],
        }  # fmt: skip
        levels = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
        for name, of_images in (("ratio", values[2]), ("cosine", values[3])):
            low, middle, high = torch.nanquantile(of_images, levels).tolist()
            row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
        return row


def _layer_rows(
    net: Net, recorder: Recorder, zeros: dict[str, _Zeros], at: dict[str, int], n_images: int
) -> pd.DataFrame:
    layers = plan.layers(net.spec)
    gradients, weights = _norms(net, [layer.name for layer in layers])
    rows = []
    for layer, gradient, weight in zip(layers, gradients, weights, strict=True):
        moments = recorder.moments.get(layer.response)
        count = zeros.get(layer.activation)
        rows.append(
            {
                **at,
                "layer": layer.name,
                "order": layer.order,
                "stage": layer.stage,
                "block": layer.block,
                "conv": layer.conv,
                "kernel": layer.kernel,
                "std": moments.layer_std if moments else math.nan,
                "mean": moments.layer_mean if moments else math.nan,
                "zeros": count.share if count else math.nan,
                "grad_norm": gradient,
                "weight_norm": weight,
                "n_images": n_images,
            }
        )
    return pd.DataFrame(rows)


def _norms(net: Net, names: list[str]) -> tuple[list[float], list[float]]:
    """Frobenius norms of each layer's gradient (NaN where there is none yet) and of its weight."""
    weights = [net.get_parameter(f"{name}.weight") for name in names]
    gradients = [w.grad if w.grad is not None else torch.full_like(w, math.nan) for w in weights]
    found = [torch.stack([torch.linalg.vector_norm(t.detach().float()) for t in tensors]).tolist()
             for tensors in (gradients, weights)]  # fmt: skip
    return found[0], found[1]


def _rounded(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Six digits: a probe's numbers are of 256 images, and there are many of them."""
    typed = tables.conform(frame.reindex(columns=tables.names(table)), table)
    for name in typed.select_dtypes("float64"):
        typed[name] = [float(f"{value:.6g}") for value in typed[name]]
    return typed
