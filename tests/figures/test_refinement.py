"""Small refinements as tables: what is drawn, and the sentences written from it."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.evidence.claims import CLAIMS, evaluate
from analysis.evidence.refining import median_ratio
from analysis.figures import refinement, refinement_depth, refinement_training
from analysis.runs import load_run, open_writer
from tests.probed import UPDATES, ratio, write_probed
from tests.tiny import write_run


@pytest.fixture
def pair(tmp_path):
    """resnet-8 and resnet-14 with probes."""
    return [load_run(write_probed(tmp_path, net)) for net in ("resnet-8", "resnet-14")]


def test_a_row_a_block_with_the_last_probe_and_the_first(pair):
    """Ratios, band, initialisation and the law are the table's, in forward order."""
    info = refinement.refinement_info(pair)
    deep = info[info["net"] == "resnet-14"]
    assert list(deep["block_name"]) == [f"stage{s}.block{b}" for s in (1, 2, 3) for b in (1, 2)]
    assert list(deep["place"]) == [0.25, 0.75, 1.25, 1.75, 2.25, 2.75]
    np.testing.assert_allclose(deep["ratio"], [ratio(b, 3) for b in deep["block"]])
    np.testing.assert_allclose(deep["ratio_high"], 1.2 * deep["ratio"])
    np.testing.assert_allclose(deep["initial_ratio"], [ratio(b, 0) for b in deep["block"]])
    np.testing.assert_allclose(deep["law"], deep["initial_ratio"])  # the formula is the law's
    assert sorted(deep["rank"]) == [1, 2, 3, 4, 5, 6]
    assert (deep.sort_values("rank")["ratio"].diff().dropna() <= 0).all()


def test_a_moment_is_the_last_probe_that_is_not_after_it(pair):
    """Updates of the first epoch and ends of epochs are one order."""
    assert refinement.moments(pair) == [(0, u) for u in UPDATES] + [(1, 0), (2, 0), (3, 0)]
    at = {m: refinement.refinement_info(pair, m)["ratio"].iloc[0] for m in ((0, 0), (0, 7), (2, 0))}
    assert at == pytest.approx({(0, 0): 1.0, (0, 7): ratio(1, 5 / 20), (2, 0): ratio(1, 2)})
    words = [refinement.moment_words(moment) for moment in ((0, 0), (0, 7), (2, 0))]
    assert words == ["initialisation", "update 7", "epoch 2"]


def test_a_run_without_probes_has_what_was_measured_at_its_end(tmp_path):
    """No band, no dashed line, and it is named as lacking them; plain nets have no rows."""
    path = write_run(tmp_path, "resnet-8")
    with open_writer(path) as writer:
        writer.append("refinement", [
            {"epoch": 3, "block_name": f"stage{s}.block1", "order": s, "stage": s, "block": 1,
             "rms_x": 1.0, "rms_f": 0.2 * s, "ratio": 0.2 * s, "cosine": 0.9, "n_images": 100}
            for s in (1, 2, 3)
        ])  # fmt: skip
    runs = [load_run(path), load_run(write_run(tmp_path, "plain-8"))]
    info = refinement.refinement_info(runs)
    assert list(info["ratio"]) == pytest.approx([0.2, 0.4, 0.6])
    assert info[["ratio_low", "initial_ratio", "drift", "law"]].isna().to_numpy().all()
    assert refinement.without_probe(runs) == ["resnet-8"]
    assert refinement.trained_words(info) == ""
    figure = refinement.plot_by_block(info)
    assert [trace.mode for trace in figure.data] == ["lines+markers"]
    assert "test images" in figure.layout.title.subtitle.text
    assert not refinement.plot_by_block(info, "drift").data
    assert refinement.refinement_info(runs, (1, 0)).empty  # measured after epoch 3 alone


def test_the_sentence_is_written_from_the_numbers(pair):
    """Medians in percent, the deepest net first; what training did to the initialisation."""
    info = refinement.refinement_info(pair)
    shallow, deep = ratio(1, 3), (ratio(1, 3) + ratio(2, 3)) / 2
    assert refinement.median_words(info) == (
        f"In the median, each of resnet-14's blocks changes its input by {100 * deep:.0f} %; "
        f"resnet-8's by {100 * shallow:.0f} %."
    )
    words = refinement.trained_words(info)
    assert "Training made 6 of 6 blocks of resnet-14 refine less than at initialisation." in words
    assert "1/sqrt(v + l - 1)" in words


def test_the_figure_has_a_band_a_dashed_line_and_a_line_for_each_net(pair):
    """On a logarithmic axis with the stages named; the sorted one falls."""
    info = refinement.refinement_info(pair)
    figure = refinement.plot_by_block(info)
    assert [trace.showlegend for trace in figure.data] == [False, False, True] * 2
    assert figure.layout.yaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["stage 1", "stage 2", "stage 3"]
    assert figure.data[1].line.dash == "4px,4px"
    for trace in refinement.plot_sorted(info).data:
        assert list(trace.x) == list(range(1, len(trace.x) + 1))
        assert (np.diff(trace.y) <= 0).all()


def test_heat_maps_share_one_colour_scale(pair, tmp_path):
    """One column a probe, in order; gradients begin with the first update; plain nets have them."""
    runs = [*pair, load_run(write_probed(tmp_path, "plain-8"))]
    info = refinement_training.training_info(runs, "ratio")
    assert set(info["net"]) == {"resnet-8", "resnet-14"}
    figure = refinement_training.plot_training(info, "ratio")
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}
    assert figure.data[1].z.shape == (6, len(UPDATES) + 3)
    assert figure.data[1].customdata[1, 0] == pytest.approx(ratio(2, 0), rel=5e-4)  # four digits
    assert figure.data[1].z[1, 0] == pytest.approx(np.log10(ratio(2, 0)), abs=5e-5)
    gradients = refinement_training.training_info(runs, "grad_norm")
    assert gradients["iteration"].min() == 1
    assert "plain-8: 0.04 in the median at update 1, 0.04 at epoch 3 (0.01 to 0.07)." in (
        refinement_training.course_words(gradients)
    )
    assert refinement_training.plot_training(gradients, "grad_norm").data[0].z.shape[0] == 7


def test_without_probes_the_heat_map_says_so(tiny_run):
    """No empty axes."""
    info = refinement_training.training_info([tiny_run], "std")
    figure = refinement_training.plot_training(info, "std")
    assert not figure.data
    assert "probe" in figure.layout.annotations[0].text


def test_by_depth_has_means_over_seeds(tmp_path):
    """Median ratio and mean response; plain nets have no ratio."""
    nets = (("resnet-8", 0), ("resnet-8", 1), ("resnet-14", 0), ("plain-8", 0))
    paths = [write_probed(tmp_path, net, seed=seed) for net, seed in nets]
    runs = [load_run(path) for path in paths]
    info = refinement_depth.by_depth_info(runs)
    ratios = info[info["measure"] == "ratio"].set_index("net")
    assert dict(ratios["seeds"]) == {"resnet-8": 2, "resnet-14": 1}
    assert ratios["value"]["resnet-14"] == pytest.approx(median_ratio(runs[2]))
    assert set(info["net"][info["measure"] == "response"]) == {"resnet-8", "resnet-14", "plain-8"}
    assert len(refinement_depth.plot_by_depth(info, "response").data) == 2


def test_the_claim_holds_where_the_median_falls_with_depth(tmp_path):
    """From three depths; nets whose blocks nobody measured are no evidence."""
    runs = [load_run(write_probed(tmp_path, net)) for net in ("resnet-8", "resnet-14", "resnet-20")]
    verdicts = {claim.id: verdict for claim, verdict in evaluate(runs)}
    assert verdicts["smaller-refinements"].state == "holds"
    assert "resnet-20: median of rms(F) / rms(x)" in verdicts["smaller-refinements"].evidence[2]
    bare = [load_run(write_run(tmp_path / "bare", net)) for net in ("resnet-8", "resnet-14")]
    assert {c.id: v.state for c, v in evaluate(bare)}["smaller-refinements"] == "missing"
    assert len(CLAIMS) == len({claim.id for claim in CLAIMS})
