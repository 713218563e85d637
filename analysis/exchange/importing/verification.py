"""Whether an imported net is what its file says: finite numbers, a forward pass, its error.

A file's own claim of accuracy is set beside the error measured here; a gap of more than a point
means that the normalization or the data are not those of its training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from analysis.data import Images, Normalizer
from analysis.errors import ImportRefused
from analysis.exchange.importing.refusals import listed
from analysis.nets import Net, layers
from analysis.responses.recorder import evaluating
from analysis.specs import DataSpec
from analysis.text import Message
from analysis.training.evaluate import evaluate

ACCURACY_KEYS = (
    "best_prec1", "best_acc1", "best_acc", "best_accuracy", "best_top1", "acc", "acc1", "accuracy",
    "prec1", "top1", "test_acc", "test_accuracy", "val_acc", "val_accuracy",
)  # fmt: skip
"""Where repositories keep the accuracy of a checkpoint; the first that is there counts."""

POOL_GAP = 10.0
"""Percentage points that tell a net with a max-pool in its stem from one without."""

GAP = 1.0
"""Percentage points between claimed and measured error above which there is a warning."""


@dataclass(frozen=True)
class Claim:
    """What a file says of its accuracy."""

    key: str
    error: float
    """Top-1 error in percent."""


def claim_of(facts: Mapping[str, object]) -> Claim | None:
    """The accuracy that the file claims, as an error in percent; fractions up to 1 count too."""
    for key in ACCURACY_KEYS:
        value = facts.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 100:
            return Claim(key, round(100 - (100 * value if value <= 1 else value), 4))
    return None


def epoch_of(facts: Mapping[str, object]) -> int:
    """The epoch that the file claims to be from; 0 where it says none."""
    value = facts.get("epoch", 0)
    try:
        number = int(float(str(value)))
    except (ValueError, OverflowError):
        return 0
    return number if 0 <= number < 1_000_000 else 0


def check_numbers(tensors: Mapping[str, Tensor], foreign: Mapping[str, str]) -> list[Message]:
    """Warnings about numbers that are odd but possible.

    Args:
        tensors: by our key.
        foreign: the file's key by ours, for messages.

    Raises:
        ImportRefused: NaN, infinity or a negative variance; the message names the tensors.
    """
    broken = [k for k, v in tensors.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise ImportRefused(_not_finite(broken, foreign))
    variances = {k: v for k, v in tensors.items() if k.endswith("running_var")}
    negative = [key for key, value in variances.items() if bool((value < 0).any())]
    if negative:
        raise ImportRefused(_negative(negative, foreign))
    dead = sum(int((value == 0).sum()) for value in variances.values())
    words = Message("{n} channels have a running variance of 0: they are constant", n=dead)
    return [words] if dead else []


def _not_finite(keys: list[str], foreign: Mapping[str, str]) -> Message:
    names = listed([foreign.get(key, key) for key in keys], 4)
    if len(keys) == 1:
        return Message(
            "{name} holds NaN or infinity: this training diverged, or the file is damaged",
            name=names,
        )
    return Message(
        "{names} hold NaN or infinity: this training diverged, or the file is damaged",
        names=names,
    )


def _negative(keys: list[str], foreign: Mapping[str, str]) -> Message:
    names = listed([foreign.get(key, key) for key in keys], 4)
    if len(keys) == 1:
        return Message(
            "{name} holds negative running variances, which no BN can have: the file is damaged",
            name=names,
        )
    return Message(
        "{names} hold negative running variances, which no BN can have: the file is damaged",
        names=names,
    )


def check_forward(net: Net) -> None:
    """One forward pass of two images of noise.

    Raises:
        ImportRefused: the logits are not finite.
    """
    noise = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with evaluating(net):
        finite = bool(net(noise).isfinite().all())
    if not finite:
        raise ImportRefused(
            "a forward pass gives NaN or infinity: its weights are too large for float32"
        )


def check_classes(net_classes: int, images: Images, data: DataSpec) -> None:
    """Raises ImportRefused where the data have other classes than the net."""
    have = len(images.classes)
    if have != net_classes:
        raise ImportRefused(
            "{n} classes, your data has {have} ({data}): import it without data, or give the data "
            "that it was trained on",
            n=net_classes,
            have=have,
            data=data,
        )


@dataclass(frozen=True)
class Measured:
    """The error of an imported net on a data set."""

    error: float
    """Top-1 error in percent."""
    loss: float
    """Mean cross-entropy in nats."""
    n_images: int


def measure_error(
    net: Net, images: Images, normalizer: Normalizer, tick: Callable[[], None] | None = None
) -> Measured:
    """Over all test images in `images`."""
    loss, error = evaluate(net, images.test, images.test_labels, normalizer, tick=tick)
    return Measured(error, loss, len(images.test_labels))


def check_pool(net: Net, images: Images, normalizer: Normalizer) -> None:
    """Tell a net that pools after its 3x3 stem, as huyvnphan's do, which keys can't.

    Max-pool and ReLU may change places, so the pool is put behind the stem's BN.

    Raises:
        ImportRefused: the weights make far fewer errors with the pool.
    """
    without = measure_error(net, images, normalizer).error
    stem = net.get_submodule(layers(net)[0].maps)
    hook = stem.register_forward_hook(lambda _bn, _inputs, y: functional.max_pool2d(y, 3, 2, 1))
    try:
        pooled = measure_error(net, images, normalizer).error
    finally:
        hook.remove()
    if pooled < without - POOL_GAP:
        raise ImportRefused(
            "its weights make {pooled:.1f} % errors with a max-pool after the 3x3 stem and "
            "{without:.1f} % without (over {n} images): it is a net such as "
            "huyvnphan/PyTorch_CIFAR10's, which is not one of the families here",
            pooled=pooled,
            without=without,
            n=len(images.test),
        )


def spread(claim: Claim, n: int) -> float:
    """Percentage points that chance alone puts between a claim and n images: two deviations."""
    share = min(max(claim.error / 100, 0.01), 0.99)
    return 200 * math.sqrt(share * (1 - share) / n)


def is_odd(measured: Measured, claim: Claim | None, classes: int) -> bool:
    """Whether the measured error is not what the file claims, or no better than chance."""
    if claim is not None:
        gap = abs(measured.error - claim.error)
        return gap > max(GAP, spread(claim, measured.n_images))
    chance_spread = 300 * math.sqrt((1 / classes) * (1 - 1 / classes) / measured.n_images)
    return measured.error > _chance(classes) - chance_spread


def _chance(classes: int) -> float:
    return 100 * (1 - 1 / classes)


def oddity(measured: Measured, claim: Claim | None, classes: int, tried: bool) -> Message:
    """What is odd about an error, and what is left to suspect.

    Args:
        measured: the error, of which `is_odd` holds.
        claim: the file's.
        classes: of the net.
        tried: whether every known normalization was tried and every net that the weights fit.
    """
    advice = _TRIED if tried else _UNTRIED
    if claim is not None:
        return Message(
            "its error here is {error:.2f} % over {n:,} images, but the file claims "
            "{claimed:.2f} % ({key}): {advice}",
            error=measured.error,
            n=measured.n_images,
            claimed=claim.error,
            key=claim.key,
            advice=advice,
        )
    return Message(
        "its error here is {error:.2f} % over {n:,} images, as good as chance "
        "({chance:.1f} %): {advice}",
        error=measured.error,
        n=measured.n_images,
        chance=_chance(classes),
        advice=advice,
    )


_TRIED = Message(
    "no other known normalization and no other reading of its weights comes nearer, so these are "
    "probably not the images of its training, or not as it was given them (size, crop, colours, "
    "order of the classes)"
)
_UNTRIED = Message("the normalization or the images are probably not those of its training")
