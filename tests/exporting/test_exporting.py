"""Out and in again: the same net to the bit. `pytest tests/exporting`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.data import Normalizer
from analysis.errors import SpecError
from analysis.exchange.exporting import export_onnx, export_run, state_dict_in
from analysis.exchange.exporting.state_dicts import default_style, loads_in
from analysis.exchange.importing import import_checkpoint
from analysis.nets import build, layers
from analysis.runs import Run, open_writer
from analysis.specs import NetSpec
from analysis.weights import load_net, model_tensors
from tests.importing import foreign
from tests.importing.foreign import noise, shaken

pytestmark = pytest.mark.trains

NETS = [
    "resnet-8", "plain-8", "resnet-8-B", "resnet-8-C", "resnet-14-w4", "resnet-18-w4-B",
    "plain-18-w4", "resnet-8-after", "preresnet-8", "preresnet-8-B-raw",
    "resnet-18-w4", "resnet-50-w4", "resnet-50-w4-v1.5", "resnet-18-w4-B-imagenet",
]  # fmt: skip


def made_run(name: str, tmp_path: Path) -> Run:
    """A run of ours with odd weights, by way of an import."""
    net = shaken(build(NetSpec.parse(name), seed=0))
    state = state_dict_in(net, "torchvision")  # type: ignore[arg-type]
    torch.save(state, tmp_path / "first.pth")
    return import_checkpoint(
        tmp_path / "first.pth", tmp_path / "runs", net=name, normalization="cifar10"
    ).run


@pytest.mark.parametrize("file", ["net.pth", "net.safetensors", "net.th"])
@pytest.mark.parametrize("style", ["torchvision", "akamaster"])
@pytest.mark.parametrize("name", NETS)
def test_round_trips_are_exact(name: str, style: str, file: str, tmp_path: Path):
    """Net, normalization and logits; plain nets too, since the file says what it holds."""
    run = made_run(name, tmp_path)
    export_run(run, tmp_path / file, style)
    again = import_checkpoint(tmp_path / file, tmp_path / "runs").run
    (first, normalizer), (second, other) = load_net(run), load_net(again)
    images = noise(2)

    assert again.net == name
    assert torch.equal(normalizer.mean, other.mean)
    assert torch.equal(normalizer.std, other.std)  # type: ignore[arg-type]
    with torch.no_grad():
        assert torch.equal(first(images), second(images))


@pytest.mark.parametrize("file", ["net.pth", "net.th", "net.safetensors"])
@pytest.mark.parametrize("style", ["torchvision", "akamaster"])
def test_a_mean_per_pixel_goes_along(file: str, style: str, tmp_path: Path):
    """Our own trainings subtract one; an export imported again sees the same input."""
    run = made_run("resnet-8", tmp_path)
    net, _ = load_net(run)
    ours = Normalizer(torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(5)))
    with open_writer(run.path) as writer:
        writer.save_tensors("model.safetensors", model_tensors(net, ours), {})
    export_run(run, tmp_path / file, style)
    again = import_checkpoint(tmp_path / file, tmp_path / "runs").run

    assert torch.equal(load_net(again)[1].mean, ours.mean)
    assert load_net(again)[1].std is None


def test_torchvision_loads_the_export(tmp_path: Path):
    """load_state_dict, strictly, and the same logits."""
    import torchvision

    net = shaken(build(NetSpec.parse("resnet-18-B-imagenet", 7), seed=0))
    theirs = torchvision.models.resnet18(weights=None, num_classes=7).eval()
    theirs.load_state_dict(state_dict_in(net, "torchvision"))  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(theirs(noise(2, 64)), net(noise(2, 64)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "style"),
    [("preresnet-20-B-raw", "bearpaw"), ("preresnet-18-B-nofinal", "kuangliu")],
)
def test_preactivation_repositories_load_the_export(name: str, style: str):
    """load_state_dict, strictly, and the same logits; the words promise no more."""
    spec = NetSpec.parse(name)
    net = shaken(build(spec, seed=0))
    theirs = foreign.preactivated(style).eval()
    theirs.load_state_dict(state_dict_in(net, style))  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(theirs(noise(2)), net(noise(2)), rtol=1e-4, atol=1e-4)
    assert default_style(spec) == style
    assert "loads it" in str(loads_in(spec, style))
    assert "no such net" in str(loads_in(spec.counterpart(), style))
    assert "no such net" in str(
        loads_in(replace(spec, shortcut="A", projection_input="activated"), style)
    )


def test_akamasters_net_loads_the_export(tmp_path: Path):
    """In DataParallel, from `state_dict`, as its trainer resumes."""
    run = made_run("resnet-8", tmp_path)
    lines = export_run(run, tmp_path / "net.th", "akamaster")
    checkpoint = torch.load(tmp_path / "net.th", weights_only=True)
    theirs = torch.nn.DataParallel(foreign.akamaster())
    theirs.load_state_dict(checkpoint["state_dict"])
    net, _ = load_net(run)
    with torch.no_grad():
        expected = net(noise())
        torch.testing.assert_close(theirs.module.eval()(noise()), expected, rtol=1e-5, atol=1e-5)
    assert "its resnet8() in DataParallel loads checkpoint['state_dict']" in str(lines[1])


def test_akamasters_net_loads_the_tensors_alone(tmp_path: Path):
    """A .safetensors file has no key `state_dict` and no prefix, and is not said to have them."""
    from safetensors.torch import load_file

    run = made_run("resnet-8", tmp_path)
    lines = export_run(run, tmp_path / "net.safetensors", "akamaster")
    foreign.akamaster().load_state_dict(load_file(tmp_path / "net.safetensors"))
    assert "its resnet8() loads what safetensors.torch.load_file gives" in str(lines[1])


def test_unknown_endings_and_styles(tmp_path: Path):
    """The message lists what there is."""
    run = made_run("resnet-8", tmp_path)
    with pytest.raises(SpecError, match=r"\.pth, \.pt, \.th, \.safetensors, \.onnx"):
        export_run(run, tmp_path / "net.h5")
    with pytest.raises(
        SpecError, match="there are torchvision, akamaster, kuangliu, bearpaw and onnx"
    ):
        export_run(run, tmp_path / "net.pth", "keras")


@pytest.mark.parametrize("name", ["resnet-8-w4", "preresnet-8-w4-B"])
def test_onnx_gives_the_same_logits_and_activations(name: str, tmp_path: Path):
    """Evaluated by onnx's own reference implementation, at another batch size."""
    onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
    from onnx.reference import ReferenceEvaluator

    net = shaken(build(NetSpec.parse(name), seed=0))
    export_onnx(net, tmp_path / "net.onnx", 32, activations=True)  # type: ignore[arg-type]
    model = onnx.load(tmp_path / "net.onnx")
    images = noise(3)
    outputs = ReferenceEvaluator(model).run(None, {"images": images.numpy()})
    names = [output.name for output in model.graph.output]
    seen = {}
    net.get_submodule("stage1.block1.bn2").register_forward_hook(
        lambda _m, _i, out: seen.update(f=out)
    )
    with torch.no_grad():
        logits = net(images)

    points = [layer.response for layer in layers(net) if layer.response]
    assert names == ["logits", *points]
    assert len(points) == 7
    np.testing.assert_allclose(outputs[0], logits.numpy(), rtol=1e-4, atol=1e-4)
    f = outputs[names.index("stage1.block1.bn2")]
    np.testing.assert_allclose(f, seen["f"].numpy(), rtol=1e-4, atol=1e-4)
