"""Questions that take minutes, asked beside the page: pytest tests/jobs/test_errands.py"""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from analysis.jobs import processes
from analysis.jobs.errands import PROGRESS, Errand, teller
from analysis.lens.laboratory import Laboratory
from analysis.lens.own_images import images_of
from analysis.runs import Run, list_runs, load_run
from analysis.runs.learned import Lesion, read_effect
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training import prepare_run, train_run
from analysis.weights import load_net
from tests.queues import wait_until


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A resnet-14-w4 after one epoch of 128 digits."""
    recipe = Recipe.parse("quick", epochs=1, train_images=128)
    compute = Compute(device="cpu", compile=False)
    spec, data = NetSpec.parse("resnet-14-w4"), DataSpec.parse("digits")
    path = prepare_run(tmp_path / "runs", spec, recipe, data, compute=compute)
    train_run(path)
    return load_run(path)


def errand(run: Run, *more: str) -> Errand:
    """Lesions of a run."""
    return Errand(run.path.parent, ("lesions", str(run.path), *more))


def test_one_lesion_on_all_test_images(run: Run):
    """The process keeps what a pass by hand gives; nothing else is a run because of it."""
    asked = errand(run, "--blocks", "stage2.block2", "--strength", "0.5")
    assert asked.look() is None
    asked.begin()
    lesion = Lesion({"stage2.block2": 0.5})
    wait_until(lambda: not asked.look().running)
    found = read_effect(run, lesion)
    assert found, asked.look().log
    net, normalizer = load_net(run)
    images, labels = images_of(run)[0].test, images_of(run)[0].test_labels
    bench = Laboratory(net, normalizer.apply(images))
    now, before = bench.logits(lesion).argmax(1), bench.intact.argmax(1)
    assert found.n_images == len(images) == 360
    assert found.wrong == pytest.approx(100 * float((now != labels).double().mean()))
    assert found.intact == pytest.approx(100 * float((before != labels).double().mean()))
    assert found.changed == pytest.approx(100 * float((now != before).double().mean()))
    assert read_effect(run, Lesion({"stage2.block2": 0.25})) is None
    assert [kept.path for kept in list_runs([run.path.parent])] == [run.path]


def test_an_errand_that_fails_says_why(run: Run):
    """By the command's own last line, which names the block."""
    asked = errand(run, "--blocks", "stage9.block1")
    asked.begin()
    wait_until(lambda: not asked.look().running)
    assert "no block stage9.block1" in asked.look().log
    asked.end()
    assert asked.look() is None


def test_an_errand_can_be_ended(run: Run):
    """Its process is gone at once, and it can be asked for again."""
    asked = errand(run, "--images", "0")
    asked.begin()
    process = processes.remembered(asked.path / "process.json")
    asked.begin()  # a second tab: the same process goes on
    assert processes.remembered(asked.path / "process.json") == process
    asked.end()
    assert asked.look() is None
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_progress_tells_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From the share that is done; a file that is torn is nothing known."""
    asked = Errand(tmp_path, ("lesions", "nobody"))
    asked.path.mkdir(parents=True)
    (asked.path / "process.json").write_text('{"pid": 0, "began": 0}', encoding="utf-8")
    place = asked.path / "progress.json"
    monkeypatch.setenv(PROGRESS, str(place))
    monkeypatch.setattr("analysis.jobs.errands._SAY_EVERY", 0.0)
    teller()(30, 120)
    assert (asked.look().done, asked.look().total) == (30, 120)
    place.write_text('{"done": 30, "total": 120, "seconds": 10.0}', encoding="utf-8")
    assert asked.look().seconds_left == 30.0
    place.write_text('{"done": 0', encoding="utf-8")
    assert asked.look().seconds_left is None
