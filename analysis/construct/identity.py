"""Why is the identity hard? (section 3.1) Fit H(x) = x, or x and a little more, with a few layers.

A plain net of k conv-BN-ReLU layers and a residual one of the same layers, in blocks of two with
an identity shortcut, learn the same mapping from the same inputs. Everything follows from the
task, its seed and, where inputs are real, the images. Toy nets of their own: they know nothing of
NetSpec, data sets or runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.errors import SpecError
from analysis.pictures.samples import PHOTOGRAPHS, sample
from analysis.specs import KINDS, Kind
from analysis.text import Listed, Message
from analysis.training.sgd import SGD

COMPARED: tuple[Kind, ...] = ("plain", "residual")
"""The kinds of net that are fitted, each with the same layers."""
RECORD_EVERY = 10
"""Steps between rows of the tables."""


@dataclass(frozen=True)
class IdentityTask:
    """What is fitted, and how."""

    layers: int = 8
    """3x3 layers; even, since residual blocks have two."""
    width: int = 16
    """Channels of input, layers and output."""
    steps: int = 500
    optimizer: Literal["sgd", "adam"] = "sgd"
    """`sgd` has momentum 0.9."""
    lr: float = 0.05
    bn: bool = True
    relu: bool = True
    signed: bool = False
    """Inputs of both signs, or none below 0, as what comes from a ReLU: of normal numbers the
    absolute values, of real inputs what a ReLU leaves."""
    perturbation: float = 0.0
    """rms of what H adds to x, over rms of x; H(x) = x + perturbation * g(x), g a fixed random
    3x3 convolution."""
    size: int = 8
    """Height and width of the inputs in pixels."""
    batch: int = 8
    seed: int = 0
    inputs: Literal["random", "images"] = "random"
    """`random`: normal numbers; `images`: crops of real images through a fixed random 3x3 layer
    with `width` filters, as a net's first layer would pass them on."""

    def __post_init__(self) -> None:
        problems = tuple(self._problems())
        if problems:
            raise SpecError("identity fitting: {problems}", problems=Listed(problems, "; "))

    def _problems(self) -> Iterator[Message]:
        if self.layers % 2 or not 2 <= self.layers <= 64:
            yield Message("layers must be even, 2 to 64, not {value}", value=self.layers)
        for name, most in (("width", 256), ("steps", 100_000), ("size", 64), ("batch", 1024)):
            if not 1 <= (value := getattr(self, name)) <= most:
                yield Message(
                    "{name} must be 1 to {most}, not {value}", name=name, most=most, value=value
                )
        if self.optimizer not in ("sgd", "adam"):
            yield Message("optimizer must be sgd or adam, not {value}", value=repr(self.optimizer))
        if not 0 < self.lr <= 10:
            yield Message("lr must be above 0 and at most 10, not {value}", value=self.lr)
        if not 0 <= self.perturbation <= 10:
            yield Message("perturbation must be 0 to 10, not {value}", value=self.perturbation)
        if self.inputs not in ("random", "images"):
            yield Message("inputs must be random or images, not {value}", value=repr(self.inputs))


class Fitter(nn.Module):
    """k layers, plain or in residual blocks of two (Fig. 2)."""

    def __init__(self, task: IdentityTask, residual: bool) -> None:
        super().__init__()
        self.residual, self.relu = residual, task.relu
        self.convs = nn.ModuleList(
            nn.Conv2d(task.width, task.width, 3, padding=1, bias=not task.bn)
            for _layer in range(task.layers)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(task.width) if task.bn else nn.Identity()
            for _layer in range(task.layers)
        )
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu" if task.relu else "linear")  # ty: ignore[invalid-argument-type]
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)  # ty: ignore[invalid-argument-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        before = x
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x))
            if self.residual and index % 2:
                x = before + x
            if self.relu:
                x = F.relu(x)
            if index % 2:
                before = x
        return x


@dataclass(frozen=True)
class Fit:
    """Both nets' way, as tables."""

    losses: pd.DataFrame
    """kind, step, loss: mean squared error over the mean square of H(x); 1 is an output of 0."""
    layers: pd.DataFrame
    """kind, step, layer (from 1), gradient_norm, dirac_distance (see `dirac_distance`)."""
    floor: float
    """The least loss of any net that ends in ReLU: what of H(x) is negative; else 0."""


def dirac_distance(kernel: Tensor) -> float:
    """How far a kernel is from the identity's up to scale: 0 is a Dirac kernel, 1 has none of it.

    BN takes away a kernel's scale, so the distance is the sine of the angle between the two.

    Args:
        kernel: (C, C, 3, 3).
    """
    cosine = F.cosine_similarity(
        kernel.flatten(), nn.init.dirac_(torch.empty_like(kernel)).flatten(), 0
    )
    return float((1 - cosine.square()).clamp(min=0).sqrt())


def fit_identity(
    task: IdentityTask,
    progress: Callable[[int, Fit], None] | None = None,
    every: int = 50,
    images: Tensor | None = None,
) -> Fit:
    """Train a plain and a residual net side by side.

    Args:
        task: what to fit.
        progress: told (steps done, the tables so far) after every `every` steps; may raise to stop.
        every: steps between calls of progress.
        images: uint8 (N, 3, H, W), for a task with real inputs; by default `sample_tiles()`.

    Raises:
        SpecError: images smaller than the task's crops, or the loss became infinite or not a
            number; the message says what to change.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        target = _target(task)
        nets = {kind: Fitter(task, KINDS[kind].has_shortcuts) for kind in COMPARED}
    draw = _random_inputs(task) if task.inputs == "random" else _real_inputs(task, images)
    optimizers = {kind: _optimizer(task, net) for kind, net in nets.items()}
    losses: list[tuple] = []
    layers: list[tuple] = []
    negative: list[float] = []
    for step in range(task.steps + 1):
        x = draw()
        wanted = target(x)
        scale = wanted.square().mean()
        if step % RECORD_EVERY == 0:
            negative.append(float(wanted.clamp(max=0).square().mean() / scale))
        for kind, net in nets.items():
            optimizers[kind].zero_grad()
            loss = F.mse_loss(net(x), wanted) / scale
            loss.backward()
            if step % RECORD_EVERY == 0 or step == task.steps:
                losses.append((kind, step, _finite(loss, task, kind, step)))
                layers += [(kind, step, *row) for row in _layer_rows(net)]
            optimizers[kind].step()
        if progress and step and step % every == 0:
            progress(step, _fit(losses, layers, negative, task))
    return _fit(losses, layers, negative, task)


def _fit(
    losses: list[tuple], layers: list[tuple], negative: list[float], task: IdentityTask
) -> Fit:
    return Fit(
        pd.DataFrame(losses, columns=["kind", "step", "loss"]),
        pd.DataFrame(layers, columns=["kind", "step", "layer", "gradient_norm", "dirac_distance"]),
        sum(negative) / len(negative) if task.relu else 0.0,
    )


def _random_inputs(task: IdentityTask) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(task.seed + 1)

    def draw() -> Tensor:
        x = torch.randn(task.batch, task.width, task.size, task.size, generator=generator)
        return x if task.signed else x.abs()

    return draw


def _real_inputs(task: IdentityTask, images: Tensor | None) -> Callable[[], Tensor]:
    """Crops of images through a random 3x3 layer: (batch, width, size, size), mean square near 1.

    Each image's own mean is taken away; what the layer passes is scaled by the root of its mean
    square over the first images, and without signed inputs a ReLU follows.
    """
    pixels = sample_tiles() if images is None else images
    side = task.size + 2  # the layer has no padding, so that no edge is made up
    if min(pixels.shape[-2:]) < side:
        raise SpecError(
            "the images have {have} pixels; crops of {need} are taken: choose a smaller size",
            have=min(pixels.shape[-2:]),
            need=side,
        )
    generator = torch.Generator().manual_seed(task.seed + 1)
    kernel = torch.randn(task.width, 3, 3, 3, generator=generator)

    def crop() -> Tensor:
        index = torch.randint(len(pixels), (task.batch,), generator=generator).tolist()
        room = pixels.shape[-1] - side + 1
        corners = torch.randint(room, (task.batch, 2), generator=generator).tolist()
        crops = [
            pixels[i, :, top : top + side, left : left + side]
            for i, (top, left) in zip(index, corners, strict=True)
        ]
        x = torch.stack(crops).float()
        return F.conv2d(x - x.mean((1, 2, 3), keepdim=True), kernel)

    scale = torch.cat([crop() for _first in range(16)]).square().mean().sqrt().clamp(min=1e-6)

    def draw() -> Tensor:
        x = crop() / scale
        return x if task.signed else x.relu()

    return draw


def sample_tiles(side: int = 32) -> Tensor:
    """The bundled photographs cut into squares, uint8 (N, 3, side, side)."""
    tiles = []
    for name in PHOTOGRAPHS:
        rgb = torch.from_numpy(sample(name).rgb.copy()).permute(2, 0, 1)
        grid = rgb.unfold(1, side, side).unfold(2, side, side)
        tiles.append(grid.permute(1, 2, 0, 3, 4).reshape(-1, 3, side, side))
    return torch.cat(tiles)


def _target(task: IdentityTask) -> Callable[[Tensor], Tensor]:
    """H: the identity and the perturbation; where inputs are not negative, H is not either."""
    kernel = torch.randn(task.width, task.width, 3, 3)
    kernel -= kernel.mean((1, 2, 3), keepdim=True)

    def mapping(x: Tensor) -> Tensor:
        if task.perturbation == 0:
            return x
        g = F.conv2d(x, kernel, padding=1)
        g *= task.perturbation * (x.square().mean() / g.square().mean()).sqrt()
        return x + g if task.signed else (x + g).clamp(min=0)

    return mapping


def _optimizer(task: IdentityTask, net: nn.Module) -> SGD | torch.optim.Optimizer:
    if task.optimizer == "adam":
        return torch.optim.Adam(net.parameters(), task.lr, fused=True)
    return SGD(net, task.lr, momentum=0.9, fused=True)


def _layer_rows(net: Fitter) -> list[tuple[int, float, float]]:
    return [
        (layer, float(conv.weight.grad.norm()), dirac_distance(conv.weight.detach()))  # type: ignore
        for layer, conv in enumerate(net.convs, start=1)
    ]


def _finite(loss: Tensor, task: IdentityTask, kind: Kind, step: int) -> float:
    value = float(loss.detach())
    if value != value or value == float("inf"):
        raise SpecError(
            "the {kind} net's loss became infinite or not a number at step {step} with lr {lr:g}; "
            "try a smaller one, or BN",
            kind=KINDS[kind].title,
            step=step,
            lr=task.lr,
        )
    return value
