"""Where images are, said once: checked, kept, and found by every command.

pytest tests/data/test_placing.py
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torchvision.datasets import CIFAR10

from analysis.data import load_images, sources
from analysis.data.placing import place_images_of
from analysis.errors import DataError
from analysis.lens.own_images import images_of
from analysis.runs import Run, load_run
from analysis.specs import DataSpec
from analysis.specs.places import CONFIG_VARIABLE, named_places
from tests import forked
from tests.data.test_data_sources import _archive
from tests.lens.test_survey_command import write_digits
from tests.tiny import write_run

NOWHERE = "/the author's disk/images"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "settings"))
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path / "cache"))


def write_away(folder: Path, images: Path, net: str = "resnet-8", **options: Any) -> Run:
    """A run on the images in a folder, made on a machine where they are elsewhere."""
    data = write_digits(images, tuple("0123456789")) if not images.exists() else None
    data = data or DataSpec.parse(f"folder:{images}")
    path = write_run(folder, net, fingerprint=load_images(data).fingerprint, **options)
    config = json.loads((path / "config.json").read_text())
    config["data"] = replace(data, path=NOWHERE, title="Digits of the author").to_dict()
    (path / "config.json").write_text(json.dumps(config))
    return load_run(path)


def test_a_folder_is_named_once_for_all_runs_on_it(tmp_path: Path):
    """Checked by the run's fingerprint; kept; another run on the same images has them too."""
    run = write_away(tmp_path / "runs", tmp_path / "mine")
    other = write_away(tmp_path / "runs", tmp_path / "mine", "plain-8")
    assert not run.has_images
    with pytest.raises(DataError, match="say so once: python -m analysis images"):
        images_of(run)
    place_images_of(run, f" {tmp_path / 'mine'} ")
    assert run.has_images
    assert other.has_images
    images, origin = images_of(other)
    assert origin.is_own(other)
    assert origin.data.title == "Digits of the author"
    assert images.fingerprint == run.config.images.fingerprint  # ty: ignore[unresolved-attribute]


def test_other_images_are_refused(tmp_path: Path):
    """Nothing is kept of a folder with other images, or none."""
    run = write_away(tmp_path / "runs", tmp_path / "mine")
    write_digits(tmp_path / "fewer", tuple("0123456789"), n=2)
    with pytest.raises(DataError, match=r"are not those that .* was trained on \(Digits of the"):
        place_images_of(run, str(tmp_path / "fewer"))
    with pytest.raises(DataError, match="does not exist"):
        place_images_of(run, str(tmp_path / "none"))
    assert named_places() == {}


def test_a_folder_that_went_away_is_not_looked_in(tmp_path: Path):
    """What was named then is again the run's own place; a torn file of settings is none."""
    run = write_away(tmp_path / "runs", tmp_path / "mine")
    place_images_of(run, str(tmp_path / "mine"))
    (tmp_path / "mine").rename(tmp_path / "moved")
    assert not run.has_images
    assert str(run.config.data_here) == f"folder:{NOWHERE}"
    (tmp_path / "settings/images.json").write_text("[1")
    assert named_places() == {}
    place_images_of(run, str(tmp_path / "moved"))
    assert run.has_images


@pytest.mark.parametrize("named", ["", "cifar-10-batches-py", "cifar-10-python.tar.gz"])
def test_cifar_is_checked_by_its_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
):
    """The folder, what is unpacked in it or the archive may be named; nothing is downloaded."""
    archive, tiny = _archive(CIFAR10, tmp_path / "files", "http://127.0.0.1:9")
    monkeypatch.setattr(sources, "cifar_class", lambda name: tiny)
    monkeypatch.setattr("analysis.data.placing.cifar_class", lambda name: tiny)
    run = load_run(write_run(tmp_path / "runs", "resnet-8", data="cifar10"))
    assert not run.has_images
    with pytest.raises(DataError, match=r"holds neither cifar-10-python.tar.gz nor"):
        place_images_of(run, str(tmp_path / "runs"))
    place_images_of(run, str(archive.parent / named))
    assert named_places() == {"cifar10": str(archive.parent)}
    assert run.has_images
    assert len(load_images(DataSpec.parse("cifar10")).test) == 3
    (archive.parent / "cifar-10-batches-py/test_batch").write_bytes(b"torn")
    archive.write_bytes(b"torn")
    with pytest.raises(DataError, match=r"is damaged: its MD5 checksum is not"):
        place_images_of(run, str(archive.parent))


@pytest.mark.trains
def test_the_command_line(tmp_path: Path):
    """`images RUN FOLDER`, then a command that needs them."""
    run = write_away(tmp_path / "runs", tmp_path / "mine")

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return forked.analysis(*words, "--runs", str(tmp_path / "runs"))

    refused = command("images", run.id, str(tmp_path / "none"))
    assert refused.returncode == 3
    assert "does not exist" in refused.stderr
    done = command("images", run.id, str(tmp_path / "mine"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Digits of the author: {tmp_path / 'mine'}\n"
    assert run.has_images
