"""The solution by construction: same function, same errors."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from analysis.construct import constructed_runs
from analysis.construct.constructed_runs import carry_out, compare_runs
from analysis.construct.construction import (
    block_differences,
    deepen,
    inserted_blocks,
    stage_statistics,
)
from analysis.errors import RunDamaged, RunError, SpecError
from analysis.evidence.continuation import (
    Construction,
    Experiment,
    continue_run,
    prepare_construction,
    study,
)
from analysis.figures.construction import construction_info
from analysis.jobs import requeue
from analysis.nets import build
from analysis.runs import Run, load_run, open_writer
from analysis.runs.files import MODEL
from analysis.runs.provenance import Errors
from analysis.specs import KINDS, DataSpec, NetSpec, Recipe, plan
from analysis.training import prepare_run, train_run

pytestmark = pytest.mark.trains

LADDER = [(20, 32), (20, 44), (20, 56), (32, 44), (32, 56), (44, 56)]


def used_net(name: str, seed: int = 3):
    """A net whose weights and BN statistics are those of no fresh net: as if trained."""
    net = build(NetSpec.parse(name), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                size = module.num_features
                module.weight.copy_(0.5 + torch.rand(size, generator=generator))
                module.bias.copy_(0.3 * torch.randn(size, generator=generator))
    net.train()
    for _ in range(3):
        net(torch.randn(16, 3, 32, 32, generator=generator))
    return net.eval()


def construct_run(run: Run, depth: int, folder: Path) -> Path:
    """Asked for and made at once."""
    path = prepare_construction(run, depth, folder)
    carry_out(path)
    return path


def images(n: int = 8, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("shallow", "deep"), LADDER)
@pytest.mark.parametrize("kind", [info.prefix for info in KINDS.values()])
def test_every_pair_computes_the_same_function(kind, shallow, deep):
    """Logits equal for each pair 20, 32, 44, 56, plain and residual: to the last bit on a CPU."""
    net = used_net(f"{kind}-{shallow}")
    deeper = deepen(net, deep)
    batch = images()
    with torch.inference_mode():
        assert torch.equal(net(batch), deeper(batch))
    assert deeper.spec == NetSpec.parse(f"{kind}-{deep}")


@pytest.mark.parametrize(
    "name",
    ["plain-8", "resnet-8-B", "resnet-8-C", "plain-18-w8", "preresnet-8-B", "preresnet-8-C-raw",
     "preresnet-18-w8-B-nofinal"],
)  # fmt: skip
def test_calibrated_layers_pass_their_input_through_to_the_bit(name):
    """BN set from data is the identity in evaluation mode as exactly as BN set to 0 and 1."""
    net = used_net(name)
    statistics = stage_statistics(net, [images(32), images(32, seed=2)])
    deeper = deepen(net, 34 if "18" in name else net.spec.depth + 12, statistics)
    found = block_differences(net, deeper, images())
    assert found["difference"].max() == 0
    assert found["inserted"].sum() == len(inserted_blocks(net.spec, deeper.spec))
    assert (found.loc[found["inserted"], "largest"] > 0).all(), "nothing passed"


def test_statistics_of_a_stage_are_those_of_its_output():
    """Mean and variance by channel over images and positions, against torch in float64."""
    net = used_net("plain-8")
    batches = [images(5), images(7, seed=2)]
    found = stage_statistics(net, batches)[2]
    with torch.inference_mode():
        output = net.stage2(net.stage1(net.stem(torch.cat(batches)))).double()
    torch.testing.assert_close(found[0].double(), output.mean((0, 2, 3)))
    torch.testing.assert_close(found[1].double(), output.var((0, 2, 3), correction=0))


@pytest.mark.parametrize("calibrated", [True, False])
def test_training_mode_is_close_to_the_identity_only_where_calibrated(calibrated):
    """BN normalises by the batch in training mode: kept statistics of 0 and 1 are then far off."""
    net = used_net("plain-8")
    statistics = stage_statistics(net, [images(64)]) if calibrated else None
    deeper = deepen(net, 14, statistics).train()
    with torch.no_grad():
        x = net.stage1(net.stem(images(64, seed=5)))
        off = float((deeper.stage1.block2(x) - x).norm() / x.norm())
    assert (off < 0.05) if calibrated else (off > 0.3)


@pytest.mark.parametrize("name", ["resnet-8", "preresnet-8"])
def test_a_residual_identity_is_exact_in_training_mode_too(name):
    """F = 0 whatever BN normalises by."""
    deeper = deepen(used_net(name), 14).train()
    x = torch.relu(torch.randn(8, 16, 8, 8))
    assert torch.equal(deeper.stage1.block2(x), x)


def test_plain_bottlenecks_are_refused():
    """A layer that narrows to a quarter of the channels can't be the identity."""
    spec = NetSpec.parse("plain-50")
    with pytest.raises(SpecError) as error:
        plan.deeper_spec(spec, 101)
    assert str(error.value) == (
        "the blocks of plain-50 narrow to a quarter of their channels, so they can't be the "
        "identity; take a plain net of two-layer blocks or a residual net"
    )


def test_inserted_preactivation_blocks_learn():
    """Their last kernels are 0, the BN before them is not: the first update can change F."""
    deeper = deepen(used_net("preresnet-8"), 14).train()
    deeper(images()).square().sum().backward()
    for info in inserted_blocks(NetSpec.parse("preresnet-8"), deeper.spec):
        assert deeper.get_submodule(info.f).weight.grad.abs().max() > 0


def test_projections_of_activations_are_refused():
    """What comes out of a ReLU can't be the block's input again."""
    with pytest.raises(SpecError) as error:
        plan.deeper_spec(NetSpec.parse("preresnet-20-C"), 32)
    assert str(error.value) == (
        "the shortcuts of preresnet-20-C project what comes out of a ReLU, so its blocks can't be "
        "the identity; take option A or B"
    )


def test_impossible_depths_are_refused():
    """Not deeper, no such depth, other blocks: each says what is wrong."""
    spec = NetSpec.parse("plain-20")
    with pytest.raises(SpecError, match=r"20 layers are not more than the 20 of plain-20"):
        plan.deeper_spec(spec, 20)
    with pytest.raises(SpecError, match=r"plain-20 can't be made 33 layers deep: .*6n\+2"):
        plan.deeper_spec(spec, 33)
    with pytest.raises(SpecError, match="have different blocks"):
        plan.deeper_spec(NetSpec.parse("resnet-34"), 50)


@pytest.fixture(scope="module", params=["plain-8-w4", "resnet-8-w4", "preresnet-8-w4"])
def trained(request, tmp_path_factory):
    """A tiny run, trained on 200 digits."""
    recipe = Recipe.parse("quick", epochs=2, batch_size=50, train_images=200, test_images=100)
    folder = tmp_path_factory.mktemp("runs")
    path = prepare_run(folder, NetSpec.parse(request.param), recipe, DataSpec.parse("digits"))
    return train_run(path)


def test_a_constructed_run_has_the_errors_of_its_origin(trained, tmp_path):
    """Training and test error equal to the last image; a run like any other, at epoch 0."""
    path = construct_run(trained, 20, tmp_path)
    run = load_run(path)
    table, shallow, deep = compare_runs(trained, run)
    assert shallow == deep
    assert deep == (run.status.train_error_clean, run.status.test_error)
    assert run.config.origin.errors == Errors(train=shallow[0], test=shallow[1])
    assert table["difference"].max() == 0
    assert (run.state, run.status.epoch, run.net) == ("finished", 0, f"{run.config.net.name}")
    assert run.recipe == f"built from {trained.net}"
    assert run.comparison_key == trained.comparison_key
    assert not run.from_scratch
    assert trained.from_scratch
    history = run.history()
    assert history["epoch"].tolist() == [0]
    assert history["test_error"].tolist() == [run.status.test_error]
    assert set(run.responses()["source"]) == {"measured"}


def test_a_constructed_net_can_be_made_deeper_again(trained, tmp_path):
    """8 -> 14 -> 20 has the errors of 8: a constructed run is a run like any other."""
    first = load_run(construct_run(trained, 14, tmp_path))
    second = load_run(construct_run(first, 20, tmp_path))
    assert second.status.test_error == first.status.test_error
    assert second.comparison_key == trained.comparison_key


@pytest.mark.parametrize("place", ["beside", "moved"])
def test_the_shallower_net_may_be_elsewhere_but_is_never_another(trained, tmp_path, place):
    """By where it was, else by its whole id; never by a part of it."""
    base = tmp_path / "base" / "run1"
    shutil.copytree(trained.path, base)
    path = prepare_construction(load_run(base), 14, tmp_path / "runs")
    shutil.copytree(trained.path, tmp_path / "runs" / "run10")
    if place == "moved":
        shutil.move(base, tmp_path / "runs" / "run1")
    run = carry_out(path)
    assert (run.state, run.config.origin.run) == ("finished", "run1")
    assert "place" not in run.config.origin.to_json()


def test_a_construction_is_asked_for_once(trained, tmp_path):
    """While it waits; it computes on the CPU, with as many threads as the queue gives."""
    paths = {Construction(trained, 14).enqueue(tmp_path).paths[0] for _ in range(2)}
    (run,) = [load_run(path) for path in paths]
    assert run.status.queued_at is not None
    assert (run.config.compute.device, run.config.compute.threads) == ("cpu", None)


def test_a_construction_is_stopped_and_goes_on(trained, tmp_path):
    """At the first batch; resumed it is what it would have been, with each row once."""
    whole = load_run(construct_run(trained, 14, tmp_path))
    path = prepare_construction(trained, 14, tmp_path)
    stopped = carry_out(path, should_stop=lambda: True)
    assert (stopped.state, str(stopped.status.reason)) == ("cancelled", "cancelled")
    with open_writer(path) as writer:  # as a kill leaves it that comes before the last status
        writer.append("history", whole.history())
    run = carry_out(path)
    assert run.state == "finished"
    pd.testing.assert_frame_equal(run.history(), whole.history())
    with pytest.raises(RunError, match="has finished; there is nothing to resume"):
        carry_out(path)


def test_a_construction_that_fails_at_its_last_step_goes_on(trained, tmp_path, monkeypatch):
    """As on a full disk; the shallower net's run is in no folder of runs."""
    base = tmp_path / "base" / "run1"
    shutil.copytree(trained.path, base)
    path = prepare_construction(load_run(base), 14, tmp_path / "runs")

    def full(*_args):
        raise RunError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(constructed_runs, "_finish", full)
        with pytest.raises(RunError, match="the disk is full"):
            carry_out(path)
    assert carry_out(path).state == "finished"


def test_images_that_are_elsewhere_are_missed_before_it_is_queued(trained, tmp_path):
    """As with the bundled runs on another machine than the one they were made on."""
    data = replace(trained.config.data, name="folder", path="/nowhere/images")
    gone = replace(trained, config=replace(trained.config, data=data))
    with pytest.raises(RunError, match=r"not on this machine \(folder:/nowhere/images\)"):
        Construction(gone, 14).enqueue(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_construction_that_fails_says_why(trained, tmp_path):
    """Its shallower net's run was deleted while it waited."""
    base = tmp_path / "base" / "run1"
    shutil.copytree(trained.path, base)
    path = prepare_construction(load_run(base), 14, tmp_path / "runs")
    shutil.rmtree(base)
    with pytest.raises(RunError, match="run1, of which this net was to be made, is gone"):
        carry_out(path)
    assert load_run(path).state == "failed"
    assert "run1" in str(load_run(path).status.reason)
    with pytest.raises(RunError, match="this run has no weights yet"):
        prepare_construction(replace(trained, path=base), 14, tmp_path / "runs")
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [path.name]


def test_training_goes_on_from_the_constructed_weights(trained, tmp_path):
    """With a learning rate of almost 0 the deeper net still has the shallower one's function."""
    recipe = Recipe.parse(
        "quick", epochs=1, batch_size=50, train_images=200, test_images=100, lr=1e-12, flip=False
    )
    built = load_run(construct_run(trained, 14, tmp_path))
    path = continue_run(built, tmp_path, recipe=recipe)
    waiting = load_run(path)
    assert waiting.state == "queued"
    assert waiting.config.origin.start.run == trained.id
    assert waiting.history()["test_error"].tolist() == [built.status.test_error]
    run = train_run(path)
    assert run.state == "finished"
    assert run.recipe == f"{recipe.label}, from {trained.net}"
    assert run.history()["epoch"].tolist() == [0, 1]
    # The BN statistics moved for one epoch; the weights did not.
    assert abs(run.status.test_error - trained.status.test_error) <= 10
    with pytest.raises(RunError, match="is no constructed net as it was made"):
        continue_run(run, tmp_path)


def test_a_study_is_the_net_trained_on_and_from_scratch(trained, tmp_path):
    """Both by the shallower net's recipe, on its images; asked for twice, made once."""
    built = load_run(construct_run(trained, 14, tmp_path))
    known = [trained, built]
    paths = Experiment(built, known).enqueue(tmp_path).paths
    on, scratch = (load_run(path) for path in paths)
    assert [run.status.queued_at is not None for run in (on, scratch)] == [True, True]
    assert on.config.recipe == scratch.config.recipe == trained.config.recipe
    assert Experiment(built, [*known, on, scratch]).enqueue(tmp_path).paths == []
    done = [train_run(path) for path in paths]
    found = study(built, [*known, *done])
    assert [run.id for run in found.trained_on] == [on.id]
    assert [run.id for run in found.scratch] == [scratch.id]
    assert found.shallow is not None
    assert found.shallow.id == trained.id
    info = construction_info(found)
    zero = info[(info["series"] == "constructed") & (info["epoch"] == 0)]
    assert dict(zip(zero["measure"], zero["error"], strict=True)) == {
        "clean": built.status.train_error_clean,
        "test": built.status.test_error,
    }
    levels = info[info["series"] == "shallow"].set_index("measure")["error"]
    assert levels.to_dict() == dict(zip(zero["measure"], zero["error"], strict=True))
    assert info[info["series"] == "scratch"]["epoch"].min() == 1


def test_a_study_is_queued_once_from_two_tabs(trained, tmp_path):
    """The second has not seen what the first one queued."""
    built = load_run(construct_run(trained, 14, tmp_path))
    assert len(Experiment(built, [trained, built]).enqueue(tmp_path).paths) == 2
    assert Experiment(built, [trained, built]).enqueue(tmp_path).paths == []


def test_other_images_are_no_answer_to_what_was_given(trained, tmp_path):
    """Trained on by a recipe with fewer images: a run, but not compared with epoch 0."""
    built = load_run(construct_run(trained, 14, tmp_path))
    recipe = Recipe.parse("quick", epochs=1, batch_size=50, train_images=60, test_images=50)
    other = train_run(continue_run(built, tmp_path, recipe=recipe))
    assert study(built, [trained, built, other]).trained_on == []
    assert len(Experiment(built, [trained, built, other]).enqueue(tmp_path).paths) == 2


def test_a_net_trained_on_never_begins_without_its_weights(trained, tmp_path):
    """Killed between the run and its weights, or unable to copy them."""
    built = load_run(construct_run(trained, 14, tmp_path))
    path = continue_run(built, tmp_path)
    (path / MODEL).unlink()
    assert study(built, [trained, built, load_run(path)]).trained_on == []
    for start in (requeue, train_run):
        with pytest.raises(RunDamaged, match="never got the weights of the net"):
            start(path)
    before = set(tmp_path.iterdir())
    (built.path / MODEL).unlink()
    with pytest.raises(RunError):
        continue_run(built, tmp_path)
    assert set(tmp_path.iterdir()) == before
