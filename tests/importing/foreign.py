"""Minimal nets with the key names of the repositories, written for these tests, and odd weights.

Each is the net of its repository in the fewest lines that give its keys and its arithmetic; the
importer's answer is compared with theirs, number by number.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution as all these repositories have it: padded to keep the size, no bias."""
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)


class HalfPad(nn.Module):
    """akamaster's option A: every second pixel, new channels half before and half after."""

    def __init__(self, new: int) -> None:
        super().__init__()
        self.new = new

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or the block's output."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new // 2, self.new // 2))


class BasicBlock(nn.Module):
    """conv1, bn1, conv2, bn2 and `shortcut` or `downsample`."""

    expansion = 1

    def __init__(self, c_in: int, c: int, stride: int, name: str, option: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(c_in, c, 3, stride), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = conv(c, c, 3), nn.BatchNorm2d(c)
        self.name = name
        setattr(self, name, make_shortcut(c_in, c, stride, option))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or the block's output."""
        f = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return add(f, x, getattr(self, self.name))


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride (v1.5), 1x1."""

    expansion = 4

    def __init__(self, c_in: int, c: int, stride: int, name: str, option: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(c_in, c, 1), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = conv(c, c, 3, stride), nn.BatchNorm2d(c)
        self.conv3, self.bn3 = conv(c, 4 * c, 1), nn.BatchNorm2d(4 * c)
        self.name = name
        setattr(self, name, make_shortcut(c_in, 4 * c, stride, option))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or the block's output."""
        f = torch.relu(self.bn1(self.conv1(x)))
        f = torch.relu(self.bn2(self.conv2(f)))
        return add(self.bn3(self.conv3(f)), x, getattr(self, self.name))


class SequenceBlock(nn.Module):
    """weiaicunzai's: `residual_function` is a numbered sequence."""

    def __init__(self, c_in: int, c: int, stride: int, name: str, option: str) -> None:
        super().__init__()
        self.residual_function = nn.Sequential(
            conv(c_in, c, 3, stride), nn.BatchNorm2d(c), nn.ReLU(), conv(c, c, 3), nn.BatchNorm2d(c)
        )
        self.shortcut = make_shortcut(c_in, c, stride, option)

    expansion = 1

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or the block's output."""
        return add(self.residual_function(x), x, self.shortcut)


class SequenceBottleneck(nn.Module):
    """weiaicunzai's bottleneck."""

    expansion = 4

    def __init__(self, c_in: int, c: int, stride: int, name: str, option: str) -> None:
        super().__init__()
        self.residual_function = nn.Sequential(
            conv(c_in, c, 1), nn.BatchNorm2d(c), nn.ReLU(),
            conv(c, c, 3, stride), nn.BatchNorm2d(c), nn.ReLU(),
            conv(c, 4 * c, 1), nn.BatchNorm2d(4 * c),
        )  # fmt: skip
        self.shortcut = make_shortcut(c_in, 4 * c, stride, option)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or the block's output."""
        return add(self.residual_function(x), x, self.shortcut)


def make_shortcut(c_in: int, c_out: int, stride: int, option: str) -> nn.Module | None:
    """A: padding; B: projection where shapes change; C: always; none: a plain net."""
    if option == "none":
        return None
    changes = stride != 1 or c_in != c_out
    if option == "C" or (option == "B" and changes):
        return nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))
    return HalfPad(c_out - c_in) if changes else nn.Sequential()


def add(f: Tensor, x: Tensor, shortcut: nn.Module | None) -> Tensor:
    """relu(F(x) + shortcut(x)), or relu(F(x)) in a plain net."""
    return torch.relu(f if shortcut is None else f + shortcut(x))


class ResNet(nn.Module):
    """The frame that the repositories share, with their names for its parts."""

    def __init__(
        self, block, counts: tuple[int, ...], width: int, classes: int, *,
        shortcut: str = "shortcut", head: str = "linear", option: str = "B",
        stage: str = "layer{}", first: int = 1, sequence: bool = False, imagenet: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        stem = nn.Conv2d(3, width, 7, 2, 3, bias=False) if imagenet else conv(3, width, 3)
        if sequence:
            self.conv1 = nn.Sequential(stem, nn.BatchNorm2d(width), nn.ReLU())
        else:
            self.conv1, self.bn1 = stem, nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        self.names = []
        c_in = width
        for index, count in enumerate(counts):
            blocks = []
            for number in range(count):
                stride = 2 if index and not number else 1
                blocks.append(block(c_in, width * 2**index, stride, shortcut, option))
                c_in = width * 2**index * block.expansion
            self.names.append(stage.format(index + first))
            self.add_module(self.names[-1], nn.Sequential(*blocks))
        self.head = head
        self.add_module(head, nn.Linear(c_in, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or the block's output."""
        x = self.conv1(x)
        x = self.pool(torch.relu(self.bn1(x)) if hasattr(self, "bn1") else x)
        for name in self.names:
            x = getattr(self, name)(x)
        return getattr(self, self.head)(x.mean((2, 3)))


def akamaster(n: int = 1, option: str = "A", classes: int = 10) -> ResNet:
    """akamaster/pytorch_resnet_cifar10 (option A), depth 6n+2."""
    return ResNet(BasicBlock, (n, n, n), 16, classes, option=option)


def chenyaofo(n: int = 1, classes: int = 10, option: str = "B") -> ResNet:
    """chenyaofo/pytorch-cifar-models, depth 6n+2."""
    return ResNet(
        BasicBlock, (n, n, n), 16, classes, shortcut="downsample", head="fc", option=option
    )


def kuangliu(block=BasicBlock, counts=(2, 2, 2, 2), classes: int = 10, width: int = 8) -> ResNet:
    """kuangliu/pytorch-cifar, narrower."""
    return ResNet(block, counts, width, classes)


def weiaicunzai(
    block=SequenceBlock, counts=(2, 2, 2, 2), classes: int = 100, width: int = 8
) -> ResNet:
    """weiaicunzai/pytorch-cifar100, narrower."""
    return ResNet(
        block, counts, width, classes, head="fc", stage="conv{}_x", first=2, sequence=True
    )


def torchvision_like(
    block=BasicBlock, counts=(2, 2, 2, 2), classes: int = 10, width: int = 8,
    imagenet: bool = True, option: str = "B",
) -> ResNet:  # fmt: skip
    """torchvision's names; with `imagenet=False` what timm's CIFAR nets have."""
    return ResNet(
        block, counts, width, classes,
        shortcut="downsample", head="fc", imagenet=imagenet, option=option,
    )  # fmt: skip


def shaken(net: nn.Module, seed: int = 0) -> nn.Module:
    """The net with weights that no symmetry hides, random BN statistics too, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            with torch.no_grad():
                module.weight.normal_(0.1 / fan_in, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.uniform_(0.4, 0.9, generator=generator)
                module.bias.normal_(0.0, 0.2, generator=generator)
                module.running_mean.normal_(0.0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
                module.num_batches_tracked.fill_(17)
    return net.eval()


def noise(n: int = 3, size: int = 32) -> Tensor:
    """(n, 3, size, size), fixed."""
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))
