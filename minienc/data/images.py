"""A folder of images: a sub-folder for each class, or all in one folder without labels."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np

from minienc.data.raw import RawData, check_exists

_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"GIF8",
    b"BM",
    b"II*\0",  # TIFF
    b"MM\0*",
    b"P2",  # portable grey and colour maps
    b"P3",
    b"P5",
    b"P6",
)
_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def is_image(start: bytes) -> bool:
    """Whether a file that begins with these bytes (12 or more) is an image."""
    if start[:2] in (b"P2", b"P3", b"P5", b"P6"):
        return start[2:3].isspace()
    return start.startswith(_MAGIC) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def read_image_folder(path: str | Path, grey: bool = False) -> RawData:
    """Return the images of a folder, in the order of their names.

    Sub-folders are classes, numbered in alphabetical order. Two sub-folders ``train`` and
    ``test`` are the two parts of the data. Hidden files are passed over, and files that neither
    their content nor their name says are images.

    Parameters
    ----------
    path : str or Path
    grey : bool
        Convert colour to grey. Without it, all images have to be grey, or all RGB.

    Returns
    -------
    RawData
        ``x`` is uint8, (N, H, W) for grey images, (N, H, W, 3) for colour.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder.
    ImportError
        If Pillow is not installed.
    ValueError
        If there are no images; if one is corrupt, or differs from the first in size or mode (the
        message names it); if images stand both in the folder and in its sub-folders.
    """
    folder = check_exists(path, "read_image_folder")
    if not folder.is_dir():
        raise NotADirectoryError(f"read_image_folder: {folder} is a file, expected a folder")
    parts = {p.name.lower(): p for p in _sub_folders(folder)}
    if set(parts) == {"train", "test"} and not _image_files(folder):
        train, test = _read_part(parts["train"], grey), _read_part(parts["test"], grey)
        if train.x.shape[1:] != test.x.shape[1:] or train.class_names != test.class_names:
            raise ValueError(
                f"read_image_folder: {folder} has images {train.x.shape[1:]} of classes "
                f"{train.class_names} in train, and {test.x.shape[1:]} of {test.class_names} in "
                f"test, expected the same"
            )
        return RawData(train.x, train.y, test.x, test.y, train.class_names)
    return _read_part(folder, grey)


def holds_images(folder: Path) -> bool:
    """Whether images stand in this folder, or one or two folders below."""
    return bool(_image_files(folder)) or any(
        _image_files(sub) or any(_image_files(deep) for deep in _sub_folders(sub))
        for sub in _sub_folders(folder)
    )


# ---------------------------------------------------------------------- which file, which class


def _read_part(folder: Path, grey: bool) -> RawData:
    loose = _image_files(folder)
    classes = {sub.name: files for sub in _sub_folders(folder) if (files := _image_files(sub))}
    if loose and classes:
        raise ValueError(
            f"read_image_folder: {folder} holds {len(loose)} images beside sub-folders of images "
            f"({', '.join(list(classes)[:3])}), expected one or the other"
        )
    if loose:
        return RawData(_read_images(loose, grey))
    if not classes:
        raise ValueError(f"read_image_folder: {folder} holds no images, nor do its sub-folders")
    x = _read_images([file for files in classes.values() for file in files], grey)
    y = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    return RawData(x, y.astype(np.int64), class_names=tuple(classes))


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _image_files(folder: Path) -> list[str]:
    """Paths of the files that are images by content or by name, sorted."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_file():
                continue
            # a file that is an image by name alone is broken: reading it will say so
            if entry.name.lower().endswith(_SUFFIXES) or is_image(_first_bytes(entry.path)):
                found.append(entry.path)
    return sorted(found)


def _first_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(12)


# ---------------------------------------------------------------------------------------- pixels


def _read_images(files: list[str], grey: bool) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("reading images needs Pillow: pip install pillow") from None

    first = _decode(Image, files[0], grey)
    try:
        x = np.empty((len(files), *first.shape), np.uint8)
    except MemoryError:
        raise ValueError(
            f"read_image_folder: {len(files)} images of {first.shape} are more than this "
            f"machine's memory"
        ) from None
    x[0] = first
    for i, file in enumerate(files[1:], start=1):
        image = _decode(Image, file, grey, like=first, first=files[0])
        x[i] = image
    return x


def _decode(
    image_module: ModuleType,
    file: str,
    grey: bool,
    like: np.ndarray | None = None,
    first: str = "",
) -> np.ndarray:
    """Return one image as uint8; its size and mode are compared before it is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", image_module.DecompressionBombWarning)
            with image_module.open(file) as image:
                image.verify()  # compares PNG's checksums, which decoding does not
            with image_module.open(file) as image:
                mode = _mode(image.mode, grey, file)
                shape = (image.height, image.width) + ((3,) if mode == "RGB" else ())
                if like is not None and shape != like.shape:
                    raise _DoesNotFit(
                        f"read_image_folder: {file} is {_describe(shape)}, expected "
                        f"{_describe(like.shape)} as the first, {first}"
                        + ("; convert colour with grey=True" if shape[:2] == like.shape[:2] else "")
                    )
                return np.asarray(image if image.mode == mode else image.convert(mode))
    except _DoesNotFit as error:
        raise ValueError(str(error)) from None
    except PermissionError:
        raise
    # what Pillow raises on broken files depends on the format
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"read_image_folder: {file} is a corrupt image: {reason}") from None


class _DoesNotFit(Exception):
    """An image that is not corrupt, but differs from the others."""


def _mode(mode: str, grey: bool, file: str) -> str:
    """The mode that an image is read in: "L" is grey, "RGB" colour."""
    if mode in ("1", "L") or (grey and mode in ("RGB", "RGBA", "LA", "P", "CMYK", "YCbCr", "PA")):
        return "L"
    if mode == "RGB":
        return "RGB"
    mend = "" if mode.startswith(("I", "F")) else ", or convert with grey=True"
    raise _DoesNotFit(
        f"read_image_folder: {file} has mode {mode}, expected 8-bit grey (L) or RGB; "
        f"save it as one of them{mend}"
    )


def _describe(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} {'RGB' if len(shape) == 3 else 'grey'}"
