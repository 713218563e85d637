"""`python -m analysis survey`: whose images, what is kept where, and what is not made twice."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.data import load_images
from analysis.errors import DataError, RunError
from analysis.lens.own_images import images_of, same_images
from analysis.lens.survey import surveyed_images
from analysis.runs import store
from analysis.runs.learned import Origin, read_readouts, read_survey
from analysis.specs import DataSpec
from tests import forked

pytestmark = pytest.mark.trains

ROOT = Path(__file__).parents[2]


def command(*arguments: str, runs: Path) -> subprocess.CompletedProcess:
    """`survey` as a person runs it."""
    return analysis("survey", *arguments, runs=runs)


def analysis(*arguments: str, runs: Path) -> subprocess.CompletedProcess:
    """A command as a person runs it."""
    return forked.analysis(*arguments, "--runs", str(runs))


def write_digits(folder: Path, classes: tuple[str, ...], n: int = 4) -> DataSpec:
    """A few digits as an image folder whose classes are called so."""
    images = load_images(DataSpec.parse("digits"))
    for split, pixels in (("train", images.train), ("test", images.test)):
        for label, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True)
            chosen = pixels[images.train_labels[: len(pixels)] == label][:n]
            for i, image in enumerate(chosen):
                rgb = image.permute(1, 2, 0).numpy()
                Image.fromarray(rgb).save(folder / split / name / f"{i}.png")
    return DataSpec.parse(f"folder:{folder}")


def test_help():
    """Says what it finds, where that goes and what an interruption leaves."""
    done = command("--help", runs=ROOT)

    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    for part in ("Survey a run's net for the Inspect page", "kept whole or not at all", "--again"):
        assert part in words


def test_made_once_and_again(tiny_trained):
    """Both lessons are kept with the run; a second call makes nothing, --again does."""
    run = tiny_trained
    done = command(run.id, runs=run.path.parent)
    assert done.returncode == 0, done.stderr
    assert str(run.path / "lens" / "survey.npz") in done.stdout

    found = read_survey(run)
    assert found is not None
    assert found.origin is not None
    assert found.origin.is_own(run)
    digits = load_images(run.config.data)
    assert (surveyed_images(found.origin) == digits.subset(test=2000).test).all()
    assert read_readouts(run).origin == found.origin

    before = (run.path / "lens" / "survey.npz").stat().st_mtime_ns
    assert command(run.id, runs=run.path.parent).stdout.count("are there already") == 2
    assert (run.path / "lens" / "survey.npz").stat().st_mtime_ns == before
    (run.path / "lens" / "readouts.npz").unlink()  # as after an interruption between the two
    done = command(run.id, runs=run.path.parent)
    assert done.stdout.count("are there already") == 1
    assert (run.path / "lens" / "readouts.npz").exists()
    command(run.id, "--again", runs=run.path.parent)
    assert (run.path / "lens" / "survey.npz").stat().st_mtime_ns > before


def test_other_images(tiny_trained, tmp_path):
    """Named images of the same classes are taken and called what they are."""
    run, other = tiny_trained, tmp_path / "mine"
    write_digits(other, tuple("0123456789"))
    done = command(run.id, "--data", f"folder:{other}", runs=run.path.parent)

    assert done.returncode == 0, done.stderr
    found = read_survey(run)
    assert (found.origin.data.title, found.origin.is_own(run)) == ("mine", False)
    assert len(surveyed_images(found.origin)) == len(found.stds)
    shutil.rmtree(other)
    with pytest.raises(DataError, match=r"the image folder .* does not exist"):
        surveyed_images(found.origin)


def test_results_over_other_images_are_not_replaced_unasked(tiny_trained, tmp_path):
    """Nor given out for those over the images that were asked for."""
    run, other = tiny_trained, tmp_path / "mine"
    write_digits(other, tuple("0123456789"))
    names = {"survey": ["survey", run.id], "lesions": ["lesions", run.id],
             "similarity": ["similarity", run.id, run.id]}  # fmt: skip
    for lesson, words in names.items():
        assert analysis(*words, runs=run.path.parent).returncode == 0
        (kept,) = (run.path / "lens").glob(f"{lesson}*.npz")
        before = kept.read_bytes()
        done = analysis(*words, "--data", f"folder:{other}", runs=run.path.parent)
        said = done.stdout + done.stderr
        assert f"over digits are there; --again puts those over folder:{other}" in said, said
        assert kept.read_bytes() == before
        again = analysis(*words, "--data", f"folder:{other}", "--again", runs=run.path.parent)
        assert again.returncode == 0, again.stderr
        assert kept.read_bytes() != before
        done = analysis(*words, runs=run.path.parent)
        assert "are there; --again puts those over digits" in done.stdout + done.stderr


def test_images_that_do_not_fit(tiny_trained, tmp_path):
    """Other classes are refused, by name; nothing is kept; exit code 3."""
    run, other = tiny_trained, tmp_path / "letters"
    write_digits(other, tuple("abcdefghij"))
    done = command(run.id, "--data", f"folder:{other}", runs=run.path.parent)

    assert done.returncode == 3
    assert "10 (a, b, c, d, ...), not 10 (0, 1, 2, 3, ...)" in done.stderr
    assert not (run.path / "lens").exists()
    write_digits(tmp_path / "small", tuple("0123456789"))
    small = DataSpec.parse(f"folder:{tmp_path / 'small'}", resize=16)
    with pytest.raises(DataError, match="has images of 16 pixels a side"):
        images_of(run, small)


def test_changed_images(tmp_path):
    """Images that are no longer those of the survey are not shown as its exemplars."""
    spec = write_digits(tmp_path / "mine", tuple("0123456789"))
    origin = Origin(spec, load_images(spec).fingerprint)
    assert Origin.parse(origin.text()) == origin
    assert same_images(origin).fingerprint == origin.fingerprint
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "mine/test/3/0.png")

    with pytest.raises(DataError, match="have changed since the survey"):
        same_images(origin)


def test_at_hand(tmp_path, monkeypatch):
    """Digits always are; a folder with both splits; CIFAR once it was downloaded or unpacked."""
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path / "cache"))
    here = write_digits(tmp_path / "mine", ("0",))

    assert here.is_at_hand
    assert DataSpec.parse("digits").is_at_hand
    assert not DataSpec.parse("cifar10").is_at_hand
    assert not DataSpec.parse(f"folder:{tmp_path / 'away'}").is_at_hand
    (tmp_path / "cache/cifar-10-python.tar.gz").touch()
    assert DataSpec.parse("cifar10").is_at_hand
    assert not DataSpec.parse("cifar100").is_at_hand
    (tmp_path / "cache/cifar-100-python").mkdir()
    (tmp_path / "cache/cifar-100-python/test").touch()  # unpacked by hand, without the archive
    assert DataSpec.parse("cifar100").is_at_hand


def test_nowhere_to_keep_it(tiny_trained, tmp_path, monkeypatch):
    """Where neither the run nor the cache folder can be written, both are named."""
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(blocked))
    (tiny_trained.path / "lens").write_text("a file where the folder should be")

    with pytest.raises(RunError, match=r"can't be kept: .*lens, .*a file.* can't be written"):
        store.write(tiny_trained, "survey", "s", {})
