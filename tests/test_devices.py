"""On a device without float64 (Apple's GPUs) all works, with the CPU's numbers.

The device is a pretended one, `tests.devices`: pytest tests/test_devices.py
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from analysis.data import Normalizer
from analysis.lens.activations import probe
from analysis.lens.attribution import attribute
from analysis.nets import build
from analysis.responses import closed_form
from analysis.runs import load_run, open_writer
from analysis.specs import Compute, DataSpec, NetSpec, recipe_for
from analysis.training import prepare_run, train_run
from analysis.training.distributed import World
from analysis.training.evaluate import evaluate
from analysis.training.finish import measure
from analysis.training.loop import _Trainer
from analysis.training.monitor import Monitor
from analysis.training.prepare import completed, load_training_images
from analysis.training.session import Session
from tests.devices import DEVICE, NoFloat64

DIGITS = DataSpec("digits")
EAGER = Compute("cpu", "float32", compile=False, channels_last=False, threads=1)
NET = NetSpec.parse("resnet-8-w4")


def _images(n: int = 40) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8)


def test_the_pretended_device_refuses_what_apple_s_do():
    """Or the tests below would show nothing."""
    with NoFloat64():
        x = torch.ones(3).to(DEVICE)
        assert x.cpu().double().sum() == 3.0
        with pytest.raises(TypeError, match="no float64"):
            x.double()
        with pytest.raises(TypeError, match="no float64"):
            torch.zeros(3, dtype=torch.float64, device=DEVICE)
        with pytest.raises(RuntimeError, match="some tensors are on the device"):
            x + torch.ones(3)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_recording_and_evaluating(offset: float):
    """Measured and closed-form responses, refinement, loss and error: the CPU's to the bit.

    The offset makes sums of squares cancel, for which there is another way to add.
    """
    images, labels = _images(), torch.randint(0, 10, (40,))
    nets = [build(NET, 0), build(NET, 0)]
    for net in nets:
        torch.nn.init.constant_(net.get_submodule("stage1.block1.bn1").bias, offset)
    normalizer = Normalizer.fit(images)
    there = measure(nets[0], images, normalizer, 1)
    error = evaluate(nets[0], images, labels, normalizer)
    with NoFloat64():
        net, own = nets[1].to(DEVICE), normalizer.to(DEVICE)
        found = measure(net, images, own, 1)
        assert evaluate(net, images, labels, own) == error
        assert closed_form(net, 1).equals(closed_form(nets[0], 1))

    assert found.responses.equals(there.responses)
    assert found.refinement.equals(there.refinement)


def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An epoch of 52 updates, evaluated, saved and measured: the CPU's errors, loss and weights.

    torch has no autocast for the pretended device; it is off here anyway.
    """
    recipe = recipe_for(
        "quick", NET, DIGITS, epochs=1, train_images=104, test_images=40, batch_size=2
    )
    here, there = (
        prepare_run(tmp_path, NET, recipe, DIGITS, compute=EAGER, run_id=name)
        for name in ("here", "there")
    )
    train_run(here)
    monkeypatch.setattr(torch, "autocast", lambda *_given, **_more: nullcontext())
    with open_writer(there) as writer, NoFloat64():
        images = load_training_images(writer.config)
        writer.complete_config(completed(writer.config, images.info))
        config = replace(writer.config, compute=replace(writer.config.compute, device=str(DEVICE)))
        world = World()
        monitor = Monitor(Session(writer), world, None)
        _Trainer(config, images, writer, world, monitor).run(there)
    one, other = load_run(here), load_run(there)
    times = ["seconds", "images_per_second", "wall_seconds"]

    assert other.state == "finished"
    assert other.history().drop(columns=times).equals(one.history().drop(columns=times))
    assert other.responses().equals(one.responses())
    assert (there / "model.safetensors").read_bytes() == (here / "model.safetensors").read_bytes()


def test_the_lens():
    """Predictions, responses of one image and attributions of a class."""
    x = torch.randn(1, 3, 32, 32)
    nets = [build(NET, 0).eval(), build(NET, 0).eval()]
    wanted = probe(nets[0], x)
    with NoFloat64():
        net = nets[1].to(DEVICE)
        found = probe(net, x.to(DEVICE))
        for method in ("saliency", "grad_cam"):
            there = attribute(nets[0], x, 3, method)
            assert (attribute(net, x.to(DEVICE), 3, method).values == there.values).all()

    assert (found.probabilities == wanted.probabilities).all()
    assert found.responses.equals(wanted.responses)
