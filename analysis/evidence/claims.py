"""The paper's claims, each a stated rule that turns runs into a verdict with its numbers.

Rules compare runs of one data set and recipe with each other (`groups`), never with the paper's
absolute errors, which only whole CIFAR-10 under the paper's own recipe may meet
(`comparable_with_paper`). A constructed or imported net is no evidence here. `verdicts` has what
the rules share. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from analysis.evidence import refining
from analysis.evidence.caveats import response_by_source
from analysis.evidence.presets import FIG_7
from analysis.evidence.verdicts import (
    Claim,
    Measure,
    Nets,
    State,
    Verdict,
    decide,
    judge_depth,
    judge_pairs,
    numbers_of,
    over_seeds,
    pairs,
)
from analysis.runs import Run
from analysis.runs.index import one_look
from analysis.runs.remembering import remembered
from analysis.specs import NetSpec, plan
from analysis.text import _


def groups(runs: Sequence[Run]) -> dict[tuple[str, str], list[Run]]:
    """Runs that are directly comparable, by `comparison_key`; finished and from scratch only."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in one_a_seed(r for r in runs if r.from_scratch and r.state == "finished"):
        found.setdefault(run.comparison_key, []).append(run)
    return found


def one_a_seed(runs: Iterable[Run]) -> list[Run]:
    """Of runs that are alike to the seed the newest: a repetition says nothing about chance."""
    keys = [(run, (run.config.net, run.config.seed, run.comparison_key)) for run in runs]
    newest = {key: run for run, key in sorted(keys, key=lambda item: item[0].config.created)}
    return [run for run, key in keys if newest[key] is run]


def evaluate(runs: Sequence[Run]) -> list[tuple[Claim, Verdict]]:
    """Each claim with its verdict over runs of one group; others in `runs` are left out.

    Raises:
        RunDamaged: a table of a run is not whole.
    """
    nets: Nets = {}
    for run in next(iter(groups(runs).values()), []):
        nets.setdefault(run.config.net, []).append(run)
    with one_look():
        return [(claim, claim.verdict(nets)) for claim in CLAIMS]


def state_words() -> dict[State, str]:
    """What each state of a verdict is called."""
    return {
        "holds": _("holds"),
        "fails": _("fails"),
        "undecided": _("undecided"),
        "missing": _("not enough runs"),
    }


def verdict_words(verdict: Verdict) -> str:
    """The state in words; what speaks against trusting it is part of them."""
    words = state_words()
    if verdict.disputed:
        return _("{state} as measured, {other} in closed form").format(
            state=words[verdict.state], other=words[verdict.disputed]
        )
    if verdict.one_seed and verdict.state in ("holds", "fails"):
        return _("{state}, single seed for some depths").format(state=words[verdict.state])
    return words[verdict.state]


SEEDS = 10
"""Of a net in the figure that shows a verdict, at most."""


def shown_runs(claim: Claim, verdict: Verdict, runs: Sequence[Run]) -> list[Run]:
    """Which of the runs behind a verdict its figure begins with: the paper's choice of nets."""
    by_id = {run.id: run for run in runs}
    seeds: dict[NetSpec, list[Run]] = {}
    for run_id in verdict.runs:
        if run_id in by_id:
            seeds.setdefault(by_id[run_id].config.net, []).append(by_id[run_id])
    behind = [run for own in seeds.values() for run in own[:SEEDS]]
    chosen = [run for run in behind if run.net in claim.shown]
    return chosen if len({run.net for run in chosen}) > 1 else behind


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


@remembered
def mean_response(run: Run) -> float:
    """Mean over Fig. 7's layers of the last recorded std, measured where there is a measurement."""
    rows = run.responses()
    names = {layer.name for layer in plan.layers(run.config.net) if layer.in_figure_7}
    rows = rows[rows["layer"].isin(names)]
    rows = rows[rows["epoch"] == rows["epoch"].max()]
    measured = rows[rows["source"] == "measured"]
    return float((measured if len(measured) else rows)["std"].mean())


@remembered
def closed_response(run: Run) -> float:
    """The same in closed form; as measured where a run has not both."""
    means = response_by_source(run)
    return means["closed_form"] if means else mean_response(run)


@remembered
def early_error(run: Run) -> float:
    """Mean running training error over the first quarter of the epochs, percent."""
    errors = run.history()["train_error"]
    return float(errors.head(max(len(errors) // 4, 1)).mean())


def stored_parameters(run: Run) -> int:
    """Trained numbers in the run's weights file: no BN statistics, no normalization of the input.

    Of a run whose weights were left out, as its config counts them.

    By the net's layers where the weights were left out.

    Raises:
        RunDamaged: the file is missing or not whole.
    """
    from safetensors import SafetensorError, safe_open

    from analysis.errors import RunDamaged

    if run.status.weights == "left out":
        return run.parameters
    apart = ("running_mean", "running_var", "num_batches_tracked")
    try:
        with safe_open(run.weights_path, framework="np") as file:
            names = [n for n in file.keys() if not n.startswith("normalizer.")]  # noqa: SIM118
            shapes = [file.get_slice(n).get_shape() for n in names if not n.endswith(apart)]
    except (OSError, SafetensorError) as error:
        raise RunDamaged(
            "{file} is not whole: {error}", file=run.weights_path, error=error
        ) from error
    return sum(prod(shape) for shape in shapes)


def _degradation(nets: Nets) -> Verdict:
    return judge_depth(nets, "plain", train_error, _("{net}: training error {value:.2f} %"), 1)


def _gain(nets: Nets) -> Verdict:
    return judge_depth(nets, "residual", test_error, _("{net}: test error {value:.2f} %"), -1)


def _smaller(nets: Nets) -> Verdict:
    words = _("mean response: {plain} {a}, {residual} {b}")
    return _both_ways(lambda of: judge_pairs(nets, of, words, 3))


def _deeper_smaller(nets: Nets) -> Verdict:
    words = _("{net}: mean response {value:.3f}")
    return _both_ways(lambda of: judge_depth(nets, "residual", of, words, -1, 3))


def _both_ways(judge: Callable[[Measure], Verdict]) -> Verdict:
    """A verdict on measured responses, and whether the closed form says the same."""
    measured, closed = judge(mean_response), judge(closed_response)
    if measured.state == closed.state:
        return measured
    words = _("In closed form the same rule says: {state}. {numbers}")
    line = words.format(state=state_words()[closed.state], numbers="; ".join(closed.evidence))
    return replace(measured, evidence=(*measured.evidence, line), disputed=closed.state)


def _free(nets: Nets) -> Verdict:
    """Parameters as the runs' weights have them; without runs, as the 34-layer nets have them."""
    found = pairs(nets)
    words = _("{plain} and {residual}: {a:,} and {b:,} parameters, {c:,} and {d:,} multiply-adds")
    lines, equal, ids = [], True, []
    for plain, residual in found or [(NetSpec.parse("plain-34"), NetSpec.parse("resnet-34"))]:
        both = [nets[plain][0], nets[residual][0]] if found else []
        a, b = [stored_parameters(run) for run in both] or [
            plan.parameters(net) for net in (plain, residual)
        ]
        c, d = plan.multiply_adds(plain), plan.multiply_adds(residual)
        lines.append(words.format(plain=plain, residual=residual, a=a, b=b, c=c, d=d))
        equal &= (a, c) == (b, d)
        ids += [run.id for run in both]
    return Verdict("holds" if equal else "fails", tuple(lines), runs=tuple(ids))


def _faster(nets: Nets) -> Verdict:
    words = _("training error over the first quarter: {plain} {a}, {residual} {b}")
    return judge_pairs(nets, early_error, words, unit=" %")


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
    chosen = [plain, *(net for _option, net in sorted(options.items()))]
    values = [over_seeds(nets[net], test_error) for net in chosen]
    words = _("{net}: test error {value:.2f} %")
    lines = [
        words.format(net=net, value=value.mean) + value.words(2)
        for net, value in zip(chosen, values, strict=True)
    ]
    base, *errors = [value.mean for value in values]
    apart, below = max(errors) - min(errors), base - max(errors)
    words = _("A, B and C lie {apart:.2f} apart, the worst of them {below:.2f} below the plain net")
    lines.append(words.format(apart=apart, below=below))
    state = decide([below - apart], max(value.spread for value in values))
    ids = tuple(run.id for net in chosen for run in nets[net])
    return Verdict(state, tuple(lines), runs=ids, numbers=numbers_of(nets, chosen, test_error))


def _overfits(nets: Nets) -> Verdict:
    classes = next((net.classes for net in nets), 10)
    deep, base = NetSpec.parse("resnet-1202", classes), NetSpec.parse("resnet-110", classes)
    wanted = tuple(net for net in (base, deep) if net not in nets)
    if wanted:
        return Verdict("missing", wanted=wanted)
    train = {net: over_seeds(nets[net], train_error) for net in (base, deep)}
    test = {net: over_seeds(nets[net], test_error) for net in (base, deep)}
    words = _("{net}: training error {a}, test error {b}")
    lines = tuple(
        words.format(net=net, a=train[net].number(2, " %"), b=test[net].number(2, " %"))
        for net in (base, deep)
    )
    state = decide([test[deep].mean - test[base].mean], max(test[deep].spread, test[base].spread))
    if train[deep].mean > train[base].mean + 0.1:
        state = "fails"
    ids = tuple(run.id for net in (base, deep) for run in nets[net])
    return Verdict(state, lines, runs=ids, numbers=numbers_of(nets, (base, deep), test_error))


TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}
"""ResNets' test errors on CIFAR-10 in percent, by depth; of ResNet-110 the best of five."""


def _table_6() -> str:
    gaining = {depth: error for depth, error in TABLE_6.items() if depth <= 110}
    return _("Table 6: {errors} % at {depths} layers.").format(
        errors=", ".join(map(str, gaining.values())), depths=", ".join(map(str, gaining))
    )


CLAIMS = (
    Claim(
        "degradation", "1, 4.1, 4.2",
        lambda: _("Deeper plain nets have a higher training error (degradation)."),
        lambda: _("Fig. 1: plain-56 above plain-20 on CIFAR-10; Fig. 4: plain-34 above plain-18."),
        lambda: _("From the shallowest to the deepest the training error rises by more than the "
                  "spread between seeds, and from no depth to the next falls by more."),
        _degradation, quantity=lambda: _("Training error (%)"),
    ),
    Claim(
        "depth-gain", "4.1, 4.2",
        lambda: _("Residual nets gain from depth."),
        _table_6,
        lambda: _("From the shallowest to the deepest the test error falls by more than the spread "
                  "between seeds, and from no depth to the next rises by more."),
        _gain, quantity=lambda: _("Test error (%)"),
    ),
    Claim(
        "small-responses", "4.2",
        lambda: _("Residual nets have smaller layer responses than plain ones."),
        lambda: _("Fig. 7: ResNet-20, -56 and -110 below plain-20 and -56."),
        lambda: _("Mean response over the 3x3 layers: in some pair smaller in the residual net by "
                  "more than the spread between seeds, in no pair larger by more."),
        _smaller, shown=FIG_7, quantity=lambda: _("Mean response (std)"),
    ),
    Claim(
        "deeper-smaller", "4.2",
        lambda: _("Deeper residual nets have smaller responses."),
        lambda: _("Fig. 7: ResNet-110 below ResNet-56 below ResNet-20."),
        lambda: _("From the shallowest to the deepest the mean response over the 3x3 layers falls "
                  "by more than the spread between seeds, and from no depth to the next rises by "
                  "more."),
        _deeper_smaller, shown=FIG_7, quantity=lambda: _("Mean response (std)"),
    ),
    refining.CLAIM,
    Claim(
        "no-extra-cost", "3.3",
        lambda: _("Option A costs no extra parameters and no extra multiply-adds."),
        lambda: _("Fig. 3: 3.6 billion multiply-adds for both 34-layer nets."),
        lambda: _("Both counts are equal in every pair: parameters in the runs' weights, "
                  "multiply-adds from the layers."),
        _free, page="complexity",
    ),
    Claim(
        "early-convergence", "4.1",
        lambda: _("Residual nets converge faster at the early stage."),
        lambda: _("Fig. 4: ResNet-18 below plain-18 early on, with similar errors at the end."),
        lambda: _("Running training error, averaged over the first quarter of the epochs: in "
                  "some pair lower in the residual net by more than the spread between seeds, in "
                  "no pair higher by more."),
        _faster, quantity=lambda: _("Early training error (%)"),
    ),
    Claim(
        "options", "4.1",
        lambda: _("Shortcut options A, B and C differ little."),
        lambda: _("Table 3 (ImageNet, top-1): plain-34 28.54, A 25.03, B 24.52, C 24.19 %."),
        lambda: _("The test errors of A, B and C lie closer together than the worst of them lies "
                  "below the plain net's, by more than the spread between seeds."),
        _options, quantity=lambda: _("Test error (%)"),
    ),
    Claim(
        "overfits", "4.2",
        lambda: _("ResNet-1202 overfits rather than fails to train."),
        lambda: _("Training error below 0.1 %; test error 7.93 %, ResNet-110's 6.43 %."),
        lambda: _("Its training error is at most 0.1 points above ResNet-110's, its test error "
                  "is higher by more than the spread between seeds."),
        _overfits, quantity=lambda: _("Test error (%)"),
    ),
)  # fmt: skip
