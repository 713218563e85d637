"""Where in a file state dicts are: wrappers looked through, modules walked, prefixes taken off.

Works on what `pickles` describes, and on the keys and shapes of a safetensors file. Weights, their
running average (EMA), a student and its teacher may be in one file: each is a candidate, the first
that is no average is taken unless another is named, and the importer says so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.errors import ImportRefused
from analysis.exchange.importing.stubs import StandIn, TensorStub, members
from analysis.text import Message

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights")
"""What repositories call the state dict in their files, as examples for messages."""

_AVERAGES = re.compile(r"ema|averag|avg|swa|teacher|shadow|momentum|target|encoder_k|key_enc", re.I)
_NO_NETS = re.compile(r"optim|sched|scaler|hook|callback|loops|amp$", re.I)
_DEPTH, _MODULES_DEEP, _WIDEST = 5, 40, 2000
_MOST, _MODULES_MOST = 16, 20_000
"""State dicts, and modules in a whole one: a pickle may refer to one thing any number of times."""
_MIN_CONVOLUTIONS = 5


@dataclass(frozen=True)
class Candidate:
    """One net's tensors in a file."""

    name: str
    """Where it is: `state_dict_ema`, `model.student`; empty for the whole file."""
    tensors: Mapping[str, Any]
    """By key, prefixes taken off: stubs, or shapes."""
    whole: Mapping[str, Any]
    """The state dict that they are part of, under the file's own keys."""
    holder: Any = None
    """The dictionary or object that holds it, for what is said beside it."""

    @property
    def as_named(self) -> dict[str, Any]:
        """Its tensors under the file's own keys."""
        kept = set(self.tensors.values())
        return {key: value for key, value in self.whole.items() if value in kept}

    @property
    def is_average(self) -> bool:
        """Whether its name says that it is an average over training."""
        return bool(_AVERAGES.search(self.name))


def candidates(value: Any) -> list[Candidate]:
    """All state dicts in what a pickle describes, those that are no averages first."""
    found: list[Candidate] = []
    for name, holder, tensors in itertools.islice(_search(value, "", _DEPTH, set()), _MOST):
        for part, inside in split(tensors):
            full = f"{name}.{part}" if name and part else name or part
            same = set(inside.values())
            if not any(set(candidate.tensors.values()) == same for candidate in found):
                found.append(Candidate(full, inside, tensors, holder))
    return sorted(found, key=lambda candidate: candidate.is_average)


def choose(found: list[Candidate], wanted: str | None) -> tuple[Candidate, list[Message]]:
    """The candidate of this name, or the first; and what was assumed.

    Raises:
        ImportRefused: no candidate has this name.
    """
    names = [candidate.name for candidate in found]
    if wanted is not None:
        for candidate in found:
            if candidate.name == wanted:
                return candidate, []
        raise ImportRefused(
            "it has no weights called {name!r}; there are {names}",
            name=wanted,
            names=", ".join(map(repr, names)),
        )
    taken = found[0]
    if len(found) == 1:
        return taken, []
    return taken, [
        Message(
            "it holds {n} sets of weights ({names}); {taken} was taken: name another if you mean "
            "that (--weights {other})",
            n=len(found),
            names=", ".join(name or "the first level" for name in names),
            taken=taken.name or "the first level",
            other=names[1],
        )
    ]


def _search(
    value: Any, name: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple):
        value = {str(index): part for index, part in enumerate(value[:16])}
    inside = members(value)
    if not inside or not depth:
        return
    if isinstance(value, StandIn) and "_modules" in inside:
        walked = dict(_walk(inside, "", _MODULES_DEEP, itertools.count()))
        if any(len(stub.shape) == 4 for stub in walked.values()):
            yield name, value, walked
        return
    tensors = {k: v for k, v in inside.items() if isinstance(k, str) and isinstance(v, TensorStub)}
    if any("." in key and stub.shape for key, stub in tensors.items()):
        yield name, value, tensors
        return
    for key, part in list(inside.items())[:_WIDEST]:
        if isinstance(key, str) and not _NO_NETS.search(key):
            yield from _search(part, f"{name}.{key}" if name else key, depth - 1, seen)


def _walk(
    inside: Mapping[Any, Any], prefix: str, depth: int, visits: Iterator[int]
) -> Iterator[tuple[str, TensorStub]]:
    """A pickled module's parameters and buffers under the keys of its state dict."""
    if next(visits) > _MODULES_MOST:
        raise ImportRefused("it has more than {most:,} modules", most=_MODULES_MOST)
    for kind in ("_parameters", "_buffers"):
        for key, stub in members(inside.get(kind)).items():
            if isinstance(stub, TensorStub):
                yield f"{prefix}{key}", stub
    for key, part in members(inside.get("_modules")).items():
        below = members(part)
        if depth and below:
            yield from _walk(below, f"{prefix}{key}.", depth - 1, visits)


def split(tensors: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, tensors without their common prefix) of each net in one state dict."""
    shapes = {key: tuple(getattr(value, "shape", value)) for key, value in tensors.items()}
    filters = [key for key, shape in shapes.items() if len(shape) == 4]
    stems = [key for key in filters if shapes[key][1] == 3 and shapes[key][2] > 1]
    start = common_prefix(stems)
    heads = dict.fromkeys(key[len(start) :].split(".")[0] for key in stems)
    inside = {head: [key for key in filters if key.startswith(f"{start}{head}.")] for head in heads}
    nets = [head for head, keys in inside.items() if len(keys) >= _MIN_CONVOLUTIONS]
    if len(stems) < 2 or not nets:
        return [("", stripped(tensors, common_prefix(filters)))]
    parts: list[tuple[str, dict[str, Any]]] = []
    for head in nets:
        own = f"{start}{head}."
        chosen = {key: value for key, value in tensors.items() if key.startswith(own)}
        parts.append((f"{start}{head}", stripped(chosen, common_prefix(inside[head]))))
    others = tuple(f"{start}{head}." for head in nets)
    rest = {key: value for key, value in tensors.items() if not key.startswith(others)}
    kept = [key for key in filters if key in rest]
    if len(kept) >= _MIN_CONVOLUTIONS:
        parts.insert(0, ("", stripped(rest, common_prefix(kept))))
    return parts


def common_prefix(keys: list[str]) -> str:
    """The longest run of whole names, each with its dot, that all keys begin with."""
    if not keys:
        return ""
    low, high = min(keys), max(keys)
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[: low.rfind(".", 0, same) + 1] if len(keys) > 1 else ""


def stripped(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Keys without the prefix; those that lack it, or would then be another's, stay as they are."""
    if not prefix:
        return dict(tensors)
    short = {key: key.removeprefix(prefix) for key in tensors}
    outside = {key for key in tensors if not key.startswith(prefix)}
    return {
        key if key not in outside and short[key] in outside else short[key]: value
        for key, value in tensors.items()
    }
