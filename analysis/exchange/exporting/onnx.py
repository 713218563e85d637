"""A net as an ONNX graph, for Netron and other viewers; needs the extra `onnx`."""

from __future__ import annotations

import importlib.util
import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import Tensor, nn

from analysis.errors import SpecError
from analysis.nets import Net, layers


class _WithActivations(nn.Module):
    """A net that gives its logits and every layer's response."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.names = [layer.response for layer in layers(net) if layer.response]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> logits (N, classes), then a BN's output (N, C, H', W') each."""
        taken: dict[str, Tensor] = {}
        handles = []
        try:
            for name in self.names:
                module = self.net.get_submodule(name)
                handles.append(
                    module.register_forward_hook(
                        lambda _m, _i, out, name=name: taken.__setitem__(name, out)
                    )
                )
            logits = self.net(x)
        finally:
            for handle in handles:
                handle.remove()
        return (logits, *(taken[name] for name in self.names))


def export_onnx(net: Net, output: Path | str, image_size: int, activations: bool = False) -> None:
    """Write the graph, with any batch size.

    Args:
        net: in evaluation mode, on the CPU.
        output: the file.
        image_size: height and width of the input in pixels.
        activations: whether each BN's output, the layer's response, is an output too, named by
            the BN's path (stage1.block1.bn2).

    Raises:
        SpecError: the packages `onnx` and `onnxscript` are not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise SpecError(
            "ONNX export needs {packages}: pip install 'residual-lens[onnx]', or pip install onnx "
            "onnxscript",
            packages=", ".join(missing),
        )
    model = _WithActivations(net) if activations else net
    outputs = ["logits", *(model.names if isinstance(model, _WithActivations) else [])]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of torch's own exporter
        torch.onnx.export(
            model.eval(), (torch.zeros(2, 3, image_size, image_size),), output,
            input_names=["images"], output_names=outputs, dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("N")},), external_data=False,
        )  # fmt: skip
