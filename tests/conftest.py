"""What all tests share: seeded generators, and one tiny run to read."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from analysis.runs import Run, load_run
from analysis.specs.places import CONFIG_VARIABLE
from tests.tiny import write_run


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same random numbers in every run of a test, torch's too where it is in use."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _no_named_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Nobody's own settings: no folder of images was named."""
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path_factory.getbasetemp() / "no settings"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished resnet-8 of three epochs, made by formulas; to be read only."""
    return load_run(write_run(tmp_path_factory.mktemp("tiny"), "resnet-8"))
