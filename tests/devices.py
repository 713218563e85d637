"""A pretended device without float64, as Apple's GPUs are, computed on the CPU.

Its tensors say that they are elsewhere (on `meta`, a device that every build of torch knows), so
that device and host are told apart as on a real one: a float64 tensor made there is refused, and
so is arithmetic between the two. What is moved to the host first may be float64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

DEVICE = torch.device("meta")
_WIDE = (torch.float64, torch.complex128)
_CROSSING = ("_to_copy", "copy_", "index", "index_put_", "_index_put_impl_")


class OnDevice(Tensor):
    """A tensor of the pretended device; `held` is where its numbers really are."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        """Of the same shape, strides and dtype as what it holds."""
        if held.dtype in _WIDE:
            raise TypeError(f"a tensor of {held.dtype} was made on a device that has no float64")
        with torch.inference_mode(False):  # views of others count versions, which those don't
            made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype,
                device=DEVICE, requires_grad=False,
            )  # fmt: skip
        made.held = held
        return made

    def tolist(self) -> Any:
        """Moved to the host, as of any device's tensor; torch refuses it to subclasses."""
        return self.held.tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Outside of the mode, for what runs in threads of autograd."""
        return _compute(func, args, kwargs or {})


class NoFloat64(TorchDispatchMode):
    """While it is on, `.to(DEVICE)` moves to the pretended device and `.cpu()` back."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Every operation of torch, also those of autograd."""
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors: list[Tensor] = []
    tree_map_only(Tensor, tensors.append, (args, kwargs))
    here = any(isinstance(tensor, OnDevice) for tensor in tensors)
    name = func.__name__.split(".")[0]
    if here and name not in _CROSSING:
        strangers = [t for t in tensors if not isinstance(t, OnDevice) and t.dim()]
        if strangers:
            raise RuntimeError(f"{name}: some tensors are on the device and some on the host")
    wanted = kwargs.get("device")
    if wanted is not None:
        here = torch.device(wanted).type == DEVICE.type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if name == "copy_":
        here = isinstance(args[0], OnDevice)
    plain = tree_map_only(OnDevice, lambda tensor: tensor.held, (args, kwargs))
    found = func(*plain[0], **plain[1])
    first = func._schema.arguments[0].alias_info if func._schema.arguments else None
    if first is not None and first.is_write:
        return args[0]  # in place: autograd wants the same tensor back
    return tree_map_only(Tensor, OnDevice, found) if here else found
