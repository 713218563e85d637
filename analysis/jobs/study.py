"""A study: nets by seeds, of which each is trained once, by whom- and wherever.

It is a set of runs whose ids begin with its name, in the folder of all runs; nothing else holds
state. Which of its runs are there `parts` tells; a local queue, Slurm or a person trains the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from analysis.errors import RunDamaged, RunError, RunInUse, SpecError
from analysis.jobs.queue import Enqueued, create_waiting, queue_lock, requeue
from analysis.jobs.request import Request, request_of
from analysis.jobs.submit import Work, check_room
from analysis.runs import Run, create_run, files, load_run, open_writer
from analysis.runs.resuming import check_resumable, is_resumable
from analysis.runs.words import as_html, percent
from analysis.runs.writer import is_portable
from analysis.text import Message

Standing = Literal["finished", "running", "queued", "stopped", "missing"]


@dataclass(frozen=True)
class Part:
    """One net and seed of a study, and the run that has got furthest with it."""

    request: Request
    run: Run | None

    @property
    def standing(self) -> Standing:
        """How far it is; `stopped` goes on where it was."""
        if self.run is None:
            return "missing"
        state = self.run.state
        return "stopped" if state in ("cancelled", "failed", "interrupted") else state

    @property
    def share_left(self) -> float:
        """Of the training: 1 before the first epoch, 0 at the end."""
        if self.run is None or not self.run.status.epochs_total:
            return 1.0
        return 1 - self.run.status.epoch / self.run.status.epochs_total


def parts(requests: Iterable[Request], runs: Iterable[Run], fingerprint: str = "") -> list[Part]:
    """What there is of each request.

    Args:
        requests: in the order of the figure.
        runs: all that may serve: the user's and the bundled ones.
        fingerprint: of the images that the requests name, where known: a run on the same images
            under another path serves as well.
    """
    known = list(runs)
    return [Part(request, _furthest(request, known, fingerprint)) for request in requests]


def _furthest(request: Request, runs: Sequence[Run], fingerprint: str) -> Run | None:
    """The run of a request that is nearest its end; none of those that can't go on.

    Of a request with a name, as a study's: a run of another name serves only as long as it needs
    nobody to go on with it.
    """
    fitting = [
        run
        for run in runs
        if _serves(request, run, fingerprint)
        and _usable(run)
        and (request.name in ("", run.id) or run.state in ("finished", "running"))
    ]
    order = {"finished": 3, "running": 2}
    return max(fitting, key=lambda r: (order.get(r.state, 1), r.status.epoch), default=None)


def _serves(request: Request, run: Run, fingerprint: str) -> bool:
    config = run.config
    same_images = bool(fingerprint and config.images and config.images.fingerprint == fingerprint)
    return (
        run.from_scratch
        and (config.net, config.recipe) == (request.net, request.recipe)
        and config.seed == request.seed
        and (config.data == request.data or same_images)
    )


def _usable(run: Run) -> bool:
    return run.state == "finished" or (not run.bundled and is_resumable(run))


def study_requests(name: str, requests: Iterable[Request]) -> list[Request]:
    """The same requests as a study's: each with a run id of its own, `NAME_resnet-20_s0`.

    Raises:
        RunError: the name can't be part of a directory's name.
    """
    named = [replace(request, name=_run_id(name, request)) for request in requests]
    for request in named:
        if not (name and is_portable(request.name)):
            raise RunError(
                "{name!r} is not a name for a study: use letters, digits and . _ + -", name=name
            )
    return named


def _run_id(name: str, request: Request) -> str:
    return f"{name}_{request.net.name}_s{request.seed}"


def study_of(run: Run) -> str:
    """The name of the study that a run belongs to by its id; empty where it belongs to none."""
    ending = f"_{run.net}_s{run.config.seed}"
    return run.id.removesuffix(ending) if run.id.endswith(ending) and not run.bundled else ""


def studies(runs: Iterable[Run]) -> dict[str, list[Part]]:
    """The parts of each study that has several runs, by its name."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if name := study_of(run):
            found.setdefault(name, []).append(run)
    several = {name: study_parts(name, found[name]) for name in sorted(found)}
    return {name: parts for name, parts in several.items() if len(parts) > 1}


def study_parts(name: str, runs: Iterable[Run]) -> list[Part]:
    """The parts of a study that have a run of its own, by net and seed."""
    found = []
    for run in runs:
        if study_of(run) != name:
            continue
        with suppress(RunError, SpecError):  # a run of which no request can be made is no study's
            found.append(Part(replace(request_of(run), name=run.id), run))
    return sorted(found, key=lambda p: (p.request.net.kind, p.request.net.depth, p.request.seed))


@dataclass(frozen=True)
class Study(Work):
    """What is left of a study, to be trained by this machine's queue."""

    parts: Sequence[Part]

    def _repr_html_(self) -> str:
        done = sum(part.standing == "finished" for part in self.parts)
        return as_html(f"{done} of {len(self.parts)} trained", dict(map(_fact, self.parts)))

    def check(self, folder: Path) -> None:
        """As `Trainings.check`."""
        check_room([part.request for part in self.parts if part.run is None], folder)

    def enqueue(self, folder: Path) -> Enqueued:
        """Queue what is missing or stopped, in the study's order. Raises RunError."""
        done = Enqueued()
        for part in self.parts:
            if part.run is None:
                with queue_lock(folder):
                    done.paths.append(create_waiting(folder, *_made_of(part, folder)))
            elif part.standing in ("stopped", "queued"):
                try:
                    requeue(part.run.path)
                    done.paths.append(part.run.path)
                except RunInUse:
                    done.already.append((part.request, part.run.path))
        return done


def _fact(part: Part) -> tuple[str, str]:
    """What it is, and how far: for notebooks."""
    words = part.standing
    if part.run is not None:
        status = part.run.status
        words += f", epoch {status.epoch} of {status.epochs_total}"
        error = percent(status.test_error)
        words += f", test error {error}" if error else ""
    return f"{part.request.net.name} seed {part.request.seed}", words


def _made_of(part: Part, folder: Path):
    request = part.request
    return request.config(request.command(folder)), request.name or None


def write_missing(left: Iterable[Part], folder: Path) -> list[Path]:
    """Make the runs that are missing, in nobody's queue: whoever trains them comes to them.

    Two who do so at once make each of them once.

    Raises:
        RunError: the folder can't be written, or another training has a run's name.
    """
    made = []
    for part in left:
        if part.run is None:
            with queue_lock(folder):
                if not has_run(part.request, folder):
                    made.append(create_run(folder, *_made_of(part, folder)))
    return made


def has_run(request: Request, folder: Path) -> bool:
    """Whether the run that a request names is there. Raises RunError where it is another."""
    if not request.name or not files.exists(folder / request.name):
        return False
    if not request.same_training(load_run(folder / request.name).config):
        raise RunError(
            "{run} is there already and is another training (other images, recipe or epochs): "
            "choose another name, or delete that run",
            run=request.name,
        )
    return True


def obstacle(part: Part, folder: Path) -> RunDamaged | None:
    """Why a part can't be trained: the run of its name is not whole, or can't go on.

    Raises:
        RunError: that run is another training.
    """
    try:
        run = part.run
        if run is None and has_run(part.request, folder):
            run = load_run(folder / part.request.name)
        if run is not None and run.state not in ("finished", "running"):
            check_resumable(run, locked=True)
    except RunDamaged as error:
        return error
    return None


def put_back(path: Path) -> bool:
    """Make a run that stopped ready for whoever comes next; False where somebody trains it.

    Raises:
        RunError: it has finished or can't go on.
    """
    with suppress(RunInUse), open_writer(path) as writer:
        check_resumable(Run(path, writer.config, writer.status), locked=True)
        writer.clear_cancel()
        writer.set_status(state="queued", queued_at=None, reason=Message(), ended="")
        return True
    return False
