"""Tables to plotly figures: `*_info` computes, `plot_*` draws.

Every figure is two functions: the first turns runs into a tidy table that a test can compare and
a person can save, the second turns that table into a figure and computes nothing. They know
nothing of torch, Streamlit, files or pages, and set no width.
"""

from analysis.figures.curves import error_curves_info, plot_error_curves, without_history
from analysis.figures.responses import mean_responses, plot_responses, responses_info
from analysis.figures.summary import (
    comparability,
    conditions,
    summary_info,
    summary_table,
    summary_words,
)
from analysis.figures.summary import titles as summary_titles
from analysis.figures.theme import RunStyle, empty_figure, restyle, run_styles

__all__ = [
    "RunStyle",
    "comparability",
    "conditions",
    "empty_figure",
    "error_curves_info",
    "mean_responses",
    "plot_error_curves",
    "plot_responses",
    "responses_info",
    "restyle",
    "run_styles",
    "summary_info",
    "summary_table",
    "summary_titles",
    "summary_words",
    "without_history",
]
