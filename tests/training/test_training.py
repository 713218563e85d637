"""Training to the bit, its records and its failures: `pytest tests/training/test_training.py`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch._inductor.config

from analysis.data import load_images
from analysis.errors import DataError, RunDamaged, RunError, TrainingFailed
from analysis.jobs import Request, estimate
from analysis.nets import build
from analysis.responses import closed_form
from analysis.runs import Run, RunWriter, files, find_run, load_run, open_writer
from analysis.runs.files import RESUME
from analysis.specs import REFERENCE, Compute, DataSpec, NetSpec, Recipe, recipe_for
from analysis.training import Progress, prepare_run, session, train_run
from analysis.training.distributed import World
from analysis.training.evaluate import evaluate
from analysis.training.monitor import Monitor, NonFinite
from analysis.training.session import Session
from analysis.weights import load_net, read_tensors

pytestmark = pytest.mark.trains

DIGITS = DataSpec("digits")
FAST = Compute("cpu", threads=1)


def small_recipe(**changes) -> Recipe:
    given = {"epochs": 3, "train_images": 200, "test_images": 100, "batch_size": 64, **changes}
    return recipe_for("quick", NetSpec.parse("resnet-8"), DIGITS, **given)


def prepared(folder: Path, net: str = "resnet-8", compute: Compute = FAST, **changes) -> Path:
    return prepare_run(
        folder, NetSpec.parse(net), small_recipe(**changes), DIGITS, seed=1, compute=compute
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_run(prepared(tmp_path_factory.mktemp("runs")))


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "analysis", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_a_finished_run_has_everything(finished: Run):
    """A row an epoch, responses in closed form by epoch and measured at the end, whole weights."""
    history, responses = finished.history(), finished.responses()

    assert finished.state == "finished"
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["iteration"].tolist() == [4, 8, 12]
    assert history["train_error_clean"].notna().tolist() == [False, False, True]
    assert set(responses.loc[responses["source"] == "closed_form", "epoch"]) == {1, 2, 3}
    assert set(responses.loc[responses["source"] == "measured", "epoch"]) == {3}
    assert finished.refinement()["block_name"].tolist() == [
        "stage1.block1", "stage2.block1", "stage3.block1",
    ]  # fmt: skip
    assert not (finished.path / RESUME).exists()
    assert finished.status.machine["cores"] == os.cpu_count()


def test_a_net_learns(tmp_path: Path):
    """On digits sixty updates already lower the training error by far."""
    run = train_run(prepared(tmp_path, epochs=6, train_images=320, batch_size=32))
    errors = run.history()["train_error"]

    assert errors.iloc[-1] < errors.iloc[0] - 20


def test_recorded_errors_are_those_of_the_saved_net(finished: Run):
    """The last row's errors come out again from the weights on disk."""
    net, normalizer = load_net(finished)
    images = load_images(DIGITS).subset(200, 100)
    last = finished.history().iloc[-1]

    _, train_error = evaluate(net, images.train, images.train_labels, normalizer)
    test_loss, test_error = evaluate(net, images.test, images.test_labels, normalizer)
    assert train_error == last["train_error_clean"]
    assert test_error == last["test_error"]
    assert test_loss == pytest.approx(last["test_loss"], rel=1e-5)


def test_errors_are_counted_over_images():
    """130 images in batches of 128 and 2: each image counts once."""
    net, normalizer = _tiny_net_and_normalizer()
    images = load_images(DIGITS).subset(train=130)
    _, error = evaluate(net, images.train, images.train_labels, normalizer)
    with torch.no_grad():
        logits = torch.cat([net(normalizer.apply(x[None])) for x in images.train])

    wrong = (logits.argmax(1) != images.train_labels).sum()
    assert error == pytest.approx(100 * int(wrong) / 130)


def _tiny_net_and_normalizer():
    from analysis.data import Normalizer
    from analysis.nets import build

    return build(NetSpec.parse("plain-8"), 0).eval(), Normalizer.fit(load_images(DIGITS).train)


def test_the_closed_form_rows_are_those_of_the_weights(finished: Run):
    """The last epoch's closed form comes out again from the saved BN parameters."""
    net, _ = load_net(finished)
    rows = finished.responses().query("source == 'closed_form' and epoch == 3")

    assert rows["std"].to_numpy() == pytest.approx(closed_form(net)["std"].to_numpy(), rel=1e-12)


def same_weights(first: Path, second: Path) -> bool:
    one, two = read_tensors(first / files.MODEL)[0], read_tensors(second / files.MODEL)[0]
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def numbers(run: Run) -> pd.DataFrame:
    timings = ["seconds", "images_per_second", "wall_seconds"]
    return run.history().drop(columns=timings)


def test_the_same_seed_gives_the_same_bits(finished: Run, tmp_path: Path):
    """Two trainings of one definition agree in every weight and every number."""
    again = train_run(prepared(tmp_path))

    assert same_weights(finished.path, again.path)
    pd.testing.assert_frame_equal(numbers(again), numbers(finished), check_exact=True)


def test_a_run_killed_in_mid_epoch_resumes_to_the_same_bits(finished: Run, tmp_path: Path):
    """SIGKILL while the second epoch trains; the resumed run equals the uninterrupted one."""
    path = prepared(tmp_path)
    process = command("resume", str(path))
    _wait_until(lambda: (path / files.LOG).exists())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert load_run(path).state == "interrupted"

    run = train_run(path)
    assert run.state == "finished"
    assert same_weights(finished.path, path)
    pd.testing.assert_frame_equal(numbers(run), numbers(finished), check_exact=True)
    pd.testing.assert_frame_equal(run.responses(), finished.responses(), check_exact=True)


def _wait_until(holds, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


class _Killed(BaseException):
    """Stands for the moment of a SIGKILL: nothing after it runs, not even handlers of Exception."""


@pytest.mark.parametrize("writes", [1, 3, 6, 7, 8, 9, 10, 12, 18, 19])
def test_a_kill_between_any_two_writes_loses_at_most_the_epoch(
    writes: int, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After each of the writes of two epochs: the status claims no more than is there, and the
    resumed run equals the uninterrupted one."""
    path = prepared(tmp_path)
    left = [writes]

    def counting(original):
        def write(*arguments, **named):
            if left[0] == 0:
                raise _Killed
            left[0] -= 1
            return original(*arguments, **named)

        return write

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_whole", counting(files.write_whole))
        patch.setattr(files, "append_text", counting(files.append_text))
        with pytest.raises(_Killed):
            train_run(path)
    left_behind = load_run(path)
    assert left_behind.status.epoch <= len(left_behind.history())

    run = train_run(path)
    assert same_weights(finished.path, path)
    pd.testing.assert_frame_equal(numbers(run), numbers(finished), check_exact=True)
    pd.testing.assert_frame_equal(run.responses(), finished.responses(), check_exact=True)
    pd.testing.assert_frame_equal(run.refinement(), finished.refinement(), check_exact=True)
    for name in ("state", "epoch", "train_error", "train_error_clean", "test_error"):
        assert getattr(run.status, name) == getattr(finished.status, name), name


@pytest.mark.parametrize("name", [files.MODEL, files.table_file("refinement")])
def test_a_kill_at_the_very_end_is_made_good(
    name: str, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed before the last weights, or between the last measurements: nothing stale or twice."""
    path = prepared(tmp_path)
    for attribute in ("write_whole", "append_text"):
        original = getattr(files, attribute)

        def write(at, *arguments, original=original, **named):
            if at.name == name and load_run(path).history()["epoch"].max() == 3:
                raise _Killed
            return original(at, *arguments, **named)

        monkeypatch.setattr(files, attribute, write)
    with pytest.raises(_Killed):
        train_run(path)
    monkeypatch.undo()

    run = train_run(path)
    assert same_weights(finished.path, path)
    assert run.status.train_error_clean == finished.status.train_error_clean
    pd.testing.assert_frame_equal(run.responses(), finished.responses(), check_exact=True)
    pd.testing.assert_frame_equal(run.refinement(), finished.refinement(), check_exact=True)


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks whether to stop after every update, so that no training is too quick to be stopped."""
    monkeypatch.setattr(session, "LOOK_EVERY", 0.0)


def cancelled_in_second_epoch(path: Path) -> Run:
    """Trained until then, and cancelled through the file that the app writes."""

    def cancel(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (1, 2):
            (path / files.CANCEL).touch()

    return train_run(path, progress=cancel)


@pytest.mark.usefixtures("watchful")
def test_a_run_without_its_position_is_not_begun_anew(tmp_path: Path):
    """Its history is not erased; the message says what to do."""
    path = prepared(tmp_path)
    cancelled = cancelled_in_second_epoch(path)
    assert (cancelled.state, cancelled.status.epoch) == ("cancelled", 1)
    (path / RESUME).unlink()
    rows = len(cancelled.history())
    with pytest.raises(RunError, match=r"has no resume\.safetensors, so its training can't go on"):
        train_run(path)

    assert len(load_run(path).history()) == rows


@pytest.mark.usefixtures("watchful")
def test_a_cancelled_run_resumes_to_the_same_bits(finished: Run, tmp_path: Path):
    """The weights of the uninterrupted run."""
    path = prepared(tmp_path)
    run = cancelled_in_second_epoch(path)
    assert (run.state, str(run.status.reason)) == ("cancelled", "cancelled")
    assert run.status.epoch == 1
    assert train_run(path).state == "finished"
    assert same_weights(finished.path, path)


def test_a_finished_run_is_not_trained_again(finished: Run):
    """Resuming it says so."""
    with pytest.raises(RunError, match="has finished; there is nothing to resume"):
        train_run(finished.path)


def test_a_run_in_training_is_not_trained_twice(tmp_path: Path):
    """The lock keeps a second trainer out."""
    path = prepared(tmp_path)
    with open_writer(path), pytest.raises(RunError, match="is being trained by another process"):
        train_run(path)


def test_non_finite_loss_stops_with_a_clear_record(tmp_path: Path):
    """Epoch and learning rate in the message, the last good weights kept, no NaN in them."""
    path = prepared(tmp_path, lr=100.0, weight_decay=0.9, batch_size=16)
    with pytest.raises(NonFinite) as caught:
        train_run(path)

    run = load_run(path)
    assert re.fullmatch(
        r"the loss became infinite or not a number in epoch \d, update \d+, at learning rate "
        r"[\d.]+\. The weights of epoch \d are kept; try a smaller --lr or another seed\.",
        str(caught.value),
    )
    assert (run.status.state, str(run.status.reason)) == ("failed", str(caught.value))
    assert all(torch.isfinite(t).all() for t in read_tensors(run.weights_path)[0].values())


def test_reading_images_can_be_stopped(tmp_path: Path, monkeypatch):
    """Ctrl-C while a data set is decoded the first time cancels, and can be gone on with."""
    path = prepared(tmp_path)
    told = []

    def asked() -> bool:
        return bool(told)

    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path / "cache"))
    run = train_run(path, should_stop=asked, data_progress=lambda *at: told.append(at))
    assert (run.state, run.status.epoch) == ("cancelled", 0)
    assert train_run(path).state == "finished"


def test_a_failing_compiler_is_a_clear_message(tmp_path: Path, monkeypatch):
    """No working C++ compiler: what to do is said, and the run is failed, not torn."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    path = prepared(tmp_path, compute=Compute("cpu", "float32", compile=True))
    no_compiler = torch._inductor.config.patch({"cpp.cxx": (None, "/bin/false")})
    with (
        no_compiler,
        pytest.raises(TrainingFailed, match=r"torch\.compile can't compile .* --no-compile"),
    ):
        train_run(path)
    assert load_run(path).state == "failed"


def test_other_classes_than_the_nets_are_refused(tmp_path: Path):
    """The message says both numbers."""
    path = prepare_run(tmp_path, NetSpec.parse("plain-8", 7), small_recipe(), DIGITS)
    with pytest.raises(DataError) as caught:
        train_run(path)

    assert str(caught.value) == (
        "plain-8 has 7 classes, digits has 10; build the net with 10 classes"
    )
    assert load_run(path).status.state == "failed"


def test_the_fast_path_follows_the_reference(tmp_path: Path):
    """channels-last against float32 eager NCHW: the same curve within rounding."""
    fast = train_run(prepared(tmp_path, compute=FAST, epochs=1))
    slow = train_run(prepared(tmp_path, compute=REFERENCE, epochs=1))

    assert (slow.config.compute.channels_last, fast.config.compute.channels_last) == (False, True)
    assert fast.history()["train_loss"].iloc[0] == pytest.approx(
        slow.history()["train_loss"].iloc[0], rel=1e-3
    )


def test_a_validation_split_is_held_out(tmp_path: Path):
    """40 of 200 images are not trained on, and their error is recorded."""
    run = train_run(prepared(tmp_path, validation=40, epochs=1))

    assert run.config.images is not None
    assert run.config.images.n_train == 160
    assert run.history()["val_error"].notna().all()


_MAIN_AND_ITS_THREADS = """
import sys
from pathlib import Path
from analysis.cli import main

try:
    main()
finally:
    print("threads:", *(path.read_text() for path in Path("/proc/self/task").glob("*/comm")))
"""


def test_two_processes_give_the_curve_of_one(tmp_path: Path):
    """torchrun with gloo: same images in the same order, BN statistics of half batches apart.

    No thread of gloo's is left at the end: it can abort an interpreter that ends.
    """
    (tmp_path / "command.py").write_text(_MAIN_AND_ITS_THREADS)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [
        "--net", "resnet-8", "--data", "digits", "--recipe", "quick", "--epochs", "2",
        "--seed", "1", "--threads", "1", "--device", "cpu", "--runs",
    ]  # fmt: skip
    for name, start in (("two", torchrun), ("one", [])):
        done = subprocess.run(
            [sys.executable, *start, "command.py", "train", *arguments, str(tmp_path / name)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("threads:") == (2 if name == "two" else 1)
        assert "gloo" not in done.stdout
    two, one = (find_run("resnet-8", [tmp_path / name]).history() for name in ("two", "one"))

    assert two["iteration"].tolist() == one["iteration"].tolist()
    assert two["train_loss"].to_numpy() == pytest.approx(one["train_loss"].to_numpy(), rel=0.15)
    assert two["train_error"].to_numpy() == pytest.approx(one["train_error"].to_numpy(), abs=10)


def test_out_of_memory_names_the_device_that_was_chosen(tmp_path: Path):
    """`auto` is resolved after the work began; `--device cpu` is no advice on a CPU."""
    path = prepared(tmp_path, "plain-8-w4", Compute())

    def work(writer: RunWriter) -> None:
        with session.Session(writer):
            compute = replace(writer.config.compute, device="cpu")
            writer.complete_config(replace(writer.config, compute=compute))
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried too much")

    with open_writer(path) as writer:
        with pytest.raises(TrainingFailed):
            work(writer)
        said = str(writer.status.reason)
    assert said.startswith("plain-8-w4 does not fit in the memory of cpu: DefaultCPUAllocator")
    assert said.endswith("Use a smaller --batch-size or a smaller net.")


def test_missing_weights_are_said_so(tmp_path: Path):
    """Not an error of Python's."""
    path = prepared(tmp_path)
    with pytest.raises(RunDamaged, match="is missing: this run has no weights yet"):
        load_net(load_run(path))


def test_a_net_that_is_not_finite_is_noticed_before_it_is_written():
    """Infinite BN statistics under a finite loss: with the epoch and the tensor."""
    net = build(NetSpec.parse("plain-8-w4"), seed=0)
    monitor = Monitor(Session(), World(), None)
    monitor.begin_epoch(4)
    monitor.check_net(net, lr=30.0)
    net.get_buffer("stem.bn.running_var")[0] = torch.inf
    with pytest.raises(NonFinite) as caught:
        monitor.check_net(net, lr=30.0)
    assert str(caught.value).startswith(
        "the training diverged in epoch 5, at learning rate 30: 1 of 37 tensors are infinite or "
        "not numbers, such as stem.bn.running_var. The weights of epoch 4 are kept"
    )


def test_a_batch_larger_than_the_data_is_all_of_it():
    """The estimate is in terms of the data too: no 922 GiB."""
    data = DataSpec.parse("digits")
    of = {
        size: estimate.estimate(
            Request(NetSpec.parse("resnet-20"), data, "short", {"batch_size": size}), []
        )
        for size in (1437, 1_048_576)
    }
    assert of[1_048_576].memory == of[1437].memory
