"""One net trained by two processes (torchrun, gloo): `pytest tests/training/test_two_processes.py`.

Against the same updates done here: two nets of equal weights, each with its half of every batch and
its own BN statistics, and the sum of their gradients.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from analysis.nets import Net, build
from analysis.responses import closed_form
from analysis.runs import Run, load_run
from analysis.specs import REFERENCE, DataSpec, NetSpec, recipe_for
from analysis.training import prepare_run
from analysis.training.distributed import World
from analysis.training.evaluate import evaluate
from analysis.training.prepare import load_training_images
from analysis.training.schedule import learning_rate
from analysis.training.updates import Updates
from analysis.weights import load_net

pytestmark = pytest.mark.trains

ROOT = Path(__file__).resolve().parents[2]
DIGITS = DataSpec("digits")
IMAGES, BATCH = 200, 65
"""So that halves of a batch differ by an image: 33 and 32, and 3 and 2 in the last."""


@dataclass
class Expected:
    """What two processes should come to."""

    main: Net
    other: Net
    losses: list[float]
    """Mean over the images of an epoch, in nats."""
    errors: list[float]
    """Percent."""
    test: tuple[float, float]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two epochs by two processes."""
    spec = NetSpec.parse("resnet-8-w4")
    changes = {"epochs": 2, "train_images": IMAGES, "test_images": 101, "batch_size": BATCH}
    recipe = recipe_for("quick", spec, DIGITS, **changes)
    folder = tmp_path_factory.mktemp("runs")
    path = prepare_run(folder, spec, recipe, DIGITS, seed=1, compute=REFERENCE)
    starter = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    code = folder / "both.py"
    code.write_text(f"from analysis.training import train_run; train_run({str(path)!r})")
    done = subprocess.run(
        [sys.executable, *starter, str(code)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return load_run(path)


@pytest.fixture(scope="module")
def expected(run: Run) -> Expected:
    """The same in this process."""
    config = run.config
    assert config.recipe is not None
    images, recipe = load_training_images(config), config.recipe
    nets = [build(config.net, config.seed).train()]
    nets.append(copy.deepcopy(nets[0]))
    makers = [Updates(net, config, images, World(), torch.device("cpu")) for net in nets]
    length, iteration = recipe.length(IMAGES), 0
    losses, errors = [], []
    for epoch in range(2):
        makers[0].begin_epoch(epoch)
        sums = torch.zeros(2)
        for step in range(length.steps_per_epoch):
            batch = makers[0]._drawn[:, step * BATCH : (step + 1) * BATCH]
            pixels, wanted = makers[0]._images(batch)
            for rank, (net, made) in enumerate(zip(nets, makers, strict=True)):
                made._set_lr(learning_rate(recipe, length, iteration))
                made.optimizer.zero_grad()
                logits = net(pixels[rank::2])
                loss = F.cross_entropy(logits, wanted[rank::2], reduction="sum")
                (loss / len(wanted)).backward()
                sums += torch.tensor([loss.item(), (logits.argmax(1) != wanted[rank::2]).sum()])
            for ours, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
                ours.grad = theirs.grad = ours.grad + theirs.grad
            for made in makers:
                made.optimizer.step()
            iteration += 1
        losses.append(sums[0].item() / IMAGES)
        errors.append(100 * sums[1].item() / IMAGES)
    test = evaluate(nets[0], makers[0].test, makers[0].test_labels, images.normalizer)
    return Expected(*nets, losses, errors, test)


def test_the_gradient_is_the_mean_over_the_whole_batch(run: Run, expected: Expected):
    """Every image counts the same, though one process has one more: the same weights at the end."""
    trained, _normalizer = load_net(run)
    for mine, theirs in zip(trained.parameters(), expected.main.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_batch_norm_has_the_statistics_of_the_first_process(run: Run, expected: Expected):
    """Each normalises by its own half; those of the process that writes are kept."""
    trained, _normalizer = load_net(run)
    nets = (trained, expected.main, expected.other)
    kept, main, other = (dict(net.named_buffers()) for net in nets)
    for name, values in kept.items():
        torch.testing.assert_close(values, main[name], rtol=1e-3, atol=1e-5)
    variances = [name for name in kept if name.endswith("running_var")]
    assert variances
    assert not any(torch.allclose(kept[n], other[n], rtol=1e-3, atol=1e-5) for n in variances)


def test_the_tables_are_of_all_images_and_written_once(run: Run, expected: Expected):
    """Errors over both halves; responses from the net that was kept."""
    history = run.history()
    assert history["epoch"].tolist() == [1, 2]
    assert history["iteration"].tolist() == [4, 8]
    assert history["train_loss"].tolist() == pytest.approx(expected.losses, rel=1e-3)
    assert history["train_error"].tolist() == pytest.approx(expected.errors, abs=100 / IMAGES)
    last = history.iloc[-1]
    assert last["test_loss"] == pytest.approx(expected.test[0], rel=1e-3)
    assert last["test_error"] == pytest.approx(expected.test[1], abs=1.0)

    wanted = closed_form(load_net(run)[0], epoch=2)
    responses = run.responses()
    closed = responses[responses["source"] == "closed_form"]
    assert closed.groupby("epoch").size().tolist() == [len(wanted)] * 2
    last_rows = closed[closed["epoch"] == 2]
    assert last_rows["std"].tolist() == pytest.approx(wanted["std"].tolist(), rel=1e-5)
    measured = responses[responses["source"] == "measured"]
    assert len(measured) == len(wanted)
    assert not run.probes().duplicated(["iteration", "layer"]).any()
    assert len((run.path / "train.log").read_text().split("epoch 2/2")) == 2
