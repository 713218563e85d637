"""What a net costs on this machine: time by the clock, memory by what autograd keeps.

Float32, eager, NCHW, random images: no run is needed. Warm-up first, then medians with their
quartiles, since a machine that does other things too spreads its times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from analysis.nets import build
from analysis.runs.times import MODES, TIME_COLUMNS
from analysis.specs.costs import VGG19, image_size, spec_of
from analysis.text import _
from analysis.training.hardware import describe_machine
from analysis.training.sgd import SGD

WARM_UP = 2
MIN_REPEATS, MAX_REPEATS = 5, 100


def build_timed(name: str) -> nn.Module:
    """The net of a name with fresh weights, VGG-19 from torchvision. Raises SpecError."""
    spec = spec_of(name)
    if spec is not None:
        return build(spec, seed=0)
    from torchvision.models import vgg19

    assert name == VGG19
    return vgg19(weights=None, init_weights=False)


def measure_times(
    names: Sequence[str],
    batches: Sequence[int] = (1, 8),
    modes: Iterable[str] = MODES,
    seconds: float = 1.0,
    device: str = "cpu",
    progress: Callable[[int, int, str], object] | None = None,
) -> pd.DataFrame:
    """Time of one batch, forward alone (inference) or with backward and an SGD step (training).

    Args:
        names: nets as in `analysis.specs.costs`.
        batches: images a batch; a training batch of 1 is left out.
        modes: `inference`, `training`.
        seconds: to spend on each case, after 2 rounds of warm-up; at least 5 repeats are timed.
        device: cpu, cuda, ...
        progress: told (cases done, cases, what comes next); may raise to stop.

    Returns:
        A row a net, mode and batch: median and quartiles in milliseconds a batch, images a second
        (by the median), repeats, device, threads, machine, torch version.
    """
    cases = [
        (name, mode, batch)
        for name in names
        for mode in modes
        for batch in batches
        if not (mode == "training" and batch == 1)
    ]
    machine = describe_machine(device)
    rows, net = [], nn.Module()
    for number, (name, mode, batch) in enumerate(cases):
        if progress:
            progress(number, len(cases), _case(name, mode, batch))
        if number == 0 or name != cases[number - 1][0]:
            net = build_timed(name).to(device)
        size = image_size(name)
        times = 1000 * time_batch(
            net, torch.randn(batch, 3, size, size, device=device), mode, seconds
        )
        low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
        rows.append(
            (name, size, mode, batch, median, low, high, 1000 * batch / median, len(times),
             device, torch.get_num_threads(), machine.get("gpu", machine["cpu"]), torch.__version__)
        )  # fmt: skip
    if progress:
        progress(len(cases), len(cases), "")
    return pd.DataFrame(rows, columns=list(TIME_COLUMNS))


def _case(name: str, mode: str, batch: int) -> str:
    words = _("inference") if mode == "inference" else _("training")
    return _("{net}, {mode}, batch {batch}").format(net=name, mode=words, batch=batch)


def time_batch(net: nn.Module, batch: Tensor, mode: str, seconds: float) -> np.ndarray:
    """Seconds of each timed repeat, float64 (repeats,); the net's weights may change by it."""
    step = _training_step(net, batch) if mode == "training" else _inference_step(net, batch)
    for _round in range(WARM_UP):
        step()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < MIN_REPEATS or (
        len(times) < MAX_REPEATS and time.perf_counter() - began < seconds
    ):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return np.array(times)


def _inference_step(net: nn.Module, batch: Tensor) -> Callable[[], None]:
    net.eval()

    def step() -> None:
        with torch.inference_mode():
            net(batch)
            _wait(batch)

    return step


def _training_step(net: nn.Module, batch: Tensor) -> Callable[[], None]:
    net.train()
    # A rate so small that random images can't make the weights infinite.
    optimizer = SGD(net, 1e-6, momentum=0.9)
    labels = torch.zeros(len(batch), dtype=torch.int64, device=batch.device)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(batch), labels).backward()
        optimizer.step()
        _wait(batch)

    return step


def _wait(batch: Tensor) -> None:
    if batch.device.type != "cpu":
        torch.accelerator.synchronize()


def saved_bytes(net: nn.Module, batch: Tensor) -> int:
    """Bytes that autograd keeps for the backward pass of a batch, weights and BN vectors apart.

    Args:
        net: any module.
        batch: (N, 3, H, W).
    """
    weights = {value.untyped_storage().data_ptr() for value in net.state_dict().values()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in weights and tensor.dim() > 1:
            kept[address] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = net.train()(batch)
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del output
    return found
