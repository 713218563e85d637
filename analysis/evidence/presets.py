"""Which runs are worth looking at together: the comparisons of the paper, by rule, never by id.

Each preset takes its runs from one set that is directly comparable (`Run.comparison_key`), all
seeds of a net. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from analysis.runs import Run
from analysis.specs import KINDS, NetSpec
from analysis.text import _

Preset = Literal["fig6", "pair", "fig7", "options", "twin"]

FIG_6 = ("plain-20", "plain-32", "plain-44", "plain-56",
         "resnet-20", "resnet-32", "resnet-44", "resnet-56", "resnet-110")  # fmt: skip
FIG_7 = ("plain-20", "plain-56", "resnet-20", "resnet-56", "resnet-110")
DEPTHS = (20, 56, 110)
"""Of Fig. 7's residual nets."""
DEEPEST = 56
"""Of the plain nets that are chosen at first: as in Fig. 6, which does not display plain-110."""


def titles() -> dict[Preset, str]:
    """What each preset is called, in the order of the page."""
    return {
        "pair": _("plain-34 and ResNet-34"),
        "fig6": _("Fig. 6"),
        "fig7": _("Fig. 7"),
        "options": _("Shortcut options"),
        "twin": _("My latest run and its twin"),
    }


def presets(runs: Sequence[Run]) -> dict[Preset, list[Run]]:
    """The runs of each preset of which there are enough to compare; ordered by kind and depth."""
    groups = _groups(runs)
    found: dict[Preset, list[Run]] = {
        "pair": _pair_34(runs),
        "fig6": _of_nets(groups, FIG_6),
        "fig7": _of_nets(groups, FIG_7),
        "options": _options(groups),
        "twin": _twin(runs),
    }
    return {name: found[name] for name in titles() if found[name]}


def first_choice(runs: Sequence[Run]) -> list[Run]:
    """What Compare opens on: degradation, plainly. A shallow and a deep net of both kinds.

    Of the sets with two or more depths of both kinds the one with the most epochs; of its depths
    20 and 56, else the shallowest and the deepest up to 56. Without such a set: `default_pair`.
    """
    best: tuple[tuple, list[Run]] | None = None
    for group in _groups(runs):
        for nets in _ladders(group):
            depths = sorted(depth for depth in nets if depth <= DEEPEST)
            if len(depths) < 2:
                continue
            pair = (20, 56) if {20, 56} <= set(depths) else (depths[0], depths[-1])
            chosen = _ordered(run for depth in pair for run in nets[depth])
            rank = chosen[0].status.epoch, pair[1] - pair[0], chosen[0].config.created
            if best is None or rank > best[0]:
                best = rank, chosen
    return best[1] if best else default_pair(runs)


def default_pair(runs: Sequence[Run]) -> list[Run]:
    """The run and its twin to begin with: plain and residual, depth 34, else the deepest pair.

    A pair has the same layers, images and recipe. Of several the wider net, the longer training
    and then the newer run wins. Without a pair: the newest run.
    """
    return list(max(_pairs(runs), key=_rank, default=runs[-1:]))


def default_depths(runs: Sequence[Run]) -> list[Run]:
    """Residual runs of three depths to begin with: 20, 56, 110, else the least, middle and deepest.

    They differ in depth alone and have the same images and recipe: of several such sets the one
    with more of Fig. 7's depths, then of more depths, then trained longer. Of each net the
    newest run of the least seed.
    """
    sets: dict[tuple, dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: (-run.config.seed, run.config.created)):
        net = run.config.net
        if net.traits.has_shortcuts and run.status.epoch and run.from_scratch:
            key = net.kind, net.family, net.width, net.shortcut, run.comparison_key
            sets.setdefault(key, {})[net.depth] = run
    if not sets:
        return []
    best = max(sets.values(), key=_rank_depths)
    depths = sorted(best)
    papers = [depth for depth in DEPTHS if depth in best]
    chosen = papers if len(papers) > 1 else [depths[0], depths[len(depths) // 2], depths[-1]]
    return [best[depth] for depth in dict.fromkeys(chosen)]


def by_decay(runs: Sequence[Run]) -> list[Run]:
    """Finished runs from scratch of one net that differ in weight decay alone, the least first.

    Of several such sets the one with more decays, then of the shallowest net; of each decay the
    newest run of the least seed. Empty where no two decays were tried.
    """
    sets: dict[tuple, dict[float, Run]] = {}
    for run in sorted(runs, key=lambda run: (-run.config.seed, run.config.created)):
        recipe = run.config.recipe
        if recipe and run.state == "finished" and run.from_scratch:
            key = run.config.net, run.comparison_key[0], recipe.written_but_decay
            sets.setdefault(key, {})[recipe.weight_decay] = run
    if not sets:
        return []
    _net, best = max(
        ((key[0], found) for key, found in sets.items()),
        key=lambda one: (len(one[1]), -one[0].depth),
    )
    return [best[decay] for decay in sorted(best)] if len(best) > 1 else []


def _rank_depths(found: dict[int, Run]) -> tuple:
    finished = all(run.state == "finished" for run in found.values())
    papers = sum(depth in found for depth in DEPTHS)
    return finished, papers, len(found), min(run.status.epoch for run in found.values())


def _groups(runs: Iterable[Run]) -> list[list[Run]]:
    """Finished runs from scratch, by what makes them comparable."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.from_scratch and run.state == "finished":
            found.setdefault(run.comparison_key, []).append(run)
    return list(found.values())


def _ladders(group: Sequence[Run]) -> list[dict[int, list[Run]]]:
    """Nets of one family and width, by the depths that both kinds have; option A."""
    found: dict[tuple, dict[int, dict[str, list[Run]]]] = {}
    for run in group:
        net = run.config.net
        if net.kind in ("plain", "residual") and net.shortcut in (None, "A"):
            depths = found.setdefault((net.family, net.width), {})
            depths.setdefault(net.depth, {}).setdefault(net.kind, []).append(run)
    return [
        {depth: [*kinds["plain"], *kinds["residual"]]
         for depth, kinds in depths.items() if len(kinds) == 2}
        for depths in found.values()
    ]  # fmt: skip


def _of_nets(groups: Sequence[list[Run]], nets: Sequence[str]) -> list[Run]:
    """Of the groups the one with the most of these nets; at least two of each kind."""

    def fits(run: Run) -> bool:
        return run.net in nets

    best = _best(groups, fits)
    kinds = [net.kind for net in {run.config.net for run in best}]
    return best if min(kinds.count("plain"), kinds.count("residual")) >= 2 else []


def _best(groups: Sequence[list[Run]], fits: Callable[[Run], bool]) -> list[Run]:
    """The runs that fit of the group that has most such nets, then the most epochs."""
    found = [[run for run in group if fits(run)] for group in groups]
    best = max(
        (group for group in found if group),
        key=lambda group: (len({run.net for run in group}), group[0].status.epoch),
        default=[],
    )
    return _ordered(best)


def _pair_34(runs: Sequence[Run]) -> list[Run]:
    pairs = [pair for pair in _pairs(runs) if pair[0].config.net.depth == 34]
    return list(max(pairs, key=_rank, default=()))


def _options(groups: Sequence[list[Run]]) -> list[Run]:
    """The plain net of which there are most shortcut options beside it, and those."""
    best: tuple[int, list[Run]] = (0, [])
    for group in groups:
        nets = {run.config.net for run in group}
        for plain in {net for net in nets if net.kind == "plain"}:
            alike = {net for net in nets if _same_layers(net, plain)}
            own = [run for run in group if run.config.net in alike]
            count = len({run.config.net.shortcut for run in own})
            best = max(best, (count, own), key=lambda item: item[0])
    return _ordered(best[1]) if best[0] >= 3 else []  # the plain net and two options


def _same_layers(net: NetSpec, plain: NetSpec) -> bool:
    return net == plain or (net.kind == "residual" and net.counterpart() == plain)


def _twin(runs: Sequence[Run]) -> list[Run]:
    """The newest of the user's runs that has an epoch, and what it is best compared with."""
    own = [run for run in runs if not run.bundled and run.status.epoch]
    if not own:
        return []
    latest = max(own, key=lambda run: run.config.created)
    beside = twins(latest, runs)
    return _ordered([latest, beside[0]]) if beside else []


def twins(run: Run, runs: Sequence[Run]) -> list[Run]:
    """What a run is best compared with: same layers, images and recipe; the same seed first."""
    wanted = run.config.net.counterpart()
    found = [
        other for other in runs
        if other.id != run.id and other.comparison_key == run.comparison_key and other.status.epoch
        and (other.config.net == wanted or other.config.net.counterpart() == run.config.net)
    ]  # fmt: skip
    same = lambda other: (other.config.seed == run.config.seed, other.config.created)  # noqa: E731
    return sorted(found, key=same, reverse=True)


def _ordered(runs: Iterable[Run]) -> list[Run]:
    """Plain nets first, each kind by depth."""
    kinds = list(KINDS)
    place = lambda run: (kinds.index(run.kind), run.config.net.depth, run.config.seed)  # noqa: E731
    return sorted(runs, key=place)


def _pairs(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """(twin, run) for every net with shortcuts beside what its kind is compared with.

    Of many seeds of the twin one, or all pairs of them would be tried.
    """
    furthest: dict[tuple, Run] = {}
    for run in sorted(runs, key=lambda run: (run.state == "finished", run.status.epoch)):
        if run.status.epoch:
            furthest[run.config.net, run.comparison_key] = run
    found = (
        (furthest.get((run.config.net.counterpart(), run.comparison_key)), run)
        for run in runs
        if run.status.epoch and run.config.net.traits.has_shortcuts
    )
    return [(twin, run) for twin, run in found if twin is not None]


def _rank(pair: tuple[Run, Run]) -> tuple:
    twin, run = pair
    net = run.config.net
    order = -list(KINDS).index(net.kind)  # the pair that the paper is about first
    is_papers = net.depth == 34 and net.family == "imagenet"
    finished = twin.state == run.state == "finished"
    option_a = net.shortcut == "A"  # has exactly the plain net's parameters
    epochs = min(twin.status.epoch, run.status.epoch)
    return order, is_papers, net.depth, finished, net.width, option_a, epochs, run.config.created
