"""Surveys equal what a look at each image alone finds; kept with the run, or in the cache."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from analysis.data import Normalizer
from analysis.lens.activations import layer_maps
from analysis.lens.answers import mapped_layers
from analysis.lens.survey import make_survey, survey
from analysis.runs import store
from analysis.runs.learned import TOP, distribution, read_survey
from analysis.weights import load_net
from tests.lens.nets import net

PIXELS = torch.randint(0, 256, (70, 3, 32, 32), generator=torch.Generator().manual_seed(1)).byte()
NORMALIZER = Normalizer(torch.full((3, 32, 32), 0.5))


def found():
    """A survey of 70 images and the maps of each image alone at one layer."""
    made = net("resnet-8-w4-B")
    maps = np.stack(
        [
            layer_maps(made, NORMALIZER.apply(PIXELS[i : i + 1]), "stage2.block1.conv2").before
            for i in range(len(PIXELS))
        ]
    )
    return made, survey(made, PIXELS, NORMALIZER), maps


def test_stds_are_each_images_own():
    """The std of an image in a batch is that of its maps alone; layers are in forward order."""
    made, result, maps = found()

    assert result.layers == tuple(layer.name for layer in mapped_layers(made.spec))
    at = result.layers.index("stage2.block1.conv2")
    assert result.stds[:, at] == pytest.approx(maps.reshape(70, -1).std(1), rel=1e-5)


def test_exemplars_are_the_largest_of_all():
    """Values, images and positions of a channel's exemplars equal a full sort over all images."""
    _made, result, maps = found()
    peaks = maps[:, 5].reshape(70, -1)
    expected = np.argsort(-peaks.max(1))[:TOP]
    exemplars = result.exemplars("stage2.block1.conv2", 5)

    assert [image for image, _where, _value in exemplars] == expected.tolist()
    assert [where for _image, where, _value in exemplars] == peaks.argmax(1)[expected].tolist()
    values = [value for _image, _where, value in exemplars]
    assert values == pytest.approx(peaks.max(1)[expected].tolist(), abs=1e-5)


def test_fewer_images_than_exemplars():
    """Four images give four exemplars a channel."""
    result = survey(net(), PIXELS[:4], NORMALIZER)

    assert sorted(image for image, *_rest in result.exemplars("stem.conv", 0)) == [0, 1, 2, 3]


def test_distribution():
    """Mean and quantiles by layer are NumPy's over images."""
    _made, result, _maps = found()
    table = distribution(result)

    assert list(table) == ["mean", "q05", "q25", "q50", "q75", "q95"]
    assert table["q50"] == pytest.approx(np.median(result.stds, axis=0), rel=1e-6)
    assert table["mean"] == pytest.approx(result.stds.mean(0), rel=1e-6)


def test_progress_and_the_shared_net():
    """Progress ends at all images; the net that others use is not hooked or changed."""
    made, told = net(), []
    survey(made, PIXELS, NORMALIZER, lambda done, total: told.append((done, total)))

    assert told == [(32, 70), (64, 70), (70, 70)]
    assert not any(module._forward_hooks for module in made.modules())


def test_kept_with_the_run(tiny_trained, monkeypatch, tmp_path):
    """A survey is read back equal; other weights or a torn file make it be made again."""
    run = tiny_trained
    result = make_survey(run, *load_net(run), n=20)
    again = read_survey(run, n=20)

    assert again is not None
    assert again.layers == result.layers
    assert (again.values == result.values).all()
    assert (run.path / "lens" / "survey.npz").exists()
    assert read_survey(run, n=21) is None
    whole = (run.path / "lens" / "survey.npz").read_bytes()
    (run.path / "lens" / "survey.npz").write_bytes(whole[: len(whole) // 2])
    assert read_survey(run, n=20) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in the file system are POSIX's")
def test_what_is_no_file_is_no_entry(tiny_trained, monkeypatch, tmp_path):
    """A pipe is not waited for; a link to a device is not read for ever."""
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path))
    place = store.places(tiny_trained, "survey")[0]
    place.parent.mkdir()
    os.mkfifo(place)
    assert store.read(tiny_trained, "survey", "stamp", dict) is None
    place.unlink()
    place.symlink_to("/dev/zero")
    assert store.read(tiny_trained, "survey", "stamp", dict) is None


@pytest.mark.parametrize("value", [None, np.zeros(0), np.array("x"), np.full(3, np.nan)])
def test_an_edited_entry_is_none(tiny_trained, monkeypatch, tmp_path, value):
    """Whatever is done to an array: it is made again, not shown and no error."""
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path))
    arrays = {"first": np.arange(3.0), "second": np.array(["a", "b"])}
    place = store.write(tiny_trained, "thing", "stamp", arrays)
    assert set(store.read(tiny_trained, "thing", "stamp", dict)) == {"first", "second"}
    with np.load(place) as found:
        held = dict(found)
    for key in held:
        edited = {k: v for k, v in held.items() if k != key}
        np.savez(place, **edited, **({} if value is None else {key: value}))
        if key != "digest" or value is not None:
            assert store.read(tiny_trained, "thing", "stamp", dict) is None
    np.savez(place, stamp=np.array("stamp"), first=np.array("x"))  # of an older version: no digest
    assert store.read(tiny_trained, "thing", "stamp", lambda found: float(found["first"])) is None


def test_read_only_run(tiny_trained, monkeypatch, tmp_path):
    """Where the run's directory can't be written, the user's cache folder has it."""
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path))
    made = survey(net(), PIXELS[:4], NORMALIZER)
    (tiny_trained.path / "lens").write_text("a file where the folder should be")
    path = store.write(tiny_trained, "survey", "s", made.arrays())

    assert path == tmp_path / "lens" / tiny_trained.id / "survey.npz"
    assert store.read(tiny_trained, "survey", "s", dict) is not None
    assert store.read(tiny_trained, "survey", "other", dict) is None
