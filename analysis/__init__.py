"""Residual Lens: see why residual nets train and plain nets do not (He et al., CVPR 2016).

The way of the data is one line: data -> nets -> training -> run on disk -> tables -> figures ->
page. `spec`, `plan`, `errors`, `tables`, `runs`, `jobs`, `figures` and `claims` import without
torch. For modules of your own: `from analysis import find_residuals, observe, watch`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.foreign.measuring import observe
    from analysis.foreign.shortcuts import find_residuals
    from analysis.foreign.watching import watch

__version__ = "0.1.0"

__all__ = ["__version__", "find_residuals", "observe", "watch"]

_LAZY = {
    "find_residuals": "analysis.foreign.shortcuts",
    "observe": "analysis.foreign.measuring",
    "watch": "analysis.foreign.watching",
}
"""They load torch, which nothing else here may: imported when asked for."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
