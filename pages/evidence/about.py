"""Reading guide: what each figure shows, in the paper's words, and where numbers come from."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from analysis.text import _

st.title(_("Reading guide"))
st.markdown(
    _(
        """
A **plain** net is a stack of 3x3 convolutions, each with batch normalisation (BN) and ReLU. A
**residual** net has the same layers and, around every two of them, a **shortcut**: the block's
output is *H(x) = F(x) + x*, so its layers learn the residual function *F*, the change to *x*. In a
**pre-activation** residual net (He et al. 2016b) BN and ReLU stand before each convolution.

#### Error curves (section 4.1 and 4.2, Fig. 6)
Thick lines are the **training error**, thin lines the **test error**, both in percent top-1 wrong.
The training error is the *running* one: counted over the augmented batches of an epoch while the
weights move, so it can lie above the test error. The summary also has the *clean* one, over the
training images as they are, with the final weights.

*Look for degradation:* the deeper of two plain nets has the higher training error. That is not
overfitting (the training error would fall) nor a vanishing gradient (BN keeps the signals up): the
net is harder to optimise. Residual nets of the same depth show the opposite order.

#### Layer responses (section 4.2, Fig. 7)
The **response** of a 3x3 layer is the standard deviation of its BN output, before ReLU and before
the addition. For the second layer of a block it is the strength of the residual function *F*.
In a pre-activation net it is the output of the BN *before* the layer: of what the layer is given.
*Look at the height:* residual functions are closer to zero than their plain counterparts, and
deeper residual nets have smaller ones: a layer of a deep residual net changes its input little.

**Measured** responses come from a pass over images in evaluation mode. **Closed form** ones follow
from BN's own parameters, epoch by epoch, at no cost; they use the statistics of training.

#### Comparable or not
Runs compare directly where they saw the same images (a fingerprint of all pixels and labels) under
the same recipe. Others can be drawn together, and are marked. A plain net and its residual twin
with shortcut option A have the same parameters and multiply-adds; options B and C add projections.

#### Colours
Warm colours are plain nets, cool ones residual nets, green ones pre-activation nets; deeper nets
are darker, and each depth has a marker of its own. A net has the same colour on every page, and its
name stands at the line's end. Runs that differ in the seed alone are one line, their mean, with a
band from the least to the largest; shown as single runs they differ by their dashes.
"""
    )
)
st.markdown(
    _(
        "The paper: He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016 "
        "([arXiv 1512.03385](https://arxiv.org/abs/1512.03385))."
    )
)
st.page_link(
    Path(__file__).with_name("compare.py"),
    label=_("Compare runs"),
    icon=":material/compare_arrows:",
)
