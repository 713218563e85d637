"""Verdicts of the paper's claims, over runs made to satisfy and to violate each rule."""

from __future__ import annotations

import pytest

from analysis.claims import CLAIMS, comparable_with_paper, evaluate
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
    assert len(verdicts[claim].evidence) in (1, 2)


@pytest.mark.parametrize(("worst", "state"), [(9.5, "holds"), (11.5, "fails")])
def test_options_must_be_closer_than_they_are_to_the_plain_net(worst, state, tmp_path):
    """A 9, B 9.2 and C against a plain net at 12."""
    errors = {"plain-8": 12.0, "resnet-8": 9.0, "resnet-8-B": 9.2, "resnet-8-C": worst}
    runs = [made(tmp_path, net, test=error) for net, error in errors.items()]
    assert {c.id: v for c, v in evaluate(runs)}["options"].state == state


@pytest.mark.parametrize(
    ("train", "test", "state"), [(0.09, 8.0, "holds"), (5.0, 8.0, "fails"), (0.0, 6.0, "fails")]
)
def test_1202_layers_must_fit_and_generalise_worse(train, test, state, tmp_path):
    """Overfitting is a low training error and a higher test error; each half is needed."""
    runs = [made(tmp_path, "resnet-110", train=0.02, test=6.4, epochs=1)]
    runs.append(made(tmp_path, "resnet-1202", train=train, test=test, epochs=1))
    assert {c.id: v for c, v in evaluate(runs)}["overfits"].state == state


def test_option_a_is_free_by_counting(tmp_path):
    """Needs no run; the numbers are those of the nets."""
    verdict = {c.id: v for c, v in evaluate([])}["no-extra-cost"]
    assert verdict.state == "holds"
    assert "plain-34 and resnet-34: " in verdict.evidence[0]


def test_without_runs_the_missing_nets_are_named():
    """Every claim about runs is missing, and says which nets it wants."""
    verdicts = {c.id: v for c, v in evaluate([])}
    assert [net.name for net in verdicts["degradation"].wanted] == ["plain-20", "plain-56"]
    assert [net.name for net in verdicts["options"].wanted] == [
        "plain-20", "resnet-20", "resnet-20-B", "resnet-20-C",
    ]  # fmt: skip
    assert {v.state for name, v in verdicts.items() if name != "no-extra-cost"} == {"missing"}


def test_seeds_are_averaged_and_other_groups_left_out(tmp_path):
    """5 and 9 make 7, above 6; a run on other images says nothing."""
    runs = [made(tmp_path, "plain-8", train=5.0), made(tmp_path, "plain-8", train=9.0, seed=1)]
    runs += [made(tmp_path, "plain-14", train=6.0)]
    runs += [made(tmp_path, "plain-20", train=99.0, fingerprint="bb")]
    verdict = {c.id: v for c, v in evaluate(runs)}["degradation"]
    assert verdict.state == "fails"
    assert verdict.evidence == ("plain-8: training error 7.00 %", "plain-14: training error 6.00 %")


def test_only_whole_cifar10_under_the_papers_recipe_meets_table_6(tmp_path):
    """Digits under a short recipe do not."""
    assert not comparable_with_paper(made(tmp_path, "resnet-8"))


def test_every_claim_has_its_words():
    """Ids are unique, and words, paper and rule are there."""
    assert len({claim.id for claim in CLAIMS}) == 8
    assert all(claim.words() and claim.paper() and claim.rule() for claim in CLAIMS)
