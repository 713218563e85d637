"""Residual Lens: see why residual nets train and plain nets do not (He et al., CVPR 2016).

The way of the data is one line: data -> nets -> training -> run on disk -> tables -> figures ->
page. `spec`, `plan`, `errors`, `tables`, `runs`, `jobs`, `figures` and `claims` import without
torch.
"""

__version__ = "0.1.0"
