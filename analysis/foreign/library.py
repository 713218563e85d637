"""A checkpoint of torchvision's or timm's nets, opened by the library's own builder.

Which net it is, the names and shapes of its tensors tell. `architectures.json` has digests of both
for the libraries' classifiers (`python -m tests.architectures` makes it), so that no other net is
built than the one that fits. No code comes from the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from analysis.errors import ImportRefused
from analysis.exchange.importing import ForeignFile, Normalization, read_checkpoint
from analysis.exchange.importing.states import common_prefix
from analysis.text import Message

INDEX = Path(__file__).with_name("architectures.json")
CLASSES = 1000
"""With which the index was made: a dimension of so many, first in a head's tensors, may differ."""
_COUNTER = "num_batches_tracked"
_QUICK = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
"""These two draw weights for minutes, which are then overwritten."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Architecture:
    """A net that one of the libraries builds by name."""

    name: str
    """`torchvision/convnext_tiny`, `timm/vit_small_patch16_224`."""
    classes: int
    """0: without a head."""

    @property
    def title(self) -> str:
        """What figures call it."""
        return self.name.replace("/", " ")

    def build(self) -> nn.Module:
        """The library's net, in evaluation mode, with weights of its own drawing.

        Raises:
            ImportRefused: timm is not installed, or the library has no such net.
        """
        library, _, name = self.name.partition("/")
        try:
            if library == "torchvision":
                from torchvision import models

                made = models.get_model(name, num_classes=self.classes, **_QUICK.get(name, {}))
            else:
                import timm

                made = timm.create_model(name, num_classes=self.classes)
        except ImportError:
            raise ImportRefused(
                "it is timm's {net}; to open it: {command}",
                net=name,
                command="pip install 'residual-lens[timm]'",
            ) from None
        except (ValueError, RuntimeError) as error:
            raise ImportRefused(
                "{library} builds no {net} here: {reason}",
                library=library,
                net=name,
                reason=str(error)[:200],
            ) from None
        return made.eval()


@dataclass(frozen=True)
class LibraryFile:
    """A checkpoint, and the architectures that its tensors fit."""

    file: ForeignFile
    """Under the keys of the file."""
    architectures: tuple[Architecture, ...]
    """None: it is of none; several: of the same names and shapes, which compute differently."""
    n_tensors: int

    def chosen(self, name: str | None = None) -> Architecture:
        """The one of this name, or the only one.

        Raises:
            ImportRefused: none, several, or not of this name; says which there are.
        """
        found = [one for one in self.architectures if name in (None, one.name)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(one.name for one in self.architectures)
        if not names:
            raise ImportRefused("{file}: no architecture fits", file=self.file.name)
        raise ImportRefused(
            "{file}: its tensors fit {nets}, which compute differently: say which it is "
            "(--net {first})",
            file=self.file.name,
            nets=names,
            first=self.architectures[0].name,
        )

    def open(self, architecture: Architecture) -> nn.Module:
        """The library's net with the file's weights, every tensor in its place.

        Raises:
            ImportRefused: it can't be built, or a newer version of it has other tensors.
        """
        net = architecture.build()
        theirs = net.state_dict()
        here, there = (common_prefix(_counted_out(keys)) for keys in (theirs, self.file.tensors))
        named = {here + key.removeprefix(there): v for key, v in self.file.tensors.items()}
        named = {k: v for k, v in theirs.items() if k.endswith(_COUNTER)} | named
        if shapes_of(named) != shapes_of(theirs):
            raise ImportRefused(
                "{file}: {net} as it is installed here has other tensors",
                file=self.file.name,
                net=architecture.title,
            )
        net.load_state_dict(named)
        return net


def library_file(
    path: Path | str, name: str | None = None, weights: str | None = None
) -> LibraryFile:
    """Which architectures of torchvision and timm the tensors in a file fit.

    Args:
        path: a checkpoint, as `read_checkpoint` takes it.
        name: what messages call it.
        weights: which of several state dicts in it.

    Raises:
        ImportRefused: not safe, not whole, or no state dict in it.
    """
    file = read_checkpoint(path, name, weights, as_named=True)
    return LibraryFile(file, fitting(shapes_of(file.tensors)), len(file.tensors))


def slim(found: LibraryFile) -> LibraryFile:
    """The same without its tensors, to be kept."""
    return replace(found, file=replace(found.file, tensors={}))


def fitting(shapes: Mapping[str, Shape]) -> tuple[Architecture, ...]:
    """The architectures with tensors of these names and shapes, whatever the number of classes.

    Where both libraries have the same net, torchvision's.
    """
    plain = canonical(shapes)
    for group in _index().get(digest_of(sorted(plain)), []):
        heads = {plain[key][:1] for key in group["head"]}
        if len(heads) <= 1:
            classes = next(iter(heads))[0] if heads else 0
            names = group["nets"].get(digest_of(without_classes(plain, group["head"])), [])
            if names:
                return tuple(Architecture(name, classes) for name in names)
    return ()


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Shape by key."""
    return {key: tuple(value.shape) for key, value in tensors.items()}


def canonical(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Without names that all keys begin with (`module.`), and without BN's counters."""
    kept = _counted_out(shapes)
    prefix = common_prefix(kept)
    return {key.removeprefix(prefix): tuple(shapes[key]) for key in kept}


def _counted_out(keys: Mapping[str, Any]) -> list[str]:
    return [key for key in keys if not key.endswith(_COUNTER)]


def without_classes(shapes: Mapping[str, Shape], head: list[str]) -> list[list[Any]]:
    """Keys with their shapes, those of the head's tensors without their first dimension."""
    return [[key, list(shape[key in head :])] for key, shape in sorted(shapes.items())]


def digest_of(value: Any) -> str:
    """12 hex digits of what JSON writes."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


@cache
def _index() -> dict[str, list[dict[str, Any]]]:
    return json.loads(INDEX.read_text(encoding="utf-8"))


def how_to(path: Path | str, title: str) -> str:
    """Python that measures a net of any code whose weights are in a file, to be copied."""
    return f"""import torch
from analysis import observe, watch

net = ...                     # built by your own code
net.load_state_dict(torch.load({str(path)!r}, weights_only=True))
images = ...                  # (N, 3, H, W), normalized as the net wants them
observe(net, images).save({title!r})

with watch(net, name={title!r}) as run:   # in your training loop
    run.log(epoch=1, train_error=40.2, test_error=41.0)
    run.probe(images)
"""


def usual_input(architecture: Architecture, net: nn.Module) -> tuple[int, Normalization]:
    """Height and width, and normalization, that the library's own weights of it take."""
    library, _, name = architecture.name.partition("/")
    if library == "torchvision":
        from torchvision import models

        default: Any = models.get_model_weights(name)
        taken = next(iter(default)).transforms()
        size, mean, std = getattr(net, "image_size", 224), taken.mean, taken.std
    else:
        known: Any = net.pretrained_cfg
        size, mean, std = known["input_size"][-1], known["mean"], known["std"]
    return size, Normalization("usual", tuple(mean), tuple(std), Message(architecture.title))
