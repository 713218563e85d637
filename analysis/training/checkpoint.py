"""What resuming needs, in one file: weights, momentum and where the training stood.

Data order and augmentation follow from (seed, epoch), so no random state has to be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from analysis.errors import RunDamaged
from analysis.runs import RunWriter
from analysis.runs.files import MODEL, RESUME
from analysis.runs.resuming import lost_position
from analysis.training.sgd import SGD
from analysis.weights import NORMALIZER, load_into, model_tensors, read_tensors

_NET, _MOMENTUM = "net.", "momentum."


@dataclass
class Position:
    """How far a training is, at an epoch's end."""

    epoch: int = 0
    iteration: int = 0
    warming: bool = False
    wall_seconds: float = 0.0

    def to_metadata(self) -> dict[str, str]:
        """As strings, which is all that safetensors metadata holds."""
        return {name: repr(value) for name, value in vars(self).items()}

    @classmethod
    def from_metadata(cls, values: dict[str, str]) -> Position:
        """Raises KeyError or ValueError where a field is missing or no number."""
        return cls(
            int(values["epoch"]), int(values["iteration"]), values["warming"] == "True",
            float(values["wall_seconds"]),
        )  # fmt: skip


def save(writer: RunWriter, net: nn.Module, optimizer: SGD, normalizer, at: Position) -> None:
    """Write resume.safetensors, then model.safetensors, each whole or not at all."""
    tensors = {_NET + name: v.detach().cpu().contiguous() for name, v in net.state_dict().items()}
    for name, buffer in optimizer.buffers.items():
        tensors[_MOMENTUM + name] = buffer.cpu().contiguous()
    writer.save_tensors(RESUME, tensors, at.to_metadata())
    metadata = {"net": writer.config.net.name, "epoch": str(at.epoch)}
    writer.save_tensors(MODEL, model_tensors(net, normalizer), metadata)


def restore(path: Path, net: nn.Module, optimizer: SGD) -> Position:
    """Put a run's last epoch into net and optimizer; its first weights where there is no epoch yet.

    Raises:
        RunDamaged: a file is not whole or of another net.
    """
    file = path / RESUME
    if not file.exists():
        if (path / MODEL).exists():
            _restore_first_weights(path / MODEL, net)
        return Position()
    tensors, metadata = read_tensors(file)
    load_into(net, _under(_NET, tensors), file)
    momentum = _under(_MOMENTUM, tensors)
    for name, parameter in net.named_parameters():
        if name in momentum:
            optimizer.buffers[name] = torch.empty_like(parameter).copy_(momentum[name])
    try:
        return Position.from_metadata(metadata)
    except (KeyError, ValueError) as error:
        raise RunDamaged(
            "{file} does not say where the training stood: {error}", file=file, error=error
        ) from error


def _restore_first_weights(file: Path, net: nn.Module) -> None:
    tensors, metadata = read_tensors(file)
    if metadata.get("epoch", "0") != "0":
        raise lost_position(file.parent)
    weights = {name: v for name, v in tensors.items() if not name.startswith(NORMALIZER)}
    load_into(net, weights, file)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
