"""A training loop of another program on the pages: `pytest tests/pages/test_watched.py`"""

from __future__ import annotations

from pathlib import Path

import torch
from streamlit.testing.v1 import AppTest
from torch import nn
from torchvision import models

from analysis import observe, watch


def test_train_shows_it_live_and_compare_too(page: AppTest, folder: Path):
    """A card with epoch and errors while it goes on, no button to stop it; its curve in Compare."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with watch(net, name="mine", data="flowers", folder=folder, epochs=4) as run:
        run.log(train_error=50.0, test_error=60.0)
        run.probe(torch.rand(2, 3, 8, 8))
        page.run()
        assert not page.exception
        assert "mine: running after 1 of 4 epochs" in page.caption[0].value
        page.switch_page("pages/training/train.py").run()
        assert not page.exception
        assert "Training in other programs" in [found.value for found in page.subheader]
        assert f"**mine** · flowers · `{run.path.name if run.path else ''}`" in [
            found.value for found in page.markdown
        ]
        figures = [chart.proto.spec for chart in page.get("plotly_chart")]
        assert len(figures) == 2
        assert all("mine" in figure for figure in figures)
        assert not [b for b in page.button if "cancel" in (b.key or "")]
    page.run()
    assert not page.exception
    assert "Training in other programs" not in [found.value for found in page.subheader]


def test_a_module_without_bn_is_said_to_have_no_response(page: AppTest, folder: Path):
    """A ViT opens in Compare; the page says why there is no layer response of it."""
    found = observe(models.vit_b_16(weights=None, image_size=32), torch.rand(2, 3, 32, 32))
    found.save("ViT-B/16", folder, "noise")
    page.run()
    assert not page.exception
    assert [c.value for c in page.caption if "no layer responses" in c.value] == [
        "ViT-B/16: no layer responses, which are those of BN layers (section 4.2)."
    ]
