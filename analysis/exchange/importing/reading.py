"""Reading a foreign checkpoint: a state dict and what the file says of it; nothing is executed.

`archives` checks all sizes, `states` finds the state dicts, and tensors are made here from the
bytes of their storages: no unpickler of Python or torch is ever run on a file. What the tensors
mean is `recognition`'s business.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from analysis.errors import ImportRefused
from analysis.escape import visible
from analysis.exchange.importing.archives import Contents, check_file
from analysis.exchange.importing.containers import MAX_KEYS
from analysis.exchange.importing.states import WRAPPERS, Candidate, candidates, choose, split
from analysis.exchange.importing.stubs import (
    Attributed,
    StandIn,
    StorageStub,
    TensorStub,
    check_together,
    members,
)
from analysis.text import Message

HINT = "residual_lens"
"""Key under which our own exports say which net they hold."""

_MAX_FACTS = 50
_MAX_LISTED = 200


@dataclass(frozen=True)
class ForeignFile:
    """A state dict out of a foreign file, and what came with it."""

    name: str
    """The file's name, without folders."""
    size: int
    """Bytes."""
    sha256: str
    format: str
    """`zip`, `legacy` or `safetensors`."""
    tensors: dict[str, Tensor]
    """By key, prefixes stripped; of any dtype."""
    facts: dict[str, int | float | str | list[float]] = field(default_factory=dict)
    """Plain values beside the state dict: epoch, accuracy, mean, std, ..."""
    hint: dict[str, str] = field(default_factory=dict)
    """Of our own files: net, normalization."""
    weights: str = ""
    """Name of the state dict that was taken."""
    choices: tuple[str, ...] = ("",)
    """Names of all state dicts in the file."""
    notes: tuple[Message, ...] = ()
    """What was assumed or converted."""


def read_checkpoint(
    path: Path | str, name: str | None = None, weights: str | None = None, as_named: bool = False
) -> ForeignFile:
    """The state dict in a checkpoint file.

    Args:
        path: the file.
        name: what messages call it; by default the file's own name.
        weights: which of several state dicts in it; by default the first that is no average.
        as_named: under the file's own keys, prefixes and all.

    Raises:
        ImportRefused: not safe, not whole, or no state dict in it; the message says which.
    """
    path = Path(path)
    name = visible(Path(name or path.name).name)
    try:
        return _read(path, name, weights, as_named)
    except ImportRefused as error:
        raise ImportRefused("{file} is refused: {reason}", file=name, reason=error) from None
    except OSError as error:
        raise ImportRefused(
            "{file} can't be read: {reason}", file=name, reason=error.strerror or error
        ) from None


def _read(path: Path, name: str, wanted: str | None, as_named: bool) -> ForeignFile:
    contents = check_file(path)
    if contents.format == "safetensors":
        every, hint = _read_safetensors(path)
        found = [Candidate(part, inside, every) for part, inside in split(every)]
        found.sort(key=lambda candidate: candidate.is_average)
        facts: dict[str, Any] = dict(list(hint.items())[:_MAX_FACTS])
    else:
        found = candidates(contents.outline)
        if not found:
            raise _no_state_dict(contents.outline)
    taken, notes = choose(found, wanted)
    chosen = taken.as_named if as_named else taken.tensors
    if contents.format == "safetensors":
        tensors = dict(chosen)
    else:
        tensors = _made(path, contents, chosen)
        facts = {} if taken.holder is contents.outline else _facts(contents, path)
        hint = _hint(taken.holder, facts)
        tensors |= _normalizer(path, contents, taken.holder)
        if isinstance(taken.holder, StandIn):
            notes.append(_module_note(taken.holder))
    tensors, more = _multiplied_out(tensors)
    return ForeignFile(
        name=name, size=path.stat().st_size, sha256=_sha256(path), format=contents.format,
        tensors=tensors, facts=facts, hint=hint, weights=taken.name,
        choices=tuple(candidate.name for candidate in found), notes=(*notes, *more),
    )  # fmt: skip


def _module_note(module: StandIn) -> Message:
    return Message(
        "it is a whole module ({name}), of which the tensors and their names were read; its code "
        "is not in the file and is not known, so shortcuts without weights are assumed",
        name=module.name[:80],
    )


def _no_state_dict(value: Any) -> ImportRefused:
    if isinstance(value, StandIn):
        return ImportRefused(
            "it holds an object of the class {name} and no convolutions in it; save "
            "net.state_dict() of a net of the families here",
            name=value.name[:80],
        )
    if not isinstance(value, dict):
        kind = Message("tensor") if isinstance(value, TensorStub) else type(value).__name__
        return ImportRefused(
            "it holds no state dict, but a {kind}; save net.state_dict()", kind=kind
        )
    if not value:
        return ImportRefused("it holds an empty dictionary, no weights")
    keys = ", ".join(str(key)[:40] for key in list(value)[:6])
    if "param_groups" in value or set(value) <= {"optimizer", "epoch", "scheduler", "step"}:
        return ImportRefused(
            "it holds the state of an optimizer, not of a net (keys: {keys}); save "
            "net.state_dict() too",
            keys=keys,
        )
    return ImportRefused(
        "it holds no state dict: no tensors with names such as layer1.0.conv1.weight, at the top "
        "or under {wrappers} (keys found: {keys})",
        wrappers=", ".join(WRAPPERS),
        keys=keys,
    )


def _made(path: Path, contents: Contents, stubs: Mapping[str, TensorStub]) -> dict[str, Tensor]:
    """Tensors of these stubs, each with memory of its own."""
    check_together(stubs.values(), path.stat().st_size)
    made: dict[str, Tensor] = {}
    by_storage: dict[StorageStub, list[str]] = {}
    for key, stub in stubs.items():
        by_storage.setdefault(stub.storage, []).append(key)
    with open(path, "rb") as file:
        for storage, keys in by_storage.items():
            numbers = _numbers(file, contents, storage)
            for key in keys:
                stub = stubs[key]
                view = numbers.as_strided(stub.shape, stub.stride, stub.offset)
                made[key] = view.clone(memory_format=torch.contiguous_format)
    return {key: made[key] for key in stubs}


def _numbers(file: BinaryIO, contents: Contents, storage: StorageStub) -> Tensor:
    dtype = getattr(torch, storage.dtype)
    data = bytearray(contents.read(file, storage))
    if len(data) != storage.nbytes:
        raise ImportRefused(
            "it is cut off in its storage {key}; get the file again", key=storage.key
        )
    if dtype == torch.bool:
        return torch.frombuffer(data, dtype=torch.uint8).ne(0) if data else torch.empty(0).bool()
    return torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _normalizer(path: Path, contents: Contents, holder: Any) -> dict[str, Tensor]:
    """The input's mean and deviation where one of our own exports has them beside its weights."""
    stubs = {}
    for source in (contents.outline, _metadata(holder)):
        for leaf in ("mean", "std"):
            stub = source.get(f"{HINT}_{leaf}") if isinstance(source, dict) else None
            if isinstance(stub, TensorStub) and stub.dtype == "float32":
                stubs[f"normalizer.{leaf}"] = stub
    return _made(path, contents, stubs)


def _metadata(holder: Any) -> dict[Any, Any]:
    """torch's `_metadata` of the outermost module."""
    held = holder.attributes.get("_metadata") if isinstance(holder, Attributed) else None
    inner = held.get("") if isinstance(held, dict) else None
    return inner if isinstance(inner, dict) else {}


def _facts(contents: Contents, path: Path) -> dict[str, Any]:
    """Plain values at the first level, and in its objects of arguments."""
    facts: dict[str, Any] = {}
    root = members(contents.outline)
    single = {
        key: value
        for key, value in list(root.items())[: 4 * _MAX_FACTS]
        if isinstance(value, TensorStub) and value.shape in ((), (1,))
    }
    numbers = _made(path, contents, single)
    for key, value in root.items():
        if key in numbers:
            value = numbers[key].item()
        plain = isinstance(value, int | float) and abs(value) < 1e300 and math.isfinite(value)
        colours = isinstance(value, list | tuple) and len(value) == 3
        if plain or (isinstance(value, str) and len(value) <= _MAX_LISTED):
            facts[str(key)[:80]] = value
        elif colours and all(isinstance(part, int | float) for part in value):
            facts[str(key)[:80]] = [float(part) for part in value]
        if len(facts) == _MAX_FACTS:
            break
    return facts


def _hint(holder: Any, facts: Mapping[str, Any]) -> dict[str, str]:
    """Which net our own exports say that they hold: beside the state dict, or in its metadata."""
    hint = {"net": facts.get(f"{HINT}_net"), "normalization": facts.get(f"{HINT}_normalization")}
    inner = _metadata(holder)
    hint |= {key: inner[f"{HINT}_{key}"] for key in hint if f"{HINT}_{key}" in inner}
    return {key: value for key, value in hint.items() if isinstance(value, str)}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            keys = list(file.keys())
            if len(keys) > MAX_KEYS:
                raise ImportRefused("it has {n:,} tensors; no net here has so many", n=len(keys))
            metadata = dict(file.metadata() or {})
            if not any("." in key for key in keys):
                raise ImportRefused("it holds no state dict: no tensors such as conv1.weight")
            tensors = {key: file.get_tensor(key) for key in keys}
    except (SafetensorError, OSError, RecursionError, ValueError, RuntimeError) as error:
        if isinstance(error, ImportRefused):
            raise
        raise ImportRefused("it is cut off or damaged: {reason}", reason=str(error)[:200]) from None
    return tensors, {k: value for k, value in metadata.items() if len(value) <= _MAX_LISTED}


def _multiplied_out(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[Message]]:
    """Weights that torch's pruning keeps as `weight_orig` and `weight_mask`, as their product."""
    pruned = [
        key.removesuffix("_mask")
        for key in tensors
        if key.endswith("_mask") and f"{key.removesuffix('_mask')}_orig" in tensors
    ]
    pruned = [key for key in pruned if key not in tensors]
    made: dict[str, Tensor] = {}
    for key, value in tensors.items():
        base = key.removesuffix("_orig")
        if base in pruned and key.endswith("_orig"):
            mask = tensors[f"{base}_mask"]
            if mask.shape != value.shape:
                raise ImportRefused("{key} and its mask have different shapes", key=key)
            made[base] = value * mask.to(value.dtype)
        elif key.removesuffix("_mask") not in pruned:
            made[key] = value
    if not pruned:
        return tensors, []
    return made, [
        Message(
            "{n} tensors were pruned with torch.nn.utils.prune (weight_orig and weight_mask): "
            "their products were taken, which is what the net computes with",
            n=len(pruned),
        )
    ]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
