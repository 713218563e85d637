"""Our SGD is torch's without its start: `pytest tests/training/test_sgd.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from analysis.nets import build
from analysis.specs import NetSpec
from analysis.training.sgd import SGD

NET = NetSpec.parse("resnet-8-w4")
ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


@pytest.mark.parametrize(
    ("device", "rate_as_tensor"),
    [
        ("cpu", False),
        pytest.param("cuda", False, marks=ON_A_GPU),
        pytest.param("cuda", True, marks=ON_A_GPU),
    ],
)
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 1e-4), (0.0, 0.0)])
def test_it_is_torch_s_to_the_bit(
    momentum: float,
    decay: float,
    fused: bool,
    device: str,
    rate_as_tensor: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    """Weights and momentum after three updates at three rates; a frozen weight stays."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # as in a training
    nets = [build(NET, 0).to(device), build(NET, 0).to(device)]
    for net in nets:
        next(net.parameters()).requires_grad_(False)
    ours = SGD(nets[0], 0.1, momentum, decay, fused)
    theirs = torch.optim.SGD(
        nets[1].parameters(), 0.1, momentum, weight_decay=decay, fused=fused or None
    )
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)).to(device)
    labels = torch.arange(8, device=device)
    for lr in (0.1, 0.05, 0.2):
        rate = torch.tensor(lr, device=device) if rate_as_tensor else lr
        ours.lr = theirs.param_groups[0]["lr"] = rate
        for net, optimizer in zip(nets, (ours, theirs), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()

    for (name, mine), other in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(mine, other)
        buffer = theirs.state.get(other, {}).get("momentum_buffer")
        if buffer is None:
            assert name not in ours.buffers
        else:
            assert torch.equal(ours.buffers[name], buffer)
    assert len(ours.buffers) == (len(list(nets[0].parameters())) - 1 if momentum else 0)


@pytest.mark.trains
def test_a_training_does_not_import_torch_s_compiler(tmp_path: Path):
    """Which takes as long as torch itself."""
    command = """if True:
        import sys
        from analysis.cli import main
        try:
            main()
        finally:
            assert "torch" in sys.modules
            print("compiler:", "torch._dynamo" in sys.modules)
        """
    words = (
        "train --net plain-8-w4 --data digits --recipe quick --epochs 1 --device cpu --threads 1"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, *words.split(), "--runs", str(tmp_path)],
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "compiler: False" in done.stdout
