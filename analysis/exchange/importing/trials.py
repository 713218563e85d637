"""What weights can't tell, tried on images: the kind of net, its zeros, its normalization.

Every net that fits and every known normalization classifies a few test images; what makes clearly
fewer errors is taken, or what gives the error that the file claims. What images don't tell stays
open: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from analysis.data import Images, Normalizer
from analysis.exchange.importing.verification import GAP, Claim, measure_error, spread
from analysis.nets import build
from analysis.specs import NetSpec
from analysis.text import Message

TRIAL_IMAGES = 256
"""Test images that each combination classifies."""
MORE_IMAGES = 2048
"""Test images for those that the first ones don't tell apart."""
MARGIN = 2.0
"""Percentage points by which a reading has to be better to be clearly better."""


@dataclass(frozen=True)
class Outcome:
    """What the images said."""

    spec: NetSpec
    normalization: str | None
    """None: open, since several are as good."""
    notes: tuple[Message, ...]
    errors: Mapping[str, float]
    """Percent wrong by normalization, with this net."""


def try_out(
    candidates: tuple[NetSpec, ...], tensors: Mapping[str, Tensor], images: Images,
    normalizers: Mapping[str, Normalizer], claim: Claim | None, usual: str | None,
    tick: Callable[[], None] | None = None,
) -> Outcome:  # fmt: skip
    """Decide between nets and normalizations.

    Args:
        candidates: all nets that fit, the likeliest first.
        tensors: by our key.
        images: all that there are; some are used.
        normalizers: by name; one only if it is settled.
        claim: what the file says of its error.
        usual: name of the normalization that decides between equals.
        tick: called after each batch; may raise to stop.
    """
    few = images.subset(test=TRIAL_IMAGES)
    nets = {}
    for spec in candidates:
        nets[spec] = build(spec, seed=0)
        nets[spec].load_state_dict(dict(tensors))
    errors = {
        (spec, name): measure_error(net.eval(), few, normalizer, tick).error
        for spec, net in nets.items()
        for name, normalizer in normalizers.items()
    }
    best = {spec: min(errors[spec, name] for name in normalizers) for spec in candidates}
    spec = min(candidates, key=lambda candidate: best[candidate])
    notes = [_net_note(spec, best, len(few.test))] if len(candidates) > 1 else []
    of_net = {name: errors[spec, name] for name in normalizers}
    if len(normalizers) == 1:
        return Outcome(spec, next(iter(normalizers)), tuple(notes), of_net)
    close = _close(of_net, claim, len(few.test))
    n = len(few.test)
    if len(close) > 1 and len(images.test) > n:
        more = images.subset(test=MORE_IMAGES)
        n = len(more.test)
        of_net |= {
            name: measure_error(nets[spec], more, normalizers[name], tick).error for name in close
        }
        close = _close({name: of_net[name] for name in close}, claim, n)
    chosen = _chosen(close, of_net, claim, usual)
    if chosen:
        notes.append(_normalization_note(chosen, close, of_net, n, claim))
    return Outcome(spec, chosen, tuple(notes), of_net)


def _close(errors: Mapping[str, float], claim: Claim | None, n: int) -> list[str]:
    """Those that can't be told from the best: that meet the claim, or make as few errors."""
    if claim is not None:
        meets = [e for e in errors if abs(errors[e] - claim.error) <= max(GAP, spread(claim, n))]
        if meets:
            return meets
    least = min(errors.values())
    margin = MARGIN if n < MORE_IMAGES else MARGIN / 2
    return [name for name, error in errors.items() if error <= least + margin]


def _chosen(
    close: list[str], errors: Mapping[str, float], claim: Claim | None, usual: str | None
) -> str | None:
    if len(close) == 1:
        return close[0]
    if usual in close:
        return usual
    if claim is not None and abs(min(errors.values()) - claim.error) <= 2 * GAP:
        return min(close, key=lambda name: abs(errors[name] - claim.error))
    return None


def _net_note(spec: NetSpec, errors: Mapping[NetSpec, float], n: int) -> Message:
    told = ", ".join(f"{candidate.name} {error:.1f} %" for candidate, error in errors.items())
    others = [error for candidate, error in errors.items() if candidate != spec]
    if min(others) < errors[spec] + MARGIN:
        return Message(
            "weights can't tell which of these nets it is, and the images do not clearly: taken "
            "as {net} by the error over {n} images ({errors}); name the net if it is another",
            net=spec.name, n=n, errors=told,
        )  # fmt: skip
    if len({candidate.kind for candidate in errors}) > 1:
        return Message(
            "keys can't tell a plain net from one with option A; taken as {net} by the error over "
            "{n} images ({errors})",
            net=spec.name, n=n, errors=told,
        )  # fmt: skip
    return Message(
        "weights can't tell where zeros or strides are; taken as {net} by the error over {n} "
        "images ({errors})",
        net=spec.name, n=n, errors=told,
    )  # fmt: skip


def _normalization_note(
    chosen: str, close: list[str], errors: Mapping[str, float], n: int, claim: Claim | None
) -> Message:
    told = ", ".join(
        f"{name} {errors[name]:.1f} %" for name in sorted(errors, key=errors.__getitem__)
    )
    if len(close) > 1:
        return Message(
            "normalization {name} was taken of several that are as good over {n} images "
            "({errors}); name another if it is not that",
            name=chosen, n=n, errors=told,
        )  # fmt: skip
    if claim is not None and abs(errors[chosen] - claim.error) <= max(GAP, spread(claim, n)):
        return Message(
            "normalization {name} was taken: with it the error over {n} images is the one that the "
            "file claims ({errors})",
            name=chosen, n=n, errors=told,
        )  # fmt: skip
    return Message(
        "normalization {name} was taken: clearly the fewest errors over {n} images ({errors})",
        name=chosen, n=n, errors=told,
    )  # fmt: skip
