"""Copying finished runs to where they are passed on, and the table that says what is there.

A bundled run has what figures and questions need and nothing of the machine that made it: no
paths, no process, no file that only a resume reads. The table in README.md is made from the runs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.commands import quoted, split_anywhere
from analysis.errors import RunError
from analysis.evidence.claims import mean_response
from analysis.runs import Run, files, list_runs
from analysis.runs.provenance import Constructed, Continued
from analysis.runs.tables import SCHEMAS

_OF_THE_MACHINE = ("--runs", "--device", "--threads", "--name")
"""Options of a command that say where or on what it ran, not what was trained."""
BEGIN, END = "<!-- runs: made by `python -m analysis bundle` -->", "<!-- end of runs -->"
"""Between these lines of README.md stands the table."""


def bundle(run: Run, folder: Path, weights: bool = True, surveys: bool = True) -> Path:
    """Copy a finished run into a folder, whole or not at all.

    Args:
        run: the run.
        folder: of bundled runs; a run of the same id in it is replaced.
        weights: copy the weights too; without, whatever needs them says how to train them again.
        surveys: copy what Inspect has kept of the net (`lens/`).

    Returns:
        The new run's directory.

    Raises:
        RunError: the run is not finished, or the folder can't be written.
    """
    if run.state != "finished":
        raise RunError("{run} is not finished: only finished runs are bundled", run=run.id)
    target, made = folder / run.id, folder / f".{run.id}.tmp"
    if target.resolve() == run.path.resolve():
        raise RunError("{run} is in {folder} already", run=run.id, folder=folder)
    try:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        _copy(run, made, weights and run.has_weights, surveys)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    except OSError as error:
        raise files.disk_error(folder, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _copy(run: Run, made: Path, weights: bool, surveys: bool) -> None:
    config, status = run.config, run.status
    if config.data is not None and config.data.path:
        config = replace(config, data=replace(config.data, path=Path(config.data.path).name))
    config = replace(config, command=_portable(config.command), origin=_placeless(config.origin))
    files.write_json(made / files.CONFIG, config.to_json())
    status = replace(status, pid=None, pid_started=None, host="")
    if not weights:
        status = replace(status, weights="left out")
    files.write_json(made / files.STATUS, status.to_json())
    kept = [files.LOG, *(files.table_file(table) for table in SCHEMAS)]
    for name in [*kept, *([files.MODEL] if weights else [])]:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, made / name)
    if surveys and weights and (run.path / "lens").is_dir():
        shutil.copytree(run.path / "lens", made / "lens", copy_function=shutil.copyfile)


def _portable(command: str) -> str:
    """A command without what belongs to the machine: folders, device, threads."""
    kept: list[str] = []
    words = iter(split_anywhere(command)[0])
    for word in words:
        if word in _OF_THE_MACHINE:
            next(words, None)
        elif word.partition("=")[0] not in _OF_THE_MACHINE:
            kept.append(_FOLDER.sub(r"\1\2", word))
    return quoted(kept)


_FOLDER = re.compile(r"^((?:--data=)?folder:)(?:.*[\\/])?([^\\/]+)[\\/]*$")
"""Of a data set, by the path of any system; what stays is the option and the folder's name."""


def _placeless(origin: Any) -> Any:
    match origin:
        case Continued(start=start):
            return replace(origin, start=replace(start, place=""))
        case Constructed():
            return replace(origin, place="")
    return origin


def write_table(folder: Path) -> None:
    """Put the table of a folder's runs into its README.md, between its two marks.

    Raises:
        RunError: README.md has no marks, or can't be read or written.
    """
    readme = folder / "README.md"
    try:
        text = readme.read_text(encoding="utf-8") if readme.exists() else f"{BEGIN}\n{END}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise RunError("{file} can't be read: {reason}", file=readme, reason=error) from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise RunError(
            "{file} has no place for the table: put the lines {begin} and {end} into it",
            file=readme, begin=BEGIN, end=END,
        )  # fmt: skip
    runs = [run for run in list_runs([folder]) if isinstance(run, Run)]
    text = f"{before}{BEGIN}\n\n{markdown(runs)}\n\n{END}{after}"
    files.write_text(readme, text)


COLUMNS = (
    "net", "data", "recipe", "seed", "epochs", "training error, clean (%)", "test error (%)",
    "mean response", "median ratio", "computed on", "weights (MB)",
)  # fmt: skip


def markdown(runs: Iterable[Run]) -> str:
    """The runs as a Markdown table, by data set, kind, depth, recipe and seed."""
    rows = [_row(run) for run in sorted(runs, key=_order)]
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _order(run: Run) -> tuple:
    net = run.config.net
    return run.data_title, net.kind, net.width, net.depth, net.name, run.recipe, run.config.seed


def _row(run: Run) -> Sequence[str]:
    history, machine = run.history(), run.status.machine
    last: dict[str, Any] = {} if history.empty else history.iloc[-1].to_dict()
    refinement = run.refinement()
    size = run.weights_path.stat().st_size / 1e6 if run.has_weights else 0.0
    devices = [m.get("gpu") or m.get("cpu", "") for m in [*machine.get("earlier", []), machine]]
    return (
        run.net, run.data_title, run.recipe, str(run.config.seed), str(run.status.epoch),
        _number(last.get("train_error_clean"), 2), _number(last.get("test_error"), 2),
        _number(mean_response(run), 3),
        _number(None if refinement.empty else refinement["ratio"].median(), 3),
        ", then ".join(dict.fromkeys(devices)), f"{size:.1f}" if size else "left out",
    )  # fmt: skip


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or value != value else f"{value:.{digits}f}"


def weigh(folder: Path) -> dict[str, float]:
    """What each part of a folder's runs weighs, in MB: weights, surveys, each table, the rest."""
    parts: dict[str, float] = {}
    for path in folder.glob("*/**/*"):  # the index beside the runs is not one of them
        if path.is_file():
            part = "surveys" if path.parent.name == "lens" else path.name
            parts[part] = parts.get(part, 0.0) + path.stat().st_size / 1e6
    return dict(sorted(parts.items(), key=lambda part: -part[1]))
