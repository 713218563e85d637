"""The points at which the plan says a net can be read, against a forward pass done by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.nets import build
from analysis.responses import Recorder, record
from analysis.specs import KINDS, NetSpec, plan
from tests.by_hand import by_hand
from tests.lens.nets import net as odd_net

OPTIONS = {
    "plain": [""],
    "resnet": ["", "-A-after", "-B", "-C"],
    "preresnet": ["", "-A-after", "-B", "-C", "-nofinal", "-B-raw", "-C-raw-nofinal"],
}
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
    return "-".join([start, *first]) + rest + "".join(f"-{part}" for part in last)


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

    assert set(expected) == set(seen) | {f"{info.name}.x" for info in plan.blocks(net.spec)}
    assert torch.equal(logits, seen["head.fc"])
    for path, value in seen.items():
        torch.testing.assert_close(value, expected[path], rtol=1e-4, atol=1e-4, msg=path)
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
