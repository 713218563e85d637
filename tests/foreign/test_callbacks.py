"""The callbacks in docs/callbacks, against the installed packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from analysis.runs import SavedRecording, list_recordings

CALLBACKS = Path(__file__).parents[2] / "docs" / "callbacks"
pytestmark = pytest.mark.filterwarnings("ignore")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, CALLBACKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["lightning_watch", "huggingface_watch"])
def test_they_are_short(name: str):
    """At most 30 lines of code."""
    lines = (CALLBACKS / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 30


class Block(nn.Module):
    """x + tanh(Wx)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One shortcut."""
        return x + torch.tanh(self.linear(x))


def test_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two epochs: a row each, updates counted, refinement measured, and it is finished."""
    lightning = pytest.importorskip("lightning", reason="pip install lightning")
    monkeypatch.chdir(tmp_path)

    class Net(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(Block(), nn.Linear(4, 1))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, _index):
            loss = self.net(batch[0]).square().mean()
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    images = torch.rand(8, 4)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), batch_size=4)
    callback = load("lightning_watch").Watch("mine", "noise", images=images, folder=tmp_path)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", callbacks=[callback], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Net(), loader)
    (found,) = list_recordings([tmp_path])
    assert isinstance(found, SavedRecording)
    assert found.state == "finished"
    history = found.history()
    assert (history["epoch"].tolist(), history["iteration"].tolist()) == ([1, 2], [2, 4])
    assert history[["train_loss", "lr"]].notna().all(axis=None)
    assert found.refinement()["block_name"].tolist() == ["net.0", "net.0"]


def test_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A GPT-2 of two blocks: losses by epoch, two shortcuts a block."""
    transformers = pytest.importorskip("transformers", reason="pip install transformers")
    pytest.importorskip("accelerate", reason="pip install accelerate")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = transformers.GPT2Config(
        vocab_size=20, n_positions=8, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    tokens = torch.randint(0, 20, (8, 6))
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    callback = load("huggingface_watch").Watch(
        "mine", "noise", batch={"input_ids": tokens}, folder=tmp_path / "runs"
    )
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), num_train_epochs=2, per_device_train_batch_size=4,
        logging_strategy="epoch", save_strategy="no", report_to=[], use_cpu=True,
        disable_tqdm=True,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    trainer = transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[callback])
    trainer.train()
    (found,) = list_recordings([tmp_path / "runs"])
    assert isinstance(found, SavedRecording)
    assert found.state == "finished"
    history = found.history()
    assert history["epoch"].tolist() == [1, 2]
    assert history["train_loss"].notna().all()
    assert found.refinement().groupby("epoch").size().to_dict() == {1: 4, 2: 4}
