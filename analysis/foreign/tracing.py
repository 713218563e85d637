"""Following the tensors of a forward pass through the operations that reach PyTorch's dispatcher.

Functions, in-place additions, views and modules that are called twice are seen as executed. Each
addition is judged as it happens, by what its operands were computed from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from analysis.foreign.running import Batch, Executing

ADDITIONS = {"add", "add_"}

ACTIVATIONS = {
    "relu", "relu6", "prelu", "_prelu_kernel", "leaky_relu", "rrelu", "rrelu_with_noise", "elu",
    "celu", "selu", "gelu", "silu", "mish", "softplus", "sigmoid", "log_sigmoid", "tanh",
    "hardtanh", "hardswish", "hardsigmoid", "clamp", "clamp_min", "threshold", "softmax",
    "_softmax", "_safe_softmax", "log_softmax", "_log_softmax", "glu",
}  # fmt: skip

_LAYERS = {
    "linear", "mm", "addmm", "addmv", "bmm", "baddbmm", "matmul", "mv", "einsum", "bilinear",
    "embedding", "rms_norm", "_fused_rms_norm", "_fft_c2c", "_fft_r2c",
}  # fmt: skip
_LAYER_PARTS = (
    "conv", "batch_norm", "layer_norm", "group_norm", "instance_norm", "pool",
    "scaled_dot_product", "attention", "lstm", "gru",
)  # fmt: skip
_PARTINGS = {"split", "split_with_sizes", "unsafe_split", "chunk", "tensor_split", "unbind"}


@dataclass
class Node:
    """One tensor as an operation left it."""

    op: str
    module: str
    ancestors: int
    """A bit for each node that it was computed from."""


@dataclass
class Addition:
    """A shortcut's x + F, by the nodes."""

    start: int
    """Whose way to the sum is F: x, or what a projection was given."""
    f: int
    result: int
    key: tuple[str, int, int]
    x_first: bool
    projection: bool
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Numbers in x, over the batch."""
        return math.prod(self.shape)


class Tracer(TorchDispatchMode):
    """Follows every tensor of a pass; in-place writes make a new node of the same tensor."""

    def __init__(self, module: nn.Module, batch: Batch, executing: Executing) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.found: list[Addition] = []
        self._executing = executing
        self._weights = {id(t) for t in (*module.parameters(), *module.buffers())}
        self._of: Any = WeakTensorKeyDictionary()
        self._written: dict[int, tuple[StorageWeakRef, int]] = {}
        self._streams: dict[int, int] = {}  # of a shortcut's sum: the x of it
        self._data = self._carrying = self._floating = 0
        for given in _tensors((batch.args, batch.kwargs)):
            node = self._of[given] = self._add("input", [], given)
            self._data |= 1 << node
            if given.is_floating_point():
                self._carrying |= 1 << node

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
        """Run the operation and note what came of what."""
        kwargs = kwargs or {}
        op, inputs = func.overloadpacket.__name__, _tensors((args, kwargs))
        parents = [self._node(t) for t in inputs]
        added = self._operands(op, args, kwargs)
        before = {StorageWeakRef(t.untyped_storage()).cdata for t in inputs if _has_storage(t)}
        out = func(*args, **kwargs)
        known = [p for p in parents if p is not None]
        custom = func.namespace not in ("aten", "prims")
        for result in _tensors(out):
            node = self._add("custom" if custom else op, known, result)
            self._note_written(result, node, before)
            self._of[result] = node
            if added is not None and result.shape == args[0].shape:
                self._judge(*added, node, tuple(result.shape))
        return out

    def _node(self, tensor: Tensor) -> int | None:
        """The latest node of a tensor; None of weights and constants."""
        node = None if id(tensor) in self._weights else self._of.get(tensor)
        if node is not None and _has_storage(tensor):
            reference = StorageWeakRef(tensor.untyped_storage())
            node = max(node, self._written.get(reference.cdata, (None, -1))[1])
        return node

    def _add(self, op: str, parents: list[int], tensor: Tensor) -> int:
        ancestors = 0
        for parent in parents:
            ancestors |= self.nodes[parent].ancestors | 1 << parent
        index = len(self.nodes)
        calls = self._executing.stack
        self.nodes.append(Node(op, calls[-1].name if calls else "", ancestors))
        bit = 1 << index
        if tensor.is_floating_point() or tensor.is_complex():
            self._floating |= bit
        if ancestors & self._data:
            self._data |= bit
        worked = is_layer(op) and (ancestors & self._data if op == "embedding" else bool(parents))
        if ancestors & self._carrying or worked:
            self._carrying |= bit
        return index

    def _note_written(self, result: Tensor, node: int, before: set[int]) -> None:
        """A result that shares storage with an operand may be an in-place write, or a view."""
        if not _has_storage(result):
            return
        reference = StorageWeakRef(result.untyped_storage())
        if reference.cdata not in before:
            self._written.pop(reference.cdata, None)
        elif self.nodes[node].op.endswith("_"):
            self._written[reference.cdata] = (reference, node)

    def _operands(self, op: str, args: Any, kwargs: Any):
        """The nodes of an addition of two tensors of one shape, and its key."""
        if op not in ADDITIONS or len(args) < 2:
            return None
        call = self._executing.stack[-1]
        call.additions += 1
        a, b = args[0], args[1]
        if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a.shape != b.shape:
            return None
        nodes = self._node(a), self._node(b)
        if a.dim() < 2 or not a.is_floating_point() or None in nodes or nodes[0] == nodes[1]:
            return None
        return *nodes, (call.name, call.use, call.additions)

    def _judge(self, a: int, b: int, key: tuple, result: int, shape: tuple[int, ...]) -> None:
        for x, f in ((a, b), (b, a)):
            if not self._carrying >> x & 1:
                continue
            before = self._streams.get(x, x)  # x + F1 + F2: both F are computed from the same x
            direct = [n for n in (x, before) if self.nodes[f].ancestors >> n & 1]
            start = direct[0] if direct else self._fork(x, f)
            if start is None or not any(is_layer(self.nodes[n].op) for n in self.way(start, f)):
                continue
            self._streams[result] = start
            self.found.append(Addition(start, f, result, key, x == a, not direct, shape))
            return

    def _fork(self, x: int, f: int) -> int | None:
        """The tensor from which x comes without a nonlinearity, and f with one."""
        shared = (self.nodes[x].ancestors & self.nodes[f].ancestors) & self._floating & self._data
        if not shared:
            return None
        start = shared.bit_length() - 1
        if any(_bends(op := self.nodes[n].op) or op in _PARTINGS for n in self.way(start, x)):
            return None
        return start if any(_bends(self.nodes[n].op) for n in self.way(start, f)) else None

    def way(self, start: int, end: int) -> Iterator[int]:
        """The nodes between two, without the first and with the last."""
        for index in range(start + 1, end + 1):
            on = index == end or self.nodes[end].ancestors >> index & 1
            if on and self.nodes[index].ancestors >> start & 1:
                yield index


def is_layer(op: str) -> bool:
    """Whether an operation is one of a layer: it mixes, normalizes or pools."""
    return op == "custom" or op in _LAYERS or any(part in op for part in _LAYER_PARTS)


def _bends(op: str) -> bool:
    return op.rstrip("_") in ACTIVATIONS or "scaled_dot_product" in op or op in ("custom", "lstm")


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _has_storage(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized
