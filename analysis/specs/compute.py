"""How it is computed, as a value: device, precision, threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis.errors import SpecError
from analysis.specs.base import Dictable


@dataclass(frozen=True)
class Compute(Dictable):
    """How it is computed: what is trained stays the same, the last bits may differ."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the convolutions; weights and BN statistics stay float32."""
    compile: bool | None = None
    """torch.compile; None: where it was measured to help."""
    channels_last: bool | None = None
    """Memory layout NHWC; None: where it was measured to help."""
    threads: int | None = None
    """CPU threads; None: all."""
    cuda_graph: bool | None = None
    """Record an update as a CUDA graph; None: on one NVIDIA GPU, unless compiled."""
    keep_weights: bool = False
    """Keep the weights of every epoch, not the last ones alone."""

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise SpecError(
                "precision must be auto, float32 or bfloat16, not {precision!r}",
                precision=self.precision,
            )
        if self.threads is not None and self.threads < 1:
            raise SpecError("threads must be at least 1, not {threads}", threads=self.threads)


REFERENCE = Compute("cpu", "float32", compile=False, channels_last=False)
"""The plain reference that every fast path is tested against: float32, eager, NCHW."""
