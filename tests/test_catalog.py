"""Finding runs: the table, words, rules; names, tags and notes. No torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.errors import SpecError
from analysis.evidence.catalog import catalog, recipe_words, search, where
from analysis.figures import run_styles
from analysis.runs import BUNDLED, Run, list_runs, load_run
from analysis.runs.labels import Labels, change_labels, change_tags, labels_of
from analysis.specs import Recipe
from tests import forked
from tests.tiny import write_run


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three nets; one has a learning rate of its own."""
    slow = Recipe.parse("quick", epochs=3, lr=0.05)
    paths = [
        write_run(tmp_path, "plain-8"),
        write_run(tmp_path, "resnet-8", recipe=slow),
        write_run(tmp_path, "resnet-14", seed=7, run_id="2026-11-24_resnet-14_quick-e3_s7_beef"),
    ]
    return [load_run(path) for path in paths]


def nets(table) -> list[str]:
    return table["net"].tolist()


def test_the_table_spells_out_what_differs_from_the_preset(runs: list[Run]):
    """Not `quick+`: each field with its value."""
    assert recipe_words(runs[0]) == "quick, epochs 3"
    assert "lr 0.05" in recipe_words(runs[1])
    table = catalog(runs)
    assert nets(table) == ["plain-8", "resnet-8", "resnet-14"]
    assert table["origin"].unique().tolist() == ["from scratch"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lr 0.05", ["resnet-8"]),
        ("2026-11-24", ["plain-8", "resnet-8", "resnet-14"]),
        ("seed 7", ["resnet-14"]),
        ("resnet quick", ["resnet-8", "resnet-14"]),
        ("plian-8", ["plain-8"]),
        ("beef", []),
        ("", ["plain-8", "resnet-8", "resnet-14"]),
    ],
)
def test_words_of_any_column_are_searched(runs: list[Run], text: str, found: list[str]):
    """All of them; alike ones where there is none; never the random end of an id."""
    assert sorted(nets(search(catalog(runs), text))) == sorted(found)


def test_exact_comes_before_fuzzy(runs: list[Run]):
    """`resnet-8` first, though others have it in a longer word."""
    change_labels(runs[2], note="like resnet-8x")
    assert nets(search(catalog(runs), "resnet-8"))[0] == "resnet-8"


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("depth > 8", ["resnet-14"]),
        ("kind = residual and seed = 0", ["resnet-8"]),
        ("net != plain-8", ["resnet-8", "resnet-14"]),
        ("recipe ~ lr", ["resnet-8"]),
        ("test_error < 0", []),
    ],
)
def test_rules_filter(runs: list[Run], rule: str, found: list[str]):
    """Numbers by size, texts by equality or by what they contain."""
    assert nets(where(catalog(runs), rule)) == found


@pytest.mark.parametrize("rule", ["test_error", "colour = red", "depth > deep", "and"])
def test_a_rule_that_makes_no_sense_says_what_does(runs: list[Run], rule: str):
    """The columns, or that the column is a number."""
    with pytest.raises(SpecError, match=r"one of the columns run, name, net|depth is a number"):
        where(catalog(runs), rule)


def test_labels_are_kept_beside_the_run(runs: list[Run]):
    """In a file of their own; each change leaves the rest."""
    change_labels(runs[0], note="for the lecture", caveats=("Six epochs only.",))
    change_tags(runs[0], ["good", "fig6"])
    change_tags(runs[0], ["late"], ["good"])
    expected = Labels("", ("fig6", "late"), "for the lecture", ("Six epochs only.",))
    assert labels_of(runs[0]) == expected
    assert json.loads((runs[0].path / "labels.json").read_text())["tags"] == ["fig6", "late"]
    assert nets(search(catalog(runs), "lecture")) == ["plain-8"]
    assert load_run(runs[0].path).config == runs[0].config


def test_a_named_run_is_called_so_in_figures(runs: list[Run]):
    """In place of its net."""
    change_labels(runs[0], name="baseline")
    assert [style.label for style in run_styles(runs[:2])] == ["baseline", "resnet-8"]


@pytest.mark.parametrize("text", ["{", '{"tags": "one"}', "[]"])
def test_torn_labels_keep_no_run_from_being_opened(runs: list[Run], text: str):
    """They are as if there were none."""
    (runs[0].path / "labels.json").write_text(text)
    assert labels_of(load_run(runs[0].path)) == Labels()


def test_what_a_user_says_of_a_bundled_run_stays_out_of_it(tmp_path: Path, monkeypatch):
    """Bundled runs are read-only: the user's folder has it."""
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path))
    run = next(run for run in list_runs([BUNDLED]) if isinstance(run, Run))
    before = sorted(path.name for path in run.path.iterdir())
    change_tags(run, ["mine"])
    assert "mine" in labels_of(run).tags
    assert sorted(path.name for path in run.path.iterdir()) == before
    assert (tmp_path / ".labels" / f"{run.id}.json").exists()


def test_the_command_line_tags_notes_and_finds(runs: list[Run]):
    """tag, note, list --where and --search."""

    def command(*arguments: str) -> str:
        where = ("--runs", str(runs[0].path.parent))
        done = forked.analysis(*arguments, *where, PYTHONIOENCODING="utf-8")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert command("tag", runs[0].id, "good").endswith(": good\n")
    assert "for the lecture" in command("note", runs[0].id, "for the lecture")
    listed = command("list", "--where", "tags ~ good").splitlines()
    assert len(listed) == 2
    assert listed[1].endswith("#good  for the lecture")
    assert runs[1].id in command("list", "--search", "lr 0.05")
