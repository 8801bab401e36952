"""A folder of images: a sub-folder for each class, or all in one folder without labels.

How an image becomes numbers, one rule for all:

format        PNG, JPEG, GIF, BMP, TIFF, WebP or portable maps (PGM, PPM), seen from the content:
              what else Pillow could open, whatever it is called, is refused.
orientation   as its EXIF says: upright, as a viewer shows it.
frames        the first of an animation or of several pages.
transparency  composed on white.
colour        8-bit grey is (H, W), everything else of 8 bits (palettes, CMYK) is RGB, (H, W, 3).
size          at most 50 million pixels, compared before they are decoded.
"""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minienc.data.limits import MOST_PIXELS, check_memory
from minienc.data.raw import Choices, RawData, check_exists

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
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


_SILENT = logging.NullHandler()


def is_image(start: bytes) -> bool:
    """Whether a file that begins with these bytes (12 or more) is an image."""
    if start[:2] in (b"P2", b"P3", b"P5", b"P6"):
        return start[2:3].isspace()
    return start.startswith(_MAGIC) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def read_image_folder(
    path: str | Path,
    grey: bool = False,
    resize: int | tuple[int, int] | None = None,
    crop: bool = False,
) -> RawData:
    """Return the images of a folder, in the order of their names.

    Sub-folders are classes, numbered in alphabetical order. Two sub-folders ``train`` and
    ``test`` are the two parts of the data. Hidden files are passed over, and files that neither
    their content nor their name says are images.

    Parameters
    ----------
    path : str or Path
    grey : bool
        Convert colour to grey. Without it, all images have to be grey, or all in colour.
    resize : int or (height, width), optional
        Make all images this large; a number makes them square. Without it, all have to be of one
        size.
    crop : bool
        Before, cut each to its middle part of the shape of ``resize``, so that nothing is squeezed.

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
        If there are no images; if one is corrupt, too large, or differs from the first in size or
        colour (the message names it); if images stand both in the folder and in its sub-folders;
        if ``resize`` is no size, or ``crop`` comes without it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.png", "b.png"):
    ...         Image.new("L", (4, 3), 255).save(Path(folder, name))
    ...     images = read_image_folder(folder)
    >>> images.x.shape
    (2, 3, 4)
    """
    return read_images(path, Choices(grey, as_size(resize), crop))


def as_size(resize: Any) -> tuple[int, int] | None:
    """Return (height, width) of a number, or of two; raise ValueError for anything else."""
    if resize is None:
        return None
    is_pair = isinstance(resize, (tuple, list))
    size = tuple(resize) if is_pair else (resize, resize)
    if len(size) != 2 or not all(type(n) is int and n > 0 for n in size):
        raise ValueError(f"resize is {resize!r}, expected a number of pixels, or (height, width)")
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"resize is {resize!r}, expected at most {MOST_PIXELS:,} pixels")
    return size


def read_images(path: str | Path, how: Choices) -> RawData:
    """``read_image_folder``, with the choices as one argument."""
    folder = check_exists(path, "read_image_folder")
    if not folder.is_dir():
        raise NotADirectoryError(f"read_image_folder: {folder} is a file, expected a folder")
    if how.crop and how.resize is None:
        raise ValueError(f"read_image_folder: {folder}: crop goes with resize, the size to cut to")
    parts = {p.name.lower(): p for p in _sub_folders(folder)}
    if set(parts) == {"train", "test"} and not _image_files(folder):
        train, test = _read_part(parts["train"], how), _read_part(parts["test"], how)
        if train.x.shape[1:] != test.x.shape[1:] or train.class_names != test.class_names:
            raise ValueError(
                f"read_image_folder: {folder} has images {train.x.shape[1:]} of classes "
                f"{train.class_names} in train, and {test.x.shape[1:]} of {test.class_names} in "
                f"test, expected the same"
            )
        return RawData(train.x, train.y, test.x, test.y, train.class_names)
    return _read_part(folder, how)


def read_image(path: Path, how: Choices) -> RawData:
    """One image, as those of a folder are read."""
    return RawData(read_image_files([str(path)], how))


def holds_images(folder: Path) -> bool:
    """Whether images stand in this folder, or one or two folders below."""
    return bool(_image_files(folder)) or any(
        _image_files(sub) or any(_image_files(deep) for deep in _sub_folders(sub))
        for sub in _sub_folders(folder)
    )


def images_under(folder: Path) -> list[str]:
    """Paths of the images of this folder or, if it has none, of its sub-folders, sorted."""
    loose = _image_files(folder)
    return loose or [file for sub in _sub_folders(folder) for file in _image_files(sub)]


# ---------------------------------------------------------------------- which file, which class


def _read_part(folder: Path, how: Choices) -> RawData:
    loose = _image_files(folder)
    classes = {sub.name: files for sub in _sub_folders(folder) if (files := _image_files(sub))}
    if loose and classes:
        raise ValueError(
            f"read_image_folder: {folder} holds {len(loose)} images beside sub-folders of images "
            f"({', '.join(list(classes)[:3])}), expected one or the other"
        )
    if loose:
        return RawData(read_image_files(loose, how))
    if not classes:
        raise ValueError(f"read_image_folder: {folder} holds no images, nor do its sub-folders")
    x = read_image_files([file for files in classes.values() for file in files], how)
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


def read_image_files(files: list[str], how: Choices) -> np.ndarray:
    """These images as uint8, (N, H, W) or (N, H, W, 3); they must be of one size."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("reading images needs Pillow: pip install pillow") from None
    # what it logs of a broken file, without its name, is in the refusal, which has the name
    logging.getLogger("PIL").addHandler(_SILENT)
    first = _decode(Image, files[0], how)
    check_memory(len(files) * first.size, f"read_image_folder: {len(files)} images as {files[0]}")
    try:
        x = np.empty((len(files), *first.shape), np.uint8)
    except MemoryError:
        raise ValueError(
            f"read_image_folder: {len(files)} images of {first.shape} are more than this "
            f"machine's memory"
        ) from None
    x[0] = first
    for i, file in enumerate(files[1:], start=1):
        image = _decode(Image, file, how)
        if image.shape != first.shape:
            raise ValueError(
                f"read_image_folder: {file} is {_describe(image.shape)}, expected "
                f"{_describe(first.shape)} as the first, {files[0]}; "
                + _mend(image.shape, first.shape)
            )
        x[i] = image
    return x


def _mend(shape: tuple[int, ...], first: tuple[int, ...]) -> str:
    if shape[:2] == first[:2]:
        return "make colour grey with grey=True (--grey)"
    return (
        "make all of one size with resize=32 (--resize 32), whatever it should be, and crop=True "
        "(--crop) to cut rather than squeeze"
    )


def _decode(image_module: ModuleType, file: str, how: Choices) -> np.ndarray:
    """Return one image as uint8, (H, W) or (H, W, 3)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd EXIF entries, and of sizes, see below
            with image_module.open(file, formats=_FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise _Refused(
                        f"is {image.width} x {image.height}, expected at most {MOST_PIXELS:,} "
                        f"pixels; make it smaller"
                    )
                image.verify()  # compares PNG's checksums, which decoding does not
            with image_module.open(file, formats=_FORMATS) as image:
                return np.asarray(_as_seen(image_module, image, how))
    except _Refused as error:
        raise ValueError(f"read_image_folder: {file} {error}") from None
    except PermissionError:
        raise
    # what Pillow raises on broken files depends on the format
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"read_image_folder: {file} is a corrupt image: {reason}") from None


def _as_seen(image_module: ModuleType, image: Any, how: Choices) -> Any:
    """Return an image as a viewer shows it, in mode "L" or "RGB" and of the size wanted."""
    from PIL import ImageOps

    if image.mode not in _MODES:
        raise _Refused(f"has mode {image.mode}, expected 8 bits a pixel, grey or RGB; save it so")
    if how.resize is not None:  # JPEG then decodes no more than is needed
        image.draft(None, (2 * how.resize[1], 2 * how.resize[0]))
    image = ImageOps.exif_transpose(image)
    grey = how.grey or image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        white = image_module.new("RGBA", image.size, "white")
        image = image_module.alpha_composite(white, image.convert("RGBA"))
    image = image.convert("L" if grey else "RGB")
    if how.resize is None:
        return image
    width, height = size = how.resize[::-1]
    if how.crop:
        scale = min(image.width / width, image.height / height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    return image.resize(size, image_module.Resampling.BILINEAR)


class _Refused(Exception):
    """An image that is not corrupt; what it is, and what was expected."""


def _describe(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} {'RGB' if len(shape) == 3 else 'grey'}"
