"""The points at which the plan says a net can be read, against a forward pass done by hand.

`by_hand` is written from the papers (He et al. 2016a, section 3 and 4; 2016b, Fig. 4e) with
functions and the net's tensors only: it knows nothing of the plan or of the net's modules' code.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from analysis import plan
from analysis.nets import Net, build
from analysis.responses import Recorder, record
from analysis.spec import KINDS, NetSpec
from tests.lens.nets import net as odd_net

OPTIONS = {"plain": [""], "resnet": ["", "-A-after", "-B", "-C"],
           "preresnet": ["", "-A-after", "-B", "-C", "-nofinal", "-B-raw", "-C-raw-nofinal"]}  # fmt: skip
CIFAR = [8, 14, 20, 26, 32, 38, 44, 50, 56]
IMAGENET = ["18-w4", "34-w4", "50-w4", "50-w4-v1.5", "18-w4-imagenet"]


def _names() -> list[str]:
    """Every kind and option, at every CIFAR depth from 8 to 56 and in the ImageNet family."""
    found = []
    for prefix, options in OPTIONS.items():
        for depth in CIFAR:
            cifar = "-cifar" if depth == 50 else ""
            found += [f"{prefix}-{depth}{cifar}-w4{option}" for option in options]
        for middle in IMAGENET:
            size, *rest = middle.split("-w4")
            found += [_ordered(f"{prefix}-{size}-w4", option, rest[0]) for option in options]
    return found


def _ordered(start: str, option: str, rest: str) -> str:
    """Option, stem and stride, then what only pre-activation nets have, as names are written."""
    parts = option.split("-")
    first = [part for part in parts if part in ("A", "B", "C", "after")]
    last = [part for part in parts if part in ("raw", "nofinal")]
    if "50" in start and "after" in first and "A" not in first:
        first = ["A", *first]
    return "-".join([start, *first]) + rest + "".join(f"-{part}" for part in last)


def by_hand(net: Net, x: Tensor) -> dict[str, Tensor]:
    """Every named point's tensor, and `<block>.total`, of a net in evaluation mode."""
    spec, state, kept = net.spec, net.state_dict(), {}

    def conv(path: str, y: Tensor, stride: int) -> Tensor:
        weight = state[f"{path}.weight"]
        kept[path] = F.conv2d(y, weight, stride=stride, padding=weight.shape[-1] // 2)
        return kept[path]

    def bn(path: str, y: Tensor) -> Tensor:
        mean, var = state[f"{path}.running_mean"], state[f"{path}.running_var"]
        scale, shift = state[f"{path}.weight"], state[f"{path}.bias"]
        kept[path] = F.batch_norm(y, mean, var, scale, shift)
        return kept[path]

    def relu(path: str, y: Tensor) -> Tensor:
        kept[path] = y.clamp(min=0)
        return kept[path]

    pre = spec.kind == "preresidual"
    y = conv("stem.conv", x, 2 if spec.stem == "imagenet" else 1)
    y = y if pre else relu("stem.relu", bn("stem.bn", y))
    if spec.stem == "imagenet":
        y = F.max_pool2d(y, 3, 2, 1)
    for stage, count in enumerate(spec.blocks, start=1):
        for number in range(1, count + 1):
            b = f"stage{stage}.block{number}"
            stride = 2 if stage > 1 and number == 1 else 1
            strides = [stride, 1]
            if spec.bottleneck:
                strides = [1, stride, 1] if spec.bottleneck_stride == "3x3" else [stride, 1, 1]
            x_in, projected = y, y
            for i, step in enumerate(strides, start=1):
                if pre:
                    y = relu(f"{b}.relu{i}", bn(f"{b}.bn{i}", y))
                    if i == 1 and spec.projection_input == "activated":
                        projected = y
                    y = conv(f"{b}.conv{i}", y, step)
                else:
                    y = bn(f"{b}.bn{i}", conv(f"{b}.conv{i}", y, step))
                    y = relu(f"{b}.relu{i}", y) if i < len(strides) else y
            total = y
            if spec.shortcut:
                kept[f"{b}.shortcut"] = s = _shortcut(spec, b, stride, y, x_in, projected, conv, bn)
                total = y + s
            kept[f"{b}.total"] = total
            y = total if pre else relu(f"{b}.relu{len(strides)}", total)
            kept[b] = y
    if pre and spec.final == "bn":
        y = relu("final.relu", bn("final.bn", y))
    kept["head.fc"] = y.mean((2, 3)) @ state["head.fc.weight"].T + state["head.fc.bias"]
    return kept


def _shortcut(spec, b, stride, f, x, projected, conv, bn) -> Tensor:
    changes = f.shape != x.shape
    if spec.shortcut == "C" or (spec.shortcut == "B" and changes):
        s = conv(f"{b}.shortcut.conv", projected, stride)
        return s if spec.kind == "preresidual" else bn(f"{b}.shortcut.bn", s)
    new = f.shape[1] - x.shape[1]
    before = 0 if spec.zeros == "after" else new // 2
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, new - before))


@pytest.mark.parametrize("name", _names())
def test_every_named_point_is_what_a_forward_pass_by_hand_gives(name: str):
    """Responses, activations, maps, x, F, x + F and outputs; logits; and each is there at all."""
    net = odd_net(name)
    x = torch.randn(2, 3, 32 if "imagenet" in name else 16, 32 if "imagenet" in name else 16,
                    generator=torch.Generator().manual_seed(0))  # fmt: skip
    expected = by_hand(net, x)
    points, totals = set(), {}
    for layer in plan.layers(net.spec):
        points |= {layer.response, layer.activation, layer.maps, layer.name} - {""}
    for info in plan.blocks(net.spec):
        points |= {info.x, info.f, info.output} - {""}
        totals[info.last_relu or info.output] = f"{info.name}.total"
    seen: dict[str, Tensor] = {}
    modules = dict(net.named_modules())
    for path in points:
        modules[path].register_forward_hook(
            lambda _m, _i, out, path=path: seen.__setitem__(path, out)
        )
    for path, total in totals.items():
        pre = path not in {info.last_relu for info in plan.blocks(net.spec)}
        modules[path].register_forward_hook(
            lambda _m, given, out, total=total, pre=pre: seen.__setitem__(
                total, out if pre else given[0]
            )
        )
    with torch.inference_mode():
        logits = net(x)

    assert set(expected) == set(seen)
    assert torch.equal(logits, seen["head.fc"])
    for path, value in expected.items():
        torch.testing.assert_close(seen[path], value, rtol=1e-4, atol=1e-4, msg=path)
    for layer in plan.layers(net.spec, x.shape[-1]):
        if layer.response or layer.role != "head":
            assert seen[layer.maps].shape[1:] == (layer.channels, layer.maps_size, layer.maps_size)


def test_every_kind_is_walked():
    """A new kind has to say here which options it takes."""
    assert list(OPTIONS) == [info.prefix for info in KINDS.values()]


@pytest.mark.parametrize("name", ["plain-14-w4", "resnet-14-w4-C", "preresnet-14-w4",
                                  "preresnet-18-w4-B", "preresnet-50-w4-nofinal"])  # fmt: skip
def test_the_recorder_reads_responses_and_refinement_at_these_points(name: str):
    """Std of each response, rms(F) / rms(x) and cos(x, x + F) of each block, by hand in float64."""
    net, x = odd_net(name), torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected, found = by_hand(net, x), record(net, x)
    assert len(found.responses) == sum(type(m).__name__ == "BatchNorm2d" for m in net.modules())
    for row, layer in zip(
        found.responses.itertuples(),
        [layer for layer in plan.layers(net.spec) if layer.response],
        strict=True,
    ):
        value = expected[layer.response].double()
        assert (row.layer, row.order) == (layer.name, layer.order)
        assert row.std == pytest.approx(float(value.std(correction=0)), rel=1e-4)
    assert len(found.refinement) == (sum(net.spec.blocks) if net.spec.shortcut else 0)
    for row in found.refinement.itertuples():
        h = expected[f"{row.block_name}.shortcut"].double()
        total = expected[f"{row.block_name}.total"].double()
        rms = (total - h).square().mean().sqrt() / h.square().mean().sqrt()
        assert row.ratio == pytest.approx(float(rms), rel=1e-4)
        cosine = F.cosine_similarity(h.flatten(1), total.flatten(1)).mean()
        assert row.cosine == pytest.approx(float(cosine), rel=1e-4)


@pytest.mark.parametrize("name", ["resnet-14", "preresnet-14", "preresnet-14-B-raw"])
def test_a_block_with_f_0_changes_nothing(name: str):
    """Ratio 0, cosine 1; a pre-activation block is then its shortcut to the bit."""
    net = build(NetSpec.parse(name), seed=0)
    info = plan.blocks(net.spec)[1]
    with torch.no_grad():
        for parameter in net.get_submodule(info.f).parameters():
            parameter.zero_()
    with Recorder(net) as recorder, torch.no_grad():
        net(torch.randn(4, 3, 32, 32))
    row = recorder.refinement().iloc[1]
    assert (row["block_name"], row["ratio"]) == (info.name, 0)
    assert row["cosine"] == pytest.approx(1, abs=1e-6)
    x = torch.randn(2, 16, 8, 8)
    if net.spec.traits.preactivated:
        with torch.no_grad():
            assert torch.equal(net.get_submodule(info.name)(x), x)


@pytest.mark.parametrize("depth", [20, 56, 110])
def test_a_pre_activation_net_at_the_start_obeys_the_law(depth: int):
    """Inside a stage the mean square grows by one a block: rms(F)/rms(x) = 1 / sqrt(v + l - 1)."""
    net = build(NetSpec.parse(f"preresnet-{depth}"), seed=0)
    with Recorder(net) as recorder, torch.no_grad():
        net(torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    table = recorder.refinement()
    for _stage, rows in table.groupby("stage"):
        inner = rows[rows["block"] > 1]
        entered = rows["rms_x"].iloc[0] ** 2
        law = (entered + inner["block"] - 1) ** -0.5
        assert inner["ratio"].to_numpy() == pytest.approx(law.to_numpy(), rel=0.25)
