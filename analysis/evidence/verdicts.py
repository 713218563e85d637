"""How claims are judged: numbers of nets over their seeds, and the rules that compare them.

A gap counts where it is larger than the spread between seeds: the largest minus the least value of
one net, of all nets compared the largest such spread; 0 where every net has one seed. `claims` has
the claims themselves. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from analysis import formats
from analysis.runs import Run
from analysis.specs import KINDS, Kind, NetSpec
from analysis.text import _

State = Literal["holds", "fails", "undecided", "missing"]

Nets = dict[NetSpec, list[Run]]
"""Finished runs of one group, trained from scratch, by net; several seeds of one net."""

Measure = Callable[[Run], float]


@dataclass(frozen=True)
class Number:
    """One net's number over its seeds, as a verdict compares it."""

    net: NetSpec
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Verdict:
    """What the runs say of one claim."""

    state: State
    evidence: tuple[str, ...] = ()
    """The numbers behind it, a sentence each."""
    wanted: tuple[NetSpec, ...] = ()
    """Nets of which a finished run is missing."""
    runs: tuple[str, ...] = ()
    """Ids of the runs behind it."""
    beside: tuple[NetSpec, ...] = ()
    """Nets there are that the claim does not concern."""
    one_seed: bool = False
    """Whether some net behind it has one seed only, so that chance cannot be excluded."""
    numbers: tuple[Number, ...] = ()
    """What was compared: one of each net, for a picture and a table."""
    places: int = 2
    """Decimals of the numbers."""
    disputed: State | None = None
    """What the same rule says of responses in closed form, where that is something else."""

    def beside_words(self) -> str:
        """Which nets the claim does not concern, as a sentence; empty where it concerns all."""
        if not self.beside:
            return ""
        words = _("Not about {nets}: He et al. 2016 compare plain and residual nets.")
        return words.format(nets=", ".join(map(str, self.beside)))


@dataclass(frozen=True)
class Claim:
    """One claim in the paper's terms; words are functions, since the language may change."""

    id: str
    section: str
    words: Callable[[], str]
    paper: Callable[[], str]
    """The paper's own figures."""
    rule: Callable[[], str]
    judge: Callable[[Nets], Verdict] = field(repr=False)
    quantity: Callable[[], str] = lambda: ""
    """What its numbers are, with the unit: the axis of its picture."""
    page: str = "compare"
    """Which page shows the evidence."""
    shown: tuple[str, ...] = ()
    """Nets to show there, as in the paper's figure; empty: all that the verdict is of."""
    kinds: tuple[Kind, ...] = ("plain", "residual")
    """The kinds of net that it is about; others are named beside its verdict."""

    def verdict(self, nets: Nets) -> Verdict:
        """What the nets say of it, and which of them it does not concern."""
        beside = tuple(net for net in nets if net.kind not in self.kinds)
        return replace(self.judge(nets), beside=beside)


@dataclass(frozen=True)
class Seeds:
    """One number of one net, over its seeds."""

    mean: float
    spread: float
    """Largest minus least; 0 for one seed."""
    n: int

    def number(self, places: int, unit: str = "") -> str:
        """The mean with its unit, and `words`."""
        return f"{formats.number(self.mean, places)}{unit}{self.words(places)}"

    def words(self, places: int) -> str:
        """What follows a number in the evidence: nothing for one seed."""
        if self.n < 2:
            return ""
        words = _(" ({n} seeds, {spread} apart)")
        return words.format(n=self.n, spread=formats.number(self.spread, places))


def over_seeds(runs: Sequence[Run], of: Measure) -> Seeds:
    """Mean and spread of a number over runs of one net."""
    values = [of(run) for run in runs]
    return Seeds(float(np.mean(values)), max(values) - min(values), len(values))


def numbers_of(nets: Nets, chosen: Sequence[NetSpec], of: Measure) -> tuple[Number, ...]:
    """The numbers of some nets, each with the least and the largest of its seeds."""
    found = []
    for net in dict.fromkeys(chosen):
        values = [of(run) for run in nets[net]]
        mean = float(np.mean(values))
        found.append(Number(net, mean, min(values), max(values), len(values)))
    return tuple(found)


def decide(steps: Sequence[float], spread: float, whole: float | None = None) -> State:
    """Whether gaps that should be positive are.

    Holds: some gap beyond the spread is positive, none negative. Fails: the other way round.
    Undecided: both, or none beyond the spread.

    Args:
        steps: gaps, each of which should be positive.
        spread: between seeds; a gap that is not larger counts as neither.
        whole: the gap from first to last, which must itself point the way of the verdict.
    """
    gaps = np.array([*steps] if whole is None else [*steps, whole])
    rising, falling = gaps > spread, gaps < -spread
    if rising.any() and not falling.any() and (whole is None or rising[-1]):
        return "holds"
    if falling.any() and not rising.any() and (whole is None or falling[-1]):
        return "fails"
    return "undecided"


def judge_depth(
    nets: Nets, kind: Kind, of: Measure, words: str, sign: int, places: int = 2
) -> Verdict:
    """Whether a number grows (sign 1) or falls (-1) with the depth of a kind's nets, step by step.

    Args:
        nets: what there is.
        kind: of the nets.
        of: the number.
        words: a sentence for each net, with {net} and {value}.
        sign: which way it should go.
        places: decimals of the spread and the gap.
    """
    rungs = ladder(nets, kind)
    if len(rungs) < 2:
        return Verdict("missing", wanted=_missing_rungs(kind, rungs))
    values = [over_seeds(nets[net], of) for net in rungs]
    lines = [
        words.format(net=net, value=value.mean) + value.words(places)
        for net, value in zip(rungs, values, strict=True)
    ]
    steps = [sign * (b.mean - a.mean) for a, b in pairwise(values)]
    spread = max(value.spread for value in values)
    whole = sign * (values[-1].mean - values[0].mean)
    names = [f"{a} → {b}" for a, b in pairwise(rungs)]
    gap = _("{deep} minus {shallow}: {gap}").format(
        deep=rungs[-1], shallow=rungs[0], gap=formats.signed(sign * whole, places)
    )
    lone = [net for net, value in zip(rungs, values, strict=True) if value.n == 1]
    lines += [gap, *_exceptions(names, steps, spread, places), *_chance(lone)]
    state = decide(steps, spread, whole)
    return Verdict(
        state, tuple(lines), runs=_ids(nets, rungs), one_seed=bool(lone),
        numbers=numbers_of(nets, rungs, of), places=places,
    )  # fmt: skip


def judge_pairs(nets: Nets, of: Measure, words: str, places: int = 2, unit: str = "") -> Verdict:
    """Whether a number is smaller in the residual net of the pairs of equal layers.

    `words` has {plain}, {a}, {residual} and {b}: the nets and their numbers, with their unit.
    """
    found = pairs(nets)
    if not found:
        return Verdict("missing", wanted=_missing_half(nets))
    lines, steps, values = [], [], []
    for plain, residual in found:
        a, b = over_seeds(nets[plain], of), over_seeds(nets[residual], of)
        seeds = a.number(places, unit), b.number(places, unit)
        lines.append(words.format(plain=plain, residual=residual, a=seeds[0], b=seeds[1]))
        steps.append(a.mean - b.mean)
        values += [a, b]
    names = [f"{plain}, {residual}" for plain, residual in found]
    spread = max(value.spread for value in values)
    both = [net for pair in found for net in pair]
    lone = [net for net, value in zip(both, values, strict=True) if value.n == 1]
    lines += [*_exceptions(names, steps, spread, places), *_chance(lone)]
    state = decide(steps, spread)
    return Verdict(
        state, tuple(lines), runs=_ids(nets, both), one_seed=bool(lone),
        numbers=numbers_of(nets, both, of), places=places,
    )  # fmt: skip


def _missing_half(nets: Nets) -> tuple[NetSpec, ...]:
    """What the first net lacks for a pair with option A; a pair, where there is no net."""
    first = next(iter(nets), NetSpec.parse("plain-20"))
    plain = first.as_kind("plain")
    pair = plain, replace(plain.as_kind("residual"), shortcut="A")
    return tuple(net for net in pair if net not in nets)


def _exceptions(
    names: Sequence[str], steps: Sequence[float], spread: float, places: int
) -> list[str]:
    """Which comparisons go against a claim, and which are within the spread between seeds."""
    against = [name for name, step in zip(names, steps, strict=True) if step < -spread]
    level = [name for name, step in zip(names, steps, strict=True) if abs(step) <= spread]
    lines = []
    if against:
        lines.append(_("Counterexample: {names}").format(names="; ".join(against)))
    if level:
        words = _("No larger than the spread between seeds ({spread}): {names}")
        lines.append(words.format(spread=f"{spread:.{places}f}", names="; ".join(level)))
    return lines


def _chance(lone: Sequence[NetSpec]) -> list[str]:
    if not lone:
        return []
    words = _("Single seed of {nets}: chance cannot be excluded")
    return [words.format(nets=", ".join(map(str, lone)))]


def ladder(nets: Nets, kind: Kind) -> list[NetSpec]:
    """The nets of a kind that differ in depth alone: of several such sets the largest, by depth."""
    sets: dict[tuple, list[NetSpec]] = {}
    for net in _of_kind(nets, kind):
        alike = {field: value for field, value in net.to_dict().items() if field != "depth"}
        sets.setdefault(tuple(alike.values()), []).append(net)
    return max(sets.values(), key=len, default=[])


def _missing_rungs(kind: Kind, have: Sequence[NetSpec]) -> tuple[NetSpec, ...]:
    """Depth 20 and 56, or the one of the two that goes with the net there is."""
    if not have:
        name = KINDS[kind].prefix
        return NetSpec.parse(f"{name}-20"), NetSpec.parse(f"{name}-56")
    wanted = {"cifar": (20, 56), "imagenet": (18, 34)}[have[0].family]
    return (replace(have[0], depth=[d for d in wanted if d != have[0].depth][-1]),)


def pairs(nets: Nets) -> list[tuple[NetSpec, NetSpec]]:
    """(plain, residual with option A) of equal depth and width, by depth."""
    pairs = [(net.as_kind("plain"), net) for net in _of_kind(nets, "residual")]
    return [(plain, net) for plain, net in pairs if plain in nets and net.shortcut == "A"]


def _of_kind(nets: Nets, kind: Kind) -> list[NetSpec]:
    """By depth."""
    return sorted((net for net in nets if net.kind == kind), key=lambda net: net.depth)


def _ids(nets: Nets, chosen: Sequence[NetSpec]) -> tuple[str, ...]:
    return tuple(run.id for net in chosen for run in nets[net])
