"""How long a recipe runs and which learning rate each update has. Pure functions, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.spec import Recipe


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


def length(recipe: Recipe, n_train: int) -> Length:
    """The length of a recipe on `n_train` training images."""
    steps = math.ceil(n_train / recipe.batch_size)
    return Length(steps, recipe.iterations or (recipe.epochs or 0) * steps)


def learning_rate(recipe: Recipe, length: Length, iteration: int, warming: bool = False) -> float:
    """The learning rate of an update.

    Args:
        recipe: the recipe.
        length: of the training.
        iteration: updates done before this one.
        warming: whether `warmup_until` still holds the rate at a tenth (section 4.2, ResNet-110).
    """
    if recipe.schedule == "steps":
        passed = sum(iteration >= milestone for milestone in recipe.milestones)
        return recipe.lr / 10**passed / (10 if warming else 1)
    warmup = min(recipe.warmup_epochs * length.steps_per_epoch, length.iterations / 2)
    if iteration < warmup:
        return recipe.lr * (iteration + 1) / (warmup + 1)
    done = (iteration - warmup) / max(length.iterations - warmup, 1)
    return recipe.lr * (1 + math.cos(math.pi * done)) / 2 / (10 if warming else 1)
