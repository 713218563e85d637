"""Looking into a net while an image passes: hooks that are alone on it, and always removed.

A net in the app is one object for all sessions. Two hooked passes at once would mix their
activations, so every look at a net takes its lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from analysis.responses.recorder import evaluating

Take = Callable[[Tensor, Tensor], None]
"""Called with a module's input and output."""

_guard = threading.Lock()
_locks: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()


def lock_of(net: nn.Module) -> threading.RLock:
    """The net's lock: `with lock_of(net):` nobody else looks into it or runs it."""
    with _guard:
        return _locks.setdefault(net, threading.RLock())


@contextmanager  # ty: ignore[deprecated]
def watching(net: nn.Module, takes: Mapping[str, Take]) -> Iterator[None]:
    """Call a function at every pass of the modules named, in evaluation mode without gradients.

    Args:
        net: alone inside the block; its modes and hooks are as before after it.
        takes: by module path.

    Raises:
        KeyError: the net has no such module.
        RuntimeError: a module was not passed in the block: the net is compiled, or didn't run.
    """
    modules = dict(net.named_modules())
    silent = set(takes)
    handles = []
    with lock_of(net), evaluating(net):
        try:
            for name, take in takes.items():
                handles.append(modules[name].register_forward_hook(_hook(name, take, silent)))
            yield
        finally:
            for handle in handles:
                handle.remove()
    if silent:
        raise RuntimeError(
            f"nothing passed {', '.join(sorted(silent)[:3])}: run the uncompiled net in the block"
        )


def _hook(name: str, take: Take, silent: set[str]):
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        silent.discard(name)
        take(inputs[0], output)  # and return None: a hook's value would replace the output

    return hook
