"""Taking a net elsewhere: state dicts in other repositories' layouts, and ONNX.

A file says which net it holds and how its input is normalized, where its format has room for
that, so that importing it again gives the same net to the bit.
"""

from analysis.exchange.exporting.exporter import export_run
from analysis.exchange.exporting.onnx import export_onnx
from analysis.exchange.exporting.state_dicts import state_dict_in

__all__ = ["export_onnx", "export_run", "state_dict_in"]
