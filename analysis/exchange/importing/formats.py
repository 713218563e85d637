"""Files that are no checkpoint of torch: what they are, by their first bytes or records."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.errors import ImportRefused
from analysis.exchange.importing.names import SAVE_WEIGHTS
from analysis.text import Message

FORMATS = Message(".pth, .pt, .th, .ckpt, .bin (torch.save) or .safetensors")

_STARTS: tuple[tuple[bytes, Message], ...] = (
    (
        b"version https://git-lfs",
        Message(
            "it is a Git LFS pointer, a few lines that stand for the file; fetch the file itself "
            "with git lfs pull, or download it from its page"
        ),
    ),
    (b"\x1f\x8b", Message("it is compressed with gzip; unpack it first: gunzip, or tar xzf")),
    (b"BZh", Message("it is compressed with bzip2; unpack it first")),
    (b"\xfd7zXZ\x00", Message("it is compressed with xz; unpack it first")),
    (b"\x28\xb5\x2f\xfd", Message("it is compressed with zstd; unpack it first")),
    (b"Rar!", Message("it is a RAR archive; unpack it first, and take the checkpoint in it")),
    (b"7z\xbc\xaf", Message("it is a 7-Zip archive; unpack it first")),
    (b"\x89HDF", Message("it is HDF5, as Keras writes it; nets here are read from torch's files")),
    (b"\x93NUMPY", Message("it is one array of NumPy (.npy), no state dict")),
    (b"GGUF", Message("it is a GGUF file, which holds language models")),
    (b"\x89PNG", Message("it is a PNG picture")),
    (b"\xff\xd8\xff", Message("it is a JPEG picture")),
    (b"%PDF", Message("it is a PDF document")),
)


def other_format(start: bytes) -> ImportRefused:
    """Of a file that begins with these bytes, some kilobytes of it."""
    for first, words in _STARTS:
        if start.startswith(first):
            return ImportRefused(words)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return ImportRefused(
            "it is a web page, not the file behind it (a link for downloading leads to a page, or "
            "asks to sign in); open the page and save the file itself"
        )
    if start[257:262] == b"ustar":
        return ImportRefused("it is a tar archive; unpack it first, and take the checkpoint in it")
    if text.startswith((b"{", b"[")):
        return ImportRefused("it is JSON text, no weights")
    return ImportRefused(
        "its first bytes are of no format that is read here: {formats}. A .pth.tar of torch 0.1 "
        "or a Keras or ONNX file has to be converted first",
        formats=FORMATS,
    )


def refuse_other_zips(names: Sequence[str]) -> None:
    """Of a zip with these records. Raises ImportRefused unless it may be one of torch.save."""
    if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
        raise ImportRefused(
            "it is a TorchScript program, which is code; save the weights alone: {command}",
            command=SAVE_WEIGHTS,
        )
    if names and all(name.endswith(".npy") for name in names):
        raise ImportRefused(
            "it is an .npz of NumPy arrays, which do not say which tensor of a net they are; "
            "put them into a net and save that: {command}",
            command=SAVE_WEIGHTS,
        )
    if any(name.endswith((".keras", "model.weights.h5", "config.json")) for name in names):
        raise ImportRefused("it is a Keras model; nets here are read from torch's files")
    inside = [n for n in names if n.endswith((".pth", ".pt", ".th", ".ckpt", ".bin", ".pkl"))]
    if inside and not any(name.endswith("/data.pkl") for name in names):
        raise ImportRefused(
            "it is a zip with {file} in it; unpack it, and import that", file=inside[0]
        )
