"""What is trained, as values: a net, a recipe, a data set, and how it is computed.

Frozen dataclasses that validate themselves, print as a short name and parse from it, and turn
into plain dictionaries for `config.json`. They know nothing of torch, files or processes.
"""

from analysis.specs.compute import REFERENCE, Compute
from analysis.specs.data import NOT_CLASSES, DataSpec, class_folders, visible_in_files
from analysis.specs.net import (
    BOTTLENECK_DEPTHS,
    DEFAULT_WIDTH,
    IMAGENET_BLOCKS,
    KINDS,
    MAX_DEPTH,
    Family,
    Kind,
    KindInfo,
    NetSpec,
    Shortcut,
)
from analysis.specs.recipe import RECIPES, Length, Recipe, recipe_for

__all__ = [
    "BOTTLENECK_DEPTHS",
    "DEFAULT_WIDTH",
    "IMAGENET_BLOCKS",
    "KINDS",
    "MAX_DEPTH",
    "NOT_CLASSES",
    "RECIPES",
    "REFERENCE",
    "Compute",
    "DataSpec",
    "Family",
    "Kind",
    "KindInfo",
    "Length",
    "NetSpec",
    "Recipe",
    "Shortcut",
    "class_folders",
    "recipe_for",
    "visible_in_files",
]
