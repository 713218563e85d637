"""The few collective operations of a training under torchrun; no-ops in a single process."""

from __future__ import annotations

import gc
import os

import torch
import torch.distributed as dist
from torch import Tensor, nn

from analysis.errors import SpecError


class World:
    """This process among those that train one net together: `rank` of `size`.

    A context manager; an inner `with` joins the group that an outer one has made.

    Args:
        device: that the run asks for; `auto` and `cuda` take a GPU per process where there are any.

    Raises:
        SpecError: on entering, where this machine has fewer GPUs than processes.
    """

    def __init__(self, device: str = "auto") -> None:
        self._gpus = device.startswith(("auto", "cuda")) and torch.cuda.is_available()
        self.rank = int(os.environ.get("RANK", 0))
        self.size = int(os.environ.get("WORLD_SIZE", 1))
        self._joined = False

    def __enter__(self) -> World:
        if self.size > 1 and not dist.is_initialized():
            if self._gpus:
                _take_gpu()
            # DDP imports it; imported after the group is made, its default arguments are the group.
            import torch.distributed.nn.functional  # noqa: F401

            # Counts and flags are summed on the CPU, gradients on the device.
            dist.init_process_group("cpu:gloo,cuda:nccl" if self._gpus else "gloo")
            self._joined = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._joined:
            # Whoever still holds the group keeps its threads; they abort an interpreter that ends
            # while they have a tensor in hand (pytorch/pytorch#179291).
            gc.collect()
            dist.destroy_process_group()

    @property
    def main(self) -> bool:
        """Whether this process writes the run."""
        return self.rank == 0

    def device(self, resolved: str) -> torch.device:
        """The resolved device; of several GPUs, this process's own."""
        local = os.environ.get("LOCAL_RANK")
        if self.size > 1 and local is not None and resolved.startswith("cuda"):
            return torch.device("cuda", int(local))
        return torch.device(resolved)

    def share(self, indices: Tensor) -> Tensor:
        """This process's part of a batch's indices."""
        return indices[self.rank :: self.size]

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def same_path(self, path: str | None) -> str:
        """The main process's string, in all."""
        if self.size == 1:
            return path or ""
        box = [path]
        dist.broadcast_object_list(box, src=0)
        return box[0] or ""

    def wrap(self, net: nn.Module) -> nn.Module:
        """The net with gradients averaged over processes."""
        if self.size == 1:
            return net
        return nn.parallel.DistributedDataParallel(net)

    def same_buffers(self, net: nn.Module) -> None:
        """BN statistics are each process's own while training; take the main process's."""
        if self.size > 1:
            for buffer in net.buffers():
                dist.broadcast(buffer, src=0)


def _take_gpu() -> None:
    """This process's own of the machine's GPUs."""
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
    if here > gpus:
        raise SpecError(
            "{processes} processes need a GPU each, and this machine has {gpus}: start torchrun "
            "with --nproc-per-node {gpus}, or train with --device cpu",
            processes=here, gpus=gpus,
        )  # fmt: skip
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
