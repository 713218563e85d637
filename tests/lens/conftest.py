"""A run that was really trained, for seconds, on scikit-learn's digits."""

from __future__ import annotations

import pytest

from analysis.runs import load_run
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run


@pytest.fixture
def tiny_trained(tmp_path):
    """A resnet-8-w4 after one epoch of 128 digits."""
    recipe = Recipe.parse("quick", epochs=1, train_images=128, test_images=64)
    net, data = NetSpec.parse("resnet-8-w4"), DataSpec.parse("digits")
    path = prepare_run(
        tmp_path / "runs", net, recipe, data, compute=Compute(device="cpu", compile=False)
    )
    train_run(path)
    return load_run(path)
