"""`survey`: pass a data set through runs' nets once, so that the Inspect page need not.

`images` says where a data set is on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.cli import terminal
from analysis.cli.foreground import session
from analysis.cli.options import RunName, RunsFolder, folders
from analysis.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Generator

    from analysis.runs import Run
    from analysis.runs.learned import Origin
    from analysis.specs import DataSpec


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command()(survey)
    app.command()(images)


def images(
    run: RunName,
    folder: Annotated[
        str,
        typer.Argument(
            help="The folder that holds train/ and test/, or CIFAR's archive or unpacked folder.",
            metavar="FOLDER",
        ),
    ],
    runs: RunsFolder = None,
) -> None:
    """Say once where the images of a run are on this machine.

    They are checked, by CIFAR's checksums or the fingerprint in the run, and the folder is kept in
    your settings: for all runs on these images, in the app and on the command line. Nothing is
    copied or moved.
    """
    from analysis.data.placing import place_images_of
    from analysis.runs import find_run

    found = find_run(run, folders(runs))
    with progress_bar() as (bar, say):
        place = place_images_of(found, folder, bar(f"{found.net}: reading images"))
        say(f"{found.data_title}: {place}")


def survey(
    run: Annotated[
        list[str],
        typer.Argument(
            help="One or several runs: ids or paths, unique parts of ids, or nets.",
            metavar="RUN ...",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Images of the same classes, where the run's own are not on this machine: "
            "cifar10, cifar100, digits, folder:PATH. [default: the run's own]"
        ),
    ] = "",
    resize: Annotated[int | None, typer.Option(help="Resize a folder's images to this.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Recompute existing results.")] = False,
    runs: RunsFolder = None,
) -> None:
    """Survey a run's net for the Inspect page: one pass over its data set, kept with the run.

    Finds, over test images, how large each layer's response is by image and which images excite
    each channel most; and fits, on training images, a readout of the classes after each block.

    Each of the two is kept whole or not at all, and what is there is not made again: after an
    interruption the same command goes on. They go to the folder lens/ of the run; those of bundled
    runs, and of runs in folders that can't be written, to the cache folder.
    """
    from analysis.runs import find_run
    from analysis.specs import DataSpec

    found = [find_run(name, folders(runs)) for name in run]
    spec = DataSpec.parse(data, resize=resize) if data else None
    with progress_bar() as (bar, say):
        for one in found:
            _survey(one, spec, again, bar, say)


def _survey(
    run: Run,
    spec: DataSpec | None,
    again: bool,
    bar: Callable[[str], Callable[[int, int], None]],
    say: Callable[[str], None],
) -> None:
    from analysis.lens import readout, survey
    from analysis.lens.own_images import images_of
    from analysis.runs import learned, store
    from analysis.weights import load_net

    source = images_of(run, spec, bar(f"{run.net}: reading images"))
    origin = source[1]
    net, normalizer = load_net(run)
    lessons: list[tuple[str, str, Callable[[Run], Any], Callable[..., Any]]] = [
        ("survey", "responses and exemplars", learned.read_survey, survey.make_survey),
        ("readouts", "readouts", learned.read_readouts, readout.make_readouts),
    ]
    for name, title, read, make in lessons:
        there = read(run)
        if not again and there is not None:
            say(f"{run.id}: {title} {kept_words(run, there.origin, spec)}")
            continue
        with session(run.net) as work:
            tell = work.stoppable(bar(f"{run.net}: {title}"))
            make(run, net, normalizer, progress=tell, source=source)
        where = next(place for place in store.places(run, name) if place.exists())
        say(f"{run.id}: {title} over {origin.data}: {where}")


def kept_words(run: Run, there: Origin | None, asked: DataSpec | None) -> str:
    """That results are kept, over which images, and how to have others in their place."""
    if is_over(run, there, asked):
        return "are there already; --again makes them anew"
    held, data = there.data if there else "", asked or run.config.data_here
    return f"over {held} are there; --again puts those over {data} in their place"


def is_over(run: Run, there: Origin | None, asked: DataSpec | None) -> bool:
    """Whether results are over the images that are asked for; None: the run's own."""
    if there is None:
        return True  # of an older version, which kept the run's own alone
    # Not the title: it is only what figures call them.
    return there.is_own(run) if asked is None else str(there.data) == str(asked)


@contextmanager
def progress_bar(unit: str = "images") -> Generator[Any]:
    """A bar with the time left on a terminal; for a page, a file: what begins one, what prints."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from analysis.jobs import errands

    console = terminal.console()
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn(),
        TextColumn(f"{unit},"), TimeRemainingColumn(compact=True), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def of(title: str) -> Callable[[int, int], None]:
            task: list[Any] = []
            say = errands.teller()

            def tell(done: int, total: int) -> None:
                if not task:
                    task.append(progress.add_task(one_line(title)))
                progress.update(task[0], completed=done, total=total)
                say(done, total)

            return tell

        yield of, lambda text: console.print(one_line(text), soft_wrap=True)
