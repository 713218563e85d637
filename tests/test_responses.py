"""Layer responses against float64 references and closed forms: `pytest tests/test_responses.py`."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from analysis.nets import Net, build
from analysis.responses import Moments, Recorder, closed_form, closed_form_std, record
from analysis.runs import tables
from analysis.specs import NetSpec, plan

NETS = [
    "plain-20", "resnet-20", "resnet-18-w16-B", "resnet-50-w16", "plain-18-w16", "preresnet-20",
    "preresnet-18-w16-B",
]  # fmt: skip


def images(n: int = 24, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def trained_looking(name: str) -> Net:
    """A net with BN parameters and statistics unlike their initial ones."""
    net = build(NetSpec.parse(name), seed=0)
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.num_features, generator=generator) + 0.2)
                module.bias.copy_(torch.randn(module.num_features, generator=generator) / 2)
            module.reset_running_stats()
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(images(32, seed=2))
    return net.eval()


def kept_outputs(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Every BN's output, kept whole: the way not to do it, as a reference."""
    kept: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(
            lambda _m, _i, out, path=path: kept.update({path: out.clone()})
        )
        for path, module in net.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return kept


@pytest.mark.parametrize("name", NETS)
def test_measured_std_equals_a_float64_two_pass_reference(name: str):
    """Every layer's std and mean over all elements, to 1e-6 relative."""
    net, x = trained_looking(name), images()
    table = record(net, x).responses.set_index("layer")
    kept = kept_outputs(net, x)

    for layer in plan.layers(net.spec):
        if layer.bn:
            whole = kept[layer.bn].double()
            assert table.loc[layer.name, "std"] == pytest.approx(
                float(whole.std(correction=0)), rel=1e-6
            )
            assert table.loc[layer.name, "mean"] == pytest.approx(
                float(whole.mean()), rel=1e-5, abs=1e-7
            )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
def test_moments_hold_float64_digits(layout: torch.memory_format, offset: float):
    """Per-channel mean and variance to 1e-6, far from zero and in either memory layout."""
    y = images(16) * torch.tensor([0.5, 1.0, 2.0]).view(1, 3, 1, 1) + offset
    moments = Moments(3)
    for batch in y.contiguous(memory_format=layout).split(5):
        moments.update(batch)

    wide = y.double()
    assert moments.count == 16 * 32 * 32
    torch.testing.assert_close(moments.mean, wide.mean((0, 2, 3)), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(moments.var, wide.var((0, 2, 3), correction=0), rtol=2e-6, atol=0)
    assert moments.layer_std == pytest.approx(float(wide.std(correction=0)), rel=1e-6)


def test_any_split_into_batches_gives_the_same():
    """Merging in float64 (Chan et al. 1979) does not depend on the batch size."""
    net, x = trained_looking("resnet-8"), images(30)
    stds = [record(net, x.split(size)).responses["std"].to_numpy() for size in (30, 7, 1)]

    assert stds[1] == pytest.approx(stds[0], rel=1e-6)
    assert stds[2] == pytest.approx(stds[0], rel=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_the_closed_form_is_exact_in_training_mode(name: str):
    """With its input's batch variance, BN's output has the predicted std: 1e-5, every layer."""
    net = trained_looking(name).train()
    variances: dict[str, Tensor] = {}
    for path, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda _m, inputs, path=path: variances.update(
                    {path: inputs[0].double().var((0, 2, 3), correction=0)}
                )
            )
    with Recorder(net) as recorder, torch.no_grad():
        net(images(64))
    measured = recorder.responses()["std"].to_numpy()
    predicted = closed_form(net, batch_var=variances)["std"].to_numpy()

    assert predicted == pytest.approx(measured, rel=1e-5)


def test_the_closed_form_by_hand():
    """Two channels: gamma 3 and 4, beta 1 and 5, s^2 = 1 - eps, so std^2 = 12.5 + 4."""
    bn = nn.BatchNorm2d(2)
    with torch.no_grad():
        bn.weight.copy_(torch.tensor([3.0, 4.0]))
        bn.bias.copy_(torch.tensor([1.0, 5.0]))
    var = torch.full((2,), 1e12, dtype=torch.float64)

    std, mean = closed_form_std(bn, var)
    assert std == pytest.approx(math.sqrt(12.5 + 4.0), rel=1e-9)
    assert mean == pytest.approx(3.0)


def test_the_tables_rows_are_the_plans_layers():
    """Same layers, same order, both sources, the schema's columns."""
    net = trained_looking("resnet-18-w16-B")
    planned = [layer.name for layer in plan.layers(net.spec) if layer.bn]
    measured, closed = record(net, images(4), epoch=7).responses, closed_form(net, epoch=7)

    for table in (measured, closed):
        assert table["layer"].tolist() == planned
        assert table.columns.tolist() == tables.names("responses")
        assert set(table["epoch"]) == {7}
    assert (set(measured["n_images"]), set(closed["n_images"])) == ({4}, {0})


def hooks_left(net: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


def test_no_hook_is_left_after_success_or_failure():
    """Hooks are gone after the block, also when the forward pass raises."""
    net = trained_looking("resnet-8")
    record(net, images(2))
    assert hooks_left(net) == 0

    with pytest.raises(RuntimeError):
        record(net, torch.zeros(1, 5, 32, 32))
    assert hooks_left(net) == 0


def test_modes_are_as_before():
    """Recording measures in evaluation mode and leaves every module's own mode."""
    net = trained_looking("resnet-8").train()
    net.stem.eval()
    record(net, images(2))

    assert net.training
    assert net.head.training
    assert not net.stem.training


def test_recording_changes_no_output():
    """The net computes the same inside and outside, to the bit."""
    net, x = trained_looking("resnet-8"), images(3)
    with torch.no_grad():
        outside = net(x)
        with Recorder(net):
            inside = net(x)

    assert torch.equal(outside, inside)


def test_a_layer_that_never_fired_is_an_error():
    """No silent zero."""
    net = trained_looking("resnet-8")
    with Recorder(net) as recorder:
        pass

    with pytest.raises(RuntimeError, match=r"nothing was recorded at stem\.bn"):
        recorder.responses()


def test_an_in_place_relu_does_not_reach_the_response():
    """The hook reduces before the next module overwrites the BN output."""
    bn = nn.BatchNorm2d(3).eval()
    x = images(8)
    found = record(nn.Sequential(bn, nn.ReLU(inplace=True)), x).responses

    assert found["std"][0] == pytest.approx(
        float(bn(x).detach().double().std(correction=0)), rel=1e-6
    )


def test_a_foreign_module_is_recorded_by_its_own_names():
    """torchvision's resnet18: 20 BNs, each beside its convolution."""
    from torchvision.models import resnet18

    found = record(resnet18().eval(), images(2)).responses

    assert len(found) == 20
    assert found["layer"][:3].tolist() == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert found["kernel"][:3].tolist() == [7, 3, 3]


def test_a_module_without_bn_is_explained():
    """No BN, no layer response."""
    with pytest.raises(ValueError, match="has no BatchNorm layer, so no layer response is defined"):
        record(nn.Conv2d(3, 3, 3), images(1))


def test_refinement_by_hand():
    """rms(F)/rms(x) and the mean cosine of x and x + F, from kept tensors."""
    net, x = trained_looking("resnet-8"), images(6)
    block = net.get_submodule("stage2.block1")
    with torch.no_grad():
        inputs = net.get_submodule("stage1")(net.stem(x))
        f, s = block.residual(inputs), block.shortcut(inputs)  # type: ignore[operator]
    row = record(net, x).refinement.set_index("block_name").loc["stage2.block1"]

    cosine = torch.cosine_similarity(s.flatten(1), (s + f).flatten(1), dim=1).mean()
    assert row["rms_f"] == pytest.approx(float(f.square().mean().sqrt()), rel=1e-5)
    assert row["ratio"] == pytest.approx(
        float(f.square().mean().sqrt() / s.square().mean().sqrt()), rel=1e-5
    )
    assert row["cosine"] == pytest.approx(float(cosine), rel=1e-5)


def test_an_identity_block_refines_nothing():
    """F = 0: ratio 0, cosine 1."""
    net = trained_looking("resnet-8")
    bn = net.get_submodule("stage1.block1.bn2")
    nn.init.zeros_(bn.weight)  # type: ignore[arg-type]
    nn.init.zeros_(bn.bias)  # type: ignore[arg-type]
    row = record(net, images(4)).refinement.iloc[0]

    assert row["ratio"] == 0.0
    assert row["cosine"] == pytest.approx(1.0, abs=1e-9)


class BatchNormAct(nn.BatchNorm2d):
    """As timm's: the nonlinearity is inside, and in place."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """relu(bn(x))."""
        return self.act(super().forward(x))


def test_a_nonlinearity_inside_of_a_bn_comes_after_the_response():
    """The response is the BN's output before ReLU, in whichever module that is."""
    inside = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct(4))
    apart = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    apart.load_state_dict(inside.state_dict())
    x = images(4)

    assert record(inside, x).responses["std"].tolist() == record(apart, x).responses["std"].tolist()
    assert not inside[1].act._forward_pre_hooks


def test_a_recording_says_what_was_recorded():
    """The class and the trained numbers: 4 * 27 + 4 of the convolution, 8 of the BN."""
    found = record(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), images(1))
    assert (found.module, found.parameters) == ("Sequential", 120)
