"""How a net is trained, as a value: optimizer, schedule, length, augmentation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from analysis.errors import SpecError
from analysis.specs.base import Dictable
from analysis.specs.data import DataSpec
from analysis.specs.net import NetSpec
from analysis.text import Listed, Message


@dataclass(frozen=True)
class Length:
    """A recipe's length on a data set of a certain size."""

    steps_per_epoch: int
    """Updates in a whole epoch; the last batch may be smaller."""
    iterations: int
    """Updates in all."""

    @property
    def epochs(self) -> int:
        """Epochs in all; with the paper's 64k iterations the last one is not whole."""
        return math.ceil(self.iterations / self.steps_per_epoch)

    def steps_in(self, epoch: int) -> int:
        """Updates in an epoch, counted from 0."""
        return min(self.steps_per_epoch, self.iterations - epoch * self.steps_per_epoch)


FITTED = ("warmup_until", "flip")
"""Fields of a recipe that `recipe_for` sets by net and data, so they are no change of recipe."""


@dataclass(frozen=True)
class Recipe(Dictable):
    """How a net is trained: optimiser, schedule, augmentation (section 4.2)."""

    name: str
    """The preset it started from: `paper`, `short`, `quick`."""
    epochs: int | None
    """Passes over the training images; None when `iterations` says when to stop."""
    iterations: int | None = None
    """Optimiser updates after which to stop; None when `epochs` says it."""
    lr: float = 0.1
    """Learning rate at its highest."""
    schedule: Literal["steps", "cosine"] = "cosine"
    """`steps`: divided by 10 at each milestone; `cosine`: one half-cycle down to zero."""
    milestones: tuple[int, ...] = ()
    """Iterations at which `steps` divides by 10."""
    warmup_epochs: float = 0.0
    """Epochs in which a cosine schedule rises linearly to `lr`."""
    warmup_until: float | None = None
    """Train at lr/10 until the running training error (percent) is below this; the paper: 80 for
    ResNet-110."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 1e-4
    """On all parameters, as in the paper."""
    batch_size: int = 128
    """Images an update, over all devices."""
    augment: bool = True
    """4-pixel padding, random 32x32 crop, horizontal flip."""
    flip: bool = True
    """Whether augmentation mirrors; digits are not mirrored."""
    train_images: int | None = None
    """Train on a fixed, class-balanced subset of this many; None: all."""
    test_images: int | None = None
    """Test on a fixed, class-balanced subset of this many; None: all."""
    validation: int = 0
    """Training images held out for a validation error: 5000 in the paper's 45k/5k split."""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            listed = Listed(tuple(problems), "; ")
            raise SpecError("recipe {name}: {problems}", name=self.name, problems=listed)

    def _problems(self) -> Iterator[Message]:
        if (self.epochs is None) == (self.iterations is None):
            yield Message("give either epochs or iterations")
        for field in ("epochs", "iterations", "batch_size", "train_images", "test_images"):
            value = getattr(self, field)
            if value is not None and value < 1:
                yield Message("{field} must be at least 1, not {value}", field=field, value=value)
        if not 0 < self.lr <= 100:
            yield Message("lr must be above 0 and at most 100, not {lr}", lr=self.lr)
        if not 0 <= self.momentum < 1:
            yield Message(
                "momentum must be from 0 to below 1, not {momentum}", momentum=self.momentum
            )
        if not 0 <= self.weight_decay < 1:
            yield Message(
                "weight_decay must be from 0 to below 1, not {decay}", decay=self.weight_decay
            )
        if self.schedule not in ("steps", "cosine"):
            yield Message(
                "schedule must be steps or cosine, not {schedule!r}", schedule=self.schedule
            )
        if self.validation < 0:
            yield Message(
                "validation must be 0 or more images, not {images}", images=self.validation
            )
        if self.warmup_epochs < 0:
            yield Message(
                "warmup_epochs must be 0 or more, not {epochs}", epochs=self.warmup_epochs
            )

    @classmethod
    def parse(cls, name: str, **changes: Any) -> Recipe:
        """A preset with changes: `Recipe.parse("short", epochs=8)`.

        Raises:
            SpecError: no such preset, or a change that makes no sense.
        """
        if name not in RECIPES:
            raise SpecError(
                "{name!r} is not a recipe; there are {recipes}",
                name=name,
                recipes=", ".join(RECIPES),
            )
        if changes.get("epochs") is not None:
            changes.setdefault("iterations", None)
        return replace(RECIPES[name], **changes)

    @cached_property
    def written(self) -> str:
        """All that it asks for, written out; when the warmup ends is found in training."""
        return repr(replace(self, warmup_until=None))

    @cached_property
    def written_but_decay(self) -> str:
        """`written`, of recipes that differ in name and weight decay alone the same."""
        return replace(self, name="", weight_decay=0.0).written

    def length(self, n_train: int) -> Length:
        """How long it trains on this many training images, in epochs and updates."""
        steps = math.ceil(n_train / self.batch_size)
        return Length(steps, self.iterations or (self.epochs or 0) * steps)

    @cached_property
    def label(self) -> str:
        """`short`, `short-e8` for 8 epochs of it, `short-wd0.0001` for that weight decay.

        A `+` stands for anything else that was changed.
        """
        preset = RECIPES.get(self.name)
        label = self.name
        if preset is None or self == preset:
            return label
        if (self.epochs, self.iterations) != (preset.epochs, preset.iterations):
            label += f"-e{self.epochs}" if self.epochs else f"-i{self.iterations}"
        if self.weight_decay != preset.weight_decay:
            label += f"-wd{self.weight_decay:g}"
        said = ("epochs", "iterations", "weight_decay", *FITTED)
        rest = replace(self, **{name: getattr(preset, name) for name in said})
        return label if rest == preset else label + "+"

    def __str__(self) -> str:
        return self.label


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(
        "paper", epochs=None, iterations=64_000, schedule="steps", milestones=(32_000, 48_000)
    ),
    "short": Recipe("short", epochs=30, warmup_epochs=1.0, weight_decay=5e-4),
    "quick": Recipe(
        "quick", epochs=8, warmup_epochs=1.0, batch_size=64, train_images=2560, test_images=1000
    ),
}
"""`paper` is section 4.2's; `short` one cosine cycle for a laptop; `quick` takes about a minute."""


def recipe_for(name: str, net: NetSpec, data: DataSpec, **changes: Any) -> Recipe:
    """A preset fitted to a net and its data: what the paper does for some and not for others.

    ResNet-110 and deeper warm up at lr/10 until the training error is below 80 % (section 4.2,
    recipe `paper`); digits are not mirrored. Raises SpecError as `Recipe.parse`.
    """
    if name == "paper" and net.depth >= 110 and net.family == "cifar":
        changes.setdefault("warmup_until", 80.0)
    if data.known and not data.known.mirrored:
        changes.setdefault("flip", False)
    return Recipe.parse(name, **changes)
