"""`import`, `import-log` and `export`: nets and curves of others in, ours out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli import terminal
from analysis.cli.options import RunName, RunsFolder, folders
from analysis.commands import this_command
from analysis.escape import one_line

if TYPE_CHECKING:
    from rich.progress import TaskID

    from analysis.errors import UnknownNet
    from analysis.exchange.importing import Imported
    from analysis.runs import SavedRecording
    from analysis.specs import DataSpec


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command("import")(import_command)
    app.command("import-log")(import_log_command)
    app.command()(export)


def import_command(
    file: Annotated[
        Path, typer.Argument(help=".pth .pt .th .ckpt .bin .safetensors, or a run.", metavar="FILE")
    ],
    data: Annotated[
        str, typer.Option(help="Measure its error on these: cifar10, cifar100, folder:PATH, ...")
    ] = "",
    normalization: Annotated[
        str,
        typer.Option(
            help="Of its input: a name (imagenet, cifar10, ...) or R,G,B/R,G,B, mean and standard "
            "deviation. [default: the file's own, else what the images tell]"
        ),
    ] = "",
    net: Annotated[
        str,
        typer.Option(
            help="The net, where keys can't tell: plain-20 or resnet-20; a net of torchvision's or "
            "timm's by its library: torchvision/resnet50."
        ),
    ] = "",
    weights: Annotated[
        str | None, typer.Option(help="Which of several sets of weights in the file (EMA, ...).")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FROM=TO",
            help="Another name for a part of the net: "
            "head_a=linear, or ours: first=stem.conv. May be repeated.",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Test images to measure over. [default: all]", min=1)
    ] = None,
    data_title: Annotated[str, typer.Option(help="What figures call the data.")] = "",
    resize: Annotated[int | None, typer.Option(help="Resize a folder's images to this.")] = None,
    runs: RunsFolder = None,
) -> None:
    """Import a checkpoint of another repository as a run; nothing in it is executed.

    A net of torchvision's or timm's that is none of the families here is opened by its library,
    measured over --data, and saved as a recording.
    """
    from analysis.errors import UnknownNet
    from analysis.exchange.importing import import_checkpoint
    from analysis.runs import default_folder
    from analysis.specs import DataSpec

    spec = DataSpec.parse(data, data_title, resize) if data else None
    folder = runs or default_folder()
    if "/" in net:
        _print_recording(_measured(file, spec, normalization, net, weights, images, folder))
        return
    try:
        with _shown_progress() as progress:
            result = import_checkpoint(
                file, folder, net=net or None, normalization=normalization or None, data=spec,
                test_images=images, weights=weights, names=_pairs(names or []), progress=progress,
                command=this_command(),
            )  # fmt: skip
    except UnknownNet as error:
        if net or names:
            raise
        made = _measured(file, spec, normalization, net, weights, images, folder, error)
        _print_recording(made)
    else:
        _print_run(result)


def _print_run(result: Imported) -> None:
    found = result.inspection
    print(f"Found: {found.summary}")
    chosen = result.run.config.normalization
    print(f"Normalization: {chosen.get('name', 'its own, from the file')}")
    if found.claim:
        print(f"Error that the file claims ({found.claim.key}): {found.claim.error:.2f} %")
    if result.measured:
        measured = result.measured
        print(f"Error measured over {measured.n_images:,} images: {measured.error:.2f} %")
    for note in result.notes:
        print(f"Note: {note}")
    for warning in result.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    print(f"Run: {result.run.path}")


def _measured(
    file: Path, data: DataSpec | None, normalization: str, net: str, weights: str | None,
    images: int | None, folder: Path, refused: UnknownNet | None = None,
) -> SavedRecording:  # fmt: skip
    """A recording of a net of torchvision or timm; else why it is refused, and what can be done."""
    from analysis.errors import ImportRefused
    from analysis.exchange.importing import parse_normalization
    from analysis.foreign import library, opening

    found = library.library_file(file, weights=weights)
    if refused is not None and not found.architectures:
        print(f"To measure it with your own code:\n\n{library.how_to(file, file.stem)}",
              file=sys.stderr)  # fmt: skip
        raise refused
    architecture = found.chosen(net or None)
    print(f"Found: {architecture.title}, {architecture.classes} classes")
    if data is None:
        raise ImportRefused(
            "{file}: it is measured over images: name some, --data folder:PATH or --data cifar10",
            file=found.file.name,
        )
    with _shown_progress() as progress:
        return opening.observe_file(
            found, architecture, data, images or opening.IMAGES,
            parse_normalization(normalization) if normalization else None, folder, progress,
        )  # fmt: skip


def _print_recording(recording: SavedRecording) -> None:
    rows = recording.refinement()
    if len(rows):
        median = rows["ratio"].median()
        print(f"Blocks: {len(rows)}; median rms(F)/rms(x) over {recording.n_images} images: "
              f"{median:.3f}")  # fmt: skip
    else:
        print("Blocks: none: no addition x + F(x) was executed")
    print(f"Recording: {recording.path}")


def _pairs(names: list[str]) -> dict[str, str]:
    pairs = dict(name.partition("=")[::2] for name in names)
    if not all(old and new for old, new in pairs.items()):
        raise typer.BadParameter("write --map FROM=TO", param_hint="--map")
    return pairs


@contextmanager
def _shown_progress() -> Generator[Callable[[object, int, int], None]]:
    """A line on the terminal for each step, gone at the end."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn())
    console = terminal.console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(what: object, done: int, total: int) -> None:
            if str(what) not in tasks:
                tasks[str(what)] = bar.add_task(one_line(what))
            bar.update(tasks[str(what)], completed=done, total=total)

        yield tell


def import_log_command(
    file: Annotated[
        Path,
        typer.Argument(help=".csv .tsv .jsonl .json, TensorBoard's files.", metavar="FILE"),
    ],
    name: Annotated[str, typer.Option(help="What figures call it. [default: the file's]")] = "",
    data: Annotated[str, typer.Option(help="What was trained on, in words.")] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(help="OURS=THEIRS: train_error=err; 1-NAME of an accuracy. Repeatable."),
    ] = None,
    percent: Annotated[
        bool, typer.Option("--percent", help="Errors are percent, also where all are below 1.")
    ] = False,
    runs: RunsFolder = None,
) -> None:
    """Import the curves of a training log of another program, to compare them."""
    from analysis.errors import ImportRefused
    from analysis.exchange.logs import import_log

    columns = dict(one.partition("=")[::2] for one in column or [])
    if not all(columns.values()):
        raise ImportRefused("--column takes OURS=THEIRS, as train_error=err")
    recording, notes = import_log(file, name, data, columns, percent, runs)
    for note in notes:
        print(f"Note: {note}")
    history = recording.history()
    measured = [name for name in history.columns if history[name].notna().any()]
    print(f"Epochs: {len(history)}; columns: {', '.join(measured)}")
    print(f"Recording: {recording.path}")


def export(
    run: RunName,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    style: Annotated[
        str,
        typer.Option(
            help="torchvision, akamaster, kuangliu, bearpaw or onnx. [default: by net and ending]"
        ),
    ] = "",
    activations: Annotated[
        bool, typer.Option("--activations", help="ONNX: each BN's output is an output too.")
    ] = False,
    runs: RunsFolder = None,
) -> None:
    """Export a run's net: .pth or .safetensors in another repository's layout, or .onnx."""
    from analysis.exchange.exporting import export_run
    from analysis.runs import find_run

    for line in export_run(find_run(run, folders(runs)), output, style, activations):
        print(line)
