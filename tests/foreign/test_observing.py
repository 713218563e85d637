"""What is measured of any module: `pytest tests/foreign/test_observing.py`

References keep the tensors whole, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.ops import FrozenBatchNorm2d

from analysis import figures, observe
from analysis.errors import SpecError
from analysis.nets import build
from analysis.responses import Recorder, closed_form, record
from analysis.runs import find_comparable, load_run, tables
from analysis.specs import NetSpec
from tests.tiny import write_run


class Block(nn.Module):
    """x + F in two ways, keeping both, as a reference."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv, self.bn, self.inplace = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), inplace
        self.kept: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        """One shortcut."""
        f = self.bn(self.conv(torch.relu(x)))
        self.kept.append((x.double().clone(), f.double().clone()))
        if self.inplace:
            f += x
            return f
        return x + f


@pytest.mark.parametrize("inplace", [True, False])
def test_refinement_equals_a_float64_reference(inplace: bool):
    """rms(F)/rms(x), the cosine of x and x + F, and their spread over images, to 1e-5."""
    block = Block(inplace)
    row = observe(block, torch.randn(12, 4, 8, 8).split(5)).refinement.iloc[0]
    x, f = (torch.cat(parts).flatten(1) for parts in zip(*block.kept[1:], strict=True))
    ratio = (f.square().mean().sqrt() / x.square().mean().sqrt()).item()
    ratios = f.norm(dim=1) / x.norm(dim=1)
    cosines = torch.cosine_similarity(x, x + f, dim=1)
    assert row["n_images"] == 12
    assert row["ratio"] == pytest.approx(ratio, rel=1e-5)
    assert row["cosine"] == pytest.approx(cosines.mean().item(), rel=1e-5)
    assert row["drift"] == pytest.approx(1.0)  # the first of its stage
    for name, values in (("ratio", ratios), ("cosine", cosines)):
        for part, share in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
            expected = values.quantile(share).item()
            assert row[f"{name}_{part}"] == pytest.approx(expected, rel=1e-5)


def test_a_net_of_ours_is_measured_the_same_by_its_plan_and_by_its_execution():
    """resnet-20: names, places, ratios, cosines and responses."""
    net = build(NetSpec.parse("resnet-20"), seed=0)
    images = torch.randn(6, 3, 32, 32)
    planned, executed = record(net, images), observe(net, images)
    names = [column.name for column in tables.REFINEMENT if column.since == 1]
    assert executed.refinement["block_name"].tolist() == planned.refinement["block_name"].tolist()
    for name in ("order", "stage", "block", "ratio", "cosine", "rms_x", "rms_f"):
        assert executed.refinement[name].tolist() == pytest.approx(
            planned.refinement[name].tolist(), rel=1e-5
        )
    assert set(names) <= set(executed.refinement.columns)
    assert executed.responses["std"].tolist() == planned.responses["std"].tolist()


def test_alpha_is_part_of_f():
    """torch.add(x, f, alpha=0.5) adds half of f."""

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4, bias=False)
            nn.init.eye_(self.linear.weight)

        def forward(self, x: Tensor) -> Tensor:
            return torch.add(x, self.linear(x), alpha=0.5)

    row = observe(Half(), torch.randn(3, 4)).refinement.iloc[0]
    assert (row["ratio"], row["cosine"]) == (pytest.approx(0.5), pytest.approx(1.0))


def test_samples_may_be_second():
    """PyTorch's transformers have (T, B, C): images are still told apart."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0).eval()
    first = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).eval()
    first.load_state_dict(layer.state_dict())

    class Swapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.transpose(0, 1))

    x = torch.randn(3, 5, 8)
    ours, theirs = observe(Swapped(), x).refinement, observe(first, x).refinement
    assert set(ours["n_images"]) == {3}
    columns = ["ratio_low", "ratio_median", "cosine_high"]
    torch.testing.assert_close(
        torch.tensor(ours[columns].to_numpy()), torch.tensor(theirs[columns].to_numpy())
    )


def test_layer_norms_are_named_as_such_and_are_no_responses():
    """A ViT has no BN: its responses are empty; its LayerNorms have std 1 and mean 0."""
    found = observe(models.vit_b_16(weights=None, image_size=32), torch.rand(2, 3, 32, 32))
    assert found.responses.empty
    norms = found.points[found.points["kind"] == "norm"]
    assert (len(norms), set(norms["what"])) == (25, {"LayerNorm"})
    assert norms["std"].to_numpy() == pytest.approx(1.0, abs=1e-2)
    assert norms["zeros"].isna().all()


def test_zeros_after_activations_by_hand():
    """relu(-1), relu(0), relu(1), relu(2): half are zeros; a module used twice has two rows."""
    relu = nn.ReLU(inplace=True)
    net = nn.Sequential(relu, relu, nn.Linear(4, 4))
    points = observe(net, torch.tensor([[-1.0, 0.0, 1.0, 2.0]])).points
    assert points["point"].tolist() == ["0", "0#2"]
    assert points["zeros"].tolist() == [0.5, 0.5]


def test_dictionaries_tuples_tokens_and_loaders():
    """What a loader gives: labels are left out, keyword arguments are kept."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.linear = nn.Embedding(9, 4), nn.Linear(4, 4)

        def forward(self, ids: Tensor, scale: Tensor | None = None) -> Tensor:
            x = self.embed(ids)
            return x + torch.tanh(self.linear(x)) * (1.0 if scale is None else scale)

    ids = torch.randint(0, 9, (4, 3))
    for batches in (ids, {"ids": ids}, (ids, torch.ones(1)), [{"ids": ids[:2]}, {"ids": ids[2:]}]):
        assert observe(Tokens(), batches).refinement["n_images"].tolist() == [4]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.rand(5, 4, 8, 8), torch.zeros(5)), batch_size=2
    )
    assert observe(Block(True), loader).refinement["n_images"].tolist() == [5]

    class Masked(Block):
        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            return super().forward(x if mask is None else x * mask)

    halves = torch.rand(6, 4, 8, 8).split(3)  # two batches, no image and mask
    assert observe(Masked(True), halves).refinement["n_images"].tolist() == [6]
    with pytest.raises(SpecError, match="there are no batches"):
        observe(Block(True), [])


def test_autocast_is_measured_as_it_computes():
    """bfloat16 inside: near the float32 numbers, and not the same."""
    block = Block(False)
    images = torch.randn(4, 4, 8, 8)
    exact = observe(block, images).refinement["ratio"][0]
    with torch.autocast("cpu", torch.bfloat16):
        rough = observe(block, images).refinement["ratio"][0]
    assert rough == pytest.approx(exact, rel=2e-2)
    assert rough != exact


def test_a_recording_with_refinement_opens_in_compare(tmp_path: Path):
    """With BN and without, beside a run; all tables come back as they were."""
    images = torch.rand(2, 3, 32, 32)
    resnet = observe(models.resnet18(weights=None), images)
    vit = observe(models.vit_b_16(weights=None, image_size=32), images)
    saved = [resnet.save("resnet18", tmp_path, "noise"), vit.save("ViT-B/16", tmp_path, "noise")]
    for one, found in zip(saved, (resnet, vit), strict=True):
        read = find_comparable(one.id, [tmp_path])
        assert read.refinement()["ratio"].tolist() == pytest.approx(
            found.refinement["ratio"].tolist()
        )
        assert set(tables.names("refinement")) <= set(read.refinement().columns)
    assert saved[0].probe_blocks().empty  # measured once: of no moment of a training
    blocks = saved[0].refinement()
    assert blocks["drift"].between(-1, 1 + 1e-6).all()
    assert blocks["drift"].tolist()[::2] == pytest.approx([1.0] * 4)  # of each stage the first
    assert saved[0].responses()["kernel_shape"].tolist()[:2] == ["7x7", "3x3"]
    assert len(saved[1].points()) == 25
    run = load_run(write_run(tmp_path, "resnet-8"))
    info = figures.responses_info([run, *saved])
    assert info.groupby("label", sort=False).size().to_dict() == {"resnet-8": 7, "resnet18": 16}
    words = figures.summary_words(figures.summary_info([run, *saved]))
    assert words["Mean response (std)"].tolist()[2] == "–"


class Backwards(nn.Module):
    """Declared against the order of execution; a BN used twice; a part that does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))
        self.bn2, self.conv2 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, (3, 1), padding=(1, 0))
        self.conv3 = nn.Conv2d(4, 4, 1)
        self.frozen = FrozenBatchNorm2d(4)
        self.bn1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(3, 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        """conv1 bn1, conv2 bn2, conv3 bn2, a sum and a frozen BN."""
        x = self.bn1(self.conv1(x))
        y = self.bn2(self.conv2(torch.relu(x)))
        y = self.bn2(self.conv3(torch.relu(y)))
        y += x
        y = self.frozen(y)
        return self.auxiliary(y) if self.training else y


def test_rows_go_by_execution():
    """Order, pairing, each use a row, the kernel as it is, frozen BN, and what did not run."""
    found = record(Backwards(), torch.rand(2, 3, 8, 8))
    rows = found.responses
    assert rows["layer"].tolist() == ["conv1", "conv2", "conv3#2", "frozen"]
    assert rows["order"].tolist() == [1, 2, 3, 4]
    assert rows["kernel"].tolist() == [5, 0, 1, 0]
    assert rows["kernel_shape"].tolist() == ["5x5", "3x1", "1x1", ""]
    assert found.not_run == ("auxiliary.1",)


def test_each_use_of_a_bn_has_its_own_response():
    """Not pooled: against the outputs kept whole."""
    net = Backwards().eval()
    outputs: list[Tensor] = []
    handle = net.bn2.register_forward_hook(lambda _m, _i, out: outputs.append(out.clone()))
    x = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        net(x)
    handle.remove()
    stds = [float(out.double().std(correction=0)) for out in outputs]
    assert record(net, x).responses["std"].tolist()[1:3] == pytest.approx(stds, rel=1e-5)


def test_a_bn_before_a_convolution_is_its_own():
    """Pre-activation: the BN's input is a sum, not the convolution that ran last."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    rows = record(net, torch.rand(2, 3, 8, 8)).responses
    assert (rows["layer"].tolist(), rows["kernel"].tolist()) == (["2"], [0])


def test_the_closed_form_knows_frozen_bn():
    """sqrt(gamma^2 s^2/(s^2+eps)) with gamma 2, s^2 3 and beta 0."""
    frozen = FrozenBatchNorm2d(4, eps=0.0)
    frozen.weight.fill_(2.0)
    frozen.running_var.fill_(3.0)
    (row,) = closed_form(nn.Sequential(nn.Conv2d(3, 4, 3), frozen)).to_dict("records")
    assert (row["layer"], row["kernel"], row["std"]) == ("0", 3, pytest.approx(2.0))


class Domains(nn.Module):
    """One convolution, of which each domain has a BN; as detectors share a head among levels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.day, self.night = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        nn.init.constant_(self.night.weight, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Both BNs, one of them given its input by name."""
        y = self.conv(x)
        return self.day(y) + self.night(input=y)


def test_two_bns_of_one_convolution_are_two_rows_on_disk_too(tmp_path: Path):
    """Rows of one name would be one: the last."""
    torch.manual_seed(0)
    found = record(Domains(), torch.rand(2, 3, 8, 8))
    (saved,) = [found.save("two domains", tmp_path)]
    rows = saved.responses()
    assert rows["layer"].tolist() == ["conv", "conv#2"]
    assert rows["std"][1] == pytest.approx(2 * rows["std"][0])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_was_changed_in_place_is_no_convolutions(mode: Callable[[], Any]):
    """A ReLU between them; inference tensors don't count how often they are written to."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(True), nn.BatchNorm2d(4)).eval()
    with Recorder(net) as recorder, mode():
        net(torch.rand(2, 3, 8, 8))
    assert recorder.responses()["layer"].tolist() == ["2"]


def test_bns_without_statistics_and_lazy_ones():
    """Their channels are known otherwise, or after the pass."""
    bare = nn.BatchNorm2d(4, track_running_stats=False, affine=False)
    for net in (
        nn.Sequential(nn.Conv2d(3, 4, 3), bare),
        nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()),
    ):
        assert record(net, torch.rand(2, 3, 8, 8)).responses["layer"].tolist() == ["0"]


def test_the_closed_form_names_a_convolution_only_where_there_is_no_doubt():
    """Nothing is executed: convolutions before all BNs, and BNs of the next block, tell nothing."""
    net = nn.Module()
    net.conv1, net.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 5)
    net.bn1, net.bn2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    net.block = nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 1)), nn.BatchNorm2d(4))
    net.after = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    rows = closed_form(net)
    assert rows["layer"].tolist() == ["bn1", "bn2", "block.0.0", "after.0"]
    assert rows["kernel"].tolist() == [0, 0, 1, 0]


def test_nothing_is_kept_of_a_pass():
    """O(channels): sums and three numbers an image and shortcut; no tensor of an activation."""
    found = observe(Block(True), torch.rand(4, 4, 8, 8))
    assert not any(isinstance(value, Tensor) for value in vars(found).values())
    assert math.isfinite(found.refinement["ratio"][0])
