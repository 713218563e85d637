"""Nets of torchvision and timm from their files: `pytest tests/foreign/test_library.py`"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from analysis.errors import DataError, ImportRefused
from analysis.foreign import library, opening
from analysis.runs import list_recordings
from analysis.specs import DataSpec
from tests import architectures, forked

TV = "torchvision/mobilenet_v3_small"


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Small, of seven classes."""
    torch.manual_seed(0)
    return models.mobilenet_v3_small(num_classes=7).eval()


@pytest.fixture
def file(net: nn.Module, tmp_path: Path) -> Path:
    """As a training under DataParallel saves it."""
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "flowers.pth")
    return tmp_path / "flowers.pth"


@pytest.fixture
def pictures(tmp_path: Path) -> DataSpec:
    """Five pictures of several sizes in a folder of no particular layout."""
    random = np.random.default_rng(0)
    for number in range(5):
        pixels = random.integers(0, 256, (40 + number, 60, 3), dtype=np.uint8)
        (tmp_path / "pictures" / "more").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "pictures" / "more" / f"{number}.png")
    return DataSpec.parse(f"folder:{tmp_path / 'pictures'}")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """`python -m analysis`, as a person runs it."""
    return forked.analysis(*words)


@pytest.mark.parametrize(
    "name", ["convnext_tiny", "densenet121", "mobilenet_v3_small", "regnet_y_400mf", "swin_t",
             "vit_b_16"],
)  # fmt: skip
def test_torchvisions_nets_are_known_by_their_tensors(name: str):
    """With any number of classes, without BN's counters, behind a prefix."""
    shapes = library.shapes_of(architectures.unfilled(f"torchvision/{name}").state_dict())
    found = {
        f"module.{key}": (12, *shape[1:]) if shape[:1] == (1000,) else shape
        for key, shape in shapes.items()
        if not key.endswith("num_batches_tracked")
    }
    assert library.fitting(found) == (library.Architecture(f"torchvision/{name}", 12),)


def test_one_tensor_more_or_of_another_shape_is_no_such_net():
    """Exactly, or not at all."""
    shapes = library.shapes_of(architectures.unfilled(TV).state_dict())
    assert library.fitting({**shapes, "features.0.0.bias": (16,)}) == ()
    assert library.fitting({**shapes, "features.0.0.weight": (16, 3, 5, 5)}) == ()


@pytest.mark.trains
def test_the_index_says_what_the_libraries_build():
    """A sample of it, built anew; timm's where timm is there."""
    pytest.importorskip("timm")
    index = json.loads(library.INDEX.read_text(encoding="utf-8"))
    every = [
        (keys, group, shapes, name)
        for keys, groups in index.items() for group in groups
        for shapes, known in group["nets"].items() for name in known
    ]  # fmt: skip
    assert len(every) > 800
    for keys, group, shapes, name in every[5::180]:
        expected = (keys, tuple(group["head"]), shapes)
        assert architectures.entry(architectures.unfilled(name))[:3] == expected, name


def test_the_library_builds_it_and_logits_are_equal(net: nn.Module, file: Path):
    """Prefix, wrapper and number of classes; every tensor in its place."""
    found = library.library_file(file)
    assert found.architectures == (library.Architecture(TV, 7),)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(found.open(found.chosen())(images), net(images))


@pytest.mark.trains
def test_timms_vit_is_opened(tmp_path: Path):
    """By timm's builder, from a .safetensors file."""
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    made = timm.create_model("vit_tiny_patch16_224", num_classes=3).eval()
    save_file(made.state_dict(), tmp_path / "vit.safetensors")
    found = library.library_file(tmp_path / "vit.safetensors")
    assert [one.name for one in found.architectures] == ["timm/vit_tiny_patch16_224"]
    opened = found.open(found.chosen())
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(opened(images), made(images))


@pytest.mark.trains
def test_it_is_measured_over_pictures_of_any_size(file: Path, pictures: DataSpec, tmp_path: Path):
    """A recording with as many blocks as MobileNetV3-small has shortcuts, named as the file."""
    found = library.library_file(file)
    made = opening.observe_file(found, found.chosen(), pictures, 4, folder=tmp_path / "runs")
    assert made.net == "mobilenet_v3_small (flowers)"
    assert made.data_title == "pictures"
    assert len(made.refinement()) == 6
    assert set(made.refinement()["n_images"]) == {4}
    assert len(made.responses()) == 34
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no images"):
        opening.few_images(DataSpec.parse(f"folder:{tmp_path / 'empty'}"), 32, 4)


def test_several_that_fit_must_be_named(file: Path):
    """Names are given; the wrong one is refused."""
    several = (library.Architecture("timm/a", 7), library.Architecture("timm/b", 7))
    found = library.LibraryFile(library.library_file(file).file, several, 1)
    with pytest.raises(ImportRefused, match=r"fit timm/a, timm/b, .* \(--net timm/a\)"):
        found.chosen()
    assert found.chosen("timm/b") == several[1]


@pytest.mark.trains
def test_import_measures_a_librarys_net(file: Path, pictures: DataSpec, tmp_path: Path):
    """On the command line: what it is, its blocks, the recording; without images what is needed."""
    runs = tmp_path / "runs"
    done = command(
        "import", str(file), "--data", str(pictures), "--images", "3", "--runs", str(runs)
    )
    assert done.returncode == 0, done.stderr
    assert "Found: torchvision mobilenet_v3_small, 7 classes" in done.stdout
    assert "Blocks: 6; median rms(F)/rms(x) over 3 images" in done.stdout
    assert [one.net for one in list_recordings([runs])] == ["mobilenet_v3_small (flowers)"]
    done = command("import", str(file), "--runs", str(runs))
    assert done.returncode == 5
    assert "name some, --data folder:PATH" in done.stderr


@pytest.mark.trains
def test_import_says_how_to_measure_any_other(tmp_path: Path):
    """The refusal, and Python with the file's path in it, which is valid."""
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, 2))
    torch.save(other.state_dict(), tmp_path / "mine.pth")
    done = command("import", str(tmp_path / "mine.pth"), "--runs", str(tmp_path / "runs"))
    assert done.returncode == 5
    assert f"torch.load({str(tmp_path / 'mine.pth')!r}, weights_only=True)" in done.stderr
    assert "Error: mine.pth:" in done.stderr
    compile(library.how_to(tmp_path / "mine.pth", "mine"), "how-to", "exec")
