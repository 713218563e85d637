"""Measuring any module over batches: refinement of its shortcuts, BN responses, norms, zeros.

One pass a batch in evaluation mode; nothing of it is kept but sums by channel, and three numbers
an image and shortcut. Sums are float32 on the module's device, what is made of them float64 on the
host.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from analysis.errors import SpecError
from analysis.foreign.running import (
    Batch,
    Executing,
    as_batch,
    run,
    takes,
    undisturbed,
    unwrapped,
)
from analysis.foreign.shortcuts import Residuals, Shortcut, find_in
from analysis.foreign.tracing import ADDITIONS
from analysis.responses import Recorder, Recording
from analysis.responses.recorder import RECORD_BATCH
from analysis.responses.rows import is_batch_norm
from analysis.runs import tables

RECTIFIERS = {"relu", "relu6", "hardtanh", "hardswish", "threshold", "clamp_min"}
"""Activations that give exact zeros; of GELU, SiLU and their like none are counted."""

_BLOCK = 2**17
"""Numbers looked at together: as float32 they fit a CPU's cache, and their count is exact."""
_NORM = re.compile(r"(Layer|RMS|Group|Instance)Norm")


def observe(module: nn.Module, batches: Any, epoch: int = 0) -> Recording:
    """Measure any module, in evaluation mode; it is as it was after the call.

    Args:
        module: on any device, in any precision, inside of DataParallel or torch.compile. Call it
            under `torch.autocast` to measure what that computes.
        batches: as the module takes its input. A tensor (N, ...) is split into batches; a tuple of
            arguments and a dictionary of keyword arguments are one batch; a loader or a list gives
            batches of any of these, and labels beside images are left out.
        epoch: what the tables' `epoch` column says.

    Returns:
        The tables `refinement` (a row a shortcut), `responses` (a row a BN's use; empty without
        BN), `points` (other normalizations, and activations with their share of zeros).
        `.save(title)` puts them where the app finds them.

    Raises:
        SpecError: not a module that can be looked into, no batch, or its forward pass fails.
    """
    return observe_with(unwrapped(module), batches, epoch)[0]


def observe_with(
    module: nn.Module, batches: Any, epoch: int = 0, known: Residuals | None = None
) -> tuple[Recording, Residuals]:
    """`observe` of a module that is unwrapped, and its shortcuts, to be given the next time."""
    given = (as_batch(module, batch) for batch in _split(module, batches))
    first = next(given, None)
    if first is None:
        raise SpecError("there are no batches to observe the module over")
    shortcuts = find_in(module, first) if known is None else known
    measurer = _Measurer(shortcuts)
    with ExitStack() as stack:
        stack.enter_context(undisturbed(module))
        has_bn = any(is_batch_norm(part) for part in module.modules())
        recorder = stack.enter_context(Recorder(module, refinement=False)) if has_bn else None
        stack.enter_context(measurer.norms(module))
        stack.enter_context(measurer.executing_in(module))
        for batch in _again(first, given):
            measurer.begin(batch)
            with measurer:
                run(module, batch)
            measurer.collect()
    recording = Recording(
        recorder.responses(epoch) if recorder else tables.empty("responses"),
        measurer.refinement(epoch),
        type(module).__name__,
        sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad),
        recorder.not_run if recorder else (),
        measurer.points(epoch),
    )
    return recording, shortcuts


def _split(module: nn.Module, batches: Any) -> Iterable[Any]:
    if isinstance(batches, Tensor):
        return batches.split(RECORD_BATCH)
    if isinstance(batches, tuple) and _are_batches(module, batches):
        return batches
    return [batches] if isinstance(batches, Mapping | tuple) else batches


def _are_batches(module: nn.Module, parts: tuple[Any, ...]) -> bool:
    """Whether a tuple is as `tensor.split` gives it, and not the arguments of one call."""
    shapes = {part.shape[1:] if isinstance(part, Tensor) else () for part in parts}
    if len(shapes) != 1 or () in shapes or not takes(module, parts[:1]):
        return False
    return not takes(module, parts) or len(next(iter(shapes))) == 3  # images, all of one size


def _again(first: Batch, others: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from others


@dataclass
class _First:
    """x of a stage's first block, flat, and its length by image."""

    x: Tensor
    length: Tensor


def _dots(x: Tensor, y: Tensor) -> Tensor:
    """x.y by row. On a CPU `vecdot` writes the whole product to memory: half as fast."""
    if x.device.type != "cpu":
        return torch.linalg.vecdot(x, y)
    return torch.stack([torch.dot(a, b) for a, b in zip(x, y, strict=True)])


def _nonzero(y: Tensor) -> Tensor:
    """How many numbers are not zero. On a CPU by blocks in its cache: a third of the time."""
    if y.device.type != "cpu":
        return torch.count_nonzero(y)
    place = torch.empty(min(_BLOCK, y.numel()))
    blocks = y.reshape(-1).split(_BLOCK)
    counts = [torch.ne(block, 0, out=place[: len(block)]).sum() for block in blocks]
    return torch.stack(counts).sum(dtype=torch.float64)


@dataclass
class _Sums:
    """Of one shortcut, by image: |x|^2, |F|^2, x.F, and the cosine to the stage's first x."""

    shortcut: Shortcut
    waiting: list[Tensor] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    elements: int = 0

    def take(self, x: Tensor, f: Tensor, first: _First | None) -> None:
        """Flat x and F of every image, and the x of the stage's first block where it is alike."""
        length = torch.linalg.vector_norm(x, dim=1)
        ff = torch.linalg.vector_norm(f, dim=1).square()
        drift = torch.full_like(length, math.nan)
        if first is not None and first.x.shape == x.shape:
            drift = _dots(x, first.x) / (first.length * length)
        self.waiting.append(torch.stack([length.square(), ff, _dots(x, f), drift]))
        self.elements += x.numel()

    def row(self, epoch: int) -> dict[str, Any] | None:
        """Of the `refinement` table, with how ratio and cosine are spread over images."""
        if not self.images:
            return None
        xx, ff, xf, drift = np.concatenate(self.images, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.sqrt(ff / xx)
            lengths = np.sqrt(np.clip(xx * (xx + 2 * xf + ff), 0, None))
            cosines = np.where(lengths > 0, (xx + xf) / lengths, 0.0)
        rms_x, rms_f = (math.sqrt(float(s.sum()) / self.elements) for s in (xx, ff))
        spread = {}
        for name, values in (("ratio", ratios), ("cosine", cosines)):
            low, median, high = np.nanpercentile(values, [5, 50, 95])
            spread |= {f"{name}_median": median, f"{name}_low": low, f"{name}_high": high}
        return {
            "epoch": epoch, "block_name": self.shortcut.name, "order": self.shortcut.order,
            "stage": self.shortcut.stage, "block": self.shortcut.block,
            "rms_x": rms_x, "rms_f": rms_f, "ratio": rms_f / rms_x if rms_x else math.inf,
            "cosine": float(cosines.mean()), "n_images": len(xx),
            **spread, "drift": float(np.median(drift)), "within": self.shortcut.within,
        }  # fmt: skip


def _by_sample(tensor: Tensor, samples: int) -> Tensor:
    """(samples, ...) as float32; where the samples are not told apart, all as one."""
    if tensor.shape[0] != samples and tensor.dim() > 1 and tensor.shape[1] == samples:
        tensor = tensor.movedim(1, 0)  # (T, B, C), as PyTorch's transformers have it
    rows = samples if tensor.shape[0] % samples == 0 else 1  # windows of an image are together
    return tensor.detach().reshape(rows, -1).float()


@dataclass
class _Point:
    """A place where numbers pass: a norm's output, or an activation's."""

    kind: str
    what: str
    waiting: list[Tensor] = field(default_factory=list)
    elements: int = 0
    images: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """Of the elements, of their squares, of how many are zero."""

    def take(self, y: Tensor, samples: int) -> None:
        y = y.detach()
        if self.kind == "activation":
            zeros = y.numel() - _nonzero(y)
            self.waiting.append(torch.stack([zeros.new_zeros(()), zeros.new_zeros(()), zeros]))
        else:
            flat = y.reshape(samples if len(y) == samples else 1, -1).float()
            square = torch.linalg.vector_norm(flat, dim=1).square().sum()
            total = flat.sum()
            self.waiting.append(torch.stack([total, square, total.new_zeros(())]))
        self.elements += y.numel()
        self.images += samples

    def row(self, epoch: int, order: int, name: str) -> dict[str, Any]:
        total, square, zeros = self.sums / max(self.elements, 1)
        norm = self.kind == "norm"
        return {
            "epoch": epoch, "point": name, "order": order, "kind": self.kind, "what": self.what,
            "std": math.sqrt(max(square - total**2, 0)) if norm else math.nan,
            "mean": total if norm else math.nan, "zeros": math.nan if norm else zeros,
            "n_images": self.images,
        }  # fmt: skip


class _Measurer(TorchDispatchMode):
    """Reduces both operands of every known shortcut, before an in-place sum overwrites one."""

    def __init__(self, shortcuts: Residuals) -> None:
        super().__init__()
        self._sums = {shortcut.key: _Sums(shortcut) for shortcut in shortcuts}
        self._points: dict[tuple[str, int, int], _Point] = {}
        self._kinds: dict[Any, str] = {}
        self._executing: Executing
        self._samples = 0
        self._first: _First | None = None  # during a pass

    def norms(self, module: nn.Module) -> ExitStack:
        """Hooks on the normalizations that are no BN."""
        stack = ExitStack()
        uses: Counter[str] = Counter()
        stack.callback(module.register_forward_pre_hook(lambda *_: uses.clear()).remove)
        for name, part in module.named_modules():
            if _NORM.search(type(part).__name__) and not is_batch_norm(part):
                stack.callback(part.register_forward_hook(self._norm(name, uses)).remove)
        return stack

    def _norm(self, name: str, uses: Counter[str]):
        def hook(module: nn.Module, _inputs: object, output: Any) -> None:
            if isinstance(output, Tensor):
                uses[name] += 1
                point = _Point("norm", type(module).__name__)
                key = (name, uses[name], 0)
                with _disable_current_modes():
                    self._points.setdefault(key, point).take(output, self._samples)

        return hook

    def executing_in(self, module: nn.Module) -> Executing:
        """The hooks that say whose addition it is; after all others, which add sums of their own"""
        self._executing = Executing(module)
        return self._executing

    def begin(self, batch: Batch) -> None:
        """Before a forward pass."""
        self._executing.reset()
        self._samples = len(batch)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
        """Run the operation; look at what goes into additions and what comes out of rectifiers."""
        kind = self._kinds.get(func)
        if kind is None:
            kind = self._kinds[func] = _kind(func)
        if kind == "addition" and len(args) > 1:
            self._take_addition(args, kwargs or {})
        out = func(*args, **(kwargs or {}))
        if kind == "activation":
            call = self._executing.stack[-1]
            call.activations += 1
            key = (call.name, call.use, call.activations)
            point = self._points.setdefault(key, _Point(kind, func.overloadpacket.__name__))
            point.take(out, self._samples)
        return out

    def _take_addition(self, args: Any, kwargs: Any) -> None:
        call = self._executing.stack[-1]
        call.additions += 1
        sums = self._sums.get((call.name, call.use, call.additions))
        if sums is None:
            return
        a, b = args[0], args[1]
        b = b if kwargs.get("alpha", 1) == 1 else b * kwargs["alpha"]
        x, f = (_by_sample(one, self._samples) for one in (a, b))
        x, f = (x, f) if sums.shortcut.x_first else (f, x)
        outer = not sums.shortcut.within
        if outer and sums.shortcut.block == 1:
            length = torch.linalg.vector_norm(x, dim=1)
            self._first = _First(x.clone(), length)  # an in-place sum may overwrite x
        sums.take(x, f, self._first if outer else None)

    def collect(self) -> None:
        """After a forward pass: bring its few numbers to the host."""
        self._first = None
        for sums in self._sums.values():
            sums.images += [waiting.cpu().double().numpy() for waiting in sums.waiting]
            sums.waiting.clear()
        for point in self._points.values():
            for waiting in point.waiting:
                point.sums += waiting.cpu().double().numpy()
            point.waiting.clear()

    def refinement(self, epoch: int) -> pd.DataFrame:
        """The `refinement` table; empty where there is no shortcut."""
        rows = [row for sums in self._sums.values() if (row := sums.row(epoch)) is not None]
        return pd.DataFrame(rows) if rows else tables.empty("refinement")

    def points(self, epoch: int) -> pd.DataFrame:
        """The `points` table, in the order of execution."""
        seen: Counter[str] = Counter()
        rows = []
        for order, ((name, _use, _index), point) in enumerate(self._points.items(), start=1):
            seen[name] += 1
            full = f"{name or 'module'}#{seen[name]}" if seen[name] > 1 else name or "module"
            rows.append(point.row(epoch, order, full))
        return pd.DataFrame(rows, columns=tables.names("points"))


def _kind(func: Any) -> str:
    op = func.overloadpacket.__name__
    if op in ADDITIONS:
        return "addition"
    return "activation" if op.rstrip("_") in RECTIFIERS else ""
