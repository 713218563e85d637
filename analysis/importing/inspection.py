"""What a foreign file holds: which net, what it claims, how its input was probably normalized.

Nothing is written and no image is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from analysis.data import Normalizer
from analysis.errors import ImportRefused, LensError
from analysis.importing.normalizations import likely_normalization
from analysis.importing.reading import ForeignFile, read_checkpoint
from analysis.importing.recognition import Recognised, recognise
from analysis.importing.verification import Claim, claim_of, epoch_of
from analysis.runs import files, load_run
from analysis.runs.recordings import RECORDING
from analysis.spec import NetSpec
from analysis.text import Listed, Message
from analysis.weights import NORMALIZER


@dataclass(frozen=True)
class Inspection:
    """What a file holds, before anything is decided or written."""

    file: ForeignFile
    net: Recognised
    claim: Claim | None
    epoch: int
    suggestion: str | None
    """Name of the normalization that the repository of this layout uses; None: not known."""
    normalizer: Normalizer | None
    """Of one of our own files, which hold it."""

    @property
    def summary(self) -> Message:
        """One line of what was found."""
        return Message(
            "{net}: {parts}; layout of {layout}; {used} tensors used, {unused} left over",
            net=self.net.spec.name,
            parts=Listed(tuple(_parts(self.net.spec))),
            layout=self.net.layout.title,
            used=len(self.net.keys),
            unused=len(self.net.unused),
        )


def _parts(spec: NetSpec) -> Iterator[Message]:
    yield spec.traits.title
    yield Message("{n} layers", n=spec.depth)
    yield Message("{family} family", family=spec.family)
    yield Message("width {n}", n=spec.width)
    if spec.shortcut:
        yield Message("shortcut option {option}", option=spec.shortcut)
    yield Message("7x7 stem with max-pool") if spec.stem == "imagenet" else Message("3x3 stem")
    yield Message("{n} classes", n=spec.classes)


def inspect(path: Path | str, net: str | None = None, name: str | None = None) -> Inspection:
    """Read a file and say which net it holds.

    Args:
        path: a checkpoint file, or the directory of one of our runs.
        net: name of the net, where keys can't tell (plain-20 or resnet-20).
        name: what messages call the file.

    Raises:
        ImportRefused: not safe, not whole, or none of our families.
    """
    path, hint = _weights_of(Path(path))
    file = read_checkpoint(path, name)
    shapes = {
        key: tuple(value.shape)
        for key, value in file.tensors.items()
        if not key.startswith(NORMALIZER)
    }
    try:
        found = recognise(shapes, net, hint or file.hint.get("net"))
        normalizer = _own_normalizer(file.tensors)
    except LensError as error:
        raise ImportRefused("{file}: {reason}", file=file.name, reason=error) from None
    suggestion = file.hint.get("normalization") or likely_normalization(
        found.layout.name, found.spec.classes
    )
    return Inspection(
        file, found, claim_of(file.facts), epoch_of(file.facts), suggestion, normalizer
    )


def _weights_of(path: Path) -> tuple[Path, str | None]:
    """A run's weights and net where `path` is a run, the file itself otherwise."""
    if path.is_dir() and (path / files.CONFIG).exists():
        run = load_run(path)
        return run.weights_path, run.net
    if (path / RECORDING).exists():
        raise ImportRefused(
            "{file} is a recording of layer responses: it has no weights; Compare opens it",
            file=path.name,
        )
    return path, None


def _own_normalizer(tensors: dict[str, Tensor]) -> Normalizer | None:
    mean, std = tensors.get(NORMALIZER + "mean"), tensors.get(NORMALIZER + "std")
    if mean is None:
        return None
    shaped = mean.dim() == 3 and mean.shape[0] == 3 and max(mean.shape[1:]) <= 512
    if not shaped or not mean.isfinite().all():
        raise ImportRefused("its normalizer.mean is not of 3 colours, or not finite")
    if std is not None and (std.shape != (3, 1, 1) or not bool((std > 0).all())):
        raise ImportRefused("its normalizer.std is not of 3 colours, or not above 0")
    return Normalizer(mean, std)
