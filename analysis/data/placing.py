"""Where images are, said once: a folder is checked, then kept for every run on the same images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from analysis.commands import about
from analysis.data.cache import Progress
from analysis.data.images import Images
from analysis.data.sources import cifar_class, load_images, read_cifar
from analysis.errors import DataError
from analysis.runs import Run
from analysis.runs.files import disk_error, write_json
from analysis.specs import DataSpec
from analysis.specs.places import named_places, places_file


def place_images_of(run: Run, folder: str, progress: Progress | None = None) -> Path:
    """Keep where a run's images are on this machine, once they were found to be the same.

    CIFAR is checked by its official checksums, a folder's images by the fingerprint in the run.

    Args:
        run: any run that names its data set.
        folder: the one that holds train/ and test/, or CIFAR's archive or unpacked folder; either
            of these two will do as well.
        progress: called while images are decoded for the first time.

    Returns:
        The folder that was kept.

    Raises:
        DataError: the folder does not hold these images, or the run names no data set.
        RunError: the place can't be kept.
    """
    data, info = run.config.data, run.config.images
    if data is None or info is None:
        raise DataError("{run} does not say which images it was trained on", run=run.id)
    if data.known and not data.known.source:
        raise DataError("{data} needs no folder: it comes with Residual Lens", data=data)
    place = Path(folder.strip()).expanduser().absolute()
    if data.known:
        place = _check_cifar(data, place)
    elif not load_images(replace(data, path=str(place)), progress=progress).has_fingerprint(
        info.fingerprint
    ):
        raise DataError(
            "The images in {folder} are not those that {run} was trained on ({data})",
            folder=place,
            run=run.id,
            data=data.title,
        )
    keep_place(data.name if data.known else info.fingerprint, place)
    return place


def load_own_images(run: Run, progress: Progress | None = None) -> Images:
    """The full data set of a run that names one, from where it is on this machine.

    Raises:
        DataError: the images can't be had; says how to name their place.
    """
    data = run.config.data_here
    assert data is not None
    try:
        return load_images(data, progress=progress)
    except DataError as error:
        if data.is_at_hand:
            raise
        raise DataError(
            "{error}. If they are elsewhere on this machine, say so once: {command}",
            error=error,
            command=about("images", run, "FOLDER"),
        ) from error


def _check_cifar(data: DataSpec, place: Path) -> Path:
    """The folder in which CIFAR's archive or its unpacked folder is, whole."""
    kind = cifar_class(data.name)
    if place.name in (kind.base_folder, kind.filename):
        place = place.parent
    if not any((place / name).exists() for name in (kind.base_folder, kind.filename)):
        raise DataError(
            "{folder} holds neither {archive} nor {unpacked}",
            folder=place,
            archive=kind.filename,
            unpacked=f"{kind.base_folder}/",
        )
    read_cifar(kind, place, download=False)
    return place


def keep_place(images: str, place: Path) -> None:
    """Remember the folder of a data set's name or a fingerprint. Raises RunError."""
    file = places_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(file.parent, error) from error
    write_json(file, {**named_places(), images: str(place)})
