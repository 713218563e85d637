"""What an import finds out with images: the error, the kind, a wrong claim or normalization.

The nets have random features and a linear layer fitted to the digits in closed form, so they know
something in a second. `pytest tests/importing/test_verification.py`
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

from analysis.cli import build
from analysis.data import Images, load_images
from analysis.errors import ImportRefused, RunError
from analysis.exchange.importing import Imported, import_checkpoint
from analysis.specs import DataSpec
from analysis.text import language
from analysis.weights import load_net
from tests.importing import foreign
from tests.importing.twins import OPTION_A, option_a_net

pytestmark = pytest.mark.trains

DIGITS = DataSpec.parse("digits")


@pytest.fixture(scope="module")
def images() -> Images:
    """scikit-learn's digits at 32 pixels."""
    return load_images(DIGITS)


def pixels(images: Tensor) -> Tensor:
    """uint8 to -1..1: the normalization `half`."""
    return (images.float() / 255 - 0.5) / 0.5


def fitted(net: foreign.ResNet, images: Images) -> foreign.ResNet:
    """The net with the digits' BN statistics and a head by least squares, in evaluation mode."""
    foreign.shaken(net)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    few = images.subset(train=600)
    features: list[Tensor] = []
    head: nn.Linear = getattr(net, net.head)
    with torch.no_grad():
        net.train()(pixels(few.train))
        hook = head.register_forward_pre_hook(lambda _head, inputs: features.append(inputs[0]))
        net.eval()(pixels(few.train))
        hook.remove()
        ones = torch.cat([features[0], torch.ones(len(features[0]), 1)], 1).double()
        targets = functional.one_hot(few.train_labels.long(), 10).double()
        ridge = 1e-3 * torch.eye(ones.shape[1], dtype=torch.float64)
        solved = torch.linalg.solve(ones.T @ ones + ridge, ones.T @ targets).float()
        head.weight.copy_(solved[:-1].T)
        head.bias.copy_(solved[-1])
    return net


def error_of(net: nn.Module, images: Images) -> float:
    """Percent wrong over all test images, by the repository's own net."""
    with torch.no_grad():
        wrong = net(pixels(images.test)).argmax(1) != images.test_labels
    return 100 * float(wrong.double().mean())


def imported(
    net: nn.Module, tmp_path: Path, normalization: str | None = "half", **beside
) -> Imported:
    """Through a file with these facts beside the weights, measured on the digits."""
    torch.save({"net": net.state_dict(), **beside}, tmp_path / "net.pth")
    return import_checkpoint(
        tmp_path / "net.pth", tmp_path / "runs", normalization=normalization, data=DIGITS
    )


@pytest.mark.parametrize(("option", "name"), [("none", "plain-8"), ("A", "resnet-8")])
def test_images_tell_plain_from_option_a(option: str, name: str, images: Images, tmp_path: Path):
    """The kind with the smaller error is taken and said; its error is the repository's own."""
    net = fitted(foreign.akamaster(option=option), images)
    error = error_of(net, images)
    assert error < 30, "the test's net knows too little"
    result = imported(net, tmp_path)

    assert result.run.net == name
    assert result.measured is not None
    assert result.measured.error == pytest.approx(error, abs=0.3)
    (note,) = result.run.config.origin.notes
    assert note.startswith(
        f"keys can't tell a plain net from one with option A; taken as {name} by the error over"
    )
    assert "resnet-8 " in note
    assert "plain-8 " in note
    assert result.warnings == ()


def test_a_true_claim_is_shown_and_not_warned_of(images: Images, tmp_path: Path):
    """Within a point of what is measured."""
    net = fitted(foreign.kuangliu(), images)
    accuracy = 100 - error_of(net, images)
    result = imported(net, tmp_path, acc=accuracy - 0.4, epoch=7)
    assert result.warnings == ()
    assert result.run.config.origin.claimed_error == pytest.approx(100.4 - accuracy)
    assert result.run.status.test_error == pytest.approx(100 - accuracy, abs=0.3)


def test_a_claim_that_is_off_by_more_than_a_point_is_warned_of(images: Images, tmp_path: Path):
    """Both numbers, the key, and what is probably wrong; in the run too."""
    net = fitted(foreign.kuangliu(), images)
    accuracy = 100 - error_of(net, images)
    result = imported(net, tmp_path, acc=accuracy - 15, epoch=7)
    (warning,) = result.warnings
    assert result.measured is not None
    assert str(warning) == (
        f"its error here is {result.measured.error:.2f} % over {len(images.test):,} images, but "
        f"the file claims {115 - accuracy:.2f} % (acc): no other known normalization and no "
        "other reading of its weights comes nearer, so these are probably not the images of its "
        "training, or not as it was given them (size, crop, colours, order of the classes)"
    )
    assert result.run.config.origin.warnings == (str(warning),)


def test_a_wrong_normalization_is_noticed(images: Images, tmp_path: Path):
    """By the claim where there is one; and the one that is right is named."""
    net = fitted(foreign.kuangliu(), images)
    accuracy = 100 - error_of(net, images)
    odd, better = imported(net, tmp_path, "0,0,0/0.05,0.05,0.05", acc=accuracy).warnings
    assert "but the file claims" in str(odd)
    assert str(better).startswith("with the normalization half it makes ")
    assert str(better).endswith("import it again with half")


def test_a_pool_in_the_stem_is_noticed(images: Images, tmp_path: Path):
    """huyvnphan's nets have torchvision's max-pool after a 3x3 stem, and no key says so."""
    net = foreign.torchvision_like(imagenet=False)
    net.pool = nn.MaxPool2d(3, 2, 1)
    with pytest.raises(ImportRefused, match="errors with a max-pool after the 3x3 stem"):
        imported(fitted(net, images), tmp_path)
    assert not (tmp_path / "runs").exists()


def test_without_a_pool_nothing_is_said(images: Images, tmp_path: Path):
    """The usual CIFAR adaptation is imported as it is."""
    net = fitted(foreign.torchvision_like(imagenet=False), images)
    result = imported(net, tmp_path)
    assert result.run.net == "resnet-18-w8-B"
    assert result.warnings == ()


@pytest.mark.parametrize("option", OPTION_A)
def test_images_tell_where_option_a_puts_its_zeros(option: str, images: Images, tmp_path: Path):
    """Both sides or after: the error decides, and it is the repository's own."""
    option_a, name = OPTION_A[option]
    net = fitted(option_a_net(option_a), images)
    result = imported(net, tmp_path)
    assert result.run.net == name
    assert result.measured is not None
    assert result.measured.error == pytest.approx(error_of(net, images), abs=0.3)


def test_images_tell_the_normalization(images: Images, tmp_path: Path):
    """Of all that are known; the layout's repository uses another, and is not asked."""
    net = fitted(foreign.kuangliu(), images)
    result = imported(net, tmp_path, None)
    assert result.run.config.normalization["name"] == "half"
    assert result.measured is not None
    assert result.measured.error == pytest.approx(error_of(net, images), abs=0.3)
    (note,) = result.run.config.origin.notes
    assert note.startswith("normalization half was taken: ")
    assert "cifar10 " in note


def test_a_claim_tells_the_normalization(images: Images, tmp_path: Path):
    """The one that meets it."""
    net = fitted(foreign.kuangliu(), images)
    result = imported(net, tmp_path, None, acc=100 - error_of(net, images))
    assert result.run.config.normalization["name"] == "half"
    assert result.warnings == ()


def test_images_that_tell_nothing_leave_it_open(images: Images, tmp_path: Path):
    """A net that knows nothing: all are as bad, so it is asked for, with what was tried."""
    torch.save(
        foreign.shaken(foreign.torchvision_like(classes=10)).state_dict(), tmp_path / "n.pth"
    )
    with pytest.raises(ImportRefused, match="and the images don't tell"):
        import_checkpoint(tmp_path / "n.pth", tmp_path / "runs", data=DIGITS)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("scale", [1, 255])
def test_the_files_own_mean_and_deviation_come_first(scale: int, images: Images, tmp_path: Path):
    """Sequential(Normalize, net): buffers beside the weights, in 0..1 or 0..255."""
    net = fitted(foreign.kuangliu(), images)
    state = {f"1.{key}": value for key, value in net.state_dict().items()}
    state |= {"0.mean": torch.full((1, 3, 1, 1), 0.5 * scale)}
    state |= {"0.std": torch.full((1, 3, 1, 1), 0.5 * scale)}
    torch.save(state, tmp_path / "net.pth")
    result = import_checkpoint(tmp_path / "net.pth", tmp_path / "runs", data=DIGITS)
    assert result.measured is not None
    assert result.measured.error == pytest.approx(error_of(net, images), abs=0.3)
    assert result.warnings == ()


def test_without_images_it_is_open_and_not_guessed(tmp_path: Path):
    """Closed-form responses need none; a picture can't be shown to it before it is known."""
    torch.save(foreign.shaken(foreign.torchvision_like()).state_dict(), tmp_path / "net.pth")
    result = import_checkpoint(tmp_path / "net.pth", tmp_path / "runs")
    assert result.inspection.usual is None, "a 7x7 stem with ten classes says nothing of CIFAR"
    assert result.run.config.normalization == {"name": "unknown"}
    assert set(result.run.responses()["source"]) == {"closed_form"}
    assert "how its input was normalized is not known" in str(result.notes[-1])
    with pytest.raises(RunError, match="without knowing how its input was normalized"):
        load_net(result.run)


def test_the_training_images_of_a_folder_are_not_decoded(tmp_path: Path, monkeypatch):
    """They are none: only test images are asked for."""
    monkeypatch.setenv("RESIDUAL_LENS_CACHE", str(tmp_path / "cache"))
    for split, data in (("test", True), ("train", False)):
        for label in range(10):
            folder = tmp_path / "images" / split / str(label)
            folder.mkdir(parents=True)
            if data:
                Image.new("RGB", (32, 32), (25 * label, 0, 0)).save(folder / "a.png")
            else:
                (folder / "a.png").write_bytes(b"no picture")
    torch.save(foreign.shaken(foreign.kuangliu()).state_dict(), tmp_path / "net.pth")
    data = DataSpec.parse(f"folder:{tmp_path / 'images'}")
    result = import_checkpoint(
        tmp_path / "net.pth", tmp_path / "runs", data=data, normalization="none"
    )
    assert result.measured is not None
    assert result.measured.n_images == 10
    recorded = result.run.config.images
    assert recorded is not None
    assert (recorded.n_train, recorded.fingerprint[:5]) == (0, "test:")
    for label in range(10):
        Image.new("RGB", (32, 32)).save(tmp_path / "images" / "train" / str(label) / "a.png")
    assert load_images(data).has_fingerprint(recorded.fingerprint)


def test_progress_is_told(images: Images, tmp_path: Path):
    """Steps by name, up to their ends."""
    torch.save(fitted(foreign.kuangliu(), images).state_dict(), tmp_path / "net.pth")
    told: dict[str, tuple[int, int]] = {}
    import_checkpoint(
        tmp_path / "net.pth", tmp_path / "runs", data=DIGITS,
        progress=lambda what, done, total: told.update({str(what): (done, total)}),
    )  # fmt: skip
    assert set(told) == {
        "trying what its weights don't tell", "measuring its error", "recording its responses",
    }  # fmt: skip
    assert all(done == total for done, total in told.values())


def test_the_page_reads_chinese_and_the_disk_english(images: Images, tmp_path: Path):
    """Whoever's language it was imported in: a run may be read by anybody."""
    token = language.set("zh_CN")
    try:
        result = imported(fitted(foreign.akamaster(), images), tmp_path, acc=20.0)
        chinese = [str(said) for said in (*result.notes, *result.warnings)]
    finally:
        language.reset(token)
    english = [str(said) for said in (*result.notes, *result.warnings)]
    origin = result.run.config.origin
    assert [*origin.notes, *origin.warnings] == english
    assert len(english) >= 2
    assert not set(english) & set(chinese)


def test_the_command_says_the_same(images: Images, tmp_path: Path):
    """Found, normalization, claim, error, warning, run."""
    net = fitted(foreign.kuangliu(), images)
    accuracy = 100 - error_of(net, images)
    torch.save({"net": net.state_dict(), "acc": accuracy - 15}, tmp_path / "net.pth")
    done = CliRunner().invoke(
        build(),
        ["import", str(tmp_path / "net.pth"), "--data", "digits", "--normalization", "half",
         "--runs", str(tmp_path / "runs")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for words in (
        "Found: resnet-18-w8-B: residual, 18 layers", "Normalization: half",
        f"Error that the file claims (acc): {115 - accuracy:.2f} %", "Error measured over",
        "Warning: its error here is", "Run: ",
    ):  # fmt: skip
        assert words in done.output
