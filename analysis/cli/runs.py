"""`list`, `show`, `record`, `compare`: looking at runs that exist."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.cli import terminal
from analysis.cli.jobs import state_of
from analysis.cli.options import RunName, RunsFolder, check_writable, folders, write_csv
from analysis.commands import command
from analysis.escape import one_line

if TYPE_CHECKING:
    import pandas as pd

    from analysis.runs import DamagedRun, Run, SavedRecording


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command("list")(list_command)
    app.command()(show)
    app.command()(record)
    app.command()(compare)
    app.command()(bundle)
    app.command()(probe)


def list_command(
    runs: RunsFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False,
    where: Annotated[
        str,
        typer.Option(
            help="Only runs that meet a rule: 'test_error < 20 and kind = plain and tags ~ good'."
        ),
    ] = "",
    search: Annotated[str, typer.Option(help="Only runs with these words in them.")] = "",
) -> None:
    """List the bundled runs and yours, and recordings; damaged ones with the reason."""
    if not (as_json or where or search):
        _print_all(folders(runs), runs)
        return
    from analysis.runs import Run, list_recordings, list_runs

    found = [*list_runs(folders(runs)), *list_recordings(folders(runs))]
    if where or search:
        found = _asked_for([run for run in found if isinstance(run, Run)], where, search)
    if as_json:
        terminal.print_json([_summary(run) for run in found])
        return
    print("Run, state, epochs, training error (running), test error:" if found else
          "No run is like this.")  # fmt: skip
    _print_lines({str(run.path): _told(run)[0] for run in found})


def _print_all(places: list[Path], runs: Path | None) -> None:
    """A line for each run, as it was told last where its files have not changed since."""
    from analysis.runs.index import collect_seldom, remembered_lines
    from analysis.runs.listing import recording_paths

    collect_seldom()
    lines = remembered_lines(places, "list", _told_of)
    lines |= {str(path): _told_of_recording(path) for path in recording_paths(places, lines)}
    if lines:
        print("Run, state, epochs, training error (running), test error:")
    else:
        made = command("train", "--net", "resnet-20", "--data", "digits", runs=runs)
        print(f"No runs yet. This makes one: {made}")
    _print_lines(lines)


def _print_lines(lines: dict[str, str]) -> None:
    """What is told of each run by its path; printed at once, since there may be thousands."""
    names = {path: one_line(path.rpartition(os.sep)[2]) for path in lines}
    width = max(map(len, names.values()), default=0)
    print("\n".join(f"{names[path]:{width}}  {about}" for path, about in lines.items()))


def _told_of(path: Path) -> tuple[str, bool]:
    from analysis.runs import load_or_damaged

    return _told(load_or_damaged(path))


def _told_of_recording(path: Path) -> str:
    from analysis.runs.recordings import recording_or_damaged

    return _told(recording_or_damaged(path))[0]


def _told(run: Run | DamagedRun | SavedRecording) -> tuple[str, bool]:
    """(What the list says of it, whether that is so until its files change)."""
    from analysis.runs import DamagedRun, SavedRecording
    from analysis.runs.labels import labels_of

    if isinstance(run, DamagedRun):
        return f"damaged: {run.reason}", False
    status = run.status
    if status is None:
        return f"recording   of layer responses of {one_line(run.net)}: no net, no history", False
    errors = f"{_percent(status.train_error)} {_percent(status.test_error)}"
    if isinstance(run, SavedRecording):
        epochs = f"{status.epoch:>4}/{status.epochs_total or '-':<4}"
        what = f"({one_line(run.recipe)} of {one_line(run.net)})"
        return f"{run.state:11} {epochs:9} {errors}  {what}", False
    epochs = f"{status.epoch:>4}/{status.epochs_total:<4}" if status.epochs_total else ""
    about = f"{state_of(run):11} {epochs:9} {errors}"
    if run.has_no_history:
        about += f"  ({one_line(run.recipe)}: no training history)"
    labels = labels_of(run)
    about += "".join(f"  #{tag}" for tag in labels.tags)
    about += f"  {one_line(labels.note)}" if labels.note else ""
    return about, status.state != "running"  # or its process may be gone the next time


def _asked_for(runs, where: str, search: str) -> list:
    from analysis.evidence import catalog

    by_id = {run.id: run for run in runs}
    table = catalog.catalog(runs)
    if where:
        table = catalog.where(table, where)
    return [by_id[run_id] for run_id in catalog.search(table, search)["run"]]


def _percent(value: float | None) -> str:
    return f"{'':8}" if value is None else f"{value:6.2f} %"


def _summary(run) -> dict[str, Any]:
    from analysis.runs import DamagedRun, SavedRecording, only_readable

    if isinstance(run, SavedRecording):
        _whole, damaged = only_readable([run])
        if not damaged:
            return _recording(run)
        run = damaged[0]
    if isinstance(run, DamagedRun):
        return {"id": run.id, "path": str(run.path), "state": "damaged", "reason": str(run.reason)}
    from analysis.evidence.caveats import caveats
    from analysis.runs.labels import labels_of

    status, labels = run.status, labels_of(run)
    return {
        "id": run.id,
        "path": str(run.path),
        "state": run.state,
        "reason": str(status.reason),
        "net": run.net,
        "recipe": run.recipe,
        "data": run.data_title,
        "seed": run.config.seed,
        **({"weights": status.weights} if status.weights else {}),
        "epoch": status.epoch,
        "epochs_total": status.epochs_total,
        "train_error": status.train_error,
        "train_error_clean": status.train_error_clean,
        "test_error": status.test_error,
        "parameters": run.parameters,
        "multiply_adds": run.multiply_adds,
        "name": labels.name,
        "tags": list(labels.tags),
        "note": labels.note,
        "caveats": caveats(run),
    }


def _recording(run) -> dict[str, Any]:
    status = run.status
    trained: dict[str, Any] = {
        "state": run.recipe, "reason": "layer responses only: no net, no history",
    } if status is None else {
        "state": run.state, "reason": str(status.reason), "recipe": run.recipe,
        "epoch": status.epoch, "train_error": status.train_error, "test_error": status.test_error,
    }  # fmt: skip
    return {
        "id": run.id,
        "path": str(run.path),
        **trained,
        "net": run.net,
        "module": run.info.module,
        "data": run.data_title,
        "n_images": run.n_images,
        "parameters": run.info.parameters,
        "created": run.info.created,
    }


def _whole_story(run) -> dict[str, Any]:
    from analysis.runs import Run

    if not isinstance(run, Run):
        return _summary(run)
    return {
        **_summary(run),
        "created": run.config.created,
        "command": run.config.command,
        "machine": run.status.machine,
        "versions": run.status.versions,
    }


def show(run: RunName, runs: RunsFolder = None) -> None:
    """Show what a run or a recording is, how it went and what its layers respond."""
    from analysis.runs import find_comparable

    found = find_comparable(run, folders(runs))
    summary = _whole_story(found)
    for name, value in summary.items():
        if value not in (None, "", {}, []):
            if isinstance(value, list):
                value = "; ".join(value)
            if isinstance(value, dict):
                value = ", ".join(f"{k} {v}" for k, v in value.items())
            large = name in ("parameters", "multiply_adds")
            print(f"{name:18} {value:,}" if large else f"{name:18} {one_line(value, 2000)}")
    history, responses = found.history(), found.responses()
    if found.has_no_history and history.empty:
        print("\nNo training history: it was not trained here.")
    if len(history):
        print("\nHistory (errors in percent):")
        columns = ["epoch", "lr", "train_loss", "train_error", "test_error", "seconds"]
        print(history[columns].to_string(index=False, float_format=lambda v: f"{v:.4g}"))
    if len(responses):
        last = responses[responses["epoch"] == responses["epoch"].max()]
        print("\nLayer responses of the last epoch (std of the BN output):")
        wide = last.pivot_table(index=["order", "layer"], columns="source", values="std")
        print(wide.to_string(float_format=lambda v: f"{v:.4f}"))
        _print_measurements(found.table("responses"))


def _print_measurements(responses: pd.DataFrame) -> None:
    """What was measured over, where there is more than one measurement or it is known."""
    from analysis.runs.tables import measurements

    made = measurements(responses)
    if len(made) > 1 or made["fingerprint"].any():
        print("\nMeasured over (the first one is shown above and drawn):")
        print(made.to_string(index=False))


def record(
    run: RunName,
    images: Annotated[int, typer.Option(help="Test images to measure over.", min=1)] = 10_000,
    data: Annotated[str, typer.Option(help="Other data than the run's own.")] = "",
    save: Annotated[
        bool, typer.Option("--save", help="Keep the rows with the run, beside its own.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --save: in place of those of the same epoch.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    runs: RunsFolder = None,
) -> None:
    """Measure a run's layer responses again, with hooks, over test images."""
    from analysis.errors import SpecError
    from analysis.lens.measure import measure_run, store_measurement
    from analysis.runs import find_run

    check_writable(csv)
    if replace and not save:
        raise SpecError("--replace says where --save puts the rows; add --save")
    found = find_run(run, folders(runs))
    recording = measure_run(found, images, data)
    print(recording.responses[["order", "layer", "std", "mean"]].to_string(index=False))
    if len(recording.refinement):
        print("\nRefinement by block: rms(F)/rms(x), cos(x, x + F)")
        columns = ["block_name", "ratio", "cosine"]
        print(recording.refinement[columns].to_string(index=False))
    if csv is not None:
        write_csv(recording.responses, csv)
    if save:
        store_measurement(found, recording, replace)
        print(f"Saved in {found.path}")


def compare(
    run: Annotated[
        list[str], typer.Argument(help="Runs and recordings, two or more.", metavar="RUN RUN ...")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "compare.html"
    ),
    runs: RunsFolder = None,
) -> None:
    """Write one self-contained HTML report: error curves, layer responses, summary."""
    from analysis.figures.report import write_report
    from analysis.runs import find_comparable

    check_writable(output)
    found = [find_comparable(name, folders(runs)) for name in run]
    write_report(found, output)
    print(f"Written: {output}")


def bundle(
    names: Annotated[
        list[str], typer.Argument(help="Finished runs: ids, paths.", metavar="RUN...")
    ],
    to: Annotated[
        Path | None, typer.Option(help="Folder of bundled runs. [default: checkpoints]")
    ] = None,
    runs: RunsFolder = None,
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="Curves and tables only: smaller.")
    ] = False,
) -> None:
    """Copy finished runs to be passed on, and write their table into that folder's README.md.

    What only a resume needs, and what belongs to this machine (paths, process), is left out.
    """
    from analysis.evidence import bundling
    from analysis.runs import BUNDLED, find_run

    folder = to or BUNDLED
    for name in names:
        made = bundling.bundle(find_run(name, folders(runs)), folder, weights=not no_weights)
        print(f"Bundled: {made}")
    bundling.write_table(folder)
    for part, size in bundling.weigh(folder).items():
        print(f"{size:8.2f} MB  {part}")


def probe(
    run: RunName,
    first_epoch: Annotated[
        bool,
        typer.Option(
            "--first-epoch", help="Train the first epoch again by the seed, for its first updates."
        ),
    ] = False,
    data: Annotated[str, typer.Option(help="Other images than the run's own.")] = "",
    runs: RunsFolder = None,
) -> None:
    """Fill in the probes that a run lacks: responses, refinement and zeros on fixed test images.

    From the weights of every epoch where they were kept (`train --keep-weights`), else from the
    last ones; the initialisation follows from the seed. Gradients that nobody recorded stay
    unknown.
    """
    from analysis.runs import find_run
    from analysis.training.probing import fill_in

    found, images = find_run(run, folders(runs)), None
    if data:
        from analysis.lens.own_images import images_of
        from analysis.specs import DataSpec

        images = images_of(found, DataSpec.parse(data))[0]
    filled = fill_in(found, first_epoch, images)
    epochs = ", ".join(str(epoch) for epoch in filled.epochs)
    print(f"New probes after epoch: {epochs}" if epochs else "Nothing to fill in.")
    if filled.difference is not None:
        print(f"First epoch, trained again: its loss differs by {filled.difference:.2%}.")
