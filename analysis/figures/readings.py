"""What to look at in each figure, and what each page asks: the same words in the app and on a site.

Markdown, by the name of the figure. What a figure's own numbers say is in `sentences`.
"""

from __future__ import annotations

from analysis.text import _


def reading(name: str) -> str:
    """The sentence under a figure or a table.

    Args:
        name: the figure's, as its files are called: `compare_errors`, `argument_depth`, ...
    """
    return {
        "compare_errors": _(
            "Follow the thick lines. In the paper (section 4.1, Fig. 6) a deeper plain net ends "
            "with a higher *training* error than a shallower one, its residual twin with a lower "
            "one."
        ),
        "compare_responses": _(
            "Compare the heights. In the paper (section 4.2, Fig. 7) residual nets respond less "
            "than plain ones, and less the deeper they are: each layer changes its input only a "
            "little."
        ),
        "compare_summary": _(
            "With shortcut option A a plain net and its residual twin have the same parameters "
            "and multiply-adds (section 3.3): what differs between them is the shortcuts alone."
        ),
        "refinements_sorted": _(
            "The manner of Fig. 7: how many blocks of a net change their input much?"
        ),
        "refinements_cosine": _("1 is a block that keeps the direction of what it is given."),
        "refinements_drift": _(
            "Small steps add up: how far is a picture from where its stage began?"
        ),
        "refinements_training": _(
            "Each row is a block (of the ratio) or a layer, the input at the bottom. The paper "
            "(section 4.1) says of plain nets that their gradients have healthy norms: look at "
            "the gradient norm."
        ),
        "refinements_depth": _("All finished runs of the first run's data and recipe."),
        "refinements_responses": _(
            "The measure of Fig. 7, on the same runs: plain nets have it too."
        ),
        "refinements_decay": _(
            "Not in the paper: weight decay pulls gamma of BN down wherever the loss does not "
            "hold it, so responses shrink with decay and with the length of training."
        ),
        "refinements_decay_ratio": _(
            "F and x shrink together; the ratio tells whether F shrinks more than x does."
        ),
        "refinements_lesions": _(
            "Small refinements can be missed, large ones can't. A plain net without two of its "
            "layers has nothing that hands their input on."
        ),
        "refinements_several": _("Residual nets fail gradually (Veit, Wilber and Belongie, 2016)."),
        "refinements_similarity": _(
            "Bright squares are runs of layers that see the same: blocks that change little. 1 "
            "is the same up to rotation and scale (Kornblith et al., 2019)."
        ),
        "refinements_readouts": _(
            "A deeper net that refines gains a little at every block. Fitted by Inspect or "
            "`python -m analysis survey RUN`."
        ),
        "argument_depth": _(
            "Degradation: a line of training error that rises with depth. It is training error, "
            "so not overfitting."
        ),
        "argument_study_figure": _(
            "Training that preserves the solution stays on or below the horizontal line. It "
            "begins at a high learning rate, so the error may rise at first; look at where it "
            "ends."
        ),
    }[name]


def opening(name: str) -> str:
    """The words that a page or a part of one begins with: `refinements`, `argument`,
    `construction`."""
    return {
        "refinements": _(
            "A residual block computes x + F(x). Why such nets train, the paper says (section "
            "4.2): F(x) is small beside x, so each block only *refines* what it is given, and "
            "the deeper the net, the smaller the refinements."
        ),
        "argument": _(
            "**The question:** a deeper net can do all that a shallower one can, and more. Why, "
            "then, do deeper plain nets end with a higher *training* error, and residual nets "
            "not?"
        ),
        "construction": _(
            "Insert identity layers into a trained net (section 1): a deeper net with the very "
            "same function exists, so a deeper net's training error need not be higher."
        ),
    }[name]
