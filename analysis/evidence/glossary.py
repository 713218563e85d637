"""The paper's terms in English and Chinese, each with a definition and where the app shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analysis.text import _


@dataclass(frozen=True)
class Term:
    """One term."""

    english: str
    chinese: str
    section: str
    """Of He et al.; empty for what came after."""
    words: Callable[[], str]
    """The definition, in the reader's language."""
    page: str = ""
    """Where the app shows it: a page's url_path; empty for nowhere."""


TERMS = (
    Term(
        "plain net",
        "普通网络",
        "3.3",
        lambda: _("A stack of weighted layers without shortcuts: the baseline."),
        "compare",
    ),
    Term(
        "residual net",
        "残差网络",
        "3.3",
        lambda: _("The same layers with a shortcut around every few of them."),
        "compare",
    ),
    Term(
        "pre-activation residual net",
        "预激活残差网络",
        "",
        lambda: _(
            "A residual net whose BN and ReLU stand before the convolutions, so that nothing "
            "follows the addition: H(x) = F(x) + x (He et al. 2016b, arXiv:1603.05027)."
        ),
        "compare",
    ),
    Term(
        "degradation",
        "退化",
        "1",
        lambda: _(
            "Deeper plain nets have a higher training error: harder to optimise, not overfitted."
        ),
        "argument",
    ),
    Term(
        "residual function F",
        "残差函数 F",
        "3.1",
        lambda: _("What a block adds to its input: H(x) = F(x) + x."),
        "compare",
    ),
    Term(
        "identity mapping",
        "恒等映射",
        "3.1",
        lambda: _(
            "H(x) = x. A residual block reaches it with F = 0; a plain one needs kernels that copy."
        ),
        "argument",
    ),
    Term(
        "solution by construction",
        "构造解",
        "1",
        lambda: _("A shallower net with identity layers inserted: a deeper net need not be worse."),
        "argument",
    ),
    Term(
        "shortcut connection",
        "快捷连接",
        "3.2",
        lambda: _("A path that skips a block's layers and is added to their output."),
        "complexity",
    ),
    Term(
        "projection shortcut",
        "投影快捷连接",
        "3.2",
        lambda: _(
            "A 1x1 convolution on the shortcut, eqn. 2: options B (where "
            "dimensions change) and C (all)."
        ),
        "complexity",
    ),
    Term(
        "bottleneck",
        "瓶颈结构",
        "4.1",
        lambda: _(
            "A block of 1x1, 3x3 and 1x1 layers (Fig. 5, right) in nets of 50 layers and more."
        ),
        "complexity",
    ),
    Term(
        "layer response",
        "层响应",
        "4.2",
        lambda: _(
            "The standard deviation of a 3x3 layer's BN output, before ReLU and addition (Fig. 7)."
        ),
        "compare",
    ),
    Term(
        "levels of features",
        "特征的层次",
        "1",
        lambda: _("Low, middle and high: edges, parts, objects. Depth adds levels."),
        "image",
    ),
    Term(
        "end-to-end",
        "端到端",
        "1",
        lambda: _("All layers are trained together from images to classes, with one loss."),
    ),
    Term(
        "FLOPs (multiply-adds)",
        "浮点运算量（乘加次数）",
        "3.3",
        lambda: _(
            "Multiplications with additions of one image in convolutions and the linear layer."
        ),
        "complexity",
    ),
    Term(
        "batch normalization (BN)",
        "批归一化（BN）",
        "3.4",
        lambda: _("After each convolution: subtract mean, divide by deviation, scale, shift."),
    ),
    Term(
        "vanishing gradients",
        "梯度消失",
        "1, 4.1",
        lambda: _(
            "Gradients that shrink through many layers. BN prevents it, so it does "
            "not explain degradation."
        ),
        "argument",
    ),
)
