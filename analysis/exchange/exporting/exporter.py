"""One run to one file, in the format that its name or `style` says."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from analysis.data import Normalizer
from analysis.errors import SpecError
from analysis.exchange.exporting.onnx import export_onnx
from analysis.exchange.exporting.state_dicts import STYLES, default_style, loads_in, state_dict_in
from analysis.exchange.importing.reading import HINT
from analysis.runs import Run
from analysis.runs.files import write_tensors, write_whole
from analysis.text import Message
from analysis.weights import NORMALIZER, load_net

ENDINGS = {".pth": "torch", ".pt": "torch", ".th": "torch", ".safetensors": "safetensors"}


def export_run(
    run: Run, output: Path | str, style: str = "", activations: bool = False
) -> list[Message]:
    """Write a run's net to a file.

    Args:
        run: with whole weights.
        output: ends in .pth, .pt, .th, .safetensors or .onnx.
        style: `torchvision`, `akamaster`, `kuangliu`, `bearpaw` or `onnx`; by default akamaster for
            the CIFAR family and torchvision for the other, of pre-activation nets bearpaw and
            kuangliu.
        activations: of ONNX, whether each BN's output is an output of the graph.

    Returns:
        Lines that say what was written and what reads it.

    Raises:
        SpecError: an ending or a style that is not known.
        RunDamaged: the run has no whole weights.
        RunError: the file can't be written.
    """
    output = Path(output)
    onnx = style == "onnx" or output.suffix == ".onnx"
    if not onnx and output.suffix not in ENDINGS:
        raise SpecError(
            "{file}: the ending says the format: {endings}",
            file=output.name,
            endings=", ".join([*ENDINGS, ".onnx"]),
        )
    net, normalizer = load_net(run)
    if onnx:
        size = run.config.image_size
        write_whole(output, lambda file: export_onnx(net, file, size, activations))
        return [Message("Written: {file}", file=output), *_input(normalizer)]
    style = style or default_style(net.spec)
    if style not in STYLES:
        raise SpecError(
            "{style!r} is no style; there are {styles} and onnx",
            style=style,
            styles=", ".join(STYLES),
        )
    state = state_dict_in(net, style)
    hints: dict[str, Any] = {f"{HINT}_net": net.spec.name}
    colours = _colours(normalizer)
    if colours:
        hints[f"{HINT}_normalization"] = colours
    else:
        hints |= {f"{HINT}_{key}": value for key, value in normalizer.state_dict().items()}
    error = run.status.test_error
    alone = ENDINGS[output.suffix] == "safetensors"
    if alone:
        _write_safetensors(output, state, hints)
    elif style == "akamaster":
        wrapped: dict[str, Any] = {
            "state_dict": {f"module.{key}": value for key, value in state.items()},
            "epoch": run.status.epoch,
            **({} if error is None else {"best_prec1": 100 - error}),
        }
        _write_torch(output, wrapped | hints)
    else:
        # A bare state dict is what load_state_dict takes; its metadata has room for hints.
        state._metadata = {"": {"version": 1, **hints}}  # type: ignore[attr-defined]  # ty: ignore[missing-attribute]
        _write_torch(output, state)
    return [
        Message("Written: {file}", file=output),
        Message("Layout of {style}: {who}.", style=style, who=loads_in(net.spec, style, not alone)),
        *_input(normalizer),
    ]


def _write_torch(output: Path, value: Any) -> None:
    # In memory first: of a full disk torch says no more than which line of its own code met it.
    held = BytesIO()
    torch.save(value, held)
    write_whole(output, lambda temporary: temporary.write_bytes(held.getbuffer()))


def _write_safetensors(output: Path, state: Any, hints: dict[str, Any]) -> None:
    short = {key.removeprefix(f"{HINT}_"): value for key, value in hints.items()}
    words = {key: value for key, value in short.items() if isinstance(value, str)}
    # Metadata hold words only, so a mean per pixel goes among the tensors.
    rest = {f"{NORMALIZER}{key}": value for key, value in short.items() if key not in words}
    tensors = {**state, **rest}
    write_tensors(output, tensors, words)


def _colours(normalizer: Normalizer) -> str:
    """`R,G,B/R,G,B`, as few digits as give the float32 again; a mean per pixel has no such name."""
    if normalizer.mean.shape[1:] != (1, 1):
        return ""
    std = normalizer.std if normalizer.std is not None else torch.ones(3)
    mean, spread = (
        ",".join(map(str, v.flatten().numpy().astype("float32"))) for v in (normalizer.mean, std)
    )
    return f"{mean}/{spread}"


def _input(normalizer: Normalizer) -> list[Message]:
    colours = _colours(normalizer)
    if colours:
        return [
            Message("Input: pixels in 0..1, (pixel - mean) / std with {colours}", colours=colours)
        ]
    mean = ",".join(f"{v:.4f}" for v in normalizer.mean.mean((1, 2)).tolist())
    return [
        Message(
            "Input: pixels in 0..1 less the mean of each pixel over the training images (per "
            "colour {mean}); it is in the file, and used when Residual Lens imports it again",
            mean=mean,
        )
    ]
