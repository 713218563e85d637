"""Nets against the paper's numbers: `pytest tests/test_nets.py`."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from analysis.nets import ZeroPadShortcut, build, layers
from analysis.specs import KINDS, NetSpec, plan

SMALL = [
    "plain-8", "resnet-8", "resnet-8-B", "resnet-8-C", "resnet-20", "plain-20", "resnet-18-w16",
    "plain-18-w16", "resnet-18-w16-B", "resnet-34-w16", "resnet-50-w16", "resnet-50-w16-v1.5",
    "plain-50-w16", "resnet-50-w16-A", "resnet-8-after", "preresnet-8", "preresnet-20-B",
    "preresnet-8-C-raw", "preresnet-18-w16-B-nofinal", "preresnet-34-w16", "preresnet-50-w16-v1.5",
]  # fmt: skip
CIFAR_DEPTHS = [20, 32, 44, 56, 110]


def weights(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet-20", 0.27e6), ("resnet-32", 0.46e6), ("resnet-44", 0.66e6), ("resnet-56", 0.85e6),
        ("resnet-110", 1.7e6), ("resnet-1202", 19.4e6),
    ],
)  # fmt: skip
def test_table_6(name: str, parameters: float):
    """Parameters of the CIFAR nets, to the digits that Table 6 prints."""
    digits = 1 if parameters > 1e6 else 2
    assert round(plan.parameters(NetSpec.parse(name)) / 1e6, digits) == parameters / 1e6


@pytest.mark.parametrize(
    ("name", "giga"),
    [
        ("plain-34-imagenet", 3.6), ("resnet-34-imagenet", 3.6), ("resnet-18-imagenet", 1.8),
        ("resnet-101-imagenet", 7.6), ("resnet-152-imagenet", 11.3),
    ],
)  # fmt: skip
def test_table_1(name: str, giga: float):
    """Multiply-adds at 224 pixels, to the digits that Table 1 prints."""
    assert round(plan.multiply_adds(NetSpec.parse(name, 1000)) / 1e9, 1) == giga


def test_resnet_50_in_table_1():
    """Table 1 cuts ResNet-50's 3.86 G to 3.8; with the stride in the 3x3 layer it is 4.1 G."""
    paper = plan.multiply_adds(NetSpec.parse("resnet-50-imagenet", 1000))
    v15 = plan.multiply_adds(NetSpec.parse("resnet-50-imagenet-v1.5", 1000))

    assert (int(paper / 1e8), round(v15 / 1e9, 1)) == (38, 4.1)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet-18-B-imagenet", 11_689_512), ("resnet-34-B-imagenet", 21_797_672),
        ("resnet-50-imagenet-v1.5", 25_557_032), ("resnet-101-imagenet-v1.5", 44_549_160),
        ("resnet-152-imagenet-v1.5", 60_192_808),
    ],
)  # fmt: skip
def test_parameters_of_torchvision(name: str, parameters: int):
    """The counts that torchvision publishes for its weights."""
    assert plan.parameters(NetSpec.parse(name, 1000)) == parameters


@pytest.mark.parametrize("depth", [*CIFAR_DEPTHS, 1202, 18, 34])
def test_option_a_is_free(depth: int):
    """Nets of all kinds of a depth have equal parameters and multiply-adds (section 4.2).

    A pre-activation net has the same BNs one place earlier: none after the stem, one at the end.
    """
    nets = [NetSpec.parse(f"{info.prefix}-{depth}") for info in KINDS.values()]

    assert len({plan.parameters(net) for net in nets}) == 1
    assert len({plan.multiply_adds(net) for net in nets}) == 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("preresnet-18-B-nofinal", 11_171_146), ("preresnet-34-B-nofinal", 21_279_306),
        ("preresnet-50-v1.5-nofinal", 23_509_066), ("preresnet-20-B-raw", 272_282),
    ],
)  # fmt: skip
def test_parameters_of_public_preactivation_nets(name: str, parameters: int):
    """kuangliu's PreActResNet18, 34 and 50 and bearpaw's preresnet(depth=20), counted there."""
    assert plan.parameters(NetSpec.parse(name)) == parameters


@pytest.mark.parametrize("depth", CIFAR_DEPTHS)
def test_3n_shortcuts(depth: int):
    """A CIFAR net of depth 6n+2 has 3n shortcuts, two of them zero-padding."""
    kinds = [block.shortcut for block in plan.blocks(NetSpec.parse(f"resnet-{depth}"))]

    assert len(kinds) == 3 * (depth - 2) // 6
    assert kinds.count("pad") == 2
    assert kinds.count("identity") == len(kinds) - 2


def test_options_b_and_c_project():
    """B projects where dimensions change, C everywhere (section 4.1)."""
    projections = {
        option: sum(layer.role == "projection" for layer in plan.layers(NetSpec.parse(name)))
        for option, name in (("A", "resnet-34"), ("B", "resnet-34-B"), ("C", "resnet-34-C"))
    }

    assert projections == {"A": 0, "B": 3, "C": 16}


@pytest.mark.parametrize("name", SMALL)
def test_the_plan_counts_what_torch_counts(name: str):
    """Parameters and multiply-adds of the plan equal the module's and torch's own counter's."""
    spec = NetSpec.parse(name)
    net = build(spec, seed=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, 32, 32))

    assert plan.parameters(spec) == weights(net)
    assert plan.multiply_adds(spec) == counter.get_total_flops() // 2


@pytest.mark.parametrize("name", SMALL)
def test_layers_are_the_modules_in_the_order_in_which_they_fire(name: str):
    """The plan's names, channels and map sizes are what hooks see, in the same order."""
    net = build(NetSpec.parse(name), seed=0).eval()
    fired: list[tuple[str, int, int]] = []
    for path, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _m, _i, out, path=path: fired.append((path, out.shape[1], out.shape[2]))
            )
    net(torch.zeros(2, 3, 32, 32))

    planned = [(i.name, i.c_out, i.map_size) for i in layers(net) if i.role != "head"]
    assert fired == planned


def test_names_of_the_3x3_layers_of_plain_20():
    """19 layers of Fig. 7: the stem, then conv1 and conv2 of nine blocks."""
    shown = [layer for layer in plan.layers(NetSpec.parse("plain-20")) if layer.in_figure_7]

    assert [layer.order for layer in shown] == list(range(1, 20))
    assert [layer.name for layer in shown[:4]] == [
        "stem.conv", "stage1.block1.conv1", "stage1.block1.conv2", "stage1.block2.conv1",
    ]  # fmt: skip
    assert shown[-1].name == "stage3.block3.conv2"


@pytest.mark.parametrize("name", [*SMALL, "resnet-110", "resnet-101-w16", "resnet-152-w16"])
def test_depth_counts_weighted_layers_of_the_main_path(name: str):
    """Projections don't count, the linear layer does."""
    spec = NetSpec.parse(name)

    assert sum(layer.role != "projection" for layer in plan.layers(spec)) == spec.depth


@pytest.mark.parametrize("name", SMALL)
def test_forward_and_backward(name: str):
    """Logits for each class, a gradient for each parameter, batches and layouts alike."""
    net = build(NetSpec.parse(name, classes=7), seed=0)
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    out = net(x)
    out.square().sum().backward()

    assert out.shape == (3, 7)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    torch.testing.assert_close(
        net.eval()(x), net(x.to(memory_format=torch.channels_last)), rtol=1e-3, atol=1e-3
    )


def test_plain_is_residual_without_the_shortcuts():
    """The same weights without shortcuts give F alone, block by block."""
    plain, residual = (
        build(NetSpec.parse(name), seed=3).eval() for name in ("plain-8", "resnet-8")
    )
    plain.load_state_dict(residual.state_dict())
    x = torch.randn(2, 16, 32, 32)
    block = "stage1.block1"

    f = plain.get_submodule(block)(x)
    h = residual.get_submodule(block)(x)
    inner = residual.get_submodule(block).residual(x)  # type: ignore[operator]
    torch.testing.assert_close(f, torch.relu(inner))
    torch.testing.assert_close(h, torch.relu(inner + x))


def test_option_a_pads_with_zeros_and_subsamples():
    """Known values: every second pixel, half of the new channels on each side."""
    x = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(1, 2, 4, 4)
    out = ZeroPadShortcut(2, 4, 2)(x)

    assert out.shape == (1, 4, 2, 2)
    assert torch.equal(out[0, [0, 3]], torch.zeros(2, 2, 2))
    assert torch.equal(out[0, 1], torch.tensor([[0.0, 2.0], [8.0, 10.0]]))


def test_option_a_can_pad_after():
    """fb.resnet.torch's: the old channels first, then the zeros."""
    x = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(1, 2, 4, 4)
    out = ZeroPadShortcut(2, 4, 2, zeros="after")(x)

    assert torch.equal(out[0, [2, 3]], torch.zeros(2, 2, 2))
    assert torch.equal(out[0, 0], torch.tensor([[0.0, 2.0], [8.0, 10.0]]))


def test_a_preactivation_block_adds_nothing_after_the_sum():
    """He et al. 2016b, eqn. 4: H = x + F, negative values and all."""
    block = build(NetSpec.parse("preresnet-8"), seed=3).eval().get_submodule("stage1.block1")
    x = torch.randn(2, 16, 32, 32)

    h = block(x)
    torch.testing.assert_close(h, x + block.residual(x))  # type: ignore[operator]
    assert (h < 0).any()


def test_the_seed_makes_the_net():
    """Same seed, same weights; the global random state is left alone."""
    before = torch.get_rng_state()
    first, again, other = (build(NetSpec.parse("resnet-8"), seed) for seed in (1, 1, 2))

    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.stem.conv.weight, again.stem.conv.weight)
    assert not torch.equal(first.stem.conv.weight, other.stem.conv.weight)


def test_initialisation_is_he_2015():
    """The standard deviation of a 3x3 layer's weights is sqrt(2 / (9 c_out))."""
    net = build(NetSpec.parse("resnet-20"), seed=0)
    weight = net.get_submodule("stage3.block2.conv1").weight.detach()  # type: ignore[union-attr]

    assert float(weight.std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
