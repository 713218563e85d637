"""Each repository's layout, number by number: `pytest tests/importing/test_layouts.py`."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from analysis.cli import build
from analysis.errors import ImportRefused
from analysis.exchange.importing import import_checkpoint, inspect
from analysis.weights import load_net
from tests.importing import foreign
from tests.importing.foreign import noise, shaken

LAYOUTS = {
    "akamaster, option A": (foreign.akamaster, {}, "resnet-8", "akamaster"),
    "akamaster, option B": (foreign.akamaster, {"option": "B"}, "resnet-8-B", "akamaster"),
    "akamaster, depth 14": (foreign.akamaster, {"n": 2}, "resnet-14", "akamaster"),
    "akamaster, plain": (foreign.akamaster, {"option": "none"}, "plain-8", "akamaster"),
    "akamaster, option C": (foreign.akamaster, {"option": "C"}, "resnet-8-C", "akamaster"),
    "chenyaofo": (foreign.chenyaofo, {}, "resnet-8-B", "chenyaofo"),
    "chenyaofo, 100": (foreign.chenyaofo, {"n": 3, "classes": 100}, "resnet-20-B", "chenyaofo"),
    "kuangliu 18": (foreign.kuangliu, {}, "resnet-18-w8-B", "kuangliu"),
    "kuangliu 34": (foreign.kuangliu, {"counts": (3, 4, 6, 3)}, "resnet-34-w8-B", "kuangliu"),
    "kuangliu 50": (
        foreign.kuangliu, {"block": foreign.Bottleneck, "counts": (3, 4, 6, 3)},
        "resnet-50-w8-v1.5", "kuangliu",
    ),
    "weiaicunzai 18": (foreign.weiaicunzai, {}, "resnet-18-w8-B", "weiaicunzai"),
    "weiaicunzai 50": (
        foreign.weiaicunzai, {"block": foreign.SequenceBottleneck, "counts": (3, 4, 6, 3)},
        "resnet-50-w8-v1.5", "weiaicunzai",
    ),
    "torchvision 18": (foreign.torchvision_like, {}, "resnet-18-w8-B-imagenet", "torchvision"),
    "torchvision 50": (
        foreign.torchvision_like, {"block": foreign.Bottleneck, "counts": (3, 4, 6, 3)},
        "resnet-50-w8-imagenet-v1.5", "torchvision",
    ),
    "timm 18, 3x3 stem": (
        foreign.torchvision_like, {"imagenet": False}, "resnet-18-w8-B", "torchvision",
    ),
    "torchvision, plain 18": (
        foreign.torchvision_like, {"option": "none"}, "plain-18-w8-imagenet", "torchvision",
    ),
}  # fmt: skip


def imported_logits(path: Path, folder: Path, **options) -> tuple[str, torch.Tensor]:
    """The imported net's name and its logits on noise."""
    run = import_checkpoint(path, folder / "runs", normalization="none", **options).run
    net, _ = load_net(run)
    with torch.no_grad():
        return run.net, net(noise(size=64 if run.config.net.stem == "imagenet" else 32))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_imported_net_gives_the_same_logits(layout: str, tmp_path: Path):
    """With odd weights and BN statistics, logits agree to 1e-5 with the repository's own net."""
    make, options, name, repository = LAYOUTS[layout]
    theirs = shaken(make(**options))
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    with torch.no_grad():
        expected = theirs(noise(size=64 if "imagenet" in name else 32))

    asked = name if name.startswith("plain") else None
    found, logits = imported_logits(tmp_path / "net.pth", tmp_path, net=asked)

    assert found == name
    assert inspect(tmp_path / "net.pth").net.layout.name == repository
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.05, "the test net says the same of everything"


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_torchvisions_own_nets_are_recognised(name: str):
    """Keys and shapes of torchvision's constructors, on the meta device."""
    import torchvision

    from analysis.exchange.importing import recognise

    with torch.device("meta"):
        state = torchvision.models.get_model(name, weights=None).state_dict()
    found = recognise({key: tuple(value.shape) for key, value in state.items()})

    depth = name.removeprefix("resnet")
    suffix = "-B-imagenet" if depth in ("18", "34") else "-imagenet-v1.5"
    assert (found.spec.name, found.spec.classes) == (f"resnet-{depth}{suffix}", 1000)
    assert (found.layout.name, found.unused, len(found.keys)) == ("torchvision", (), len(state))


def test_torchvisions_resnet18_gives_the_same_logits(tmp_path: Path):
    """The installed torchvision's net, full width, at 64 pixels."""
    import torchvision

    theirs = shaken(torchvision.models.resnet18(weights=None))
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    with torch.no_grad():
        expected = theirs(noise(2, 64))
    run = import_checkpoint(tmp_path / "net.pth", tmp_path / "runs").run
    net, _ = load_net(run)
    with torch.no_grad():
        logits = net(noise(2, 64))

    assert run.net == "resnet-18-B-imagenet"
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def wrap_akamaster(state, path: Path) -> None:
    """As its trainer saves: DataParallel's prefix, best_prec1, an old pickle."""
    wrapped = OrderedDict((f"module.{key}", value) for key, value in state.items())
    torch.save(
        {"state_dict": wrapped, "best_prec1": torch.tensor(91.73), "epoch": 200},
        path, _use_new_zipfile_serialization=False,
    )  # fmt: skip


def wrap_kuangliu(state, path: Path) -> None:
    """As its main.py saves."""
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"net": wrapped, "acc": 91.73, "epoch": 200}, path)


def wrap_lightning(state, path: Path) -> None:
    """Lightning: `model.` before the net's keys, a metric's buffer beside them, an optimizer."""
    wrapped = {f"model.{key}": value for key, value in state.items()}
    wrapped["criterion.weight"] = torch.ones(10)
    torch.save(
        {
            "epoch": 200, "global_step": 5, "pytorch-lightning_version": "2.5.0",
            "state_dict": wrapped, "loops": {}, "callbacks": {}, "test_acc": 0.9173,
            "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(3)}}}],
            "hyper_parameters": {"lr": 0.1},
        },
        path,
    )  # fmt: skip


def wrap_compiled(state, path: Path) -> None:
    """torch.compile and DDP: `module._orig_mod.`."""
    wrapped = {f"module._orig_mod.{key}": value for key, value in state.items()}
    torch.save({"model_state_dict": wrapped, "accuracy": 0.9173, "epoch": 200}, path)


@pytest.mark.parametrize("wrap", [wrap_akamaster, wrap_kuangliu, wrap_lightning, wrap_compiled])
def test_wrappers_and_prefixes_are_looked_through(wrap, tmp_path: Path):
    """The same net out of each wrapper, with the epoch and the accuracy that the file claims."""
    theirs = shaken(foreign.akamaster())
    path = tmp_path / "checkpoint.th"
    wrap(theirs.state_dict(), path)
    with torch.no_grad():
        expected = theirs(noise())

    found = inspect(path)
    _, logits = imported_logits(path, tmp_path)

    assert found.claim is not None
    assert (found.epoch, round(found.claim.error, 2)) == (200, 8.27)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_safetensors_and_names_without_meaning(tmp_path: Path):
    """A .safetensors file is read by its contents, whatever it is called."""
    theirs = shaken(foreign.kuangliu())
    save_file(theirs.state_dict(), tmp_path / "vgg16.bin")
    with torch.no_grad():
        expected = theirs(noise())

    name, logits = imported_logits(tmp_path / "vgg16.bin", tmp_path)

    assert name == "resnet-18-w8-B"
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_old_files_without_counters(tmp_path: Path):
    """Before torch 0.4.1 there was no num_batches_tracked; nothing depends on it."""
    theirs = shaken(foreign.akamaster())
    state = {k: v for k, v in theirs.state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "old.th", _use_new_zipfile_serialization=False)
    with torch.no_grad():
        expected = theirs(noise())

    _, logits = imported_logits(tmp_path / "old.th", tmp_path)

    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def refusal(net_or_state, tmp_path: Path, **options) -> str:
    """The message that refuses it."""
    state = net_or_state.state_dict() if hasattr(net_or_state, "state_dict") else net_or_state
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ImportRefused) as refused:
        inspect(tmp_path / "net.pth", **options)
    return str(refused.value)


def test_weiaicunzais_pre_activation_net_is_refused(tmp_path: Path):
    """Its blocks are `stage1.0.residual.0 ...`."""
    state = {"pre.0.weight": torch.zeros(8, 3, 3, 3), "stage1.0.residual.0.weight": torch.ones(8)}
    assert "this is a pre-activation net" in refusal(state, tmp_path)


def test_a_wrong_option_is_refused(tmp_path: Path):
    """The user says option A, the file has projections."""
    message = refusal(foreign.chenyaofo(), tmp_path, net="resnet-8")
    assert message == "net.pth: option A expected 0 projection weights, found 2"


def test_some_projections_fit_no_option(tmp_path: Path):
    """One of two projections is missing."""
    state = foreign.chenyaofo().state_dict()
    kept = {k: v for k, v in state.items() if not k.startswith("layer3.0.downsample")}
    assert refusal(kept, tmp_path) == (
        "net.pth: option A expected 0 projection weights, option B expected 2 projection weights, "
        "option C expected 3 projection weights; found 1 (layer2.0.downsample.0)"
    )


def test_other_depths_are_refused(tmp_path: Path):
    """timm's resnet10 and bottlenecks in three stages say what they are."""
    ten = foreign.torchvision_like(counts=(1, 1, 1, 1))
    assert refusal(ten, tmp_path).startswith(
        "net.pth: it has 1-1-1-1 two-layer blocks in 4 stages (10 layers): not one of the families"
    )


def test_grouped_and_wide_nets_are_refused():
    """torchvision's ResNeXt and wide ResNet have the keys of ResNet-50."""
    import torchvision

    from analysis.exchange.importing import recognise

    for name, reason in (
        ("resnext50_32x4d", "a ResNeXt is not one of the families here"),
        ("wide_resnet50_2", "a wide net is not one of the families here"),
    ):
        with torch.device("meta"):
            state = torchvision.models.get_model(name, weights=None).state_dict()
        with pytest.raises(ImportRefused, match=reason):
            recognise({key: tuple(value.shape) for key, value in state.items()})


def test_other_architectures_are_refused():
    """VGG, DenseNet, MobileNet, ViT: the message shows the first keys."""
    import torchvision

    from analysis.exchange.importing import recognise

    for name in ("vgg11_bn", "densenet121", "mobilenet_v3_small", "vit_b_16"):
        with torch.device("meta"):
            state = torchvision.models.get_model(name, weights=None).state_dict()
        with pytest.raises(ImportRefused, match="its keys begin with"):
            recognise({key: tuple(value.shape) for key, value in state.items()})


def test_squeeze_and_excitation_is_refused(tmp_path: Path):
    """Tensors inside of blocks that our blocks don't have."""
    state = dict(foreign.akamaster().state_dict())
    state["layer1.0.se.fc1.weight"] = torch.zeros(4, 16)
    assert "squeeze-and-excitation is not one of the families" in refusal(state, tmp_path)


def test_leftovers_outside_of_blocks_are_listed(tmp_path: Path):
    """They don't stop an import, and are told."""
    state = dict(foreign.akamaster().state_dict()) | {"ema.decay": torch.ones(1)}
    torch.save(state, tmp_path / "net.pth")
    result = import_checkpoint(tmp_path / "net.pth", tmp_path / "runs")

    (warning,) = result.warnings
    assert str(warning) == "1 tensors of the file are no part of the net: ema.decay"
    assert result.run.config.origin.unused == ("ema.decay",)


def test_deep_stems_and_other_norms_are_refused(tmp_path: Path):
    """timm's resnet50d has three convolutions in its stem, resnet50_gn no running statistics."""
    state = foreign.torchvision_like().state_dict()
    deep = {key: value for key, value in state.items() if key != "conv1.weight"}
    deep |= {f"conv1.{i}.weight": torch.zeros(8, 3, 3, 3) for i in (0, 3, 6)}
    assert "its stem has several convolutions" in refusal(deep | {"conv1.1.weight": torch.ones(8)},
                                                          tmp_path)  # fmt: skip
    group = {key: value for key, value in state.items() if "running" not in key}
    assert "its norm layers have no running statistics" in refusal(group, tmp_path)


def test_timms_pre_activation_net_is_refused(tmp_path: Path):
    """resnetv2_50: norms before convolutions, and a 1x1 convolution for a head."""
    state = {
        "stem.conv.weight": torch.zeros(64, 3, 7, 7),
        "stages.0.blocks.0.norm1.weight": torch.ones(64),
        "head.fc.weight": torch.zeros(10, 2048, 1, 1),
    }
    assert "this is a pre-activation net" in refusal(state, tmp_path)


def test_the_commands_say_of_an_imported_net_that_it_has_no_history(tmp_path: Path):
    """`list` and `show` in words, `resume` as the reason; `show` has its responses."""
    torch.save(shaken(foreign.chenyaofo()).state_dict(), tmp_path / "net.pth")
    run = import_checkpoint(tmp_path / "net.pth", tmp_path / "runs").run

    def call(*arguments: str):
        return CliRunner().invoke(build(), [*arguments, "--runs", str(tmp_path / "runs")])

    assert "(import: no training history)" in call("list").output
    shown = call("show", run.id).output
    assert "No training history: it was not trained here." in shown
    assert "closed_form" in shown
    assert str(call("resume", run.id).exception) == (
        f"{run.id} was not trained here (import); there is nothing to resume"
    )
