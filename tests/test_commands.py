"""Commands that are printed do what was meant: `pytest tests/test_commands.py`."""

from __future__ import annotations

import os
import shlex
import string
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import cli, commands
from analysis.cli import jobs as cli_jobs
from analysis.errors import LensError
from analysis.evidence.missing import commands_elsewhere, recipe_changes, requests_like
from analysis.jobs import Request
from analysis.runs import Run, load_run
from analysis.specs import RECIPES, Compute, DataSpec, NetSpec, Recipe
from tests.tiny import write_run

ODD = ["a b", "it's", '"quoted"', "$HOME", "%PATH%", "a&b", "`x`", "(1)", "Müller", "*", "a;b",
       "~", "-x", "--runs", "=1", "#", "", "a\\b", "end\\", "C:\\My runs\\", "x^y", "a|b>c",
       "[x]", "!"]  # fmt: skip

words = st.one_of(
    st.sampled_from(ODD), st.text(string.printable.strip() + " é中", min_size=1, max_size=12)
)
titles = words.map(str.strip).filter(bool)


@pytest.mark.parametrize("windows", [False, True])
@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=6))
def test_a_quoted_line_is_the_same_words_again(windows: bool, line: list[str]):
    """For both kinds of shell; \\" inside a word is what PowerShell alone can say."""
    if windows:
        line = [word for word in line if not ('"' in word and "\\" in word)]
    made = commands.quoted(["x", *line], windows=windows)
    assert commands.split(made, windows=windows) == ["x", *line]
    if not windows:
        assert shlex.split(made) == ["x", *line]


def test_a_path_on_windows_is_one_word():
    """As cmd.exe and PowerShell read it: in double quotes, its last backslash doubled."""
    made = commands.quoted(["python", "C:\\My runs\\", "C:\\runs", "50%"], windows=True)
    assert made == 'python "C:\\My runs\\\\" C:\\runs "50%"'


@pytest.mark.parametrize(
    ("number", "text"), [(0.123456789, "0.123456789"), (1048576, "1048576"), (1e-05, "1e-05")]
)
def test_numbers_are_written_in_full(number: float, text: str):
    """`:g` made 0.123457 and 1.04858e+06 of them."""
    assert commands.exact(number) == text


@pytest.mark.parametrize(("module", "names"), cli.MODULES.items())
def test_each_module_has_the_commands_that_the_table_says(module: str, names: tuple[str, ...]):
    """A command that stood at another module would not be found."""
    app = typer.Typer()
    import_module(f"analysis.cli.{module}").register(app)
    app.callback()(lambda: None)  # else a single command would be no group
    assert set(typer.main.get_command(app).commands) == set(names)


def test_the_help_of_all_stays_whole_whatever_comes_after_it():
    """Only the first word chooses a module."""
    done = subprocess.run(
        [sys.executable, "-m", "analysis", "--help", "train"], capture_output=True, text=True,
        check=False, env={**os.environ, "NO_COLOR": "1"}, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    for names in cli.MODULES.values():
        for name in names:
            assert f" {name} " in done.stdout, name


changes = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 10**7),
        "batch_size": st.integers(1, 2**21),
        "lr": st.floats(1e-9, 100),
        "weight_decay": st.floats(0, 0.999),
        "validation": st.integers(0, 10**6),
        "augment": st.just(False),
    },
)
computes = st.builds(
    Compute,
    st.sampled_from(["auto", "cpu", "cuda", "cuda:1", "mps"]),
    st.sampled_from(["auto", "float32", "bfloat16"]),
    st.sampled_from([None, False]),
    threads=st.one_of(st.none(), st.integers(1, 500)),
    keep_weights=st.booleans(),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What `train --queue` is asked for by a command line, without queueing it."""
    monkeypatch.chdir(tmp_path)
    found: list[tuple[Request, Path]] = []
    monkeypatch.setattr(cli_jobs, "queue_up", lambda requests, to: found.append((requests[0], to)))

    def parse(line: str) -> tuple[Request, Path]:
        program, dash, module, *arguments = shlex.split(line)
        assert (program, dash, module) == ("python", "-m", "analysis")
        cli.build(arguments[0])([*arguments, "--queue"], standalone_mode=False)
        return found.pop()

    return parse


@settings(deadline=None, max_examples=150,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    net=st.sampled_from(["plain-20", "resnet-56", "resnet-20-B", "preresnet-110", "resnet-34-w16"]),
    place=st.one_of(st.sampled_from(["digits", "cifar10"]), words), title=titles,
    recipe=st.sampled_from(list(RECIPES)), changes=changes, seed=st.integers(0, 10**9),
    compute=computes, resize=st.one_of(st.none(), st.integers(8, 512)), folder=titles,
)  # fmt: skip
def test_a_command_parses_back_to_the_same_request(
    asked: Any, tmp_path: Path, net: str, place: str, title: str, recipe: str,
    changes: dict[str, Any], seed: int, compute: Compute, resize: int | None, folder: str,
):  # fmt: skip
    """Net, data, recipe and all that was changed of it, seed, compute, and the runs folder."""
    if place in ("digits", "cifar10"):
        data = DataSpec.parse(place, title)
    else:
        images = tmp_path / place.replace("/", "_").replace("\\", "_").replace(".", "_")
        (images / "train" / "cat").mkdir(parents=True, exist_ok=True)
        data = DataSpec.parse(f"folder:{images}", title, resize)
    try:
        spec = NetSpec.parse(net, data.count_classes())
        request = Request(spec, data, recipe, changes, seed, compute)
        request.config()
    except LensError:
        return  # an lr of 0, say: refused before there is a command
    got, to = asked(request.command(tmp_path / folder))
    assert got == request
    assert got.recipe == request.recipe
    assert to == tmp_path / folder


def test_the_runs_folder_is_named_unless_it_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`runs` here needs no word; another does, and one that only a variable names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESIDUAL_LENS_RUNS", raising=False)
    usual, other = write_run(tmp_path / "runs"), write_run(tmp_path / "my runs")
    assert commands.about("resume", usual) == f"python -m analysis resume {usual.name}"
    assert commands.about("resume", other) == f"python -m analysis resume '{other}'"
    assert commands.command("jobs", "start", runs=Path("runs")) == "python -m analysis jobs start"
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "runs"))
    assert "--runs" not in commands.command("list", runs=tmp_path / "runs")
    monkeypatch.setenv("RESIDUAL_LENS_RUNS", str(tmp_path / "my runs"))
    assert commands.command("list", runs=tmp_path / "my runs").endswith(f"--runs '{other.parent}'")
    assert commands.about("resume", usual) == f"python -m analysis resume {usual}"


def test_what_is_missing_is_asked_for_by_the_recipe_of_the_runs(tmp_path: Path):
    """Where the images are elsewhere too: only their PATH is left to fill in."""
    made = write_run(tmp_path, recipe=Recipe.parse("short", epochs=7, lr=0.123456789))
    run = load_run(made)
    assert run.config.recipe is not None
    assert recipe_changes(run.config.recipe) == ("short", {"epochs": 7, "lr": 0.123456789})
    (request,) = requests_like(["plain-20"], run)
    assert "--recipe short --epochs 7 --lr 0.123456789" in request.command()
    away = DataSpec("folder", "/no/such place", "CIFAR-10 (JPEG)", 32)
    config = replace(run.config, data=away)
    (line,) = commands_elsewhere(["plain-20"], Run(made, config, run.status), 3)
    assert "--data folder:PATH --recipe short --epochs 7 --lr 0.123456789 --seed 3" in line
    assert line.endswith("--data-title 'CIFAR-10 (JPEG)' --resize 32")


@pytest.mark.skipif(os.name == "nt", reason="quoted for sh")
def test_this_command_is_recorded_as_it_was_typed(monkeypatch: pytest.MonkeyPatch):
    """Quoted again, since the shell took the quotes."""
    monkeypatch.setattr(sys, "argv", ["x", "train", "--runs", "/my runs", "--data-title", "$x"])
    assert commands.this_command() == (
        "python -m analysis train --runs '/my runs' --data-title '$x'"
    )
