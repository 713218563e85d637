"""Questions to nets are answered by another process, as they would be in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from analysis.errors import LensError, RunDamaged
from analysis.lens import asking
from analysis.lens.activations import probe
from analysis.lens.attribution import attribute
from analysis.lens.laboratory import Laboratory
from analysis.lens.lesions import effect_of, on_one
from analysis.lens.own_images import images_of
from analysis.runs.learned import PROBE, Lesion
from analysis.weights import load_net

ROOT = Path(__file__).parents[2]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
PICTURE = PIXELS[0].transpose(1, 2, 0)


def pid() -> int:
    """Of who answers. `os.getpid` itself is pickled as `posix.getpid`, which Windows lacks."""
    return os.getpid()


def end() -> None:
    """What the system does where memory runs out."""
    psutil.Process().kill()


@pytest.fixture
def own(tiny_trained):
    """(a run, its net and the input of PICTURE in this process)."""
    net, normalizer = load_net(tiny_trained)
    return tiny_trained, net, normalizer.apply(torch.from_numpy(PIXELS[:1]))


def test_the_same_answers_as_here(own):
    """Probabilities, responses, attributions and lesions, but for the order of sums."""
    run, net, x = own
    there, here = asking.ask("activations.probe", run, PICTURE), probe(net, x)

    assert there.probabilities == pytest.approx(here.probabilities, rel=1e-5)
    assert there.responses["std"].to_numpy() == pytest.approx(
        here.responses["std"].to_numpy(), rel=1e-4
    )
    for method in ("occlusion", "grad_cam"):
        found = asking.ask("attribution.attribute", run, PICTURE, 1, method, "stage1.block1")
        assert found.values == pytest.approx(
            attribute(net, x, 1, method, "stage1.block1").values, abs=1e-4
        )
    lesion = Lesion({"stage1.block1": 0.0})
    for one, other in zip(
        asking.ask("lesions.on_one", run, PICTURE, lesion), on_one(net, x, lesion), strict=True
    ):
        assert one == pytest.approx(other, abs=1e-4)


def test_effect_of_a_lesion(own):
    """On the probe, asked twice: the second time the images' way through the net is known."""
    run, net, _x = own
    _net, normalizer = load_net(run)
    probe = images_of(run)[0].subset(test=PROBE)
    lesion = Lesion({"stage1.block1": 0.0})
    bench = Laboratory(net, normalizer.apply(probe.test))
    expected = effect_of(bench, probe.test_labels, lesion)

    assert expected.n_images == PROBE
    for _time in range(2):
        assert asking.ask_for_effect(run, lesion) == expected
    with pytest.raises(KeyError):
        asking.ask_for_effect(run, Lesion({"stage9.block1": 0.0}))


def test_test_images_of_a_run(tiny_trained):
    """Each by its number, height first, with the classes of all."""
    images = images_of(tiny_trained)[0]
    classes, labels = asking.ask_for_classes(tiny_trained)

    assert classes == images.classes
    assert (labels == images.test_labels.numpy()).all()
    last = len(labels) - 1
    wanted = images.test[last].permute(1, 2, 0).numpy()
    assert (asking.ask_for_test_image(tiny_trained, last) == wanted).all()


def test_images_of_a_survey(tiny_trained):
    """Those of the numbers asked for, in their order, height first."""
    source = images_of(tiny_trained)
    wanted = source[0].test[[7, 0, 7]].permute(0, 2, 3, 1).numpy()

    assert (asking.ask_for_images(source[1], [7, 0, 7]) == wanted).all()


def test_it_works_in_the_folder_of_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where RESIDUAL_LENS_CACHE may lead from."""
    monkeypatch.chdir(tmp_path)
    process = asking._Process()
    failed, folder = process.answer(Path.cwd, ())
    process.end()

    assert not failed
    assert folder.samefile(tmp_path)


def test_another_process_answers_and_one_that_was_ended_is_replaced():
    """It stays the same from one question to the next; killed, the next one answers."""
    first = asking._answered(pid)
    assert first != os.getpid()
    assert asking.PROCESSES > 1 or asking._answered(pid) == first

    psutil.Process(first).kill()
    assert asking._answered(pid) not in (first, os.getpid())


def test_a_question_that_ends_every_process_says_so():
    """As where there is too little memory for it; the next question is answered."""
    with pytest.raises(LensError, match="ended twice"):
        asking._answered(end)
    assert asking._answered(pid) != os.getpid()


def test_a_run_without_weights_is_refused_in_words(tiny_trained):
    """The error comes back with its words, in the reader's language."""
    tiny_trained.weights_path.unlink()
    with pytest.raises(RunDamaged, match=r"model\.safetensors"):
        asking.check(tiny_trained)


def test_it_ends_with_who_asked():
    """Killed, the asker leaves no process behind."""
    code = (
        "from analysis.lens import asking; from tests.lens.test_asking import pid\n"
        "print(asking._answered(pid), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as asker:  # fmt: skip
        answering = psutil.Process(int(asker.stdout.readline()))
        asker.kill()
    psutil.wait_procs([answering], timeout=20)
    assert not answering.is_running()
