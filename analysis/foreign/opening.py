"""From a checkpoint of torchvision or timm to a recording that stands beside our runs.

The net is measured over a few images of a data set, at the size that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.data import Normalizer, load_images
from analysis.errors import DataError
from analysis.exchange.importing import Normalization
from analysis.foreign.library import Architecture, LibraryFile, usual_input
from analysis.foreign.measuring import observe
from analysis.pictures.decoding import decode
from analysis.runs import SavedRecording
from analysis.specs import DataSpec
from analysis.specs.datasets import IMAGE_ENDINGS
from analysis.text import Message

IMAGES = 64
"""Over which a net is measured unless said."""
BATCH = 8
"""Images a forward pass: of 224x224."""

Progress = Callable[[Message, int, int], None]


def observe_file(
    found: LibraryFile, architecture: Architecture, data: DataSpec, images: int = IMAGES,
    normalization: Normalization | None = None, folder: Path | str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> SavedRecording:  # fmt: skip
    """Measure the net in a file and save it as a recording, named as its file.

    Args:
        found: the file, with its tensors.
        architecture: one of those that fit it.
        data: CIFAR or digits, enlarged to the net's input; or any folder of images.
        images: how many of them, spread evenly over the set.
        normalization: of its input; None: that of the library's own weights.
        folder: of runs; by default where new runs go.
        progress: called after each batch.

    Raises:
        ImportRefused: the net can't be built with these tensors.
        DataError: the images can't be had.
        RunError: the folder can't be written.
    """
    net = found.open(architecture)
    size, usual = usual_input(architecture, net)
    chosen = normalization or usual
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (chosen.mean, chosen.std))
    normalizer = Normalizer(mean, std)
    pixels = few_images(data, size, images)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(pixels), BATCH):
            yield normalizer.apply(pixels[start : start + BATCH])
            progress(Message("measuring its blocks"), start + BATCH, len(pixels))

    title = f"{architecture.title.partition(' ')[2]} ({Path(found.file.name).stem})"
    return observe(net, batches()).save(title[:60], folder, data.title)


def few_images(data: DataSpec, size: int, images: int) -> Tensor:
    """At most so many images of a set, spread evenly over it: uint8 (N, 3, size, size).

    A folder's are those in its test/ where it has one, else all below it: scaled by the shorter
    side, of which the centre is cut out. Those of other sets are enlarged.

    Raises:
        DataError: there are none, or one can't be read.
    """
    if data.path is None:
        pixels = load_images(data, test_only=True).subset(test=images).test
        resized = F.interpolate(pixels.float(), size=(size, size), mode="bicubic", antialias=True)
        return resized.round().clamp(0, 255).to(torch.uint8)
    root = Path(data.path)
    inside = root / "test" if (root / "test").is_dir() else root
    files = sorted(path for path in inside.rglob("*") if path.suffix.lower() in IMAGE_ENDINGS)
    if not files:
        raise DataError(
            "{folder} has no images ({endings})", folder=inside, endings=", ".join(IMAGE_ENDINGS)
        )
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, min(images, len(files))).astype(int)]
    return torch.stack([_decoded(path, size) for path in chosen])


def _decoded(path: Path, size: int) -> Tensor:
    try:
        return torch.from_numpy(decode(path, size, resize=True).transpose(2, 0, 1).copy())
    except DataError as error:
        raise DataError("{file} {problem}", file=path, problem=error) from None
