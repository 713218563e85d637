"""What each repository does to pixels before its nets see them: named constants, never guessed.

A wrong one silently ruins accuracy, so an import names one. Means and standard deviations are
per colour, of pixels in 0..1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.errors import ImportRefused
from analysis.specs import NetSpec
from analysis.text import Listed, Message

Colours = tuple[float, float, float]


@dataclass(frozen=True)
class Normalization:
    """(pixel - mean) / std, per colour."""

    name: str
    mean: Colours
    std: Colours
    used_by: Message
    """For people: which repositories or nets."""

    def to_dict(self) -> dict[str, object]:
        """As a run's config stores it."""
        return {"name": self.name, "mean": list(self.mean), "std": list(self.std)}


NORMALIZATIONS: dict[str, Normalization] = {
    made.name: made
    for made in (
        Normalization(
            "imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225),
            Message(
                "torchvision, timm (ImageNet nets), and akamaster/pytorch_resnet_cifar10 on "
                "CIFAR-10"
            ),
        ),
        Normalization(
            "cifar10", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010),
            Message("kuangliu/pytorch-cifar, chenyaofo/pytorch-cifar-models, timm's CIFAR-10 nets"),
        ),
        Normalization(
            "cifar10-global", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616),
            Message("many others on CIFAR-10: the standard deviation over all pixels"),
        ),
        Normalization(
            "cifar100-chenyaofo", (0.5070, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761),
            Message("chenyaofo/pytorch-cifar-models on CIFAR-100"),
        ),
        Normalization(
            "cifar100-weiaicunzai",
            (0.5070751592371323, 0.48654887331495095, 0.4409178433670343),
            (0.2673342858792401, 0.2564384629170883, 0.27615047132568404),
            Message("weiaicunzai/pytorch-cifar100"),
        ),
        Normalization(
            "cifar100", (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761),
            Message("timm's and many others' CIFAR-100 nets"),
        ),
        Normalization("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), Message("pixels from -1 to 1")),
        Normalization("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), Message("pixels from 0 to 1")),
    )
}  # fmt: skip
"""By name."""

_USUAL = {
    ("akamaster", 10): "imagenet", ("akamaster", 100): "imagenet",
    ("chenyaofo", 10): "cifar10", ("chenyaofo", 100): "cifar100-chenyaofo",
    ("kuangliu", 10): "cifar10", ("kuangliu", 100): "cifar100",
    ("weiaicunzai", 100): "cifar100-weiaicunzai", ("weiaicunzai", 10): "cifar10",
    ("bearpaw", 10): "cifar10", ("torchvision", 1000): "imagenet",
}  # fmt: skip


def likely_normalization(layout: str, spec: NetSpec) -> str | None:
    """What the repository of this layout uses; None where that is not known.

    A 7x7 stem says nothing of CIFAR, however many classes there are: nets with one were most often
    trained on ImageNet first, and trained on with its normalization or another.
    """
    if spec.stem == "imagenet" and spec.classes != 1000:
        return None
    return _USUAL.get((layout, spec.classes))


def parse_normalization(text: str) -> Normalization:
    """A name of the list, or `R,G,B/R,G,B`: mean and standard deviation of each colour in 0..1.

    Raises:
        ImportRefused: neither; the message lists the names.
    """
    if text in NORMALIZATIONS:
        return NORMALIZATIONS[text]
    mean, slash, std = text.partition("/")
    try:
        if not slash:
            raise ValueError
        return typed_normalization(mean.split(","), std.split(","))
    except ValueError:
        raise ImportRefused(
            "{text!r} is no normalization. Write a name:\n  {names}\nor the mean and standard "
            "deviation of red, green, blue in 0..1: 0.49,0.48,0.45/0.20,0.20,0.20",
            text=text,
            names=Listed(tuple(map(_line, NORMALIZATIONS.values())), "\n  "),
        ) from None


def _line(known: Normalization) -> Message:
    return Message(
        "{name:21} {mean} / {std}: {who}",
        name=known.name,
        mean=known.mean,
        std=known.std,
        who=known.used_by,
    )


def typed_normalization(
    mean: list[str] | list[float], std: list[str] | list[float]
) -> Normalization:
    """From six numbers.

    Raises:
        ValueError: not three and three, not finite, or a standard deviation that is not above 0.
    """
    means, stds = [float(v) for v in mean], [float(v) for v in std]
    if len(means) != 3 or len(stds) != 3 or not all(math.isfinite(v) for v in means + stds):
        raise ValueError("three means and three standard deviations are needed")
    if min(stds) <= 0:
        raise ValueError("standard deviations must be above 0")
    (r, g, b), (sr, sg, sb) = means, stds
    return Normalization("typed", (r, g, b), (sr, sg, sb), Message("typed in"))
