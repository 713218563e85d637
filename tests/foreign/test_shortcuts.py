"""Shortcuts of any module, against hand counts: `pytest tests/foreign/test_shortcuts.py`

Counted in the papers' and libraries' own tables: a residual net has one a block, a transformer two.
Weights are random and inputs as small as the module allows: the graph is the same.
"""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from analysis import find_residuals
from analysis.errors import SpecError
from analysis.foreign.shortcuts import Residuals


def images(size: int = 64, channels: int = 3) -> Tensor:
    return torch.rand(2, channels, size, size)


def names(found: Residuals) -> list[str]:
    return [shortcut.name for shortcut in found]


@pytest.mark.parametrize(
    ("name", "blocks", "projections", "stages"),
    [
        ("resnet18", [2, 2, 2, 2], 3, 4),
        ("resnet50", [3, 4, 6, 3], 4, 4),
        ("resnet152", [3, 8, 36, 3], 4, 4),
        ("wide_resnet50_2", [3, 4, 6, 3], 4, 4),
        ("resnext50_32x4d", [3, 4, 6, 3], 4, 4),
        ("mobilenet_v2", [1, 2, 3, 2, 2], 0, 5),  # repeats of 1, 2, 3, 4, 3, 3, 1, less the first
        ("mobilenet_v3_large", [1, 1, 2, 3, 1, 2], 0, 6),  # its table: stride 1, same channels
        ("mobilenet_v3_small", [1, 2, 1, 2], 0, 4),
        ("efficientnet_b0", [1, 1, 2, 2, 3], 0, 5),  # repeats of 1, 2, 2, 3, 3, 4, 1
        ("convnext_tiny", [3, 3, 9, 3], 0, 4),
        ("swin_t", [4, 4, 12, 4], 0, 4),  # 2, 2, 6, 2 blocks of attention and MLP
    ],
)
def test_torchvision_by_hand(name: str, blocks: list[int], projections: int, stages: int):
    """As many shortcuts a stage as the architecture has, and as many projections."""
    found = find_residuals(getattr(models, name)(weights=None), images())
    per_stage = [sum(s.stage == stage for s in found) for stage in range(1, stages + 1)]
    assert (per_stage, len(found)) == (blocks, sum(blocks))
    assert sum(s.projection for s in found) == projections
    assert not any(s.within for s in found)


def test_the_first_block_of_each_later_stage_has_the_projection():
    """Of resnet18: named by the block whose forward does the addition."""
    found = find_residuals(models.resnet18(weights=None), images())
    assert names(found) == [f"layer{stage}.{block}" for stage in range(1, 5) for block in (0, 1)]
    assert [s.name for s in found if s.projection] == ["layer2.0", "layer3.0", "layer4.0"]
    assert [(s.stage, s.block, s.order) for s in found][2:4] == [(2, 1, 3), (2, 2, 4)]
    assert found[0].shape == (64, 16, 16)
    assert str(found).splitlines()[2] == "   3  layer2.0  128x8x8  projection"


def test_a_vision_transformer_has_two_a_block_and_no_position_embedding():
    """ViT-B/16: 12 blocks, named by what F goes through; `x + pos_embedding` is not one."""
    found = find_residuals(models.vit_b_16(weights=None, image_size=32), images(32))
    assert len(found) == 24
    assert names(found)[:2] == [
        "encoder.layers.encoder_layer_0.self_attention", "encoder.layers.encoder_layer_0.mlp",
    ]  # fmt: skip


def test_densenet_has_none_and_it_says_why():
    """It concatenates: two at each of 58 layers' inputs would be additions in a residual net."""
    found = find_residuals(models.densenet121(weights=None), images())
    assert found == []
    assert str(found).startswith("DenseNet: no addition x + F(x) was executed, but 62 concat")
    plain = find_residuals(models.vgg11(weights=None), images(32))
    assert str(plain) == "VGG: no addition x + F(x) was executed"


@pytest.mark.parametrize(
    ("name", "size", "count", "first"),
    [
        ("resnet26d", 64, 8, "layer1.0"),
        ("resnetv2_50", 64, 16, "stages.0.blocks.0"),
        ("mixer_s16_224", 224, 16, "blocks.0.mlp_tokens"),
        ("deit_tiny_patch16_224", 224, 24, "blocks.0.attn"),
        ("convnextv2_atto", 64, 12, "stages.0.blocks.0"),  # GRN's x + g(x) has no layer in it
        ("cspresnet50", 64, 13, "stages.0.blocks.0"),
        ("res2net50_26w_4s", 64, 16, "layer1.0"),  # the sums between its splits are none
    ],
)
def test_timm_by_hand(name: str, size: int, count: int, first: str):
    """Bottlenecks 2, 2, 2, 2; 3, 4, 6, 3; 8 mixer blocks and 12 of DeiT with two each."""
    timm = pytest.importorskip("timm", reason="pip install 'residual-lens[timm]'")
    found = find_residuals(timm.create_model(name, pretrained=False), images(size))
    assert (len(found), found[0].name) == (count, first)


class GELU(nn.Module):
    """As GPT-2's: `x + 0.044715 x^3` is an addition with an ancestor, and no shortcut."""

    def forward(self, x: Tensor) -> Tensor:
        """The tanh approximation."""
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))))


class Attention(nn.Module):
    """One head, with a bias that all layers share, added to the scores."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = q @ k.transpose(1, 2) + bias
        return self.out(scores.softmax(-1) @ v)


class GPTBlock(nn.Module):
    """Pre-norm, as in GPT-2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Two shortcuts."""
        x = x + self.attn(self.ln_1(x), bias)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Three blocks; positions are expanded over the batch and added; so is a bias to the scores."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(50, width), nn.Embedding(16, width)
        self.bias = nn.Parameter(torch.zeros(6, 6))
        self.h = nn.ModuleList(GPTBlock(width) for _ in range(3))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T) whole numbers -> (B, T, C)."""
        positions = self.wpe(torch.arange(tokens.shape[1])).expand(len(tokens), -1, -1)
        bias = self.bias.expand(len(tokens), -1, -1)
        if mask is not None:
            bias = bias + (1.0 - mask[:, None, :].float()) * -1e9
        x = self.wte(tokens) + positions
        for block in self.h:
            x = block(x + positions, bias)
        return x


def test_a_gpt_block_by_hand():
    """Two a block: neither positions nor attention bias nor the polynomial in GELU is counted."""
    tokens = torch.randint(0, 50, (2, 6))
    expected = [f"h.{block}.{part}" for block in range(3) for part in ("attn", "mlp")]
    assert names(find_residuals(GPT(), tokens)) == expected
    with_mask = {"tokens": tokens, "mask": torch.ones(2, 6, dtype=torch.long)}
    assert names(find_residuals(GPT(), with_mask)) == expected


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("norm_first", [True, False])
def test_pre_and_post_norm_transformers(norm_first: bool):
    """PyTorch's own, whose fused evaluation path would hide the additions; tuples of arguments."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    assert len(find_residuals(encoder, torch.rand(2, 5, 8))) == 4
    both = nn.Transformer(8, 2, 2, 2, 16, batch_first=True, norm_first=norm_first)
    assert len(find_residuals(both, (torch.rand(2, 5, 8), torch.rand(2, 4, 8)))) == 2 * 2 + 2 * 3


class Block(nn.Module):
    """x + conv(relu(x)) by any way of adding."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.how = nn.Conv2d(4, 4, 3, padding=1), how

    def forward(self, x: Tensor) -> Tensor:
        """One shortcut."""
        f = self.conv(F.relu(x))
        if self.how == "+=":
            f += x
            return f
        if self.how == "into x":
            x = x.clone()
            x += self.conv(F.relu(x))
            return x
        ways = {
            "+": lambda: x + f, "F first": lambda: f + x, "torch.add": lambda: torch.add(x, f),
            "alpha": lambda: torch.add(x, f, alpha=0.5), "add_": lambda: f.add_(x),
            "sum": lambda: sum([x, f]), "view": lambda: (x.flatten(1) + f.flatten(1)).view_as(x),
            "in a view": lambda: (f.view(-1).view_as(f).add_(x), f)[1],
        }  # fmt: skip
        return ways[self.how]()


WAYS = ["+", "+=", "into x", "F first", "torch.add", "alpha", "add_", "sum", "view", "in a view"]


@pytest.mark.parametrize("how", WAYS)
def test_every_way_of_adding(how: str):
    """Out of place, in place, of views; in a chain, so that what was written is read again."""
    module = nn.Sequential(Block(how), nn.ReLU(inplace=True), Block(how))
    assert names(find_residuals(module, images(8, 4))) == ["0", "2"]


def test_a_module_called_twice_has_two():
    """Weights shared by two blocks: each use is one, the second named so."""
    block = Block("+")
    assert names(find_residuals(nn.Sequential(block, block), images(8, 4))) == ["0", "0#2"]


class Nested(nn.Module):
    """A residual group of residual blocks, as in RCAN."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(Block("+"), Block("+="))

    def forward(self, x: Tensor) -> Tensor:
        """Three shortcuts, two of them inside of the third."""
        return x + self.body(x)


def test_nested_ones_name_the_outer():
    """In the order of execution; both inner ones are in the block of the outer."""
    found = find_residuals(nn.Sequential(Nested(), Block("+")), images(8, 4))
    assert names(found) == ["0.body.0", "0.body.1", "0", "1"]
    assert [s.within for s in found] == ["0", "0", "", ""]
    assert [(s.stage, s.block) for s in found] == [(1, 1), (1, 1), (1, 1), (1, 2)]


class Gates(nn.Module):
    """Additions that are no shortcuts: two branches, squeeze and excitation, a gated update."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.gru, self.lstm = nn.GRUCell(8, 8), nn.LSTMCell(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        """Sums of linear branches, of nonlinear ones, of a scalar, of a statistic."""
        linear = self.a(x) + self.b(x)
        bent = F.relu(self.a(x)) + F.relu(self.b(x))
        squeezed = bent * torch.sigmoid(linear.mean((2, 3), keepdim=True)) + 1.0
        state = squeezed.mean((2, 3)).repeat(1, 2)
        state = self.gru(state, state.flip(1))
        return self.lstm(state)[0] + torch.ones(2, 8)


def test_other_additions_are_not_counted():
    """Inception's sums, gates, constants, and the cells of recurrent nets."""
    assert find_residuals(Gates(), images(8, 4)) == []


class Parallel(nn.Module):
    """As in GPT-J: x + F1(x) + F2(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attn, self.mlp = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        """Two branches of one x."""
        y = self.norm(x)
        return x + F.gelu(self.attn(y)) + F.gelu(self.mlp(y))


def test_parallel_branches_are_two_shortcuts():
    """The second sum's operands are no ancestors of each other, but of one x."""
    assert names(find_residuals(Parallel(), torch.rand(2, 5, 8))) == ["attn", "mlp"]


class OptionA(nn.Module):
    """Subsampled and padded with zeros (He et al., section 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Neither operand was computed from the other."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)) + self.conv2(F.relu(self.conv1(x)))


def test_a_shortcut_without_weights_is_a_projection_too():
    """What x is computed by: slices and zeros."""
    (found,) = find_residuals(OptionA(), images(8, 4))
    assert (found.projection, found.shape) == (True, (8, 4, 4))


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_wrappers_are_taken_off(wrap):
    """And names are the module's own."""
    assert names(find_residuals(wrap(nn.Sequential(Block("+"))), images(8, 4))) == ["0"]


def test_what_can_not_be_looked_into_is_refused_in_words():
    """No module, TorchScript, an input that does not fit."""
    with pytest.raises(SpecError, match=r"a torch\.nn\.Module is needed, not str"):
        find_residuals("resnet18", images())
    with pytest.warns(FutureWarning):
        scripted = torch.jit.trace(Block("+").eval(), images(8, 4))
    with pytest.raises(SpecError, match="TorchScript module, which hides"):
        find_residuals(scripted, images(8, 4))
    with pytest.raises(SpecError, match=r"the forward pass of Conv2d failed: RuntimeError"):
        find_residuals(nn.Conv2d(3, 4, 3), images(8, 4))
    with pytest.raises(SpecError, match="there is no tensor in this batch"):
        find_residuals(nn.Conv2d(3, 4, 3), "images")


def test_the_module_is_as_it_was():
    """Modes of every part, buffers, random numbers, hooks; also where the pass raises."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    module[1].eval()
    buffers = [buffer.clone() for buffer in module.buffers()]
    both = images(8), images(8, 5)
    state = torch.get_rng_state()
    for given in both:
        with contextlib.suppress(SpecError):
            find_residuals(module, given)
        assert [part.training for part in module] == [True, False, True]
        assert all(torch.equal(a, b) for a, b in zip(buffers, module.buffers(), strict=True))
        assert torch.equal(state, torch.get_rng_state())
        hooks = [len(p._forward_hooks) + len(p._forward_pre_hooks) for p in module.modules()]
        assert not any(hooks)


def test_images_and_labels_of_a_loader_and_half_precision():
    """The labels are left out; a module in bfloat16 gets its input so; autocast is as it is."""
    labelled = [images(8, 4), torch.tensor([0, 1])]
    module = nn.Sequential(Block("+"))
    assert names(find_residuals(module, labelled)) == ["0"]
    with torch.autocast("cpu", torch.bfloat16):
        assert names(find_residuals(module, labelled)) == ["0"]
    assert names(find_residuals(module.bfloat16(), labelled)) == ["0"]
