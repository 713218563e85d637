"""What an NVIDIA GPU computes, beside the CPU: `pytest tests/test_gpu.py`; skipped without one."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from analysis import jobs, observe, watch
from analysis.errors import TrainingFailed
from analysis.jobs.gpus import gpu_of, gpus
from analysis.lens.complexity import measure_times
from analysis.nets import build
from analysis.responses import record
from analysis.runs import Run, files, load_recording, load_run
from analysis.specs import Compute, DataSpec, NetSpec
from analysis.training import move_run, train_run
from tests.queues import wait_until
from tests.training.test_training import numbers, prepared, same_weights

pytestmark = [
    pytest.mark.trains,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

GPU = Compute("cuda", threads=1)
PLAIN = Compute("cuda", "float32", compile=False, channels_last=False, cuda_graph=False, threads=1)
"""The CPU's reference, on a GPU."""


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch):
    """Float32 products as float32: TF32, cuDNN's default, has three digits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """By the defaults: bfloat16, NHWC, each update one recorded graph."""
    return train_run(prepared(tmp_path_factory.mktemp("runs"), compute=GPU))


def stopped_after_one_epoch(folder: Path, compute: Compute, net: str = "resnet-8") -> Path:
    path = prepared(folder, net, compute)

    def stop(line: str) -> None:
        if line.startswith("epoch 1/"):
            (path / files.CANCEL).touch()

    assert train_run(path, log=stop).state == "cancelled"
    return path


def test_a_run_of_a_gpu_has_what_a_run_of_the_cpu_has(finished: Run, tmp_path: Path):
    """Every table, the GPU's name, and what one can expect of another precision."""
    ours = train_run(prepared(tmp_path))

    assert finished.config.compute.device == "cuda:0"
    assert finished.config.compute.cuda_graph
    assert finished.status.machine["gpu"] == torch.cuda.get_device_name(0)
    for table in ("history", "responses", "refinement", "probes"):
        theirs, mine = (getattr(run, table)() for run in (finished, ours))
        assert len(theirs) == len(mine), table
        assert theirs.isna().equals(mine.isna()), table
    assert finished.history()["train_loss"].iloc[0] == pytest.approx(
        ours.history()["train_loss"].iloc[0], rel=0.05
    )


def test_the_first_update_is_the_cpu_s(exact: None, tmp_path: Path):
    """One update an epoch, in float32: its loss, and the responses after it."""
    recipe = {"epochs": 1, "batch_size": 200}
    theirs = train_run(prepared(tmp_path / "gpu", compute=PLAIN, **recipe))
    ours = train_run(prepared(tmp_path / "cpu", compute=replace(PLAIN, device="cpu"), **recipe))

    loss = [run.history()["train_loss"][0] for run in (theirs, ours)]
    assert loss[0] == pytest.approx(loss[1], rel=1e-5)
    assert theirs.responses()["std"].to_numpy() == pytest.approx(
        ours.responses()["std"].to_numpy(), rel=1e-3
    )


@pytest.mark.parametrize("net", ["resnet-8", "preresnet-20", "resnet-20-B", "resnet-50"])
@pytest.mark.parametrize("compute", [GPU, PLAIN], ids=["graph", "eager"])
def test_resumed_on_a_gpu_it_is_the_run_that_was_not_stopped(
    compute: Compute, net: str, tmp_path: Path
):
    """To the bit, as on the CPU."""
    whole = train_run(prepared(tmp_path / "whole", net, compute))
    resumed = train_run(stopped_after_one_epoch(tmp_path / "resumed", compute, net))

    assert resumed.state == "finished"
    assert same_weights(whole.path, resumed.path)
    assert numbers(whole).equals(numbers(resumed))


def test_what_a_gpu_began_ends_on_the_cpu(finished: Run, tmp_path: Path):
    """Told of both machines, and near the run that stayed on the GPU."""
    path = stopped_after_one_epoch(tmp_path, GPU)
    move_run(path, Compute("cpu", threads=1))
    run = train_run(path)

    assert run.state == "finished"
    assert "gpu" not in run.status.machine
    assert [machine["gpu"] for machine in run.status.machine["earlier"]] == [
        torch.cuda.get_device_name(0)
    ]
    assert run.history()["train_loss"][0] == finished.history()["train_loss"][0]


def test_a_gpu_s_memory_that_does_not_suffice(tmp_path: Path):
    """In words, with what to do, and the run can be looked at."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.0005)
    try:
        with pytest.raises(TrainingFailed, match=r"(?i)memory.*batch"):
            train_run(prepared(tmp_path, "resnet-20", GPU, batch_size=200))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    (path,) = tmp_path.iterdir()
    assert load_run(path).state == "failed"


def test_recordings_of_a_net_on_a_gpu(exact: None):
    """Measured responses and refinement: the CPU's."""
    net, images = build(NetSpec.parse("resnet-20"), 0).eval(), torch.randn(64, 3, 32, 32)
    ours = record(net, images)
    theirs = record(net.cuda(), images.cuda())

    for table, column in (("responses", "std"), ("refinement", "ratio"), ("refinement", "cosine")):
        mine, other = (getattr(found, table)[column].to_numpy() for found in (ours, theirs))
        assert other == pytest.approx(mine, rel=1e-4), (table, column)


@pytest.mark.parametrize("name", ["resnet18", "vit_b_32", "mobilenet_v3_small", "convnext_tiny"])
def test_any_module_on_a_gpu(exact: None, name: str):
    """The shortcuts, refinement and responses that the CPU finds."""
    torch.manual_seed(0)
    net, images = getattr(models, name)().eval(), torch.randn(4, 3, 224, 224)
    ours = observe(net, images)
    theirs = observe(net.cuda(), images.cuda())

    assert theirs.refinement["block_name"].tolist() == ours.refinement["block_name"].tolist()
    assert theirs.refinement["ratio"].to_numpy() == pytest.approx(
        ours.refinement["ratio"].to_numpy(), rel=1e-3
    )
    assert theirs.responses["std"].to_numpy() == pytest.approx(
        ours.responses["std"].to_numpy(), rel=1e-3
    )


def test_a_loop_in_bfloat16_is_watched(tmp_path: Path):
    """Probes under autocast, inside of torch.compile's wrapper, and the loop trains as without."""
    torch.manual_seed(0)
    net = models.resnet18(num_classes=10).cuda()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    images, labels = torch.randn(8, 3, 64, 64).cuda(), torch.arange(8).cuda()
    with watch(net, name="watched", folder=tmp_path, epochs=2) as run:
        for epoch in range(2):
            with torch.autocast("cuda", torch.bfloat16):
                loss = nn.functional.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            run.log(epoch=epoch + 1, train_loss=loss.item())
            run.probe(images)
    recording = load_recording(run.path)
    assert len(recording.history()) == 2
    assert len(recording.refinement()) == 2 * 8


def test_more_processes_than_gpus(tmp_path: Path):
    """Refused before there is a run, with what to do instead."""
    count = torch.cuda.device_count()
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count + 1)]
    asked = ["train", "--net", "resnet-8", "--data", "digits", "--recipe", "quick"]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "analysis", *asked, "--runs", str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode
    assert f"--nproc-per-node {count}, or train with --device cpu" in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_gpus_are_those_that_torch_sees():
    """By UUID, so that a child that sees one alone gets the one that was meant."""
    ids = [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]

    assert sorted(name.removeprefix("GPU-") for name in gpus()) == sorted(ids)


def test_the_queue_trains_two_on_one_gpu(tmp_path: Path):
    """Each sees the GPU that it was given, both are at work at once, both end."""
    digits = DataSpec.parse("digits")
    paths = [
        path
        for seed in (0, 1)
        for path in jobs.enqueue(
            jobs.requests_for(["resnet-8"], digits, "quick", {"epochs": 40}, seed, GPU), tmp_path
        ).paths
    ]
    jobs.set_at_a_time(tmp_path, 2)
    began = time.monotonic()
    jobs.start_worker(tmp_path)
    wait_until(lambda: all(load_run(path).state == "running" for path in paths))
    given = {gpu_of(load_run(path).status.pid) for path in paths}
    wait_until(lambda: all(load_run(path).state == "finished" for path in paths))

    assert given <= set(gpus())
    print(f"two trainings side by side: {time.monotonic() - began:.0f} s")
    for path in paths:
        run = load_run(path)
        assert run.config.compute.device == "cuda:0"
        assert run.status.machine["gpu"] == torch.cuda.get_device_name(0)


def test_times_wait_for_the_gpu():
    """Eight times the images take a multiple of the time: its work is timed, not its start."""
    times = measure_times(["resnet-34"], (64, 512), ["inference"], 0.5, "cuda")
    times = times.set_index("batch")["median_ms"]

    assert times[512] > 1.5 * times[64]
