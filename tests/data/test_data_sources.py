"""digits as it always is; CIFAR through a tiny archive of its layout, from 127.0.0.1 only."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import socket
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from analysis.data import load_images
from analysis.data.cache import Source, open_or_build
from analysis.data.sources import read_cifar
from analysis.errors import DataError
from analysis.specs import DataSpec

REFUSED = f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
ALTERNATIVES = (
    "or use other images: --data folder:PATH (your own, as PATH/train/CLASS/image.png and "
    "PATH/test/CLASS/image.png) or --data digits (needs no download)"
)


def test_digits_are_the_same_everywhere(cache):
    """Counts, classes and fingerprint of scikit-learn's digits, split 1437/360 by class."""
    images = load_images(DataSpec("digits"), cache)

    assert images.train.shape == (1437, 3, 32, 32)
    assert images.test_labels.bincount().tolist() == [36] * 10
    assert images.classes == tuple("0123456789")
    assert images.fingerprint == DIGITS


DIGITS = "f6871b4286defc8a"


def test_digits_are_enlarged_without_loss(cache):
    """Every 4x4 block is one grey value 0..16 of the original, scaled to 0..255."""
    images = load_images(DataSpec("digits"), cache)
    pixels = torch.cat([images.train, images.test])

    blocks = pixels.view(1797, 3, 8, 4, 8, 4)
    assert (blocks == blocks[:, :1, :, :1, :, :1]).all()
    assert pixels.unique().tolist() == [round(value * 255 / 16) for value in range(17)]


def test_only_folders_are_resized(cache):
    """Said, not ignored."""
    with pytest.raises(DataError) as error:
        load_images(DataSpec("digits", resize=64), cache)

    assert str(error.value) == "only a folder's images can be resized; digits is 32x32 as it is"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args) -> None:
        """Says nothing on stderr."""


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL under which its files can be downloaded."""
    folder = tmp_path / "server"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


@pytest.fixture
def nowhere() -> str:
    """A URL where nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def _archive(kind, folder: Path, url: str, n: int = 3) -> tuple[Path, Any]:
    """A tiny archive laid out as CIFAR's, and torchvision's class with its URL and checksums."""
    rng = np.random.default_rng(0)
    fine = kind is CIFAR100
    base = folder / kind.base_folder
    base.mkdir(parents=True)
    checksums = {}
    names = [name for name, _ in kind.train_list + kind.test_list]
    for name in names:
        labels = rng.integers(0, 100 if fine else 10, n).tolist()
        batch = {
            "data": rng.integers(0, 256, (n, 3072), dtype=np.uint8),
            "fine_labels" if fine else "labels": labels,
        }
        (base / name).write_bytes(pickle.dumps(batch, protocol=2))
    classes = {kind.meta["key"]: [f"class {i}" for i in range(100 if fine else 10)]}
    (base / kind.meta["filename"]).write_bytes(pickle.dumps(classes, protocol=2))
    for path in base.iterdir():
        checksums[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    archive = folder / kind.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(base, kind.base_folder)
    tiny = type(
        kind.__name__,
        (kind,),
        {
            "url": f"{url}/{archive.name}",
            "tgz_md5": hashlib.md5(archive.read_bytes()).hexdigest(),
            "train_list": [[name, checksums[name]] for name, _ in kind.train_list],
            "test_list": [[name, checksums[name]] for name, _ in kind.test_list],
            "meta": {**kind.meta, "md5": checksums[kind.meta["filename"]]},
        },
    )
    return archive, tiny


@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100])
def test_cifar_archive_to_tensors(kind, server, cache):
    """Downloaded, checked, converted: planes of red, green, blue, as CIFAR stores them."""
    archive, tiny = _archive(kind, *server)
    images = open_or_build(cache, Source("tiny", "1", lambda: read_cifar(tiny, cache)))

    batches = [
        pickle.loads((archive.parent / kind.base_folder / name).read_bytes())
        for name, _ in kind.train_list
    ]
    pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    assert torch.equal(images.train, torch.from_numpy(pixels))
    labels = [label for batch in batches for label in batch.get("labels", batch.get("fine_labels"))]
    assert images.train_labels.tolist() == labels
    assert len(images.test) == 3
    assert images.classes[:2] == ("class 0", "class 1")
    assert sorted(path.name for path in cache.iterdir()) == sorted(
        [kind.filename, "tiny", "tiny.lock"]
    )


def test_cifar_archive_put_there_by_hand(tmp_path, nowhere, cache):
    """A machine without network takes the archive from the cache folder."""
    archive, tiny = _archive(CIFAR10, tmp_path, nowhere)
    cache.mkdir()
    archive.rename(cache / archive.name)

    assert len(read_cifar(tiny, cache).labels["train"]) == 15


def _cifar_message(kind, cache) -> str:
    with pytest.raises(DataError) as error:
        read_cifar(kind, cache)
    return str(error.value)


def test_no_cifar_and_no_network(tmp_path, nowhere, cache):
    """Says what can be had instead, and where the archive goes."""
    archive, tiny = _archive(CIFAR10, tmp_path, nowhere)
    archive.unlink()

    assert _cifar_message(tiny, cache) == (
        f"CIFAR10 is not in {cache}, and can't be downloaded: {REFUSED}. "
        f"Try again, or get {tiny.url} by hand and put it at "
        f"{cache / archive.name}, {ALTERNATIVES}"
    )


def test_damaged_archive_by_hand_and_no_network(tmp_path, nowhere, cache):
    """The archive is there but wrong, and no other can be had: both are said."""
    archive, tiny = _archive(CIFAR10, tmp_path, nowhere)
    cache.mkdir()
    (cache / archive.name).write_bytes(archive.read_bytes()[:-100])
    archive.unlink()

    assert _cifar_message(tiny, cache) == (
        f"{cache / archive.name} is damaged: its MD5 checksum is not {tiny.tgz_md5}, and can't be "
        f"downloaded: {REFUSED}. Try again, or get "
        f"{tiny.url} by hand and put it at {cache / archive.name}, {ALTERNATIVES}"
    )


def test_download_with_the_wrong_checksum(server, cache):
    """Nothing of it is opened: its pickles could run code."""
    archive, tiny = _archive(CIFAR10, *server)
    tiny.tgz_md5 = "0" * 32

    assert _cifar_message(tiny, cache) == (
        f"{cache / archive.name} is damaged: its MD5 checksum is not {'0' * 32}. Try again, or "
        f"get {tiny.url} by hand and put it at {cache / archive.name}, {ALTERNATIVES}"
    )
    assert not (cache / CIFAR10.base_folder).exists()


def test_a_silent_network_times_out_and_the_default_is_restored(tmp_path, cache, monkeypatch):
    """A server that accepts and never answers does not hang the download for ever."""
    _, tiny = _archive(CIFAR10, tmp_path, "")
    monkeypatch.setattr("analysis.data.sources.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        tiny.url = f"http://127.0.0.1:{server.getsockname()[1]}/cifar.tar.gz"

        assert f"CIFAR10 is not in {cache}, and can't be downloaded: " in _cifar_message(
            tiny, cache
        )

    assert socket.getdefaulttimeout() is None
