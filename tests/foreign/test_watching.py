"""Watching a loop that is not ours: `pytest tests/foreign/test_watching.py`

What it logs is on disk at once, and nothing that goes wrong in here may reach the loop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks
from torchvision.models import resnet18

from analysis import figures, watch
from analysis.foreign.watching import Watch
from analysis.runs import SavedRecording, find_comparable, list_recordings, list_runs
from tests.tiny import write_run

ROOT = Path(__file__).parents[2]


class Block(nn.Module):
    """x + BN(conv(relu(x)))."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One shortcut."""
        return x + self.bn(self.conv(torch.relu(x)))


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), Block(), Block(), nn.Flatten(), nn.Linear(144, 2))


def only(folder: Path) -> SavedRecording:
    (found,) = list_recordings([folder])
    assert isinstance(found, SavedRecording)
    return found


def train(model: nn.Module, run: Watch, epochs: int, updates: int = 3) -> None:
    """A loop as anybody writes it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images, labels = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])
    for epoch in range(epochs):
        for _ in range(updates):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        run.log(epoch=epoch + 1, train_error=50.0 - epoch, train_loss=loss, lr=0.01)
        run.log(epoch=epoch + 1, test_error=torch.tensor(60.0 - epoch))
        run.probe(images)


def test_a_watched_loop_is_a_recording_with_history(tmp_path: Path):
    """Errors by epoch (two calls, one row), updates counted, responses and refinement by epoch."""
    model = net()
    with watch(model, name="mine", data="flowers", folder=tmp_path, epochs=3) as run:
        run.probe(torch.rand(4, 3, 8, 8))
        during = only(tmp_path)
        assert (during.state, len(during.history())) == ("running", 0)
        train(model, run, epochs=3)
    found = only(tmp_path)
    assert (found.net, found.data_title, found.state, found.recipe) == (
        "mine", "flowers", "finished", "own loop",
    )  # fmt: skip
    history = found.history()
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["iteration"].tolist() == [3, 6, 9]
    assert history["train_error"].tolist() == [50, 49, 48]
    assert history["test_error"].tolist() == [60, 59, 58]
    assert history["train_loss"].notna().all()
    assert found.status is not None
    assert (found.status.epoch, found.status.test_error) == (3, 58)
    assert found.refinement().groupby("epoch")["block_name"].agg(list).to_dict() == {
        epoch: ["1", "2"] for epoch in range(4)
    }
    blocks = found.probe_blocks()
    assert blocks.groupby("epoch")["iteration"].max().tolist() == [0, 3, 6, 9]
    assert blocks["ratio"].tolist() == found.refinement()["ratio_median"].tolist()
    assert found.responses().groupby("epoch")["layer"].agg(list)[3] == ["1.conv", "2.conv"]
    assert set(found.points()["kind"]) == {"activation"}


def test_training_is_the_same_with_and_without(tmp_path: Path):
    """To the bit: weights, BN statistics, random numbers, modes; and no hook is left."""

    def result(folder: Path | None) -> tuple[list[torch.Tensor], torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(net(), nn.Dropout(0.5)).train()
        run = Watch(model, "mine", "", folder, None)
        if folder is None:
            run.writes = False
        with run:
            train(model, run, epochs=2)
        assert model.training
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        return [t.clone() for t in model.state_dict().values()], torch.rand(3)

    before = len(_global_optimizer_post_hooks)
    watched, alone = result(tmp_path), result(None)
    assert all(torch.equal(a, b) for a, b in zip(watched[0], alone[0], strict=True))
    assert torch.equal(watched[1], alone[1])
    assert len(_global_optimizer_post_hooks) == before


def test_it_is_drawn_beside_a_run(tmp_path: Path):
    """A curve, responses, its errors in the summary, comparable by its name."""
    model = net()
    with watch(model, name="mine", data="flowers", folder=tmp_path) as run:
        train(model, run, epochs=2)
    write_run(tmp_path, "resnet-8")
    assert len(list_runs([tmp_path])) == 1
    both = [list_runs([tmp_path])[0], find_comparable("mine", [tmp_path])]
    curves = figures.error_curves_info(both)
    assert curves.groupby("label", sort=False)["epoch"].max().to_dict() == {
        "resnet-8": 3,
        "mine": 2,
    }
    assert figures.without_history(both) == []
    words = figures.summary_words(figures.summary_info(both)).iloc[1]
    assert (words["Test error (%)"], words["Epochs"], words["State"]) == ("59.00", "2", "finished")
    assert len([t for t in figures.plot_error_curves(curves).data if not t.meta]) == 4


def test_an_error_of_ours_is_one_warning_and_the_loop_goes_on(tmp_path: Path):
    """A probe that can't pass, a column that is not known: said once each; what fits is kept."""
    with watch(net(), name="mine", folder=tmp_path) as run:
        with pytest.warns(RuntimeWarning, match="can't probe, and the training goes on: the forw"):
            run.probe(torch.rand(4, 5, 8, 8))
        run.probe(torch.rand(4, 5, 8, 8))
        with pytest.warns(RuntimeWarning, match="log does not know accuracy; it knows epoch, iter"):
            run.log(train_error=3.0, accuracy=97.0)
    assert only(tmp_path).history()["train_error"].tolist() == [3.0]


def test_a_folder_that_can_not_be_written_does_not_end_the_loop(tmp_path: Path):
    """One warning; also where warnings are errors."""
    (tmp_path / "runs").write_text("a file")
    with pytest.warns(RuntimeWarning, match="Residual Lens can't start"):
        run = watch(net(), name="mine", folder=tmp_path / "runs").start()
    run.log(train_error=1.0)
    run.probe(torch.rand(4, 3, 8, 8))
    run.finish()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with watch(net(), name="", folder=tmp_path / "new") as run:
            run.log(train_error=1.0)


@pytest.mark.parametrize(
    ("error", "state"), [(ValueError("bad"), "failed"), (KeyboardInterrupt(), "cancelled")]
)
def test_what_ends_the_loop_is_said_and_passed_on(error: BaseException, state: str, tmp_path: Path):
    """Its own error is not swallowed."""

    def loop() -> None:
        with watch(net(), name="mine", folder=tmp_path) as run:
            run.log(train_error=1.0)
            raise error

    with pytest.raises(type(error)):
        loop()
    found = only(tmp_path)
    assert found.state == state
    assert found.status is not None
    assert state != "failed" or "raised ValueError: bad" in str(found.status.reason)


KILLED = """
import sys, time, torch
from analysis import watch
with watch(torch.nn.Linear(2, 2), name="killed", folder=sys.argv[1]) as run:
    run.log(epoch=1, train_error=40.0)
    run.log(epoch=2, train_error=30.0)
    print("logged", flush=True)
    time.sleep(60)
"""


def test_a_killed_one_is_interrupted_with_all_that_was_logged(tmp_path: Path):
    """By SIGKILL: nothing could be tidied up."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"logged"
    assert only(tmp_path).state == "running"
    process.kill()
    process.wait()
    process.stdout.close()
    found = only(tmp_path)
    assert found.state == "interrupted"
    assert found.history()["train_error"].tolist() == [40.0, 30.0]


def test_accumulation_and_skipped_steps_count_no_updates(tmp_path: Path):
    """Two batches an update; another model's optimizer is none of ours."""
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    ours = torch.optim.SGD(model.parameters(), 0.1)
    theirs = torch.optim.SGD(other.parameters(), 0.1)
    with watch(model, name="mine", folder=tmp_path) as run:
        for batch in range(6):
            model(torch.rand(3, 2)).sum().backward()
            theirs.step()
            if batch % 2:
                ours.step()
                ours.zero_grad()
        run.log(train_error=1.0)
    assert only(tmp_path).history()["iteration"].tolist() == [3]


def test_compiled_and_autocast(tmp_path: Path):
    """A compiled model is probed uncompiled, under the autocast that is on."""
    model = net()
    autocast = torch.autocast("cpu", torch.bfloat16)
    with watch(torch.compile(model), name="mine", folder=tmp_path) as run, autocast:
        run.probe(torch.rand(4, 3, 8, 8))
    assert only(tmp_path).refinement()["block_name"].tolist() == ["1", "2"]


def test_other_ranks_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Under torchrun rank 0 alone does."""
    monkeypatch.setenv("RANK", "1")
    with watch(net(), name="mine", folder=tmp_path) as run:
        train(net(), run, epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_the_three_lines_of_a_resnet50_cost_little(tmp_path: Path):
    """Logging an epoch takes milliseconds: far below one per cent of one of minutes."""
    with watch(resnet18(weights=None), name="mine", folder=tmp_path) as run:
        start = time.perf_counter()
        for _ in range(10):
            run.log(train_error=1.0)
        assert (time.perf_counter() - start) / 10 < 0.5


def test_sigterm_leaves_an_interrupted_or_cancelled_one(tmp_path: Path):
    """Without a handler the process is gone at once: interrupted."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGTERM)
    process.wait()
    process.stdout.close()
    assert only(tmp_path).state == "interrupted"


RANKS = """
import sys, torch
import torch.distributed.nn.functional
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from analysis import watch

def train():
    model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, name="ranks", folder=sys.argv[1]) as run:
        model(torch.rand(4, 4)).sum().backward()
        optimizer.step()
        run.log(train_error=1.0)
        run.probe(torch.rand(4, 4))

torch.distributed.init_process_group("gloo")
train()
torch.distributed.destroy_process_group()
"""
"""It imports what DDP would import, and has let go of the net, before the group is destroyed: as
`World`, so that no thread of gloo's is left, which can abort an interpreter that ends."""


def test_torchrun_with_two_processes(tmp_path: Path):
    """DistributedDataParallel on two ranks: one recording, probed without the wrapper."""
    script = tmp_path / "loop.py"
    script.write_text(RANKS, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, script, tmp_path / "runs"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = only(tmp_path / "runs")
    assert (found.state, found.history()["iteration"].tolist()) == ("finished", [1])
    assert found.responses()["layer"].tolist() == ["0"]
