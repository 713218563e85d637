"""Weights on disk: safetensors to and from a net, strictly, with messages in our words.

`model.safetensors` holds the net's state dict under its own names and the input's normalisation
under `normalizer.`; nothing in it can execute.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from analysis.errors import RunDamaged, RunError
from analysis.nets import Net, build
from analysis.runs.files import check_regular, exists
from analysis.runs.reader import no_weights
from analysis.text import Listed, Message

if TYPE_CHECKING:
    from analysis.data import Normalizer
    from analysis.runs import Run

NORMALIZER = "normalizer."


def model_tensors(net: nn.Module, normalizer: Normalizer | None) -> dict[str, Tensor]:
    """What `model.safetensors` holds: contiguous CPU tensors by name.

    Without a normalizer: of an imported net of which nobody knows how its input was normalized.
    """
    state = dict(net.state_dict())
    if normalizer is not None:
        state |= {NORMALIZER + name: value for name, value in normalizer.state_dict().items()}
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a safetensors file.

    Raises:
        RunDamaged: missing or not whole.
    """
    from safetensors import SafetensorError, safe_open

    if not exists(path):
        raise no_weights(path)
    check_regular(path)
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise RunDamaged("{path} is not whole: {error}", path=path, error=error) from error


def load_into(net: nn.Module, state: dict[str, Tensor], where: Path | str) -> None:
    """Put every tensor in its place, none missing, none left over, all of the right shape.

    Raises:
        RunDamaged: they don't fit; the message lists all that don't.
    """
    own = net.state_dict()
    problems = [Message("missing: {tensor}", tensor=name) for name in own if name not in state]
    problems += [
        Message("not of this net: {tensor}", tensor=name) for name in state if name not in own
    ]
    problems += [
        Message(
            "{tensor} is {shape}, the net's is {wanted}",
            tensor=name,
            shape=tuple(state[name].shape),
            wanted=tuple(value.shape),
        )
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    if problems:
        shown = problems[:8]
        if len(problems) > 8:
            shown.append(Message("and {count} more", count=len(problems) - 8))
        raise RunDamaged(
            "{file} does not fit: {problems}", file=where, problems=Listed(tuple(shown), "; ")
        )
    net.load_state_dict(state)


def load_net(
    run: Run, device: torch.device | str = "cpu", file: Path | None = None
) -> tuple[Net, Normalizer]:
    """A run's net in evaluation mode, and the normalization of its input.

    Args:
        run: the run.
        device: where the net shall be.
        file: other weights of the run, of `run.kept_weights()`; its last ones by default.

    Raises:
        RunDamaged: the weights are missing, not whole or of another net.
        RunError: an imported net whose input's normalization is not known.
    """
    from analysis.data import Normalizer

    if file is None:
        run.check_weights()
        file = run.weights_path
    tensors, _ = read_tensors(file)
    state = {name: v for name, v in tensors.items() if not name.startswith(NORMALIZER)}
    # Copies: the file stays mapped into memory as long as a tensor of it lives, and Windows then
    # lets nobody replace it.
    rest = {
        name.removeprefix(NORMALIZER): value.clone()
        for name, value in tensors.items()
        if name.startswith(NORMALIZER)
    }
    if "mean" not in rest:
        raise RunError(
            "{run} was imported without knowing how its input was normalized, so no picture can be "
            "shown to it: import {file} again with images (--data) or --normalization",
            run=run.id,
            file=getattr(run.config.origin, "file", ""),
        )
    net = build(run.config.net, seed=0)
    load_into(net, state, file)
    return net.eval().to(device), Normalizer.from_state_dict(rest)
