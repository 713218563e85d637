"""Residual Lens: see why residual nets train and plain nets do not (He et al., CVPR 2016).

Data flows one way: data -> nets -> training -> run on disk -> tables -> figures -> page. `specs`,
`runs`, `jobs`, `evidence`, `figures` and `errors` import without torch. For modules of
your own: `from analysis import find_residuals, observe, watch`; in a notebook: `compare`,
`refinement` and `study`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.foreign.measuring import observe
    from analysis.foreign.shortcuts import find_residuals
    from analysis.foreign.watching import watch
    from analysis.notebook import compare, refinement, study

__version__ = "0.1.0"

__all__ = [
    "__version__", "compare", "find_residuals", "observe", "refinement", "study", "watch",
]  # fmt: skip

_LAZY = {
    "find_residuals": "analysis.foreign.shortcuts",
    "observe": "analysis.foreign.measuring",
    "watch": "analysis.foreign.watching",
    "compare": "analysis.notebook",
    "refinement": "analysis.notebook",
    "study": "analysis.notebook",
}
"""Imported when asked for: the first three load torch, which `import analysis` may not."""


if not TYPE_CHECKING:  # or every name would be taken for one of the package's

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            return getattr(import_module(_LAZY[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
