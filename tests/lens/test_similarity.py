"""Linear CKA: known values. pytest tests/lens/test_similarity.py"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.data import Normalizer
from analysis.lens import similarity
from analysis.lens.similarity import Kernels, unbiased_hsic
from analysis.runs import learned
from analysis.runs.learned import BATCH
from tests.lens.nets import net

NORMALIZER = Normalizer(torch.full((3, 1, 1), 0.5))


def grams(x: torch.Tensor) -> torch.Tensor:
    return (x @ x.T)[None]


def pixels(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_hsic_is_the_formula_written_out():
    """Song et al. 2012: traces and sums over matrices without their diagonal, in loops."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator)
    y = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    k, m = x @ x.T, y @ y.T
    n = len(k)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    trace = sum(k[i, j] * m[j, i] for i, j in pairs)
    totals = sum(k[i, j] for i, j in pairs) * sum(m[i, j] for i, j in pairs)
    chains = sum(k[i, j] * m[j, o] for i, j in pairs for o in range(n) if o != j)
    expected = (trace + totals / ((n - 1) * (n - 2)) - 2 * chains / (n - 2)) / (n * (n - 3))
    assert float(unbiased_hsic(k[None], m[None])) == pytest.approx(float(expected))


def test_centred_features_have_the_same_hsic():
    """What lets activations be centred in each batch: it changes nothing."""
    x = torch.randn(16, 6, dtype=torch.float64)
    y = torch.randn(16, 4, dtype=torch.float64) + x[:, :4]
    moved = unbiased_hsic(grams(x - x.mean(0)), grams(y + 3))
    assert float(moved) == pytest.approx(float(unbiased_hsic(grams(x), grams(y))))


def test_itself_1_a_rotated_copy_1_independent_features_0_within_the_error():
    """Also rotated and scaled; the mean over many batches of independent features is 0."""
    generator = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(20, 20, dtype=torch.float64, generator=generator))[0]
    itself, rotated, independent = Kernels(), Kernels(), []
    for _batch in range(200):
        x = torch.randn(32, 20, dtype=torch.float64, generator=generator)
        y = torch.randn(32, 20, dtype=torch.float64, generator=generator)
        itself.add(grams(x), grams(x))
        rotated.add(grams(x), grams(3 * x @ rotation))
        kernels = Kernels()
        kernels.add(grams(x), grams(y))
        independent.append(kernels.cka().item())
    assert itself.cka().item() == pytest.approx(1)
    assert rotated.cka().item() == pytest.approx(1)
    error = np.std(independent) / np.sqrt(len(independent))
    assert abs(np.mean(independent)) < 3 * error
    assert error < 0.01


@pytest.mark.parametrize("name", ["plain-8-w4", "resnet-8-w4", "preresnet-8-w4"])
def test_a_net_with_itself_is_symmetric_with_ones(name):
    """Every layer is like itself; one pass for both sides."""
    made = net(name)
    found = similarity.similarity((made, NORMALIZER), (made, NORMALIZER), pixels(BATCH + 8))
    assert len(found.first) == 7
    np.testing.assert_allclose(found.values.diagonal(), 1)
    np.testing.assert_allclose(found.values, found.values.T, atol=1e-12)
    assert found.n_images == BATCH + 8


def test_nets_of_two_depths_have_a_rectangle(monkeypatch):
    """Layer by layer against the definition, over two batches; a rest of 3 images is left out."""
    monkeypatch.setattr(similarity, "BATCH", 8)
    first, second, images = net("resnet-8-w4"), net("plain-14-w4", seed=1), pixels(19)
    found = similarity.similarity((first, NORMALIZER), (second, NORMALIZER), images)
    assert found.values.shape == (7, 13)
    assert found.n_images == 16
    kernels = Kernels()
    for batch in images[:16].split(8):
        x = NORMALIZER.apply(batch)
        with torch.inference_mode():
            a, b = (made.stem(x).flatten(1).double() for made in (first, second))
        kernels.add(grams(a), grams(b))
    assert found.values[0, 0] == pytest.approx(kernels.cka().item(), abs=1e-5)


def test_it_is_kept_with_the_first_run(tiny_trained):
    """And not for other pairs."""
    from analysis.weights import load_net

    assert learned.read_similarity(tiny_trained, tiny_trained) is None
    loaded = load_net(tiny_trained)
    made = similarity.make_similarity(tiny_trained, tiny_trained, (loaded, loaded))
    kept = learned.read_similarity(tiny_trained, tiny_trained)
    np.testing.assert_array_equal(kept.values, made.values)
    assert (kept.first, kept.n_images) == (made.first, made.n_images)
    assert kept.origin.is_own(tiny_trained)
