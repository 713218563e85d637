"""The paper's claims, each a stated rule that turns runs into a verdict with its numbers.

Rules compare runs of one data set and recipe with each other (`groups`), never with the paper's
absolute errors, which only whole CIFAR-10 under the paper's own recipe may meet
(`comparable_with_paper`). A constructed or imported net is no evidence here. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from analysis import plan
from analysis.runs import Run
from analysis.spec import NetSpec
from analysis.text import _

State = Literal["holds", "fails", "missing"]


@dataclass(frozen=True)
class Verdict:
    """What the runs say of one claim."""

    state: State
    evidence: tuple[str, ...] = ()
    """The numbers behind it, a sentence each."""
    wanted: tuple[NetSpec, ...] = ()
    """Nets of which a finished run is missing."""


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
    page: str = "compare"
    """Which page shows the evidence."""


Nets = dict[NetSpec, list[Run]]
"""Finished runs of one group, trained from scratch, by net; several seeds of one net."""


def groups(runs: Sequence[Run]) -> dict[tuple[str, str], list[Run]]:
    """Runs that are directly comparable, by `comparison_key`; finished and from scratch only."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.from_scratch and run.state == "finished":
            found.setdefault(run.comparison_key, []).append(run)
    return found


def evaluate(runs: Sequence[Run]) -> list[tuple[Claim, Verdict]]:
    """Each claim with its verdict over runs of one group; others in `runs` are left out.

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    nets: Nets = {}
    for run in next(iter(groups(runs).values()), []):
        nets.setdefault(run.config.net, []).append(run)
    return [(claim, claim.judge(nets)) for claim in CLAIMS]


def comparable_with_paper(run: Run) -> bool:
    """Whether its errors may stand beside Table 6: whole CIFAR-10, the paper's recipe unchanged."""
    config = run.config
    whole = config.images is not None and not config.images.subset
    is_papers = config.recipe is not None and config.recipe.label == "paper"
    return bool(whole and is_papers and config.data and config.data.name == "cifar10")


def train_error(run: Run) -> float:
    """Clean training error at the end in percent; the running one where there is none."""
    status = run.status
    value = status.train_error if status.train_error_clean is None else status.train_error_clean
    return np.nan if value is None else value


def test_error(run: Run) -> float:
    """Of the last epoch, percent."""
    return np.nan if run.status.test_error is None else run.status.test_error


def mean_response(run: Run) -> float:
    """Mean over Fig. 7's layers of the last recorded std, measured where there is a measurement."""
    rows = run.responses()
    names = {layer.name for layer in plan.layers(run.config.net) if layer.in_figure_7}
    rows = rows[rows["layer"].isin(names)]
    rows = rows[rows["epoch"] == rows["epoch"].max()]
    measured = rows[rows["source"] == "measured"]
    return float((measured if len(measured) else rows)["std"].mean())


def early_error(run: Run) -> float:
    """Mean running training error over the first quarter of the epochs, percent."""
    errors = run.history()["train_error"]
    return float(errors.head(max(len(errors) // 4, 1)).mean())


def _mean(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return float(np.mean([of(run) for run in runs]))


def _ladder(nets: Nets, kind: str) -> list[NetSpec]:
    """The nets of a kind that differ in depth alone: of several such sets the largest, by depth."""
    sets: dict[tuple, list[NetSpec]] = {}
    for net in nets:
        if net.kind == kind:
            sets.setdefault((net.family, net.width, net.shortcut), []).append(net)
    return sorted(max(sets.values(), key=len, default=[]), key=lambda net: net.depth)


def _deeper(nets: Nets, kind: str, of: Callable[[Run], float], words: str, sign: int) -> Verdict:
    """Whether `of` grows (sign 1) or falls (-1) from a kind's shallowest net to its deepest."""
    ladder = _ladder(nets, kind)
    if len(ladder) < 2:
        return Verdict("missing", wanted=_rungs(kind, ladder))
    values = [_mean(nets[net], of) for net in ladder]
    lines = tuple(
        words.format(net=net, value=value) for net, value in zip(ladder, values, strict=True)
    )
    return Verdict("holds" if sign * (values[-1] - values[0]) > 0 else "fails", lines)


def _rungs(kind: str, have: Sequence[NetSpec]) -> tuple[NetSpec, ...]:
    name = "plain" if kind == "plain" else "resnet"
    wanted = [NetSpec.parse(f"{name}-{depth}") for depth in (20, 56)]
    if have:
        wanted = [net for net in wanted if net.depth != have[0].depth][-1:]
    return tuple(wanted)


def _pairs(nets: Nets) -> list[tuple[NetSpec, NetSpec]]:
    """(plain, residual with option A) of equal depth and width."""
    residual = sorted((n for n in nets if n.kind == "residual"), key=lambda net: net.depth)
    return [(n.counterpart(), n) for n in residual if n.counterpart() in nets and n.shortcut == "A"]


def _against_plain(nets: Nets, of: Callable[[Run], float], words: str) -> Verdict:
    """Whether `of` is smaller in the residual net of every pair."""
    pairs = _pairs(nets)
    if not pairs:
        lone = [net.counterpart() for net in nets][:1]
        pair = (NetSpec.parse("plain-20"), NetSpec.parse("resnet-20"))
        return Verdict("missing", wanted=tuple(lone) or pair)
    values = [[_mean(nets[net], of) for net in pair] for pair in pairs]
    lines = tuple(
        words.format(plain=plain, residual=residual, a=a, b=b)
        for (plain, residual), (a, b) in zip(pairs, values, strict=True)
    )
    return Verdict("holds" if all(b < a for a, b in values) else "fails", lines)


def _degradation(nets: Nets) -> Verdict:
    return _deeper(nets, "plain", train_error, _("{net}: training error {value:.2f} %"), 1)


def _gain(nets: Nets) -> Verdict:
    return _deeper(nets, "residual", test_error, _("{net}: test error {value:.2f} %"), -1)


def _smaller(nets: Nets) -> Verdict:
    words = _("mean response: {plain} {a:.3f}, {residual} {b:.3f}")
    return _against_plain(nets, mean_response, words)


def _deeper_smaller(nets: Nets) -> Verdict:
    return _deeper(nets, "residual", mean_response, _("{net}: mean response {value:.3f}"), -1)


def _free(nets: Nets) -> Verdict:
    pairs = _pairs(nets) or [(NetSpec.parse("plain-34"), NetSpec.parse("resnet-34"))]
    words = _("{plain} and {residual}: {a:,} and {b:,} parameters, {c:,} and {d:,} multiply-adds")
    lines, equal = [], True
    for plain, residual in pairs:
        a, b = plan.parameters(plain), plan.parameters(residual)
        c, d = plan.multiply_adds(plain), plan.multiply_adds(residual)
        lines.append(words.format(plain=plain, residual=residual, a=a, b=b, c=c, d=d))
        equal &= (a, c) == (b, d)
    return Verdict("holds" if equal else "fails", tuple(lines))


def _faster(nets: Nets) -> Verdict:
    words = _("training error over the first quarter: {plain} {a:.2f} %, {residual} {b:.2f} %")
    return _against_plain(nets, early_error, words)


def _options(nets: Nets) -> Verdict:
    sets: dict[NetSpec, dict[str, NetSpec]] = {}
    for net in nets:
        if net.kind == "residual":
            sets.setdefault(net.counterpart(), {})[str(net.shortcut)] = net
    plain, options = max(
        sets.items(), key=lambda item: len(item[1]), default=(NetSpec.parse("plain-20"), {})
    )
    if len(options) < 3 or plain not in nets:
        every = [plain.counterpart().name.removesuffix("-B") + end for end in ("", "-B", "-C")]
        wanted = [plain, *(NetSpec.parse(name, plain.classes) for name in every)]
        return Verdict("missing", wanted=tuple(net for net in wanted if net not in nets))
    errors = {option: _mean(nets[net], test_error) for option, net in sorted(options.items())}
    base = _mean(nets[plain], test_error)
    words = _("{net}: test error {value:.2f} %")
    lines = [words.format(net=plain, value=base)]
    lines += [words.format(net=options[option], value=value) for option, value in errors.items()]
    spread = max(errors.values()) - min(errors.values())
    return Verdict("holds" if spread < base - max(errors.values()) else "fails", tuple(lines))


def _overfits(nets: Nets) -> Verdict:
    deep, base = NetSpec.parse("resnet-1202"), NetSpec.parse("resnet-110")
    wanted = tuple(net for net in (base, deep) if net not in nets)
    if wanted:
        return Verdict("missing", wanted=wanted)
    train = {net: _mean(nets[net], train_error) for net in (base, deep)}
    test = {net: _mean(nets[net], test_error) for net in (base, deep)}
    words = _("{net}: training error {a:.2f} %, test error {b:.2f} %")
    lines = tuple(words.format(net=net, a=train[net], b=test[net]) for net in (base, deep))
    fits = train[deep] <= train[base] + 0.1
    return Verdict("holds" if fits and test[deep] > test[base] else "fails", lines)


CLAIMS = (
    Claim(
        "degradation", "1, 4.1, 4.2",
        lambda: _("Deeper plain nets have a higher training error (degradation)."),
        lambda: _("Fig. 1: plain-56 above plain-20 on CIFAR-10; Fig. 4: plain-34 above plain-18."),
        lambda: _("The deepest plain net's training error is above the shallowest one's."),
        _degradation,
    ),
    Claim(
        "depth-gain", "4.1, 4.2",
        lambda: _("Residual nets gain from depth."),
        lambda: _("Table 6: 8.75, 7.51, 7.17, 6.97, 6.43 % at 20, 32, 44, 56, 110 layers."),
        lambda: _("The deepest residual net's test error is below the shallowest one's."),
        _gain,
    ),
    Claim(
        "small-responses", "4.2",
        lambda: _("Residual nets have smaller layer responses than plain ones."),
        lambda: _("Fig. 7: ResNet-20, -56 and -110 below plain-20 and -56."),
        lambda: _("Mean response over the 3x3 layers: smaller in the residual net of every pair."),
        _smaller,
    ),
    Claim(
        "deeper-smaller", "4.2",
        lambda: _("Deeper residual nets have smaller responses."),
        lambda: _("Fig. 7: ResNet-110 below ResNet-56 below ResNet-20."),
        lambda: _("The deepest residual net's mean response is below the shallowest one's."),
        _deeper_smaller,
    ),
    Claim(
        "no-extra-cost", "3.3",
        lambda: _("Option A costs no extra parameters and no extra multiply-adds."),
        lambda: _("Fig. 3: 3.6 billion multiply-adds for both 34-layer nets."),
        lambda: _("Both counts are equal in every pair, counted from the nets themselves."),
        _free, "complexity",
    ),
    Claim(
        "early-convergence", "4.1",
        lambda: _("Residual nets converge faster at the early stage."),
        lambda: _("Fig. 4: ResNet-18 below plain-18 early on, with similar errors at the end."),
        lambda: _("Running training error, averaged over the first quarter of the epochs: lower "
                  "in the residual net of every pair."),
        _faster,
    ),
    Claim(
        "options", "4.1",
        lambda: _("Shortcut options A, B and C differ little."),
        lambda: _("Table 3 (ImageNet, top-1): plain-34 28.54, A 25.03, B 24.52, C 24.19 %."),
        lambda: _("The test errors of A, B and C lie closer together than the worst of them lies "
                  "below the plain net's."),
        _options,
    ),
    Claim(
        "overfits", "4.2",
        lambda: _("ResNet-1202 overfits rather than fails to train."),
        lambda: _("Training error below 0.1 %; test error 7.93 %, ResNet-110's 6.43 %."),
        lambda: _("Its training error is at most 0.1 points above ResNet-110's, its test error "
                  "is higher."),
        _overfits,
    ),
)  # fmt: skip
