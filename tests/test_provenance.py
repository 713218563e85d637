"""Where first weights came from, and runs without weights: `pytest tests/test_provenance.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.errors import RunDamaged
from analysis.figures import comparability
from analysis.lens.measure import measure_run
from analysis.runs import DamagedRun, Run, list_runs, load_run
from analysis.runs.provenance import Constructed, Continued, Imported, Scratch, Unknown, parse
from tests.tiny import write_run

FROZEN = Path(__file__).parent / "frozen" / "format1"


def edit(path: Path, **changes: object) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def test_the_frozen_configs_read_and_write_the_same_json():
    """Trained, constructed and trained on: not a field less, and more only where there are new
    ones of a net or of how it is computed."""
    kinds = set()
    for file in sorted(FROZEN.glob("*/config.json")):
        held = json.loads(file.read_text())
        run = load_run(file.parent)
        kinds.add(type(run.config.origin))
        written = run.config.to_json()
        for name in ("net", "compute"):
            written[name] = {field: written[name][field] for field in held[name]}
        assert json.dumps(written) == json.dumps(held)
    assert kinds == {Scratch, Constructed, Continued}


def test_an_import_reads_and_writes_the_same_json():
    """Also a field that a newer version wrote."""
    held = {"kind": "import", "file": "a.pth", "bytes": 3, "unused": ["x"], "reading": "by shape"}
    origin = parse(held)

    assert isinstance(origin, Imported)
    assert origin.unused == ("x",)
    assert origin.extra == {"reading": "by shape"}
    assert held.items() <= json.loads(json.dumps(origin.to_json())).items()


def test_an_unknown_kind_is_kept_and_shown(tmp_path: Path):
    """As what it calls itself."""
    path = write_run(tmp_path)
    edit(path / "config.json", origin={"kind": "distilled", "teacher": "x"}, recipe=None)
    run = load_run(path)

    assert run.config.origin == Unknown("distilled", {"kind": "distilled", "teacher": "x"})
    assert run.recipe == "distilled"
    assert not run.from_scratch
    assert run.config.to_json()["origin"] == {"kind": "distilled", "teacher": "x"}


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ({"kind": 5}, "config.json: origin.kind is 5, not a text"),
        ({"kind": "import", "bytes": -1}, "config.json: origin.bytes is -1, not a whole number"),
        ({"kind": "import", "unused": 3}, "config.json: origin.unused is 3, not a list"),
        (
            {"kind": "construction", "from": "a", "net": "plain-8", "errors": {"train": 101}},
            "config.json: origin.errors.train is 101, not",
        ),
        (
            {"kind": "construction", "from": "a", "recipe": {"name": "x"}},
            "config.json: Recipe: ",
        ),
        *[
            (
                {"kind": "construction", "from": "a", **net, "errors": {"train": 1, "test": 1}},
                f"config.json: origin.net is {shown}, not a net's short name, such as plain-20",
            )
            for net, shown in [
                ({"net": "nonsense"}, "'nonsense'"),
                ({"net": "plain-21"}, "'plain-21'"),
                ({"net": "<b>x</b>", "built": "b"}, "'<b>x</b>'"),
                ({}, "''"),
            ]
        ],
        ([], "config.json: origin is [], not an object"),
    ],
)
def test_nonsense_in_the_origin_is_a_reason(tmp_path: Path, origin: object, reason: str):
    """With the field."""
    path = write_run(tmp_path)
    edit(path / "config.json", origin=origin)
    (found,) = list_runs([tmp_path])

    assert isinstance(found, DamagedRun)
    assert str(found.reason).startswith(reason)


def test_a_run_without_its_weights_is_whole(tmp_path: Path):
    """Its tables are there; what needs the weights says how to get them."""
    path = write_run(tmp_path)
    (path / "model.safetensors").unlink()
    edit(path / "status.json", weights="left out")
    (run,) = list_runs([tmp_path])

    assert isinstance(run, Run)
    assert (run.state, run.has_weights, len(run.history())) == ("finished", False, 3)
    with pytest.raises(RunDamaged) as caught:
        measure_run(run)
    assert str(caught.value) == (
        f"The weights of {run.id} were left out when it was copied here; this command trains it "
        "again: python -m analysis train --net plain-8 --data digits --recipe quick"
    )


def imported(folder: Path, name: str, **images: object) -> Run:
    """A run that says of itself that it was imported, measured over some images or none."""
    path = write_run(folder, run_id=name)
    config = json.loads((path / "config.json").read_text())
    seen = {**config["images"], **images} if images else None
    scale = {"name": str(images.get("scale", "cifar10"))}
    edit(
        path / "config.json", recipe=None, origin={"kind": "import"}, images=seen,
        normalization=scale,
    )  # fmt: skip
    return load_run(path)


def test_imports_compare_only_over_the_same_images_and_normalization(tmp_path: Path):
    """What is not known of two is not the same."""
    first = imported(tmp_path, "first", n_test=48)
    others = [
        imported(tmp_path, "alike", n_test=48),
        imported(tmp_path, "fewer", n_test=12),
        imported(tmp_path, "scaled", n_test=48, scale="imagenet"),
        imported(tmp_path, "elsewhere", n_test=48, fingerprint="00000000000000bb"),
        imported(tmp_path, "unknown"),
    ]

    assert list(comparability([first, *others]).values()) == [
        "",
        "",
        "measured over 12 test images, not 48",
        "input normalized by imagenet, not by cifar10",
        "other images of Digits (8x8, upsampled)",
        "it is not known which images it saw",
    ]
    unknown = [imported(tmp_path, "a"), imported(tmp_path, "b")]
    assert comparability(unknown)["b"] == "it is not known which images it saw"
    assert not comparability(unknown)["a"]
