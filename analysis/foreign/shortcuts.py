"""Which additions of a module are shortcuts, found from what a forward pass executes.

An addition of two tensors of one shape is a shortcut x + F if one operand was computed from the
other: that one is x, the rest F (DESIGN, section 5). Where the shortcut has a projection neither
was, but both come from the same tensor: then x is the operand on whose way from there is no
nonlinearity, as F has one. F has a layer in it (a convolution, a product of matrices, a
normalization or a pooling), so that `x + 0.04 x^3` inside of GELU is none; x carries the data, so
that position embeddings and attention biases, which later layers are computed from too, are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from analysis.errors import SpecError
from analysis.foreign.running import Batch, Executing, as_batch, run, undisturbed, unwrapped
from analysis.foreign.tracing import Addition, Tracer, is_layer
from analysis.text import Message


@dataclass(frozen=True)
class Shortcut:
    """One addition x + F."""

    name: str
    """The module whose forward did the addition; where it did several, its part that F went
    through: `layer3.5`, `blocks.7.mlp`. `#2` behind it: its second use in a forward pass."""
    order: int
    """Among the shortcuts as they were executed, from 1."""
    stage: int
    """From 1; a new one begins where the shape of x changes."""
    block: int
    """In its stage, from 1."""
    module: str
    """The module whose forward did the addition; empty: the one that was given."""
    shape: tuple[int, ...]
    """Of x, without the batch."""
    projection: bool
    """Whether x is computed from the block's input: a projection, a pooling."""
    within: str
    """The shortcut inside whose F this one is; empty: it is in no other's."""
    key: tuple[str, int, int] = field(repr=False)
    """Module, its use in the pass, and which of its additions: where to find it in another pass."""
    x_first: bool = field(repr=False)
    """Whether x is the addition's first operand."""


class Residuals(list[Shortcut]):
    """The shortcuts of a module in the order of execution, and a note where there are none."""

    note: Message = Message()

    def __str__(self) -> str:
        if not self:
            return str(self.note)
        width = max(len(found.name) for found in self)
        return "\n".join(
            f"{found.order:4}  {found.name:{width}}  {'x'.join(map(str, found.shape))}"
            + ("  projection" if found.projection else "")
            + (f"  in {found.within}" if found.within else "")
            for found in self
        )


def find_residuals(module: nn.Module, example: Any) -> Residuals:
    """The shortcuts of any module, from one forward pass over an example.

    Args:
        module: in whatever mode and wrapper; it is as it was after the call.
        example: a tensor, a tuple of arguments, or a dictionary of keyword arguments, with two
            samples or more (of one, an addition that broadcasts over samples looks like any).

    Raises:
        SpecError: not a module, its operations can't be seen, or it fails on the example.
    """
    module = unwrapped(module)
    return find_in(module, as_batch(module, example))


def find_in(module: nn.Module, batch: Batch) -> Residuals:
    """`find_residuals` of a module that is unwrapped."""
    few = batch.few()
    try:
        return _traced(module, few)
    except SpecError:
        if len(few) == len(batch):
            raise
        return _traced(module, batch)


def _traced(module: nn.Module, batch: Batch) -> Residuals:
    with undisturbed(module), Executing(module) as executing:
        executing.reset()
        tracer = Tracer(module, batch, executing)
        with tracer:
            run(module, batch)
    found = Residuals(_described(tracer))
    if not found:
        found.note = _nothing_found(module, tracer)
    return found


def _nothing_found(module: nn.Module, tracer: Tracer) -> Message:
    joined = sum(node.op == "cat" for node in tracer.nodes)
    if joined:
        return Message(
            "{kind}: no addition x + F(x) was executed, but {count} concatenations: it joins maps "
            "where a residual net adds them",
            kind=type(module).__name__,
            count=joined,
        )
    return Message("{kind}: no addition x + F(x) was executed", kind=type(module).__name__)


def _described(tracer: Tracer) -> Iterator[Shortcut]:
    """The additions with names, stages and what they are nested in."""
    names = _names(tracer)
    outer = [_outer(tracer, addition) for addition in tracer.found]
    places: dict[int, tuple[int, int]] = {}
    stage = block = numel = 0
    for index, addition in enumerate(tracer.found):
        if outer[index] is None:
            if addition.numel != numel:
                stage, block, numel = stage + 1, 0, addition.numel
            block += 1
            places[index] = stage, block
    for index, addition in enumerate(tracer.found):
        place, around = index, outer[index]
        while (within := outer[place]) is not None:
            place = within
        yield Shortcut(
            names[index], index + 1, *places[place], addition.key[0], addition.shape[1:],
            addition.projection, "" if around is None else names[around],
            addition.key, addition.x_first,
        )  # fmt: skip


def _outer(tracer: Tracer, addition: Addition) -> int | None:
    """The first shortcut in whose F this addition is."""
    for index, other in enumerate(tracer.found):
        inside = tracer.nodes[other.f].ancestors | 1 << other.f
        after = tracer.nodes[addition.result].ancestors >> other.start & 1
        if other is not addition and after and inside >> addition.result & 1:
            return index
    return None


def _names(tracer: Tracer) -> list[str]:
    """Each by its module, by the part of it that F went through where it did several additions."""
    several = Counter(addition.key[:2] for addition in tracer.found)
    names = []
    for addition in tracer.found:
        name, use, _index = addition.key
        if several[name, use] > 1:
            name = _part(tracer, addition) or name
        names.append(name or "module")
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        names[index] = f"{name}#{seen[name]}" if seen[name] > 1 else name
    return names


def _part(tracer: Tracer, addition: Addition) -> str:
    """The part of the adding module in which most layers of F are."""
    prefix = f"{addition.key[0]}." if addition.key[0] else ""
    parts: Counter[str] = Counter()
    for index in tracer.way(addition.start, addition.f):
        node = tracer.nodes[index]
        if node.module.startswith(prefix) and node.module != addition.key[0]:
            weight = 1 if "norm" in node.op else 100 if is_layer(node.op) else 0
            parts[prefix + node.module[len(prefix) :].split(".")[0]] += weight
    return parts.most_common(1)[0][0] if parts else ""
