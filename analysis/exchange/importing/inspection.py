"""What a foreign file holds: which net, what it claims, how its input was normalized if it says so.

Nothing is written and no image is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from analysis.data import Normalizer
from analysis.errors import ImportRefused, LensError, UnknownNet
from analysis.exchange.importing.layouts import LEAVES, split_key
from analysis.exchange.importing.normalizations import likely_normalization
from analysis.exchange.importing.own_normalization import (
    normalizer_keys,
    own_normalizer,
    said_beside,
)
from analysis.exchange.importing.reading import ForeignFile, read_checkpoint
from analysis.exchange.importing.recognition import Recognised, recognise
from analysis.exchange.importing.refusals import listed
from analysis.exchange.importing.verification import Claim, claim_of, epoch_of
from analysis.runs import files, load_run
from analysis.runs.files import RECORDING
from analysis.specs import NetSpec
from analysis.text import Listed, Message
from analysis.weights import NORMALIZER


@dataclass(frozen=True)
class Inspection:
    """What a file holds, before anything is decided or written."""

    file: ForeignFile
    net: Recognised
    claim: Claim | None
    epoch: int
    normalizer: Normalizer | None
    """The file's own, where it holds one."""
    said: str | None
    """The normalization that the file names: one of our exports, or `mean` and `std` beside it."""
    usual: str | None
    """Name of what the repository of this layout uses: no evidence on its own; None: not known."""
    notes: tuple[Message, ...] = ()
    """What was assumed or converted while reading, and what weights can't tell."""

    @property
    def normalizer_keys(self) -> set[str]:
        """The file's keys of its own normalizer; none where it has none."""
        return normalizer_keys(self.net.unused) if self.normalizer is not None else set()

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


def inspect(
    path: Path | str, net: str | None = None, name: str | None = None,
    weights: str | None = None, names: Mapping[str, str] | None = None,
) -> Inspection:  # fmt: skip
    """Read a file and say which net it holds.

    Args:
        path: a checkpoint file, or the directory of one of our runs.
        net: name of the net, where keys can't tell (plain-20 or resnet-20).
        name: what messages call the file.
        weights: which of several state dicts in the file.
        names: other names for parts of the net, by the file's own: `{"stage_a": "layer1"}`, or by
            ours: `{"entry": "stem.conv"}`.

    Raises:
        ImportRefused: not safe or not whole.
        UnknownNet: none of our families.
    """
    path, hint = _weights_of(Path(path))
    file = read_checkpoint(path, name, weights)
    try:
        tensors = _renamed(file.tensors, names or {})
        found = recognise(_shapes(tensors), net, hint or file.hint.get("net"))
        tensors, converted = _in_float32(tensors, set(found.keys.values()))
        others = [key for key in tensors if key not in found.keys.values()]
        found = replace(found, unused=tuple(k for k in others if not k.startswith(NORMALIZER)))
        normalizer = own_normalizer(tensors)
        said = file.hint.get("normalization") or said_beside(file.facts)
    except LensError as error:
        kind = UnknownNet if isinstance(error, UnknownNet) else ImportRefused
        raise kind("{file}: {reason}", file=file.name, reason=error) from None
    return Inspection(
        replace(file, tensors=tensors), found, claim_of(file.facts), epoch_of(file.facts),
        normalizer, said, likely_normalization(found.layout.name, found.spec),
        (*file.notes, *converted, *_alphabet(file, found), *_other_heads(tensors, found),
         *found.notes),
    )  # fmt: skip


def _alphabet(file: ForeignFile, found: Recognised) -> Iterator[Message]:
    if file.format == "safetensors" and found.layout.name == "unknown":
        yield Message(
            "a .safetensors file has its tensors in the order of the alphabet: layers whose names "
            "carry no numbers were taken in that order; images tell whether it is right"
        )


def _other_heads(tensors: Mapping[str, Tensor], found: Recognised) -> Iterator[Message]:
    """Said where another linear layer has as many inputs as the one that was taken."""
    taken = found.keys["head.fc.weight"]
    inputs = tensors[taken].shape[1:]
    others = [key for key in found.unused if tensors[key].shape[1:] == inputs]
    others = [key for key in others if tensors[key].dim() == 2 and key.endswith(".weight")]
    if others:
        yield Message(
            "{taken}, of {n} outputs, was taken as its head, though {others} could be it: "
            "--map {other}=head.fc takes another",
            taken=split_key(taken)[0],
            n=tensors[taken].shape[0],
            others=listed([f"{split_key(key)[0]} ({tensors[key].shape[0]})" for key in others]),
            other=split_key(others[0])[0],
        )


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Of all that may be a part of a net: whole numbers other than BN's counters are none."""
    return {
        key: tuple(value.shape)
        for key, value in tensors.items()
        if not key.startswith(NORMALIZER)
        and (value.is_floating_point() or split_key(key)[1] in LEAVES)
    }


def _renamed(tensors: dict[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Keys with the user's names for their beginnings."""
    renamed = dict(tensors)
    for old, new in names.items():
        hits = [key for key in renamed if key == old or key.startswith(f"{old}.")]
        if not hits:
            raise ImportRefused(
                "--map {old}={new}: no key of it is or begins with {old}; its keys are {keys}",
                old=old,
                new=new,
                keys=listed(list(tensors), 8),
            )
        renamed = {
            new + key.removeprefix(old) if key in hits else key: value
            for key, value in renamed.items()
        }
    if len(renamed) < len(tensors):
        raise ImportRefused("--map gives two tensors the same name")
    return renamed


def _in_float32(
    tensors: dict[str, Tensor], used: Collection[str]
) -> tuple[dict[str, Tensor], tuple[Message, ...]]:
    """The net's weights in float32, which holds float16 and bfloat16 exactly.

    Raises:
        ImportRefused: they are of a dtype of which float32 would change values.
    """
    others = {
        key: str(tensors[key].dtype).removeprefix("torch.")
        for key in tensors
        if key in used
        and tensors[key].dtype != torch.float32
        and not key.endswith("num_batches_tracked")
    }
    kinds = ", ".join(sorted(set(others.values())))
    wrong = [key for key, dtype in others.items() if dtype not in ("float16", "bfloat16")]
    if wrong:
        raise ImportRefused(
            "{n} of its tensors are {kinds}, for example {key} ({dtype}); nets here are float32, "
            "and an import must not change a weight. If a conversion is meant: {command}",
            n=len(others),
            kinds=kinds,
            key=wrong[0],
            dtype=others[wrong[0]],
            command="torch.save({k: v.float() for k, v in state.items()}, 'float32.pth')",
        )
    if not others:
        return tensors, ()
    converted = {key: v.float() if key in others else v for key, v in tensors.items()}
    return converted, (
        Message(
            "{n} tensors are {kinds}; they were converted to float32, which changes no value",
            n=len(others),
            kinds=kinds,
        ),
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
