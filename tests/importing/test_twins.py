"""Nets of our families under any names, in any wrapper: `pytest tests/importing/test_twins.py`.

Each gives the logits of the reference implementation in `twins` or `foreign`, to 1e-5.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import re
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from analysis.cli import build
from analysis.errors import ImportRefused
from analysis.exchange.importing import import_checkpoint, inspect, recognise
from analysis.exchange.importing.states import split
from analysis.weights import load_net
from tests.importing import foreign
from tests.importing.foreign import noise, shaken
from tests.importing.twins import OPTION_A, PREACTIVATED, TWINS, Net, option_a_net, pad_both


def logits_of(path: Path, tmp_path: Path, **options) -> tuple[str, torch.Tensor]:
    """The imported net's name and logits on noise."""
    run = import_checkpoint(path, tmp_path / "runs", normalization="none", **options).run
    with torch.no_grad():
        return run.net, load_net(run)[0](noise())


def expected_of(net: nn.Module) -> torch.Tensor:
    """The reference's logits; they differ enough to tell a wrong reading."""
    with torch.no_grad():
        logits = net(noise())
    assert logits.std() > 0.05, "the test net says the same of everything"
    return logits


def assert_same(path: Path, theirs: nn.Module, name: str, tmp_path: Path, **options) -> None:
    """Name and logits."""
    found, logits = logits_of(path, tmp_path, **options)
    assert found == name
    torch.testing.assert_close(logits, expected_of(theirs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("twin", TWINS)
def test_names_do_not_matter(twin: str, safe: bool, tmp_path: Path):
    """By order and shapes; a .safetensors file keeps no order but the alphabet's."""
    make, name = TWINS[twin]
    net = shaken(make())
    path = tmp_path / "net.bin"
    save_file(net.state_dict(), path) if safe else torch.save(net.state_dict(), path)
    asked = {"net": name} if name.endswith("-after") else {}

    assert_same(path, net, name, tmp_path, **asked)
    assert inspect(path).net.layout.name == "unknown"
    assert "by the order and shapes of its layers" in str(inspect(path).summary)


def transformers(key: str) -> str:
    """transformers' ResNetForImageClassification."""
    key = re.sub(r"^conv1\.", "resnet.embedder.embedder.convolution.", key)
    key = re.sub(r"^bn1\.", "resnet.embedder.embedder.normalization.", key)
    for ours, theirs in (("conv", "convolution"), ("bn", "normalization")):
        key = re.sub(rf"\.{ours}(\d)\.", lambda m, t=theirs: f".layer.{int(m[1]) - 1}.{t}.", key)
    key = key.replace("downsample.0", "shortcut.convolution")
    key = key.replace("downsample.1", "shortcut.normalization").replace("fc.", "classifier.1.")
    return re.sub(
        r"^layer(\d)\.(\d+)", lambda m: f"resnet.encoder.stages.{int(m[1]) - 1}.layers.{m[2]}", key
    )


def openmmlab(key: str) -> str:
    """mmpretrain: a backbone, and a head outside of it."""
    return f"head.{key}" if key.startswith("fc.") else f"backbone.{key}"


def pytorchcv(key: str) -> str:
    """osmr/imgclsmob."""
    key = re.sub(r"^conv1\.", "features.init_block.conv.conv.", key)
    key = re.sub(r"^bn1\.", "features.init_block.conv.bn.", key)
    key = re.sub(r"\.(conv|bn)(\d)\.", r".body.conv\2.\1.", key)
    key = key.replace("downsample.0", "identity_conv.conv").replace("fc.", "output.")
    key = key.replace("downsample.1", "identity_conv.bn")
    return re.sub(r"^layer(\d)\.(\d+)", lambda m: f"features.stage{m[1]}.unit{int(m[2]) + 1}", key)


def in_words(key: str) -> str:
    """Stages without numbers, a shortcut that is not called one."""
    for number, word in enumerate(("first", "second", "third", "fourth"), start=1):
        key = key.replace(f"layer{number}", word)
    return key.replace("downsample.0", "sc_conv").replace("downsample.1", "sc_bn")


@pytest.mark.parametrize("order", ["of the file", "of the alphabet", "shuffled"])
@pytest.mark.parametrize("scheme", [transformers, openmmlab, pytorchcv, in_words])
@pytest.mark.parametrize("option", ["B", "C"])
@pytest.mark.parametrize(
    ("block", "counts"),
    [(foreign.BasicBlock, (2, 2, 2, 2)), (foreign.BasicBlock, (3, 4, 6, 3)),
     (foreign.Bottleneck, (3, 4, 6, 3)), (foreign.Bottleneck, (3, 4, 23, 3))],
)  # fmt: skip
def test_naming_schemes(block, counts, option: str, scheme: Callable, order: str):
    """Each tensor is found to be what it is, in whatever order the file has them."""
    with torch.device("meta"):
        state = foreign.torchvision_like(block, counts, option=option).state_dict()
    meant = recognise({key: tuple(value.shape) for key, value in state.items()})
    keys = list(state)
    if order == "of the alphabet":
        keys.sort(key=scheme)
    elif order == "shuffled":
        random.Random(1).shuffle(keys)
    ((_, inside),) = split({scheme(key): state[key] for key in keys})
    original = dict(zip(inside, keys, strict=True))
    found = recognise({key: tuple(value.shape) for key, value in inside.items()})
    assert found.spec == meant.spec
    assert {ours: original[key] for ours, key in found.keys.items()} == meant.keys


@pytest.mark.parametrize("twin", PREACTIVATED)
def test_pre_activation_nets(twin: str, tmp_path: Path):
    """kuangliu's and bearpaw's, by the channels of their BNs."""
    make, name, layout = PREACTIVATED[twin]
    net = shaken(make())
    torch.save(net.state_dict(), tmp_path / "net.pth")
    assert_same(tmp_path / "net.pth", net, name, tmp_path)
    assert inspect(tmp_path / "net.pth").net.layout.name == layout


@pytest.mark.parametrize("option", OPTION_A)
def test_where_option_a_puts_its_zeros(option: str, tmp_path: Path):
    """By the net's name; without one it is said that weights don't tell."""
    option_a, name = OPTION_A[option]
    net = shaken(option_a_net(option_a))
    torch.save(net.state_dict(), tmp_path / "net.pth")
    assert_same(tmp_path / "net.pth", net, name, tmp_path, net=name)
    notes = " ".join(map(str, inspect(tmp_path / "net.pth").notes))
    assert "weights can't tell where option A puts its zeros" in notes
    assert "resnet-8-after" in notes


def test_other_names_by_map(tmp_path: Path):
    """Two layers that take 3 colours: which is the stem has to be said; ours or theirs will do."""
    net = shaken(foreign.akamaster())
    state = {key.replace("bn1.", "entry_bn.") if key.startswith("bn1.") else key: value
             for key, value in net.state_dict().items() if key != "conv1.weight"}  # fmt: skip
    state |= {"entry.weight": net.conv1.weight, "preview.weight": torch.zeros(4, 3, 3, 3)}
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ImportRefused, match="2 of its convolutions take 3 colours"):
        inspect(tmp_path / "net.pth")
    with pytest.raises(ImportRefused, match="--map nothing=conv1: no key of it is or begins with"):
        inspect(tmp_path / "net.pth", names={"nothing": "conv1"})
    state.pop("preview.weight")
    torch.save(state, tmp_path / "net.pth")
    names = {"entry": "stem.conv", "entry_bn": "stem.bn"}
    assert_same(tmp_path / "net.pth", net, "resnet-8", tmp_path, names=names)


@pytest.mark.parametrize("beside", ["rot_head", "aux_head", "fc2", "a_embedding", "domain_fc"])
def test_the_head_of_the_net_is_told_from_those_of_other_tasks(beside: str, tmp_path: Path):
    """And said, with how to take the other."""
    net = shaken(option_a_net(pad_both))
    net.linear, net.fc = nn.Identity(), net.linear
    state = net.state_dict()
    path = tmp_path / "net.pth"
    for last in (True, False):
        other = nn.Linear(64, 4)
        more = {f"{beside}.weight": other.weight.data, f"{beside}.bias": other.bias.data}
        torch.save(state | more if last else more | state, path)
        found = inspect(path)
        assert found.net.keys["head.fc.weight"] == "fc.weight"
        (note,) = [str(note) for note in found.notes if "as its head" in str(note)]
        assert note.endswith(f"{beside} (4) could be it: --map {beside}=head.fc takes another")
    assert inspect(path, names={beside: "head.fc"}).net.spec.classes == 4


@pytest.mark.parametrize("names", [("fc1", "fc2"), ("fc.0", "fc.2"), ("fc", "fc_out")])
def test_a_head_of_two_layers_is_refused(names: tuple[str, str], tmp_path: Path):
    """The first has as many outputs as inputs: the second fits alone, and gives other logits."""
    net = shaken(option_a_net(pad_both))
    state = {key: value for key, value in net.state_dict().items() if "linear" not in key}
    for name, size in zip(names, (64, 10), strict=True):
        state |= {f"{name}.weight": torch.rand(size, 64), f"{name}.bias": torch.rand(size)}
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ImportRefused, match="several linear layers, one after the other"):
        inspect(tmp_path / "net.pth")


def test_the_command_takes_names_and_weights(tmp_path: Path):
    """`--map FROM=TO`, more than once, and `--weights NAME`; what was taken is printed."""
    net = shaken(foreign.akamaster())
    state = {k.replace("conv1.", "entry.", 1) if k == "conv1.weight" else k: v
             for k, v in net.state_dict().items()}  # fmt: skip
    torch.save({"model": state, "model_ema": {k: v * 1.5 for k, v in state.items()}},
               tmp_path / "net.pth")  # fmt: skip
    call = ["import", str(tmp_path / "net.pth"), "--runs", str(tmp_path / "runs")]
    done = CliRunner().invoke(build(), [*call, "--map", "entry=conv1", "--map", "linear=head.fc"])
    assert done.exit_code == 0, done.output
    assert "Found: resnet-8: " in done.output
    assert "Normalization: unknown" in done.output
    assert "model was taken" in done.output
    done = CliRunner().invoke(build(), [*call, "--weights", "model_ema"])
    assert "was taken: name another" not in done.output
    assert CliRunner().invoke(build(), [*call, "--map", "entry"]).exit_code == 2


def ema_beside(state: dict, path: Path) -> None:
    """timm's: `state_dict` and `state_dict_ema`."""
    average = {key: value * 1.5 for key, value in state.items()}
    torch.save({"epoch": 3, "state_dict_ema": average, "state_dict": state}, path)


def average_model(state: dict, path: Path) -> None:
    """torch.optim.swa_utils.AveragedModel: `module.` and an int64 `n_averaged`."""
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"n_averaged": torch.tensor(7)} | wrapped, path)


def student_and_teacher(state: dict, path: Path) -> None:
    """Both in one state dict."""
    both = {f"net.student.{k}": v for k, v in state.items()}
    both |= {f"net.teacher.{k}": v * 1.5 for k, v in state.items()}
    torch.save({"net_state_dict": both}, path)


def nested(state: dict, path: Path) -> None:
    """Prefixes that nobody listed, one inside the other."""
    torch.save({"payload": {"best": {f"learner.encoder.f.{k}": v for k, v in state.items()}}}, path)


def in_a_tuple(state: dict, path: Path) -> None:
    """(epoch, state dict)."""
    torch.save((7, state), path)


@pytest.mark.parametrize(
    "save", [ema_beside, average_model, student_and_teacher, nested, in_a_tuple]
)
def test_wrappers_that_nobody_listed(save: Callable, tmp_path: Path):
    """The net that is no average is taken."""
    net = shaken(foreign.chenyaofo())
    save(net.state_dict(), tmp_path / "net.pth")
    assert_same(tmp_path / "net.pth", net, "resnet-8-B", tmp_path)


def test_weights_and_their_average_can_be_chosen(tmp_path: Path):
    """Which was taken is said; the other one by its name."""
    net, other = shaken(foreign.chenyaofo()), shaken(foreign.chenyaofo(), 5)
    torch.save({"model": net.state_dict(), "model_ema": other.state_dict()}, tmp_path / "net.pth")
    found = inspect(tmp_path / "net.pth")
    assert found.file.choices == ("model", "model_ema")
    assert "it holds 2 sets of weights (model, model_ema); model was taken" in str(found.notes[0])
    assert_same(tmp_path / "net.pth", other, "resnet-8-B", tmp_path, weights="model_ema")
    with pytest.raises(ImportRefused, match="no weights called 'ema'; there are 'model', 'model_"):
        inspect(tmp_path / "net.pth", weights="ema")


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of somebody's project, which is gone when the file is read."""
    module = types.ModuleType("their_project")
    monkeypatch.setitem(sys.modules, "their_project", module)
    return module


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_whole_modules(
    legacy: bool, parallel: bool, tmp_path: Path, private: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    """torch.save(net), of classes that are not installed here; no code of theirs is run."""
    called = []

    class Theirs(foreign.ResNet):
        def __setstate__(self, state: dict) -> None:
            called.append(state)

    Theirs.__module__, Theirs.__qualname__ = "their_project", "Theirs"
    private.Theirs = Theirs  # type: ignore[attr-defined]
    net = shaken(Theirs(foreign.BasicBlock, (1, 1, 1), 16, 10, shortcut="downsample", head="fc"))
    whole = nn.DataParallel(net) if parallel else net
    with pytest.warns() if legacy else monkeypatch.context():
        torch.save(
            {"model": whole, "epoch": 3}, tmp_path / "net.pth",
            _use_new_zipfile_serialization=not legacy,
        )  # fmt: skip
    monkeypatch.delitem(sys.modules, "their_project")

    assert_same(tmp_path / "net.pth", net, "resnet-8-B", tmp_path)
    assert "its code is not in the file" in " ".join(map(str, inspect(tmp_path / "net.pth").notes))
    assert called == []


@pytest.mark.parametrize(
    "beside",
    [
        argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("/x")),
        pathlib.PurePosixPath("/data"),
        np.zeros(3),
        np.random.RandomState(0).get_state(),
        {1, 2},
        torch.float32,
        slice(1, 2),
    ],
)
def test_objects_beside_the_weights(beside: object, tmp_path: Path):
    """Of any class: they stand there, inert."""
    net = shaken(foreign.chenyaofo())
    torch.save({"state_dict": net.state_dict(), "args": beside, "acc": 91.5}, tmp_path / "net.pth")
    assert_same(tmp_path / "net.pth", net, "resnet-8-B", tmp_path)
    claim = inspect(tmp_path / "net.pth").claim
    assert claim is not None
    assert claim.error == 8.5


def test_an_optimizer_object_beside_the_weights(tmp_path: Path):
    """The object itself, with its class and its groups of parameters."""
    net = shaken(foreign.chenyaofo())
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    torch.save({"net": net.state_dict(), "optimizer": optimizer}, tmp_path / "net.pth")
    assert_same(tmp_path / "net.pth", net, "resnet-8-B", tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("safe", [False, True])
def test_half_precision_is_converted_and_said(dtype: torch.dtype, safe: bool, tmp_path: Path):
    """To float32 is exact: the reference computes with the same values."""
    net = shaken(foreign.chenyaofo())
    net.load_state_dict({key: value.to(dtype) for key, value in net.state_dict().items()})
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in net.state_dict().items()}
    path = tmp_path / "net.bin"
    save_file(state, path) if safe else torch.save(state, path)
    assert_same(path, net, "resnet-8-B", tmp_path)
    kind = str(dtype).removeprefix("torch.")
    assert f"tensors are {kind}; they were converted" in " ".join(map(str, inspect(path).notes))


def test_what_is_no_part_of_the_net_is_left_out(tmp_path: Path):
    """Counters, masks and metrics of any dtype; a warning lists them."""
    net = shaken(foreign.chenyaofo())
    state = dict(net.state_dict())
    state |= {"layer1.0.total_ops": torch.zeros(1, dtype=torch.float64)}
    state |= {"layer1.0.conv1.mask": torch.ones(16, 16, 3, 3, dtype=torch.int64)}
    state |= {"accuracy.correct": torch.tensor(5), "n_averaged": torch.tensor(3)}
    torch.save(state, tmp_path / "net.pth")
    assert_same(tmp_path / "net.pth", net, "resnet-8-B", tmp_path)
    (warning,) = import_checkpoint(tmp_path / "net.pth", tmp_path / "other").warnings
    assert str(warning).startswith("4 tensors of the file are no part of the net: ")


def test_pruned_weights_are_multiplied_out(tmp_path: Path):
    """torch.nn.utils.prune keeps weight_orig and weight_mask."""
    from torch.nn.utils import prune

    net = shaken(foreign.chenyaofo())
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            prune.random_unstructured(module, "weight", 0.3)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    assert_same(tmp_path / "net.pth", net, "resnet-8-B", tmp_path)
    assert "weight_orig and weight_mask" in str(inspect(tmp_path / "net.pth").notes[0])


def reason(state: dict, tmp_path: Path) -> str:
    """Why it is refused."""
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ImportRefused) as refused:
        inspect(tmp_path / "net.pth")
    return str(refused.value)


def with_filters(first: int, second: int, third: int) -> dict:
    """akamaster's keys with other numbers of filters."""
    net = foreign.akamaster(2)
    state = dict(net.state_dict())
    counts = {"layer1": first, "layer2": second, "layer3": third}
    for key, value in state.items():
        layer = key.split(".")[0]
        if value.dim() == 4 and layer in counts:
            state[key] = torch.zeros(counts[layer], value.shape[1], 3, 3)
    return state


def test_34_filters_are_no_wide_net(tmp_path: Path):
    """The numbers themselves are said."""
    message = reason(with_filters(16, 34, 64), tmp_path)
    assert "its first convolution has 16 filters and its 3x3 layers 16, 34, 64" in message
    assert "wide" not in message
    assert "ResNeXt" not in message


def test_a_channel_pruned_net_is_called_so(tmp_path: Path):
    """Each block has its own number of filters inside."""
    state = dict(foreign.akamaster(3).state_dict())
    for index, key in enumerate(k for k in list(state) if k.endswith(".conv1.weight")):
        c_out = state[key].shape[0] - 1 - index
        state[key] = state[key][:c_out]
        state[key.replace("conv1", "conv2")] = state[key.replace("conv1", "conv2")][:, :c_out]
    message = reason(state, tmp_path)
    assert "channels were pruned" in message
    assert "ResNeXt" not in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vgg11_bn", "several linear layers follow its convolutions (VGG"),
        ("densenet121", "each of its layers is given all earlier ones (DenseNet"),
        ("mobilenet_v2", "its convolutions are depthwise (MobileNet"),
    ],
)
def test_other_architectures_are_pointed_to_recording(name: str, words: str):
    """Any module's layer responses can be recorded."""
    import torchvision

    with torch.device("meta"):
        state = torchvision.models.get_model(name, weights=None).state_dict()
    with pytest.raises(ImportRefused) as refused:
        recognise({key: tuple(value.shape) for key, value in state.items()})
    assert words in str(refused.value)
    assert "analysis.responses.record" in str(refused.value)


def zip_of(names: list[str]) -> Callable[[Path], None]:
    """A zip with these records, compressed."""

    def write(path: Path) -> None:
        import zipfile

        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, b"\0" * 100)

    return write


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html><head>", "it is a web page"),
        (b"\n  <html lang='en'>", "it is a web page"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "compressed with gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "it is HDF5"),
        (zip_of(["arr_0.npy", "arr_1.npy"]), "it is an .npz"),
        (zip_of(["net/data.pkl", "net/constants.pkl", "net/code/x.py"]), "a TorchScript program"),
        (zip_of(["weights/net.pth", "readme.md"]), "it is a zip with weights/net.pth in it"),
    ],
)
def test_files_that_are_something_else(content: bytes | Callable, words: str, tmp_path: Path):
    """Called what they are, with what to do."""
    path = tmp_path / "net.pth"
    content(path) if callable(content) else path.write_bytes(content)
    with pytest.raises(ImportRefused) as refused:
        inspect(path)
    assert words in str(refused.value)


def test_a_script_of_torch_is_called_one(tmp_path: Path):
    """torch.jit.save compresses some records; that is not what is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its age
        script = torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), noise())
        torch.jit.save(script, tmp_path / "net.pt")
    with pytest.raises(ImportRefused, match="it is a TorchScript program, which is code"):
        inspect(tmp_path / "net.pt")


def test_the_twin_is_not_the_other_twin():
    """The references themselves: where zeros go changes what a net says."""
    both, after = (shaken(option_a_net(OPTION_A[k][0])) for k in ("both sides", "pad(..., 0, C)"))
    assert isinstance(both, Net)
    assert float((expected_of(both) - expected_of(after)).abs().max()) > 0.1
