"""Which images is a net surveyed over? The run's own data set, or another with the same classes.

No silent fall-back: images that are not the run's own are taken only when somebody names them, and
what was made of them says so.
"""

from __future__ import annotations

from collections.abc import Callable

from analysis.data import Images, load_images
from analysis.data.placing import load_own_images
from analysis.errors import DataError
from analysis.runs import Run
from analysis.runs.learned import Origin
from analysis.specs import DataSpec

Progress = Callable[[int, int], None]
"""Called with the images done and their total."""


def images_of(
    run: Run, data: DataSpec | None = None, progress: Progress | None = None
) -> tuple[Images, Origin]:
    """The full data set of a run, or the one named in its place.

    Args:
        run: any run.
        data: images of the same classes and size; None: the run's own.
        progress: called while images are decoded for the first time.

    Raises:
        DataError: the run names no data set, it can't be had, or the net can't tell its classes.
    """
    spec = data or run.config.data_here
    if spec is None:
        raise DataError(
            "{run} names no data set: name images of its classes with --data folder:PATH.",
            run=run.id,
        )
    images = load_images(spec, progress=progress) if data else load_own_images(run, progress)
    info = run.config.images
    if data is None and info is not None and not images.has_fingerprint(info.fingerprint):
        raise DataError(
            "{data} is not the set that {run} was trained on: its images differ.",
            data=spec,
            run=run.id,
        )
    known = info.classes if info else images.classes
    if images.classes != known or len(images.classes) > run.config.net.classes:
        raise DataError(
            "{data} has other classes than {run}: {theirs}, not {ours}.",
            data=spec,
            run=run.id,
            theirs=_some(images.classes),
            ours=_some(known),
        )
    if images.size != run.config.image_size:
        raise DataError(
            "{data} has images of {theirs} pixels a side, {run} takes {ours}.",
            data=spec,
            run=run.id,
            theirs=images.size,
            ours=run.config.image_size,
        )
    return images, Origin(spec, images.fingerprint)


def same_images(origin: Origin) -> Images:
    """The images that an earlier pass was over.

    Raises:
        DataError: they can't be had any more, or they have changed.
    """
    images = load_images(origin.data_here)
    if images.fingerprint != origin.fingerprint:
        raise DataError("The images in {data} have changed since the survey.", data=origin.data)
    return images


def _some(classes: tuple[str, ...]) -> str:
    more = ", ..." if len(classes) > 4 else ""
    return f"{len(classes)} ({', '.join(classes[:4])}{more})"
