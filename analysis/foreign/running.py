"""Running somebody's module and leaving it as it was: modes, buffers, random numbers, hooks."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from analysis.errors import SpecError


def unwrapped(module: Any) -> nn.Module:
    """The module inside of DataParallel, DistributedDataParallel and torch.compile.

    Raises:
        SpecError: it is not a module, or one whose operations can't be seen from Python.
    """
    if not isinstance(module, nn.Module):
        raise SpecError("a torch.nn.Module is needed, not {kind}", kind=type(module).__name__)
    while type(module).__name__ in _INSIDE:
        module = getattr(module, _INSIDE[type(module).__name__])
    if isinstance(module, torch.jit.ScriptModule):
        raise SpecError(
            "{kind} is a TorchScript module, which hides its modules from hooks: give the Python "
            "module that it was made of",
            kind=type(module).__name__,
        )
    if _is_sharded(module):
        raise SpecError(
            "the parameters of {kind} are sharded over several processes (FSDP): give the module "
            "as it was before it was wrapped",
            kind=type(module).__name__,
        )
    return module


_INSIDE = {
    "DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod",
}  # fmt: skip


def _is_sharded(module: nn.Module) -> bool:
    names = {type(p).__name__ for p in module.parameters()}
    return type(module).__name__ == "FullyShardedDataParallel" or "DTensor" in names


@contextmanager  # ty: ignore[deprecated]
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, no compiled code inside; all as it was before after it.

    Modes are set as flags, not by `eval()`, which some modules override (to merge weights). The
    fused attention path is off: it hides additions. No inference mode: a module that caches a
    tensor of this pass could not train with it.
    """
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    gpus = sorted({p.device.index for p in module.parameters() if p.device.type == "cuda"})
    fused = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(gpus))
        stack.enter_context(torch.no_grad())
        if "torch._dynamo" in sys.modules:  # else nothing can be compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            for part, _mode in modes:
                part.training = False
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
            for part, mode in modes:
                part.training = mode
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


@dataclass(frozen=True)
class Batch:
    """What a forward pass is given, on the module's device."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def main(self) -> Tensor:
        """The first tensor: images, or tokens."""
        return next(leaf for leaf in tree_leaves((self.args, self.kwargs)) if _is_tensor(leaf))

    def __len__(self) -> int:
        main = self.main
        return len(main) if main.dim() else 1

    def few(self, most: int = 2) -> Batch:
        """The first samples of it."""
        size = len(self)

        def cut(leaf: Any) -> Any:
            samples = _is_tensor(leaf) and leaf.dim() and len(leaf) == size
            return leaf[:most] if samples else leaf

        return Batch(tree_map(cut, self.args), tree_map(cut, self.kwargs))


def as_batch(module: nn.Module, given: Any) -> Batch:
    """What the module is to be called with.

    Args:
        module: its device is used, and its dtype where all its weights are of half precision.
        given: a tensor; a dictionary of keyword arguments; a tuple or list of arguments, of which
            the first alone is taken where the module does not take as many (images and labels).

    Raises:
        SpecError: there is no tensor in it.
    """
    if isinstance(given, Mapping):
        batch = Batch((), dict(given))
    elif isinstance(given, tuple | list):
        batch = Batch(tuple(given) if takes(module, given) else tuple(given[:1]), {})
    else:
        batch = Batch((given,), {})
    if not any(_is_tensor(leaf) for leaf in tree_leaves((batch.args, batch.kwargs))):
        raise SpecError(
            "there is no tensor in this batch ({kind}): give a tensor, a tuple of arguments, or a "
            "dictionary of keyword arguments",
            kind=type(given).__name__,
        )
    first = next(module.parameters(), None)
    if first is None:
        return batch
    half = first.dtype if first.dtype in (torch.float16, torch.bfloat16) else None

    def move(leaf: Any) -> Any:
        if not _is_tensor(leaf):
            return leaf
        return leaf.to(first.device, half if half and leaf.is_floating_point() else leaf.dtype)

    return Batch(tree_map(move, batch.args), tree_map(move, batch.kwargs))


def takes(module: nn.Module, arguments: Any) -> bool:
    """Whether the module's forward takes as many arguments."""
    try:
        inspect.signature(module.forward).bind(*arguments)
    except TypeError:
        return False
    return True


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


class Executing:
    """Which module's forward runs at the moment; hooks on all modules, gone after the block."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._handles: list[Any] = []
        self.stack: list[Call] = []
        self._uses: dict[str, int] = {}

    def __enter__(self) -> Executing:
        for name, part in self._module.named_modules():
            if not isinstance(part, torch.jit.ScriptModule):
                self._handles.append(part.register_forward_pre_hook(self._begin(name)))
                end = part.register_forward_hook(self._end, always_call=True)
                self._handles.append(end)
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def reset(self) -> None:
        """A new forward pass begins."""
        self.stack = [Call("", 0)]
        self._uses.clear()

    def _begin(self, name: str):
        def hook(_module: nn.Module, _inputs: object) -> None:
            use = self._uses[name] = self._uses.get(name, 0) + 1
            self.stack.append(Call(name, use))

        return hook

    def _end(self, _module: nn.Module, _inputs: object, _output: object) -> None:
        self.stack.pop()


@dataclass
class Call:
    """One call of a module's forward, and how many additions and activations it did so far."""

    name: str
    use: int
    """1: the first time that this module runs in the pass."""
    additions: int = 0
    activations: int = 0


def run(module: nn.Module, batch: Batch) -> Any:
    """The forward pass.

    Raises:
        SpecError: it fails on this input, with the module's own error as the cause.
    """
    try:
        return module(*batch.args, **batch.kwargs)
    except Exception as error:
        raise SpecError(
            "the forward pass of {kind} failed: {error}. Give its input as its forward takes it: a "
            "tensor, a tuple of arguments, or a dictionary of keyword arguments",
            kind=type(module).__name__,
            error=f"{type(error).__name__}: {error}",
        ) from error
