"""What if a block were weakened, removed or swapped? x + alpha F(x) (Veit et al., NeurIPS 2016).

A residual net whose refinements are small can miss any one of them; a plain net, whose blocks hand
nothing past them, can't miss two layers. A plain block can be removed whole where its input and
output have one shape; what a residual block's shortcut gives always has the shape of F(x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from analysis.data import Images, Normalizer
from analysis.lens.laboratory import Laboratory, can_swap
from analysis.lens.own_images import Progress, images_of
from analysis.nets import Net
from analysis.runs import Run, store
from analysis.runs.learned import (
    DRAWS,
    PROBE,
    SWAPS,
    Effect,
    Lesion,
    Lesions,
    Origin,
    effect_entry,
    lesions_entry,
)
from analysis.specs.plan import BlockInfo, blocks, removable


def try_lesions(
    net: Net,
    images: Tensor,
    labels: Tensor,
    normalizer: Normalizer,
    progress: Progress | None = None,
) -> Lesions:
    """Remove each block alone, k random blocks, and swap two of a stage; the same draws always.

    Args:
        net: one of ours.
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        normalizer: the net's.
        progress: called with the lesions tried and their number, over all parts of the images.
    """
    names = [info.name for info in blocks(net.spec)]
    single = removable(net.spec)
    counts, several = _random_choices(single)
    swaps = _random_swaps(blocks(net.spec))
    todo = [Lesion({name: 0.0}) for name in single]
    todo += [Lesion(dict.fromkeys(chosen, 0.0)) for draws in several for chosen in draws]
    todo += [Lesion(swapped=(names[a], names[b])) for a, b in swaps]
    errors = _errors(net, todo, images, labels, normalizer, progress)
    intact, errors = errors[0], errors[1:]
    ones, rest = errors[: len(single)], errors[len(single) :]
    drawn = len(counts) * DRAWS
    by_name = dict(zip(single, ones, strict=True))
    return Lesions(
        tuple(names), float(intact), np.array([by_name.get(name, np.nan) for name in names]),
        np.array(counts, np.int64), rest[:drawn].reshape(len(counts), DRAWS),
        np.array(swaps, np.int64).reshape(-1, 2), rest[drawn:], len(images),
    )  # fmt: skip


def _errors(
    net: Net,
    lesions: Sequence[Lesion],
    images: Tensor,
    labels: Tensor,
    normalizer: Normalizer,
    progress: Progress | None,
) -> np.ndarray:
    """Percent wrong, first without a lesion, then under each."""
    wrong = np.zeros(1 + len(lesions))
    parts = list(zip(images.split(PROBE), labels.split(PROBE), strict=True))
    for number, (part, truth) in enumerate(parts):
        laboratory = Laboratory(net, normalizer.apply(part))
        for at, lesion in enumerate([Lesion(), *lesions]):
            wrong[at] += int((laboratory.logits(lesion).argmax(1) != truth).sum())
            if progress:
                progress(number * len(wrong) + at + 1, len(parts) * len(wrong))
    return 100 * wrong / max(len(images), 1)


def effect_of(bench: Laboratory, labels: Tensor, lesion: Lesion) -> Effect:
    """What a lesion does over the images of a bench; labels: int64 (N,)."""
    logits = bench.logits(lesion)
    shares = [
        100 * float(which.double().mean()) if len(labels) else float("nan")
        for which in (
            logits.argmax(1) != labels,
            bench.intact.argmax(1) != labels,
            logits.argmax(1) != bench.intact.argmax(1),
        )
    ]
    return Effect(*shares, len(labels))


def on_one(net: Net, x: Tensor, lesion: Lesion) -> tuple[np.ndarray, np.ndarray]:
    """One image's logits (classes,) without a lesion and under it, for x (1, 3, H, W)."""
    bench = Laboratory(net, x)
    return bench.intact[0].numpy(), bench.logits(lesion)[0].numpy()


def make_effect(
    run: Run,
    net: Net,
    normalizer: Normalizer,
    lesion: Lesion,
    progress: Progress | None = None,
    source: tuple[Images, Origin] | None = None,
) -> Effect:
    """Try one lesion on all test images; arguments as `make_lesions`.

    The result is kept where the images are the run's own.

    Raises:
        DataError: as `images_of`.
        KeyError, ValueError: as `Laboratory.logits`.
        RunError: it can be kept nowhere.
    """
    images, origin = source or images_of(run)
    parts = zip(images.test.split(PROBE), images.test_labels.split(PROBE), strict=True)
    counts, n = np.zeros(3), len(images.test)
    for number, (part, truth) in enumerate(parts):
        found = effect_of(Laboratory(net, normalizer.apply(part)), truth, lesion)
        counts += np.array([found.wrong, found.intact, found.changed]) * found.n_images
        if progress:
            progress(min((number + 1) * PROBE, n), n)
    made = Effect(*(float(share) for share in counts / max(n, 1)), n)
    if origin.is_own(run):
        store.write(run, *effect_entry(run, lesion), made.arrays())
    return made


def _random_choices(names: Sequence[str]) -> tuple[list[int], list[list[list[str]]]]:
    """How many blocks at once, and DRAWS choices of so many."""
    generator = np.random.default_rng(0)
    wanted = sorted({min(k, len(names)) for k in (1, 2, 3, 5, 8, 12, 18, 27) if names})
    counts = [k for k in wanted if k < len(names) or k == 1]
    return counts, [
        [list(generator.choice(names, k, replace=False)) for _draw in range(DRAWS)] for k in counts
    ]


def _random_swaps(infos: Sequence[BlockInfo]) -> list[tuple[int, int]]:
    pairs = [(a, b) for b in range(len(infos)) for a in range(b) if can_swap(infos[a], infos[b])]
    if len(pairs) <= SWAPS:
        return pairs
    chosen = np.random.default_rng(0).choice(len(pairs), SWAPS, replace=False)
    return [pairs[i] for i in sorted(chosen)]


def make_lesions(
    run: Run,
    net: Net,
    normalizer: Normalizer,
    progress: Progress | None = None,
    source: tuple[Images, Origin] | None = None,
    whole: bool = False,
) -> Lesions:
    """Try lesions of a run's net, and keep the result.

    Args:
        run: any run with weights.
        net: its net.
        normalizer: its net's.
        progress: called after each lesion.
        source: from `images_of`; None: the run's own.
        whole: over all test images, not over a probe of them.

    Raises:
        DataError: as `images_of`.
        RunError: it can be kept nowhere.
    """
    images, origin = source or images_of(run)
    n = None if whole else PROBE
    wanted = images.subset(test=n)
    found = try_lesions(net, wanted.test, wanted.test_labels, normalizer, progress)
    made = replace(found, origin=origin)
    store.write(run, *lesions_entry(run, n), made.arrays())
    return made
