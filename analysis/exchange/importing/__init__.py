"""Bringing one's own net: foreign checkpoints become runs, safely, or are refused with a reason.

From a file to a run: `archives`, `formats`, `pickles`, `names` and `stubs` check a file and
describe what is in it, without calling anything; `states` finds state dicts, `reading` makes
tensors of bytes; `structure`, `recognition`, `assignment`, `variants` and `layouts` say
which net it is; `trials` and `verification` ask images; `inspection` gathers what is known,
`importer` writes the run. Knows nothing of pages or the command line.
"""

from analysis.exchange.importing.importer import Imported, import_checkpoint
from analysis.exchange.importing.inspection import Inspection, inspect
from analysis.exchange.importing.layouts import LAYOUTS, Layout
from analysis.exchange.importing.normalizations import (
    NORMALIZATIONS,
    Normalization,
    parse_normalization,
    typed_normalization,
)
from analysis.exchange.importing.reading import ForeignFile, read_checkpoint
from analysis.exchange.importing.recognition import Recognised, recognise
from analysis.exchange.importing.uploads import stored_upload

__all__ = [
    "LAYOUTS",
    "NORMALIZATIONS",
    "ForeignFile",
    "Imported",
    "Inspection",
    "Layout",
    "Normalization",
    "Recognised",
    "import_checkpoint",
    "inspect",
    "parse_normalization",
    "read_checkpoint",
    "recognise",
    "stored_upload",
    "typed_normalization",
]
