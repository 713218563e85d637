"""Files as the repositories' own scripts wrote them, to the byte where it matters.

`pytest tests/importing/test_real_files.py`
"""

from __future__ import annotations

import argparse
import copyreg
import pickle
import types
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.errors import ImportRefused
from analysis.exchange.importing import import_checkpoint, inspect
from analysis.weights import load_net
from tests.importing import foreign
from tests.importing.edited import save_edited
from tests.importing.foreign import noise, shaken

State = dict[str, Any]


def prefixed(state: State, prefix: str) -> OrderedDict[str, Any]:
    """As DataParallel or Lightning name them."""
    return OrderedDict((prefix + key, value) for key, value in state.items())


def without_counters(state: State) -> OrderedDict[str, Any]:
    """As before torch 0.4.1."""
    return OrderedDict((k, v) for k, v in state.items() if "num_batches_tracked" not in k)


def save_from_cuda(value: Any, path: Path, legacy: bool) -> None:
    """torch.save of tensors that were on a GPU: their storages say `cuda:0`."""
    save_edited(value, path, b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0", legacy)


class OldPickler(pickle.Pickler):
    """Parameters as torch 0.1 to 0.3 pickled them: a new object, then its state."""

    def reducer_override(self, value: Any) -> Any:
        """(`__newobj__`, (Parameter, data), (requires_grad, volatile, hooks))."""
        if type(value) is nn.Parameter:
            return copyreg.__newobj__, (nn.Parameter, value.data), (True, False, OrderedDict())
        return NotImplemented


def akamaster_old(state: State, path: Path) -> None:
    """resnet20-12fca82f.th: 2018, two GPUs, best_prec1 a tensor on one of them."""
    value = {
        "state_dict": prefixed(without_counters(state), "module."),
        "best_prec1": torch.tensor(91.73),
    }
    save_from_cuda(value, path, legacy=True)


def akamaster_resumable(state: State, path: Path) -> None:
    """checkpoint.th of today, from one GPU."""
    value = {"epoch": 200, "state_dict": prefixed(state, "module."), "best_prec1": 91.73}
    save_from_cuda(value, path, legacy=False)


def kuangliu_now(state: State, path: Path) -> None:
    """ckpt.pth; `acc` is a Python float."""
    torch.save({"net": prefixed(state, "module."), "acc": 91.73, "epoch": 200}, path)


def kuangliu_numpy(state: State, path: Path) -> None:
    """`acc` from numpy's mean."""
    torch.save({"net": state, "acc": np.float64(91.73), "epoch": np.int64(200)}, path)


def numpy_float32(state: State, path: Path) -> None:
    """A fraction, in float32."""
    torch.save({"model": state, "acc": np.float32(0.9173), "epoch": 200}, path)


def kuangliu_0_4(state: State, path: Path) -> None:
    """torch 0.4: `correct` was an integer tensor, and so is the accuracy."""
    value = {"net": prefixed(state, "module."), "acc": torch.tensor(91), "epoch": 200}
    torch.save(value, path, _use_new_zipfile_serialization=False)


def resumable(state: State, path: Path) -> None:
    """Optimizer, MultiStepLR (a Counter in it), scaler and generator beside the weights."""
    parameters = [nn.Parameter(torch.ones(3))]
    optimizer = torch.optim.SGD(parameters, 0.1, 0.9)
    parameters[0].sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [100, 150])
    assert isinstance(scheduler.state_dict()["milestones"], Counter)
    torch.save(
        {
            "epoch": 200, "arch": "resnet20", "state_dict": state, "best_acc1": torch.tensor(91.73),
            "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
            "scaler": {"scale": 65536.0, "_growth_tracker": 0}, "rng": torch.get_rng_state(),
        },
        path,
    )  # fmt: skip


def lightning(state: State, path: Path) -> None:
    """Lightning 2 with ModelCheckpoint; huyvnphan's and most others' since."""
    callback = {
        "monitor": "acc/val", "best_model_score": torch.tensor(0.9173), "current_score": None,
        "best_model_path": "epoch=199.ckpt", "best_k_models": {"a.ckpt": torch.tensor(0.9173)},
        "kth_best_model_path": "", "kth_value": torch.tensor(0.9173), "dirpath": "/x",
    }  # fmt: skip
    torch.save(
        {
            "epoch": 199, "global_step": 78200, "pytorch-lightning_version": "2.5.0",
            "state_dict": prefixed(state, "model."), "loops": {"fit_loop": {"state_dict": {}}},
            "callbacks": {"ModelCheckpoint{'monitor': 'acc/val', 'mode': 'max'}": callback},
            "optimizer_states": [{"state": {}, "param_groups": [{"betas": (0.9, 0.99)}]}],
            "lr_schedulers": [{"milestones": Counter({100: 1}), "last_epoch": 199}],
            "hparams_name": "kwargs", "hyper_parameters": {"classifier": "resnet18", "lr": 1e-2},
        },
        path,
    )  # fmt: skip


def bare(state: State, path: Path) -> None:
    """chenyaofo and weiaicunzai: the state dict alone."""
    torch.save(OrderedDict(state), path)


def torchvision_2017(state: State, path: Path) -> None:
    """resnet18-5c106cde.pth: parameters as objects, no counters, before zip."""
    old = OrderedDict(
        (key, value if "running" in key else nn.Parameter(value))
        for key, value in without_counters(state).items()
    )
    module = types.ModuleType("old")
    module.__dict__.update({**vars(pickle), "Pickler": OldPickler})
    torch.save(old, path, pickle_module=module, _use_new_zipfile_serialization=False)
    assert b"\x81" in path.read_bytes()[:3000], "no NEWOBJ: not what old torch wrote"


def torchvision_now(state: State, path: Path) -> None:
    """resnet18-f37072fd.pth: a zip, of parameters."""
    torch.save(
        OrderedDict((k, v if "running" in k else nn.Parameter(v, v.is_floating_point()))
                    for k, v in state.items()),
        path,
    )  # fmt: skip


AKAMASTER, VISION = foreign.akamaster, foreign.torchvision_like
SHAPES: dict[str, tuple[Callable, Callable, str, float | None, int]] = {
    "akamaster, 2018": (AKAMASTER, akamaster_old, "resnet-8", 8.27, 0),
    "akamaster, now": (AKAMASTER, akamaster_resumable, "resnet-8", 8.27, 200),
    "kuangliu, now": (foreign.kuangliu, kuangliu_now, "resnet-18-w8-B", 8.27, 200),
    "kuangliu, numpy": (foreign.kuangliu, kuangliu_numpy, "resnet-18-w8-B", 8.27, 200),
    "kuangliu, torch 0.4": (foreign.kuangliu, kuangliu_0_4, "resnet-18-w8-B", 9.0, 200),
    "numpy float32": (foreign.kuangliu, numpy_float32, "resnet-18-w8-B", 8.27, 200),
    "with optimizer": (AKAMASTER, resumable, "resnet-8", 8.27, 200),
    "Lightning": (VISION, lightning, "resnet-18-w8-B-imagenet", None, 199),
    "chenyaofo": (foreign.chenyaofo, bare, "resnet-8-B", None, 0),
    "weiaicunzai": (foreign.weiaicunzai, bare, "resnet-18-w8-B", None, 0),
    "torchvision, 2017": (VISION, torchvision_2017, "resnet-18-w8-B-imagenet", None, 0),
    "torchvision, now": (VISION, torchvision_now, "resnet-18-w8-B-imagenet", None, 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_files_of_the_repositories(shape: str, tmp_path: Path):
    """Net, claim, epoch, and the logits of the repository's own net."""
    make, save, name, claim, epoch = SHAPES[shape]
    theirs = shaken(make())
    save(theirs.state_dict(), tmp_path / "net.pth")
    size = 64 if "imagenet" in name else 32
    with torch.no_grad():
        expected = theirs(noise(size=size))

    found = inspect(tmp_path / "net.pth")
    assert (found.net.spec.name, found.epoch, found.net.unused) == (name, epoch, ())
    assert (found.claim and round(found.claim.error, 2)) == claim
    run = import_checkpoint(tmp_path / "net.pth", tmp_path / "runs", normalization="none").run
    with torch.no_grad():
        logits = load_net(run)[0](noise(size=size))
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def timm_training(state: State, path: Path) -> None:
    """timm's train.py keeps its arguments."""
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1), "version": 2}, path)


def lightning_path(state: State, path: Path) -> None:
    """hyper_parameters with more than plain values: a path here, omegaconf's classes elsewhere."""
    torch.save({"state_dict": state, "hyper_parameters": {"root": Path("/data")}}, path)


def numpy_array(state: State, path: Path) -> None:
    """An array is no plain number."""
    torch.save({"state_dict": state, "history": np.zeros(3)}, path)


@pytest.mark.parametrize("save", [timm_training, lightning_path, numpy_array])
def test_objects_beside_the_weights_are_looked_past(save: Callable, tmp_path: Path):
    """Read with an inert stand-in for them; the logits are the repository's own."""
    theirs = shaken(foreign.akamaster())
    save(theirs.state_dict(), tmp_path / "net.ckpt")
    with torch.no_grad():
        expected = theirs(noise())
    run = import_checkpoint(tmp_path / "net.ckpt", tmp_path / "runs", normalization="none").run
    with torch.no_grad():
        torch.testing.assert_close(load_net(run)[0](noise()), expected, rtol=1e-5, atol=1e-5)


class Scalar:
    """A numpy scalar whose dtype is not of a plain number."""

    def __init__(self, *dtype: Any) -> None:
        self.dtype = dtype

    def __reduce__(self):
        return np.float64(0).__reduce__()[0], (Dtype(*self.dtype), b"\0" * 8)


class Dtype:
    """numpy.dtype called with any arguments."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self):
        return np.dtype, self.arguments


@pytest.mark.parametrize("dtype", [("O", False, True), ("V9", False, True), ([("a", "f8")],)])
def test_other_numpy_scalars_are_refused(dtype: tuple, tmp_path: Path):
    """Objects, structures, lengths that make memory: numpy is not asked to try."""
    torch.save(
        {"state_dict": foreign.akamaster().state_dict(), "acc": Scalar(*dtype)}, tmp_path / "n"
    )
    with pytest.raises(ImportRefused, match="numpy dtype that is not of a plain number"):
        inspect(tmp_path / "n")
