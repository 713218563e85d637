"""Curves of other programs: `pytest tests/exchange/test_logs.py`"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis import figures
from analysis.cli import build
from analysis.errors import ImportRefused
from analysis.exchange.logs import import_log, read_log
from analysis.runs import find_comparable, load_run
from tests.tiny import write_run


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


LIGHTNING = """epoch,step,lr-SGD,train_loss,val_acc,val_loss
0,49,0.1,2.0,,
0,99,0.1,1.8,,
0,99,,,0.41,1.7
1,149,0.01,1.5,,
1,199,0.01,1.3,,
1,199,,,0.55,1.4
"""


def test_lightnings_csv(tmp_path: Path):
    """Several rows an epoch, epochs from 0, an accuracy as a share: a row a complete epoch."""
    log = read_log(written(tmp_path, "metrics.csv", LIGHTNING))
    history = log.history
    assert history["epoch"].tolist() == [1, 2]
    assert history["iteration"].tolist() == [99, 199]
    assert history["train_loss"].tolist() == pytest.approx([1.9, 1.4])
    assert history["test_error"].tolist() == pytest.approx([59.0, 45.0])
    assert history["lr"].tolist() == [0.1, 0.01]
    assert [str(note) for note in log.notes] == [
        "val_acc is drawn as the test error",
        "val_acc is taken as a share of 1 (--percent: it is percent)",
        "val_acc is taken as an accuracy",
        "its epochs count from 0: one is added, for complete epochs",
    ]


def test_columns_are_said_and_percent(tmp_path: Path):
    """`--column train_error=err --percent`: 0.8 is 0.8 %."""
    file = written(tmp_path, "mine.csv", "ep,err,acc\n1,0.9,99.0\n2,0.8,99.5\n")
    columns = {"epoch": "ep", "train_error": "err", "test_error": "100-acc"}
    history = read_log(file, columns, percent=True).history
    assert history["train_error"].tolist() == [0.9, 0.8]
    assert history["test_error"].tolist() == [1.0, 0.5]
    assert read_log(file, columns).history["train_error"].tolist() == [90.0, 80.0]


def test_json_lines_and_trainer_state(tmp_path: Path):
    """An object a line; Hugging Face's log_history with broken epochs."""
    rows = [{"epoch": e, "train_err": 50.0 - e, "test_err": 60.0 - e} for e in (1, 2, 3)]
    lines = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n")
    assert read_log(lines).history["test_error"].tolist() == [59, 58, 57]
    state = {"log_history": [
        {"epoch": 0.5, "loss": 2.0, "learning_rate": 0.1, "step": 5},
        {"epoch": 1.0, "loss": 1.0, "learning_rate": 0.1, "step": 10},
        {"epoch": 1.0, "eval_loss": 0.9, "eval_accuracy": 0.7, "step": 10},
    ]}  # fmt: skip
    history = read_log(written(tmp_path, "trainer_state.json", json.dumps(state))).history
    assert (history["epoch"].tolist(), history["train_loss"].tolist()) == ([1], [1.5])
    assert history["test_error"].tolist() == pytest.approx([30.0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(tmp_path: Path):
    """Scalars by tag; the step is the epoch where no tag says it."""
    pytest.importorskip("tensorboard", reason="pip install 'residual-lens[tensorboard]'")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for epoch in range(3):
            writer.add_scalar("Loss/train", 2.0 - epoch, epoch)
            writer.add_scalar("Accuracy/test", 50.0 + epoch, epoch)
    history = read_log(tmp_path).history
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["train_loss"].tolist() == [2.0, 1.0, 0.0]
    assert history["test_error"].tolist() == [50.0, 49.0, 48.0]


def test_it_is_drawn_beside_a_run(tmp_path: Path):
    """A curve and a row of the summary; no responses."""
    recording, _notes = import_log(
        written(tmp_path, "metrics.csv", LIGHTNING), "theirs", "flowers", folder=tmp_path / "runs"
    )
    run = load_run(write_run(tmp_path / "runs", "resnet-8"))
    both = [run, find_comparable("theirs", [tmp_path / "runs"])]
    assert recording.state == "finished"
    curves = figures.error_curves_info(both)
    assert curves.groupby("label", sort=False).size().to_dict() == {"resnet-8": 3, "theirs": 2}
    assert math.isclose(figures.summary_info(both)["test_error"][1], 45.0)
    assert set(figures.responses_info(both)["label"]) == {"resnet-8"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", "which column is an error or a loss? It has a, b"),
        ("", "can't be read as a log"),
        ("epoch,train_err\n1,\n", "has no numbers in"),
    ],
)
def test_what_is_no_log_is_refused(text: str, reason: str, tmp_path: Path):
    """And nothing is made."""
    with pytest.raises(ImportRefused, match=reason.replace("?", r"\?")):
        import_log(written(tmp_path, "x.csv", text), folder=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_command(tmp_path: Path):
    """Says how it was read, and where the recording is; a wrong column is named."""
    file = written(tmp_path, "metrics.csv", LIGHTNING)
    done = CliRunner().invoke(build(), ["import-log", str(file), "--runs", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    columns = "epoch, iteration, lr, train_loss, test_loss, test_error"
    assert f"Epochs: 2; columns: {columns}" in done.output
    wrong = CliRunner().invoke(build(), ["import-log", str(file), "--column", "train_error=nope"])
    assert isinstance(wrong.exception, ImportRefused)
    assert str(wrong.exception).startswith("metrics.csv has no column nope. It has epoch, step")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epoch,train_loss\n1,2,3,4\n2,3\n", "rows that are longer than its header"),
        ("epoch,train_loss\ninf,1\n2,1\n", "epoch is inf"),
        ("epoch,train_loss\n1e30,1\n2,1\n", "epoch is 1e+30"),
        (f"epoch,train_loss\n{'9' * 400},1\n2,1\n", "int too large"),
        (f"epoch,train_loss\n1,{'9' * 400}\n2,1\n", "int too large"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, text: str, reason: str):
    """A longer row would shift its cells into other columns."""
    with pytest.raises(ImportRefused, match="can't be read as a log") as caught:
        read_log(written(tmp_path, "odd.csv", text))
    assert reason in str(caught.value)


def test_nested_json_and_what_is_no_file_are_refused(tmp_path: Path):
    """A device is not read for ever; nor is a stack exhausted."""
    with pytest.raises(ImportRefused):
        read_log(written(tmp_path, "deep.json", "[" * 200_000))
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    with pytest.raises(ImportRefused, match=r"is not a regular file|is missing"):
        read_log(tmp_path / "zero.csv")
