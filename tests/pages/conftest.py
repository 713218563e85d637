"""The app on the user's runs alone, for the tests here that make no fixtures of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analysis.specs.places import CONFIG_VARIABLE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's runs, empty, with no bundled ones beside them."""
    monkeypatch.setattr("analysis.runs.listing.BUNDLED", tmp_path / "bundled")
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def page(folder: Path) -> AppTest:
    """The app before its first run; Compare is its front page."""
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain and a residual net, trained for seconds on 128 digits."""
    from analysis.specs import Compute, DataSpec, NetSpec, Recipe
    from analysis.training import prepare_run, train_run

    folder = tmp_path_factory.mktemp("runs")
    recipe = Recipe.parse("quick", epochs=1, train_images=128, test_images=64)
    data, compute = DataSpec.parse("digits"), Compute(device="cpu", compile=False)
    for name in ("plain-8-w4", "resnet-8-w4"):
        train_run(prepare_run(folder, NetSpec.parse(name), recipe, data, compute=compute))
    return folder


@pytest.fixture
def mine(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images; the runs on them were made where it is called otherwise."""
    from analysis.data import load_images
    from tests.lens.test_survey_command import write_digits

    folder = tmp_path / "mine"
    fingerprint = load_images(write_digits(folder, tuple("0123456789"))).fingerprint
    shutil.copytree(runs, tmp_path / "runs")
    for file in (tmp_path / "runs").glob("*/config.json"):
        config = json.loads(file.read_text())
        nowhere = "/the author's disk/images"
        config["data"] |= {"name": "folder", "path": nowhere, "title": "Digits"}
        config["images"]["fingerprint"] = fingerprint
        file.write_text(json.dumps(config))
    monkeypatch.setattr("analysis.runs.listing.BUNDLED", tmp_path / "none")
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "settings"))
    return folder
