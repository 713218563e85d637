"""What an update sees and leaves: `pytest tests/training/test_updates.py`."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from analysis.data import crop_flip, draw_augmentation, epoch_generator, epoch_order, load_images
from analysis.data.normalizer import Normalizer
from analysis.nets import build
from analysis.runs import ImagesInfo, RunConfig
from analysis.specs import Compute, DataSpec, NetSpec, Recipe
from analysis.training.distributed import World
from analysis.training.hardware import resolve
from analysis.training.prepare import TrainingImages
from analysis.training.updates import Updates

CPU = Compute("cpu", "float32", compile=False, channels_last=False, threads=1)


def updates(compute: Compute = CPU, seed: int = 3, **recipe) -> Updates:
    images = load_images(DataSpec("digits"))
    info = ImagesInfo(images.fingerprint, len(images.train), len(images.test), images.classes)
    whole = TrainingImages(images, None, None, Normalizer.fit(images.train), info)
    spec = NetSpec.parse("resnet-8-w4")
    config = RunConfig(
        spec, Recipe.parse("short", **recipe), DataSpec("digits"), info, seed, compute, ""
    )
    return Updates(build(spec, 0).train(), config, whole, World(), torch.device("cpu"))


def test_batches_are_drawn_one_after_the_other():
    """An epoch drawn at once gives the crops and mirrors of batches drawn in turn."""
    made = updates(batch_size=100)
    made.begin_epoch(4)
    train = made.train
    order, generator = epoch_order(len(train), 3, 4), epoch_generator(3, 4)

    for step, indices in enumerate(order.split(100)):
        drawn = draw_augmentation(len(indices), generator)
        wanted = made.normalizer.apply(crop_flip(train.index_select(0, indices), *drawn))
        batch = made._drawn[:, step * 100 : (step + 1) * 100]
        assert torch.equal(made._images(batch)[0], wanted)


def test_an_update_is_sgd_with_momentum_and_decay():
    """Against torch's optimizer on the batch's mean loss, step by step."""
    made = updates(batch_size=64, weight_decay=5e-4)
    twin = build(made.net.spec, 0).train()
    reference = torch.optim.SGD(twin.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    made.begin_epoch(0)

    for step in range(3):
        images, wanted = made._images(made._drawn[:, step * 64 : (step + 1) * 64])
        reference.zero_grad()
        torch.nn.functional.cross_entropy(twin(images), wanted).backward()
        reference.step()
        made.update(step, 0.05)
    for mine, theirs in zip(made.net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_gradients_stay_until_the_next_update():
    """The recorders read them after the update."""
    made = updates(batch_size=64)
    made.begin_epoch(0)
    made.update(0, 0.1)

    assert all(parameter.grad is not None for parameter in made.net.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need an NVIDIA GPU")
def test_a_recorded_update_is_the_eager_one():
    """The same weights after ten updates, the last batch of an odd size among them."""
    nets = []
    for graph in (False, True):
        compute = resolve(replace(CPU, device="cuda", cuda_graph=graph))
        made = updates(compute, batch_size=150)
        made = Updates(
            build(made.net.spec, 0).cuda().train(), made.config,
            TrainingImages(
                load_images(DataSpec("digits")), None, None, made.normalizer, made.config.images
            ),
            World(), torch.device("cuda"),
        )  # fmt: skip
        for epoch in range(2):
            made.begin_epoch(epoch)
            for step in range(10):
                made.update(step, 0.05)
        nets.append(made.net)
    for mine, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_a_graph_is_for_one_gpu():
    """On a CPU there is none to record."""
    assert resolve(Compute("cpu")).cuda_graph is False
