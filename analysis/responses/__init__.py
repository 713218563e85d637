"""Layer responses: how large the output of each layer's BN is (He et al. section 4.2, Fig. 7).

`moments` streams mean and variance, `recorder` hooks a net while images pass through it,
`closed_form` reads the same numbers off the BN parameters. All give the `responses` table of
`runs.tables`; none keeps an activation. `saving` puts those of any module where Compare finds them.
"""

from analysis.responses.closed_form import closed_form, closed_form_std
from analysis.responses.moments import Moments
from analysis.responses.recorder import Recorder, Recording, record
from analysis.responses.saving import save_recording

__all__ = [
    "Moments",
    "Recorder",
    "Recording",
    "closed_form",
    "closed_form_std",
    "record",
    "save_recording",
]
