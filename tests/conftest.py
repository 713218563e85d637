"""What all tests share: seeded generators, and one tiny run to read."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from analysis.runs import Run, load_run
from analysis.specs.places import CONFIG_VARIABLE
from tests import slow
from tests.tiny import write_run


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow is what trains, drives a browser or a cluster, and what `tests/slow.txt` names.

    Minutes of load come first: begun late, all others have ended and wait for them.
    """
    items.sort(key=lambda item: item.path.name != "test_soak.py")
    named = slow.read()
    for item in items:
        markers = (item.get_closest_marker(name) for name in ("trains", "browser", "cluster"))
        if any(markers) or item.nodeid.partition("[")[0] in named:
            item.add_marker(pytest.mark.slow)


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
