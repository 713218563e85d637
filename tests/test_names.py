"""What runs are called: by what they are, apart by what differs. No torch."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.runs import BUNDLED, Run, find_run, list_runs, load_run
from analysis.runs.labels import change_labels
from analysis.runs.names import find_named, run_names
from analysis.specs import Recipe
from analysis.text import language
from tests.tiny import write_run

QUICK = Recipe.parse("quick")


def made(folder: Path, net: str, end: str, day: int = 24, **of: object) -> Run:
    """A run whose id is as training makes it."""
    run_id = f"2026-11-{day}_{net}_quick_s{of.get('seed', 0)}_{end}"
    path = write_run(folder, net, run_id=run_id, **{"recipe": QUICK, "data": "cifar10", **of})
    return load_run(path)


def called(*runs: Run) -> list[str]:
    return list(run_names(runs).values())


def test_a_run_is_called_by_what_it_is(tmp_path: Path):
    """Net, what differs from the recipe, seed, data but CIFAR-10; an id that was chosen stays."""
    slow = replace(QUICK, lr=0.05)
    runs = [
        made(tmp_path, "resnet-8", "3f9a"),
        made(tmp_path, "resnet-8", "beef", recipe=slow, seed=1),
        made(tmp_path, "plain-8", "0000", data="digits"),
        load_run(write_run(tmp_path, run_id="mine_beef")),
        load_run(write_run(tmp_path, run_id="2026-11-23_with_a_date")),
    ]
    assert called(*runs) == [
        "resnet-8 quick s0", "resnet-8 quick lr 0.05 s1", "plain-8 quick s0 digits", "mine beef",
        "with a date",
    ]  # fmt: skip


def test_runs_that_are_alike_say_what_differs(tmp_path: Path):
    """The date, the time, else the id's random end; never where one stands alone."""
    first, again = made(tmp_path, "resnet-8", "3f9a"), made(tmp_path, "resnet-8", "beef", 25)
    assert called(first) == ["resnet-8 quick s0"]
    assert called(first, again) == [
        "resnet-8 quick s0, 2026-11-24",
        "resnet-8 quick s0, 2026-11-25",
    ]
    same = made(tmp_path, "resnet-8", "0001")
    assert called(first, same) == ["resnet-8 quick s0, 3f9a", "resnet-8 quick s0, 0001"]
    config = json.loads((same.path / "config.json").read_text())
    config["created"] = "2026-11-24T15:30:00+00:00"
    (same.path / "config.json").write_text(json.dumps(config))
    assert called(first, load_run(same.path)) == [
        "resnet-8 quick s0, 00:00:00 UTC", "resnet-8 quick s0, 15:30:00 UTC",
    ]  # fmt: skip


def test_a_run_with_a_name_of_its_own_is_found_by_it(tmp_path: Path):
    """And by what it is."""
    run = made(tmp_path, "resnet-8", "3f9a")
    change_labels(run, name="baseline")
    assert called(run) == ["baseline: resnet-8 quick s0"]


def test_no_bundled_run_is_called_by_a_hash():
    """A continued run says what it went on from, and its double that it did not."""
    runs = [run for run in list_runs([BUNDLED]) if isinstance(run, Run)]
    names = run_names(runs)
    assert len(set(names.values())) == len(runs)
    assert not [name for name in names.values() if re.search(r"\b[0-9a-f]{4}$", name)]
    said = {name for name in names.values() if name.startswith("plain-32")}
    assert said == {
        "plain-32 built from plain-20 s0", "plain-32 short s0, continued from plain-20",
        "plain-32 short s0, from scratch",
    }  # fmt: skip


def test_what_a_run_was_ever_called_still_finds_it():
    """By the version with hashes, beside other runs, by its id, by a name given elsewhere."""
    runs = [run for run in list_runs([BUNDLED]) if isinstance(run, Run)]
    for run in runs:
        names = (
            run.id, run.id[len("2026-11-26_") :].replace("_", " "), run_names([run])[run.id],
            f"my best: {run_names(runs)[run.id]}", f"{run_names([run])[run.id]}, {run.id[-4:]}",
        )  # fmt: skip
        assert find_named(names, runs) == dict.fromkeys(names, run.id)


@pytest.mark.parametrize("name", ["", "resnet-20", "xresnet-20 short s0", "resnet-20 short s0 x",
                                  "resnet-20 short s0, by night", "short s0"])  # fmt: skip
def test_what_no_run_is_called_finds_none(name: str):
    """Nothing is guessed."""
    assert not find_named([name], [run for run in list_runs([BUNDLED]) if isinstance(run, Run)])


def test_commands_take_the_names_of_pickers():
    """Beside paths, ids, parts of them, and nets."""
    found = find_run("plain-32 short s0, continued from plain-20", [BUNDLED])
    assert found.id == "2026-11-26_plain-32_short_s0_3031"


def test_a_link_of_another_language_is_understood():
    """Names say in words where weights began; whoever opens a link may read another language."""
    runs = [run for run in list_runs([BUNDLED]) if isinstance(run, Run)]
    token = language.set("zh_CN")
    try:
        chinese = run_names(runs)
    finally:
        language.reset(token)
    assert chinese != run_names(runs)
    assert find_named(chinese.values(), runs) == {name: key for key, name in chinese.items()}
