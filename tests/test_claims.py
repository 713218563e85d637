"""Verdicts of the paper's claims, over runs made to satisfy and to violate each rule."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from analysis import cli
from analysis.evidence.caveats import caveats
from analysis.evidence.claims import (
    CLAIMS,
    comparable_with_paper,
    evaluate,
    shown_runs,
    verdict_words,
)
from analysis.figures.depth import depth_info
from analysis.figures.table6 import table6_info
from analysis.runs import files, load_run
from analysis.runs.writer import open_writer
from tests.tiny import write_run


def made(folder, net, *, train=10.0, test=12.0, response=0.5, early=50.0, epochs=4, **rest):
    """A finished run with exactly these numbers."""
    path = write_run(folder, net, epochs=epochs, **rest)
    run = load_run(path)
    history, responses = run.history(), run.responses()
    history.loc[: max(epochs // 4, 1) - 1, "train_error"] = early
    responses["std"] = response
    history.to_csv(path / files.table_file("history"), index=False)
    responses.to_csv(path / files.table_file("responses"), index=False)
    with open_writer(path) as writer:
        writer.set_status(train_error=train + 1, train_error_clean=train, test_error=test)
    return load_run(path)


CASES = {
    "degradation": [("plain-8", {"train": 5.0}), ("plain-14", {"train": 6.0})],
    "depth-gain": [("resnet-8", {"test": 9.0}), ("resnet-14", {"test": 8.0})],
    "small-responses": [("plain-8", {"response": 1.0}), ("resnet-8", {"response": 0.9})],
    "deeper-smaller": [("resnet-8", {"response": 0.5}), ("resnet-14", {"response": 0.4})],
    "early-convergence": [("plain-8", {"early": 70.0}), ("resnet-8", {"early": 60.0})],
}


@pytest.mark.parametrize("claim", CASES)
@pytest.mark.parametrize("state", ["holds", "fails"])
def test_each_comparison_holds_and_fails(claim, state, tmp_path):
    """The numbers as the claim wants them, and the other way round."""
    (first, a), (second, b) = CASES[claim]
    if state == "fails":
        a, b = b, a
    runs = [made(tmp_path, first, **a), made(tmp_path, second, **b)]
    verdicts = {c.id: v for c, v in evaluate(runs)}
    assert verdicts[claim].state == state
    assert set(verdicts[claim].runs) == {run.id for run in runs}
    lines = " ".join(verdicts[claim].evidence)
    assert ("Counterexample: " in lines) == (state == "fails")


@pytest.mark.parametrize(("worst", "state"), [(9.5, "holds"), (11.5, "fails")])
def test_options_must_be_closer_than_they_are_to_the_plain_net(worst, state, tmp_path):
    """A 9, B 9.2 and C against a plain net at 12."""
    errors = {"plain-8": 12.0, "resnet-8": 9.0, "resnet-8-B": 9.2, "resnet-8-C": worst}
    runs = [made(tmp_path, net, test=error) for net, error in errors.items()]
    assert {c.id: v for c, v in evaluate(runs)}["options"].state == state


def test_options_within_the_spread_between_seeds_are_undecided(tmp_path):
    """2.5 points below the plain net against 0.5 apart: seeds 3 apart are more than that."""
    errors = {"plain-8": 12.0, "resnet-8": 9.0, "resnet-8-B": 9.2, "resnet-8-C": 9.5}
    runs = [made(tmp_path, net, test=error) for net, error in errors.items()]
    runs.append(made(tmp_path, "plain-8", test=12.0, seed=1))
    assert {c.id: v for c, v in evaluate(runs)}["options"].state == "holds"
    runs.append(made(tmp_path, "plain-8", test=15.0, seed=2))
    runs.append(made(tmp_path, "plain-8", test=9.0, seed=3))
    assert {c.id: v for c, v in evaluate(runs)}["options"].state == "undecided"


@pytest.mark.parametrize(
    ("train", "test", "state"), [(0.09, 8.0, "holds"), (5.0, 8.0, "fails"), (0.0, 6.0, "fails")]
)
def test_1202_layers_must_fit_and_generalise_worse(train, test, state, tmp_path):
    """Overfitting is a low training error and a higher test error; each half is needed."""
    runs = [made(tmp_path, "resnet-110", train=0.02, test=6.4, epochs=1)]
    runs.append(made(tmp_path, "resnet-1202", train=train, test=test, epochs=1))
    assert {c.id: v for c, v in evaluate(runs)}["overfits"].state == state


def verdict_of(claim, runs):
    return {c.id: v for c, v in evaluate(runs)}[claim]


@pytest.mark.parametrize(
    ("errors", "state"),
    [
        ((5.0, 6.0, 7.0, 9.0), "holds"),
        ((5.0, 6.0, 6.0, 9.0), "holds"),
        ((9.0, 7.0, 6.0, 5.0), "fails"),
        ((5.0, 7.0, 6.0, 9.0), "undecided"),
        ((5.0, 9.0, 6.0, 4.0), "undecided"),
        ((5.0, 5.0, 5.0, 5.0), "undecided"),
    ],
)
def test_degradation_looks_at_every_depth(errors, state, tmp_path):
    """Up all the way, level once, down all the way, down in between, up in between, level."""
    nets = ("plain-8", "plain-14", "plain-20", "plain-26")
    runs = [made(tmp_path, net, train=e) for net, e in zip(nets, errors, strict=True)]
    assert verdict_of("degradation", runs).state == state


def test_what_goes_against_a_claim_is_named(tmp_path):
    """The test error falls to 14 layers and rises to 20: the step is in the evidence."""
    errors = {"resnet-8": 9.0, "resnet-14": 7.0, "resnet-20": 8.0}
    verdict = verdict_of("depth-gain", [made(tmp_path, n, test=e) for n, e in errors.items()])
    assert verdict.state == "undecided"
    assert verdict.evidence[-3:-1] == (
        "resnet-20 minus resnet-8: −1.00",
        "Counterexample: resnet-14 → resnet-20",
    )
    words = "Single seed of resnet-8, resnet-14, resnet-20: chance cannot be excluded"
    assert (verdict.evidence[-1], verdict.one_seed) == (words, True)


@pytest.mark.parametrize(("deep", "state"), [(7.5, "undecided"), (9.0, "holds")])
def test_a_gap_within_the_spread_between_seeds_decides_nothing(deep, state, tmp_path):
    """Seeds of plain-8 at 5 and 7: plain-14 must be more than 2 points above their mean of 6."""
    runs = [made(tmp_path, "plain-8", train=5.0), made(tmp_path, "plain-8", train=7.0, seed=1)]
    verdict = verdict_of("degradation", [*runs, made(tmp_path, "plain-14", train=deep)])
    assert verdict.state == state
    assert verdict.evidence[0] == "plain-8: training error 6.00 % (2 seeds, 2.00 apart)"
    assert "Single seed of plain-14: chance cannot be excluded" in verdict.evidence
    within = "No larger than the spread between seeds (2.00): plain-8 → plain-14"
    assert (within in verdict.evidence) == (state == "undecided")


@pytest.mark.parametrize(
    ("responses", "state"),
    [((0.9, 0.8), "holds"), ((1.2, 1.3), "fails"), ((0.9, 1.3), "undecided")],
)
def test_pairs_must_agree(responses, state, tmp_path):
    """Two residual nets against plain ones at 1: both below, both above, one of each."""
    runs = [made(tmp_path, net, response=1.0) for net in ("plain-8", "plain-14")]
    nets = zip(("resnet-8", "resnet-14"), responses, strict=True)
    runs += [made(tmp_path, net, response=response) for net, response in nets]
    assert verdict_of("small-responses", runs).state == state


def test_where_measured_and_closed_form_disagree_the_verdict_says_so(tmp_path):
    """Measured responses fall with depth, those in closed form rise: neither is hidden."""
    runs = [made(tmp_path, "resnet-8", response=0.9), made(tmp_path, "resnet-14", response=0.9)]
    table = runs[1].responses()
    table.loc[table["source"] == "measured", "std"] = 0.6
    table.to_csv(runs[1].path / files.table_file("responses"), index=False)
    verdict = verdict_of("deeper-smaller", runs)
    assert (verdict.state, verdict.disputed) == ("holds", "undecided")
    assert verdict_words(verdict) == "holds as measured, undecided in closed form"
    assert verdict.evidence[-1].startswith("In closed form the same rule says: undecided.")
    assert (
        "Mean response 0.600 measured on test images, 0.900 in closed form" in caveats(runs[1])[0]
    )
    assert caveats(runs[0]) == []


def test_a_claims_figure_begins_with_the_papers_nets(tmp_path):
    """Of the responses those of Fig. 7, so that no net of another depth hides them."""
    nets = ("plain-20", "plain-32", "resnet-20", "resnet-32")
    runs = [made(tmp_path, net, epochs=1) for net in nets]
    claim = next(claim for claim in CLAIMS if claim.id == "small-responses")
    verdict = verdict_of("small-responses", runs)
    assert [run.net for run in shown_runs(claim, verdict, runs)] == ["plain-20", "resnet-20"]
    others = [run for run in runs if run.net.endswith("32")]
    assert shown_runs(claim, verdict_of("small-responses", others), others) == others


def test_option_a_is_free_by_counting():
    """Needs no run; the numbers are those of the nets."""
    verdict = verdict_of("no-extra-cost", [])
    assert verdict.state == "holds"
    assert "plain-34 and resnet-34: " in verdict.evidence[0]


@pytest.mark.parametrize(("extra", "state"), [(0, "holds"), (32, "fails")])
def test_option_a_costs_what_the_weights_on_disk_have(extra, state, tmp_path):
    """A projection's 32 weights in the residual run's file, and the claim fails; BN's do not."""
    runs = [made(tmp_path, net) for net in ("plain-8", "resnet-8")]
    tensors = {"head.fc.bias": np.zeros(10), "stem.bn.running_mean": np.zeros(16)}
    save_file(tensors, runs[0].weights_path)
    if extra:
        tensors["stage2.block1.shortcut.conv.weight"] = np.zeros((extra, 1, 1, 1))
    save_file(tensors, runs[1].weights_path)
    verdict = verdict_of("no-extra-cost", runs)
    assert verdict.state == state
    assert f"10 and {10 + extra} parameters" in verdict.evidence[0]


def test_without_runs_the_missing_nets_are_named():
    """Every claim about runs is missing, and says which nets it wants."""
    verdicts = {c.id: v for c, v in evaluate([])}
    assert [net.name for net in verdicts["degradation"].wanted] == ["plain-20", "plain-56"]
    assert [net.name for net in verdicts["options"].wanted] == [
        "plain-20", "resnet-20", "resnet-20-B", "resnet-20-C",
    ]  # fmt: skip
    assert {v.state for name, v in verdicts.items() if name != "no-extra-cost"} == {"missing"}


def test_seeds_are_averaged_and_other_groups_left_out(tmp_path):
    """5 and 6 make 5.5, far above 2; a run on other images says nothing."""
    runs = [made(tmp_path, "plain-8", train=5.0), made(tmp_path, "plain-8", train=6.0, seed=1)]
    runs += [made(tmp_path, "plain-14", train=2.0)]
    runs += [made(tmp_path, "plain-20", train=99.0, fingerprint="bb")]
    verdict = verdict_of("degradation", runs)
    assert verdict.state == "fails"
    assert verdict.evidence[:3] == (
        "plain-8: training error 5.50 % (2 seeds, 1.00 apart)",
        "plain-14: training error 2.00 %",
        "plain-14 minus plain-8: −3.50",
    )


def test_only_whole_cifar10_under_the_papers_recipe_meets_table_6(tmp_path):
    """Digits under a short recipe do not."""
    assert not comparable_with_paper(made(tmp_path, "resnet-8"))


def test_every_claim_has_its_words():
    """Ids are unique, and words, paper and rule are there."""
    assert len({claim.id for claim in CLAIMS}) == 9
    assert all(claim.words() and claim.paper() and claim.rule() for claim in CLAIMS)


def test_a_seed_that_was_trained_twice_is_one_seed(tmp_path):
    """The newer run counts; how much is chance stays unknown."""
    runs = [made(tmp_path, "plain-8", train=5.0), made(tmp_path, "plain-14", train=6.0)]
    again = [made(tmp_path, "plain-14", train=7.0, run_id=f"again{n}") for n in (1, 2)]
    verdict = verdict_of("degradation", [*again, *runs])
    assert verdict.one_seed
    assert len(verdict.runs) == 2
    assert "(2 seeds" not in " ".join(verdict.evidence)
    assert set(depth_info([*again, *runs])["seeds"]) == {1}
    assert table6_info([*again, *runs])["seeds"].tolist() == [1, 1]


def test_what_a_pair_lacks_is_asked_for_and_not_what_is_there(tmp_path):
    """plain-20 beside resnet-20-B: a pair has option A."""
    runs = [made(tmp_path, net) for net in ("plain-20", "resnet-20-B")]
    assert [net.name for net in verdict_of("small-responses", runs).wanted] == ["resnet-20"]
    assert [net.name for net in verdict_of("small-responses", runs[1:]).wanted] == [
        "plain-20",
        "resnet-20",
    ]


def test_1202_layers_of_a_hundred_classes(tmp_path):
    """CIFAR-100's nets answer the claim too."""
    runs = []
    for net, test in (("resnet-110", 6.4), ("resnet-1202", 8.0)):
        run = made(tmp_path, net, train=0.02, test=test, epochs=1)
        config = replace(run.config, net=replace(run.config.net, classes=100))
        runs.append(replace(run, config=config))
    assert verdict_of("overfits", runs).state == "holds"


def test_verdicts_name_the_nets_that_they_are_not_about(tmp_path):
    """A pre-activation net changes no verdict of the paper's claims, and each says so."""
    (first, a), (second, b) = CASES["depth-gain"]
    runs = [made(tmp_path, first, **a), made(tmp_path, second, **b)]
    before = evaluate(runs)
    after = evaluate([*runs, made(tmp_path, "preresnet-14", test=90.0)])
    assert [verdict.state for _c, verdict in before] == [verdict.state for _c, verdict in after]
    assert {verdict.beside_words() for _c, verdict in before} == {""}
    assert {verdict.beside_words() for _c, verdict in after} == {
        "Not about preresnet-14: He et al. 2016 compare plain and residual nets."
    }


def test_verdicts_for_programs(tmp_path, capsys):
    """One row per claim: its state, the numbers, the runs, and what is wanted."""
    runs = [made(tmp_path, net, train=error)
            for net, error in (("plain-8", 5.0), ("plain-14", 6.0))]  # fmt: skip
    words = ["claims", *(str(run.path) for run in runs), "--json"]
    cli.build(words[0])(words, standalone_mode=False)
    rows = {row["claim"]: row for row in json.loads(capsys.readouterr().out)}

    assert list(rows) == [claim.id for claim in CLAIMS]
    found = rows["degradation"]
    assert (found["state"], found["one_seed"], found["runs"]) == (
        "holds", True, [run.id for run in runs],
    )  # fmt: skip
    assert [(n["net"], n["mean"], n["n"]) for n in found["numbers"]] == [
        ("plain-8", 5.0, 1), ("plain-14", 6.0, 1),
    ]  # fmt: skip
    assert rows["small-responses"]["state"] == "missing"
    assert rows["small-responses"]["wanted"]
