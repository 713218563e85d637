"""Probes over training, by hand and after interruptions: `pytest tests/training/test_probes.py`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from analysis.data import Normalizer, load_images
from analysis.nets import build
from analysis.responses.probe import probe, probe_images
from analysis.runs import Run, load_run, open_writer
from analysis.runs.files import RESUME
from analysis.specs import Compute, DataSpec, NetSpec, Recipe, recipe_for
from analysis.specs.plan import blocks, layers
from analysis.training import prepare_run, train_run
from analysis.training.distributed import World
from analysis.training.loop import _Trainer
from analysis.training.monitor import Monitor
from analysis.training.prepare import load_training_images
from analysis.training.probing import fill_in
from analysis.training.session import Session

DIGITS = DataSpec("digits")
KEEPING = Compute("cpu", "float32", compile=False, threads=1, keep_weights=True)
KINDS = ["plain-8", "resnet-8", "resnet-8-B", "preresnet-8"]


def small_recipe(**changes) -> Recipe:
    given = {"epochs": 3, "train_images": 200, "test_images": 100, "batch_size": 64, **changes}
    return recipe_for("quick", NetSpec.parse("resnet-8"), DIGITS, **given)


def prepared(folder: Path, net: str = "resnet-8") -> Path:
    return prepare_run(folder, NetSpec.parse(net), small_recipe(), DIGITS, seed=1, compute=KEEPING)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_run(prepared(tmp_path_factory.mktemp("runs")))


def pixels(n: int = 96) -> torch.Tensor:
    return torch.randint(
        0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_the_probe_is_balanced_and_the_same_for_everyone():
    """At most 256 test images, as many of each class as can be, by no random state."""
    images = load_images(DIGITS)
    chosen = probe_images(images.test, images.test_labels)

    assert len(chosen) == 256
    assert torch.equal(chosen, probe_images(images.test, images.test_labels))


@pytest.mark.parametrize("name", KINDS)
def test_a_probe_equals_a_forward_pass_by_hand(name: str):
    """Responses, zeros and refinement, per image, in float64."""
    spec = NetSpec.parse(name)
    net, images = build(spec, 0), pixels()
    normalizer = Normalizer.fit(images)
    for bn in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(bn.weight, 0.5, 1.5)
    found = probe(net, images, normalizer, 2, 7)

    outputs: dict[str, torch.Tensor] = {}
    for path, module in net.named_modules():
        module.register_forward_hook(lambda _m, _i, out, p=path: outputs.update({p: out.detach()}))
    with torch.no_grad():
        net.eval()(normalizer.apply(images))
    rows = found["probes"].set_index("layer")
    assert list(rows.index) == [layer.name for layer in layers(spec)]
    for layer in layers(spec):
        row = rows.loc[layer.name]
        if layer.response:
            wanted = outputs[layer.response].double()
            assert row["std"] == pytest.approx(float(wanted.std(correction=0)), rel=1e-5)
            assert row["mean"] == pytest.approx(float(wanted.mean()), abs=1e-5)
        if layer.activation:
            share = float((outputs[layer.activation] == 0).double().mean())
            assert row["zeros"] == pytest.approx(share, abs=1e-6)
        weight = net.get_parameter(f"{layer.name}.weight")
        assert row["weight_norm"] == pytest.approx(float(weight.detach().norm()), rel=1e-5)
        assert math.isnan(row["grad_norm"])
    with_shortcut = [block for block in blocks(spec) if block.x]
    assert ("probe_blocks" in found) == bool(with_shortcut)
    for block in with_shortcut:
        row = found["probe_blocks"].set_index("block_name").loc[block.name]
        x, f = (outputs[path].flatten(1).double() for path in (block.x, block.f))
        ratios = (f.norm(dim=1) / x.norm(dim=1)).numpy()
        cosines = F.cosine_similarity(x, x + f).numpy()
        assert row["ratio"] == pytest.approx(np.median(ratios), rel=1e-5)
        assert row["ratio_low"] == pytest.approx(np.quantile(ratios, 0.05), rel=1e-5)
        assert row["cosine_high"] == pytest.approx(np.quantile(cosines, 0.95), rel=1e-5)
        assert row["drift"] == pytest.approx(1.0 if block.block == 1 else row["drift"], abs=1e-5)


def test_a_probe_leaves_no_trace_in_the_net():
    """Neither hooks nor BN statistics nor modes, in either manner of normalizing."""
    net, images = build(NetSpec.parse("resnet-8"), 0), pixels()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for batch_statistics in (False, True):
        probe(net.train(), images, Normalizer.fit(images), 0, 0, batch_statistics)

    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks for module in net.modules())


def test_without_f_a_block_changes_nothing():
    """F = 0: ratio 0, cosine 1; gamma of the last BN times c: the ratio times c."""
    net, images = build(NetSpec.parse("resnet-8"), 0), pixels()
    normalizer = Normalizer.fit(images)
    last = net.get_submodule("stage3.block1.bn2")
    assert isinstance(last, torch.nn.BatchNorm2d)
    ratio = probe(net, images, normalizer, 0, 0, True)["probe_blocks"]["ratio"].iloc[-1]
    with torch.no_grad():
        last.weight.mul_(0.25)
    smaller = probe(net, images, normalizer, 0, 0, True)["probe_blocks"]["ratio"].iloc[-1]
    with torch.no_grad():
        last.weight.zero_()
    row = probe(net, images, normalizer, 0, 0, True)["probe_blocks"].iloc[-1]

    assert smaller == pytest.approx(0.25 * ratio, rel=1e-5)
    assert (row["ratio"], row["cosine"]) == (0.0, pytest.approx(1.0, abs=1e-6))


def test_a_training_is_probed_at_its_start_and_after_every_epoch(finished: Run):
    """At updates 0, 1 and 2 of the four of the first epoch, then once an epoch."""
    probes = finished.probes()
    at = probes[["epoch", "iteration"]].drop_duplicates().to_numpy().tolist()

    assert at == [[0, 0], [0, 1], [0, 2], [1, 4], [2, 8], [3, 12]]
    assert probes.loc[probes["iteration"] == 0, "grad_norm"].isna().all()
    assert (probes.loc[probes["iteration"] > 0, "grad_norm"] > 0).all()
    assert (probes["n_images"] == 100).all()
    assert set(finished.probe_blocks()["block_name"]) == {
        "stage1.block1", "stage2.block1", "stage3.block1",
    }  # fmt: skip


def test_gradient_norms_are_those_of_autograd(tmp_path: Path):
    """Of the last batch of an epoch, computed again from the weights before its update."""
    path = prepared(tmp_path)
    with open_writer(path) as writer:
        images = load_training_images(writer.config)
        monitor = Monitor(Session(writer), World(), None)
        trainer = _Trainer(writer.config, images, writer, World(), monitor)
        trainer.net.train()
        trainer.updates.begin_epoch(0)
        batch = trainer.updates._drawn[:, :64]
        inputs, wanted = trainer.updates._images(batch)
        twin = build(writer.config.net, writer.config.seed).train()
        F.cross_entropy(twin(inputs), wanted).backward()
        trainer.updates.update(0, 0.1)
        found = probe(trainer.net, images.images.test, trainer.normalizer, 0, 1)["probes"]

    weights = [twin.get_parameter(f"{layer.name}.weight") for layer in layers(twin.spec)]
    norms = [float(weight.grad.norm()) for weight in weights if weight.grad is not None]
    np.testing.assert_allclose(found["grad_norm"], norms, rtol=1e-4)


def test_an_interrupted_training_has_the_same_probes(tmp_path: Path, finished: Run):
    """Stopped in the second epoch and resumed: the tables are equal to the last digit."""
    path = prepared(tmp_path)
    epochs: list[int] = []
    train_run(path, lambda at: epochs.append(at.epoch), lambda: bool(epochs) and epochs[-1] >= 1)
    assert (path / RESUME).exists()
    run = train_run(path)

    for table in ("probes", "probe_blocks"):
        pd.testing.assert_frame_equal(run.table(table), finished.table(table))


def test_weights_of_every_epoch_are_kept(finished: Run):
    """One file an epoch; the last one is the run's."""
    kept = finished.kept_weights()

    assert list(kept) == [1, 2, 3]
    assert kept[3].read_bytes() == finished.weights_path.read_bytes()


def test_what_a_run_lacks_is_filled_in(tmp_path: Path, finished: Run):
    """From kept weights, seed and first epoch: what was recorded, but for later gradients."""
    path = prepared(tmp_path)
    train_run(path)
    whole = load_run(path).probes()
    for table in ("probes", "probe_blocks"):
        (path / f"{table}.csv").unlink()

    assert fill_in(load_run(path)).epochs == (0, 1, 2, 3)
    once = load_run(path).probes()
    late = whole[whole["epoch"] > 0].reset_index(drop=True)
    again = once[once["epoch"] > 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.drop(columns="grad_norm"), late.drop(columns="grad_norm"))
    assert again["grad_norm"].isna().all()

    filled = fill_in(load_run(path), first_epoch=True)
    assert filled.difference == 0
    early = load_run(path).probes().query("epoch <= 1").reset_index(drop=True)
    pd.testing.assert_frame_equal(early, whole.query("epoch <= 1").reset_index(drop=True))
    assert fill_in(load_run(path)).epochs == ()
