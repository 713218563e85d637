"""`reproduce`: what serves, what is trained, that it goes on: `pytest tests/test_reproduce.py`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import jobs
from analysis.errors import SpecError
from analysis.experiments import reproduce
from analysis.figures.table6 import table6_info, table6_words
from analysis.jobs import Request
from analysis.runs import BUNDLED, Run, list_runs, load_run, open_writer
from analysis.runs.files import RESUME
from analysis.specs import DataSpec, NetSpec, Recipe
from tests.queues import wait_until
from tests.tiny import FINGERPRINT, write_run

pytestmark = pytest.mark.trains

ROOT = Path(__file__).resolve().parents[1]

TINY = """
import sys
from dataclasses import replace
from analysis.experiments import reproduce
from analysis.cli import main
fig6 = reproduce.EXPERIMENTS["fig6"]
reproduce.EXPERIMENTS["fig6"] = replace(fig6, nets=("plain-8", "resnet-8"))
main()
"""
"""The command with two nets that train in seconds in the place of Fig. 6's nine."""


def command(folder: Path, *more: str) -> list[str]:
    options = ["--data", "digits", "--recipe", "quick", "--epochs", "3", "--runs", "runs"]
    options += ["--precision", "float32", *more]
    return [sys.executable, "-c", TINY, "reproduce", "fig6", *options]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run_of(folder: Path, net: str, **changes) -> Run:
    return load_run(write_run(folder, net, **changes))


def request_for(run: Run) -> Request:
    """The request that this run fulfils, on images at another path."""
    recipe = run.config.recipe
    assert recipe is not None
    assert recipe.epochs is not None
    data = DataSpec("folder", "/somewhere/else")
    return Request(run.config.net, data, recipe.name, {"epochs": recipe.epochs})


def test_the_nets_are_those_of_the_paper():
    """Fig. 6 (ResNet-1202 apart), Fig. 7 and Table 6."""
    depths = {
        name: sorted((NetSpec.parse(net).kind, NetSpec.parse(net).depth) for net in found.nets)
        for name, found in reproduce.EXPERIMENTS.items()
    }
    residual = [("residual", depth) for depth in (20, 32, 44, 56, 110)]
    assert depths["fig6"] == [("plain", depth) for depth in (20, 32, 44, 56)] + residual
    assert depths["fig7"] == [("plain", 20), ("plain", 56), *[residual[i] for i in (0, 3, 4)]]
    assert depths["table6"] == residual


def test_an_unknown_figure_is_told_what_there_is():
    """fig9 is none of the paper's that is reproduced here."""
    with pytest.raises(SpecError, match="fig6, fig7, table6"):
        reproduce.experiment("fig9")


def test_a_run_on_the_same_images_elsewhere_serves_and_no_other(tmp_path: Path):
    """Net, recipe, seed and fingerprint decide; the path of the images does not."""
    run = run_of(tmp_path, "resnet-8")
    request = request_for(run)

    def standing(wanted: Request, fingerprint: str = FINGERPRINT) -> str:
        return jobs.parts([wanted], [run], fingerprint)[0].standing

    assert standing(request) == "finished"
    assert standing(request, "00000000000000bb") == "missing"
    assert standing(replace(request, seed=1)) == "missing"
    assert standing(replace(request, changes={"epochs": 99})) == "missing"
    assert standing(replace(request, net=NetSpec.parse("plain-8"))) == "missing"


def test_the_run_that_got_furthest_is_gone_on_with(tmp_path: Path):
    """A stopped one with its momentum before one that can't go on; a finished one before both."""
    finished = run_of(tmp_path, "resnet-8")
    request = request_for(finished)
    stopped = {}
    for number, epoch in enumerate((2, 4, 5)):
        path = write_run(tmp_path, "resnet-8", run_id=f"stopped-{epoch}")
        with open_writer(path) as writer:
            writer.set_status(state="cancelled", epoch=epoch)
        if number < 2:
            (path / RESUME).touch()
        stopped[epoch] = load_run(path)
    part = jobs.parts([request], stopped.values(), FINGERPRINT)[0]
    assert part.run is not None
    assert (part.run.id, part.standing) == ("stopped-4", "stopped")
    assert part.share_left == 1 - 4 / stopped[4].status.epochs_total
    whole = jobs.parts([request], [*stopped.values(), finished], FINGERPRINT)[0]
    assert whole.run == finished


def test_table_6_gives_best_mean_and_spread_over_seeds(tmp_path: Path):
    """Best (mean ± std), as the paper writes ResNet-110; the paper's errors only beside its own."""
    runs = []
    for seed, error in enumerate((8.0, 9.0, 10.0)):
        path = write_run(tmp_path, "resnet-20", seed=seed)
        with open_writer(path) as writer:
            writer.set_status(test_error=error)
        runs.append(load_run(path))
    info = table6_info(runs)
    assert info[["net", "best", "mean", "std", "seeds"]].to_numpy().tolist() == [
        ["resnet-20", 8.0, 9.0, 1.0, 3]
    ]
    assert info["parameters"].tolist() == [269_722]
    words = table6_words(info)
    assert "8.00 (9.00 ± 1.00)" in words.to_numpy()[0].tolist()
    assert len(words.columns) == 5


def test_the_papers_errors_stand_beside_its_own_experiment_only(tmp_path: Path):
    """Whole CIFAR-10 by the recipe `paper`: Table 6's column; one run that is not: none."""
    paper = [
        run_of(tmp_path, net, recipe=Recipe.parse("paper"), data="cifar10")
        for net in ("resnet-20", "resnet-110", "resnet-8")
    ]
    assert table6_info(paper)["paper"].tolist()[:2] == [8.75, 6.43]
    assert table6_info(paper)["paper"].isna().tolist() == [False, False, True]
    assert "Table 6 (%)" in table6_words(table6_info(paper))
    mixed = [*paper, run_of(tmp_path, "resnet-32")]
    assert table6_info(mixed)["paper"].isna().all()
    assert "Table 6 (%)" not in table6_words(table6_info(mixed))


def test_bundled_draws_without_training(tmp_path: Path):
    """Fig. 7 from the runs that came along: of one data set and recipe, in the paper's order."""
    experiment = reproduce.experiment("fig7")
    runs = reproduce.bundled(experiment, [r for r in list_runs([BUNDLED]) if isinstance(r, Run)])
    assert len({run.comparison_key for run in runs}) == 1
    assert all(run.from_scratch for run in runs)
    places = [experiment.nets.index(run.net) for run in runs]
    assert places == sorted(places)
    reproduce.write_figure(experiment, runs, tmp_path / "fig7.html")
    text = (tmp_path / "fig7.html").read_text(encoding="utf-8")
    assert text.count('class="plotly-graph-div"') == 1
    assert "Fig. 7" in text
    for net in set(experiment.nets) - {run.net for run in runs}:
        assert re.search(rf"Not among the runs that came along[^<]*{net}", text)


def test_interrupted_at_any_point_it_goes_on_where_it_was(tmp_path: Path):
    """Killed in the second net: the first is kept, the second resumed, no third run made."""

    def reproduce_until(done) -> None:
        process = subprocess.Popen(
            command(tmp_path), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 120
        while not done() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def epochs() -> dict[str, int]:
        runs = [run for run in list_runs([tmp_path / "runs"]) if isinstance(run, Run)]
        return {run.net: run.status.epoch for run in runs}

    reproduce_until(lambda: epochs().get("resnet-8", 0) >= 1)
    before = {path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()}
    kept = [path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*plain-8*/history.csv")]
    assert len(before) == 2
    finished = subprocess.run(
        command(tmp_path), cwd=tmp_path, env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert {path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()} == before
    assert epochs() == {"plain-8": 3, "resnet-8": 3}
    now = [path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*plain-8*/history.csv")]
    assert now == kept
    assert "1 of 2 are there" in finished.stdout
    assert "stopped after epoch" in finished.stdout
    assert (tmp_path / "fig6.html").stat().st_size > 1_000_000


def test_cancelled_from_elsewhere_it_stops_and_says_what_it_left(tmp_path: Path):
    """The next net is not begun, and the exit code is not that of a figure that is done."""
    process = subprocess.Popen(
        command(tmp_path, "--epochs", "3000"), cwd=tmp_path,
        env={**environment(), "TORCHDYNAMO_DISABLE": "1"},  # so long a training is compiled first
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: any((tmp_path / "runs").glob("*/history.csv")), process)
        (run,) = [run for run in list_runs([tmp_path / "runs"]) if isinstance(run, Run)]
        assert jobs.cancel(run.path) == "asked"
        said, _errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 7
    assert re.search(r"Cancelled after epoch \d+ of 3000\. Go on with: .* reproduce fig6 ", said)
    assert said.endswith("Not finished: plain-8 seed 0, resnet-8 seed 0.\n")
    assert [r.net for r in list_runs([tmp_path / "runs"]) if isinstance(r, Run)] == ["plain-8"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--bundled"], "takes no --data, --recipe, --epochs"),
        (["-o", "nowhere/fig6.html"], "can't be written"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_trains(tmp_path: Path, more, said: str):
    """Options beside --bundled, and a folder that is not there."""
    environ = {**environment(), "COLUMNS": "200"}
    done = subprocess.run(
        command(tmp_path, *more), cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


def test_dry_run_trains_nothing(tmp_path: Path):
    """It says what is missing, and how many."""
    said = subprocess.run(
        command(tmp_path, "--dry-run"), cwd=tmp_path, env=environment(), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "0 of 2 are there" in said.stdout
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "fig6.html").exists()
