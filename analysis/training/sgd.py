"""SGD with momentum and weight decay, by torch's own function."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd


class SGD:
    """The updates of `torch.optim.SGD`, to the bit, without its class.

    Making an optimizer of torch's imports its compiler: seconds at the start of every training.
    """

    def __init__(
        self,
        net: nn.Module,
        lr: float | Tensor,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        fused: bool = False,
    ) -> None:
        """Of all parameters of a net.

        Args:
            net: whose parameters' gradients are used.
            lr: the learning rate; a tensor where updates are recorded as a CUDA graph.
            momentum: what is kept of the last update.
            weight_decay: of the weights, added to the gradients.
            fused: one kernel for all parameters.
        """
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.buffers: dict[str, Tensor] = {}
        """The momentum of each parameter, by its name; empty before the first update."""
        self._parameters = dict(net.named_parameters())
        self._fused = fused or None

    def zero_grad(self) -> None:
        """Without gradients, as before the first `backward`."""
        for parameter in self._parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update of the parameters that have a gradient."""
        named = self._parameters.items()
        gradients = {name: value.grad for name, value in named if value.grad is not None}
        buffers = [self.buffers.get(name) for name in gradients]
        sgd(
            [self._parameters[name] for name in gradients],
            list(gradients.values()),
            buffers,
            fused=self._fused,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for name, buffer in zip(gradients, buffers, strict=True):
            if buffer is not None:
                self.buffers[name] = buffer
