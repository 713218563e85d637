"""Which learning rate each update of a recipe has. Pure functions, no torch."""

from __future__ import annotations

import math

from analysis.specs import Length, Recipe


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
