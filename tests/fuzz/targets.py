"""The readers, a line each: whole files, and what reads them."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minienc.data import load_dataset, read_csv, read_idx, read_image_folder, read_npy, read_npz
from minienc.data.labelled_texts import read_labelled_texts
from minienc.data.pairs import load_pairs, read_sides
from minienc.data.text import read_text
from minienc.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    UnknownTokenError,
    WordTokenizer,
    load_tokenizer,
)
from minienc.data.wav import read_wav, wav_bytes
from minienc.finetuning.multitask_folder import read_tasks
from minienc.finetuning.targets import Task
from minienc.tasks import Summarizer, Translator
from minienc.tasks.folder import read_description
from tests.fuzz import archives
from tests.fuzz.frame import Target

X = np.arange(24, dtype=np.float32).reshape(4, 6) / 7
IMAGES = np.arange(4 * 30, dtype=np.uint8).reshape(4, 5, 6)


def _saved(save: Callable[..., Any], *args: Any, **kwargs: Any) -> bytes:
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


def _npy() -> list[bytes]:
    return [_saved(np.save, x) for x in (X, IMAGES, X.astype(">f8"), X.T, X.astype("i8"))]


def _npz() -> list[bytes]:
    y = np.array([0, 1, 2, 1])
    sets = [{"x": X, "y": y}, {"x_train": IMAGES, "x_test": IMAGES[:2]}]
    return [_saved(save, **s) for s in sets for save in (np.savez, np.savez_compressed)]


def _in_npz(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    return file.getvalue()


def _idx() -> list[bytes]:
    pixels = struct.pack(">4B3I", 0, 0, 8, 3, *IMAGES.shape) + IMAGES.tobytes()
    return [pixels, struct.pack(">4B2I", 0, 0, 13, 2, *X.shape) + X.astype(">f4").tobytes()]


def _csv() -> list[bytes]:
    texts = [
        "a,label,b\n1.5,3,2\n4,0,-5e3\n",
        "# label,p\n1,.5\n0,.75\n",
        'class;b\n"cat, grey";1,5\nant;2\n',
        ",a\n0,1\n1,2\n",
        '"a" "b"\n"x" 1 2\n"y" 3 4\n',
        "0,1,2,3\n7,0,255,9\n",
    ]
    return [*(t.encode() for t in texts), *(t.encode("utf-16") for t in texts[:2])]


def _images() -> list[bytes]:
    from PIL import Image

    colour = Image.fromarray(np.stack([IMAGES[0]] * 3, axis=-1))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [_saved(colour.save, f) for f in ("PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP")]
    more = [_saved(colour.convert(mode).save, "PNG") for mode in ("L", "P", "RGBA", "1")]
    return [*files, *more, _saved(colour.save, "JPEG", exif=exif)]


def _texts() -> list[bytes]:
    text = "Wer reitet so spät durch Nacht und Wind?\nEs ist der Vater\r\n\t… 学 \U0001f40e\n"
    return [text.encode(code) for code in ("utf-8", "utf-8-sig", "utf-16", "utf-32")]


def _sounds() -> list[bytes]:
    x = np.sin(np.arange(60) / 3).reshape(30, 2)
    wide = np.zeros(40, "<f4").tobytes()
    head = struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32)
    parts = b"LIST" + struct.pack("<I", 3) + b"abc\0fmt " + struct.pack("<I", 16) + head
    parts += b"data" + struct.pack("<I", len(wide)) + wide
    floats = b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WAVE" + parts
    return [wav_bytes(x, 8000), wav_bytes(x[:, 0], 44100), floats]


def _long_sounds() -> list[bytes]:
    x = np.sin(np.arange(900) ** 1.2 / 9)
    return [wav_bytes(x, rate) for rate in (8000, 11025)]


def _pairs() -> list[bytes]:
    rows = [{"text": f"long text {i}", "short": f"text {i}", "family": f"f{i}"} for i in range(50)]
    lines = [json.dumps(row) for row in rows]
    return ["\n".join(lines).encode(), ("\n".join(lines[:9]) + "\r\n").encode("utf-8-sig")]


def _paired(path: Path) -> None:
    """What was accepted has a text on each side."""
    read_sides(path)
    data = load_pairs(path, "text", "short")
    assert all(s.strip() and t.strip() for s, t in (*data.train, *data.valid))


def _tasks() -> list[bytes]:
    models = [Translator(source="en", target="fr"), Summarizer(width=8, network="transformer")]
    return [
        json.dumps(
            {"format": "minienc task", "task": m.task, "settings": m.get_params() | {"width": 8}}
        ).encode()
        for m in models
    ]


def _tokenizers() -> list[bytes]:
    text, special = "to be, or not to be: that is\nthe question", ("<pad>", "<end>")
    kinds = (
        CharacterTokenizer.train(text, special),
        WordTokenizer.train(text, special=special),
        BytePairTokenizer.train(text, 270, special),
    )
    return [json.dumps(tokenizer.to_dict()).encode() for tokenizer in kinds]


def _tokenized(path: Path) -> None:
    """What was accepted can be used: texts become ids below V, and ids a text."""
    tokenizer = load_tokenizer(path)
    assert len(tokenizer) < 100_000
    with suppress(UnknownTokenError):
        ids = tokenizer.encode("to be <end>", special=True)
        assert ids.size == 0 or 0 <= ids.min() <= ids.max() < len(tokenizer)
        tokenizer.decode(ids)
    tokenizer.decode(range(len(tokenizer)))


def _loaded(path: Path) -> None:
    """Whatever it is, what comes out is finite."""
    dataset = load_dataset(path)
    assert np.isfinite(np.asarray(dataset.x)).all()
    assert dataset.y is None or 0 <= dataset.y.min() <= dataset.y.max() < 100_000


def _all() -> list[bytes]:
    return [*_npy(), *_npz(), *_idx(), *_csv(), *(gzip.compress(x, mtime=0) for x in _csv())]


def _classes_of_lines(path: Path) -> None:
    (path.parent / "other.txt").write_text("c\nd\n")
    read_labelled_texts(path.parent)


def _multitask() -> list[bytes]:
    tasks = [Task("digit", (0, 1, 2)), Task("who", ("ann", "bob")), Task("size", None, 1.5, 2.0)]
    plain = {"format": "minienc multitask", "tasks": [task._asdict() for task in tasks]}
    return [json.dumps(plain).encode()]


TARGETS = {
    "npy": Target(_npy, read_npy),
    "npz": Target(_npz, read_npz),
    "npz-inside": Target(_npy, read_npz, wrap=_in_npz),
    "idx": Target(_idx, read_idx),
    "idx-gz": Target(lambda: [gzip.compress(x, mtime=0) for x in _idx()], read_idx),
    "idx-in-gz": Target(_idx, read_idx, wrap=gzip.compress),
    "csv": Target(_csv, read_csv),
    "csv-in-gz": Target(_csv, read_csv, wrap=gzip.compress),
    "images": Target(_images, lambda path: read_image_folder(path.parent), name="a.png"),
    "photos": Target(_images, lambda path: read_image_folder(path.parent, True, 4, True), "a.png"),
    "load_dataset": Target(_all, _loaded),
    "wav": Target(_sounds, read_wav, "a.wav"),
    "recordings": Target(_long_sounds, lambda path: _loaded(path.parent), "a.wav"),
    "text": Target(_texts, read_text, "a.txt"),
    "pairs": Target(_pairs, _paired, "a.jsonl"),
    "pairs-in-gz": Target(_pairs, _paired, "a.jsonl.gz", wrap=gzip.compress),
    "pairs-tsv": Target(
        lambda: [b"a man\tun homme\nb\tc\nd e\tf\n"], lambda path: load_pairs(path), "a.tsv"
    ),
    "texts-csv": Target(
        lambda: [
            b'text,label\n"a, b",x\nc,y\nd,x\ne,y\n',
            b"label\ttext\nx\ta\ny\tb\nx\tc\ny\td\n",
        ],
        read_labelled_texts,
        "a.csv",
    ),
    "texts-lines": Target(lambda: [b"a man\nb\n"], _classes_of_lines, "a.txt"),
    "multitask": Target(_multitask, read_tasks, "multitask.json"),
    "task": Target(_tasks, read_description, "task.json"),
    "tokenizer": Target(_tokenizers, _tokenized, "tokenizer.json"),
}


def _archive(target: str) -> Target:
    """One of those that refuse or return by themselves; what they raise is a fault."""
    return Target(
        lambda: archives.seeds(target),
        lambda path: archives.TARGETS[target](path.read_bytes()),
        change=lambda rng, files: archives.altered(rng.choice(files), rng),
    )


TARGETS |= {name: _archive(name) for name in archives.TARGETS}
