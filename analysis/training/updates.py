"""Updates of SGD, batch by batch: eager, compiled, or on an NVIDIA GPU as one recorded CUDA graph.

A small net's update is hundreds of short kernels, and starting them one by one takes several times
as long as they run. A CUDA graph records them once and starts them together. On a GPU the images
lie in its memory. All random numbers of an epoch are drawn beforehand on the CPU, so that every
device, and any number of processes, sees the same augmented images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.data import crop_flip, draw_augmentation, epoch_generator, epoch_order
from analysis.nets import Net
from analysis.runs import RunConfig
from analysis.training.distributed import World
from analysis.training.prepare import TrainingImages
from analysis.training.sgd import SGD

_BEFORE_RECORDING = 3
"""Eager updates before a graph is recorded: cuDNN chooses its kernels, momentum gets its memory."""
_SHARE_OF_MEMORY = 0.25
"""Of a GPU's free memory that images may take; larger sets stay on the host."""


class Updates:
    """All updates of one session of one training; owns the optimizer."""

    def __init__(
        self,
        net: Net,
        config: RunConfig,
        images: TrainingImages,
        world: World,
        device: torch.device,
    ) -> None:
        assert config.recipe is not None
        self.net, self.config, self.recipe, self.compute = (
            net,
            config,
            config.recipe,
            config.compute,
        )
        self.world, self.device = world, device
        self.module: torch.nn.Module = net
        self.normalizer = images.normalizer.to(device)
        self.train, self.labels = _resident(images.images.train, images.images.train_labels, device)
        self.test, self.test_labels = _resident(
            images.images.test, images.images.test_labels, device
        )
        self.graphed = bool(self.compute.cuda_graph) and device.type == "cuda" and world.size == 1
        self.optimizer = self._optimizer()
        if device.type == "cuda":  # a resume is to give the same bits; the default need not
            torch.backends.cudnn.deterministic = True
        self._recorded: _Recorded | None = None
        self._eager_updates = 0

    def _optimizer(self) -> SGD:
        lr: float | Tensor = self.recipe.lr
        if self.graphed:
            lr = torch.tensor(lr, device=self.device)  # a number would be recorded as it is
        return SGD(
            self.net,
            lr,
            self.recipe.momentum,
            self.recipe.weight_decay,
            fused=self.graphed,
        )

    def begin_epoch(self, epoch: int) -> None:
        """Draw an epoch's order and augmentation; epochs count from 0."""
        n, size = len(self.train), self.recipe.batch_size
        order = epoch_order(n, self.config.seed, epoch)
        drawn = torch.zeros(3, n, dtype=torch.int64)  # dy, dx, mirrored
        if self.recipe.augment:
            generator = epoch_generator(self.config.seed, epoch)
            for part in drawn.split(size, dim=1):
                values = draw_augmentation(part.shape[1], generator, flip=self.recipe.flip)
                part.copy_(torch.stack([v.long() for v in values]))
        self._drawn = torch.cat([order[None], drawn]).to(self.train.device)

    def update(self, step: int, lr: float) -> Tensor:
        """The epoch's update `step`, from 0: (summed loss, wrong, images) of this process's part.

        The parameters' gradients stay until the next update.
        """
        size = self.recipe.batch_size
        batch = self._drawn[:, step * size : (step + 1) * size]
        self._set_lr(lr)
        if not self.graphed or batch.shape[1] < size:
            return self._update(batch)
        if self._recorded is None and self._eager_updates < _BEFORE_RECORDING:
            self._eager_updates += 1
            return self._update_aside(batch)
        if self._recorded is None:
            self._recorded = _Recorded(self, batch)
        return self._recorded.replay(batch)

    def _set_lr(self, lr: float) -> None:
        if isinstance(self.optimizer.lr, Tensor):
            self.optimizer.lr.fill_(lr)
        else:
            self.optimizer.lr = lr

    def _update_aside(self, batch: Tensor) -> Tensor:
        """An update on a stream of its own, as recording a graph afterwards wants it."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            sums = self._update(batch)
        torch.cuda.current_stream().wait_stream(stream)
        return sums

    def _update(self, batch: Tensor) -> Tensor:
        """One step of SGD on a (4, n) batch: indices, dy, dx, mirrored."""
        whole = batch.shape[1]
        images, wanted = self._images(batch[:, self.world.rank :: self.world.size])
        # The last batch of an epoch has its own size: run it uncompiled rather than compile twice.
        odd = whole != self.recipe.batch_size and self.compute.compile and self.world.size == 1
        forward = self.net.forward if odd else self.module
        self.optimizer.zero_grad()
        with torch.autocast(
            self.device.type,
            torch.bfloat16,
            enabled=self.compute.precision == "bfloat16",
            cache_enabled=False,  # each weight is used once, and a graph must not keep a copy
        ):
            logits = forward(images).float()
        loss = F.cross_entropy(logits, wanted, reduction="sum")
        # DDP averages over processes: weighing by the whole batch makes it the batch's mean.
        (loss * (self.world.size / whole)).backward()
        self.optimizer.step()
        with torch.no_grad():
            wrong = (logits.argmax(1) != wanted).sum()
            return torch.stack([loss.detach(), wrong.float(), loss.new_full((), len(wanted))])

    def _images(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, H, W) float32 and (n,) int64, on the device."""
        indices, dy, dx, mirrored = batch
        images = self.train.index_select(0, indices).to(self.device, non_blocking=True)
        if self.recipe.augment:
            images = crop_flip(images, dy, dx, mirrored.bool())
        wanted = self.labels.index_select(0, indices).to(self.device, non_blocking=True)
        layout = bool(self.compute.channels_last)
        return self.normalizer.apply(images, channels_last=layout), wanted


def _resident(images: Tensor, labels: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images and labels in a GPU's memory where they fit well; as they are elsewhere."""
    if device.type != "cuda":
        return images, labels
    if images.numel() > _SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0]:
        return images, labels
    return images.to(device), labels.to(device)


class _Recorded:
    """An update as a CUDA graph: the same kernels on the same memory at every replay."""

    def __init__(self, updates: Updates, batch: Tensor) -> None:
        self._batch = batch.clone()
        self._parameters = list(updates.net.parameters())
        self._graph = torch.cuda.CUDAGraph()
        updates.optimizer.zero_grad()
        with torch.cuda.graph(self._graph):
            self._sums = updates._update(self._batch)
        self._gradients = [parameter.grad for parameter in self._parameters]

    def replay(self, batch: Tensor) -> Tensor:
        """The update on another batch of the same size; its result is overwritten by the next."""
        self._batch.copy_(batch)
        self._graph.replay()
        if self._parameters[0].grad is not self._gradients[0]:  # an eager update came between
            for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
                parameter.grad = gradient
        return self._sums
