"""The Free Spoken Digit Dataset: where it is looked for, and where it comes from.

2,500 recordings at 8 kHz, in folder ``recordings/``, each file named {digit}_{speaker}_{index}.wav.
The archive of release 1.0.9 is fetched from its publisher and compared with the checksum that
TensorFlow Datasets keeps of it; of what is in it, only files of such names are taken. A folder that
is found instead may be of another release: it must hold all ten digits of each of its speakers, and
nothing at another rate.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

import numpy as np

from minienc.data.downloads import check_fetched
from minienc.data.raw import RawData
from minienc.files import ensure_writable_folder

PATTERN = "{label}_{speaker}_{index}"
URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz"
SHA256 = "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0"
FILE = "free-spoken-digit-dataset-1.0.9.tar.gz"
SOURCE = "Z. Jackson and others, Free Spoken Digit Dataset, github.com/Jakobovski, CC BY-SA 4.0"
RATE = 8000
_FOLDERS = ("fsdd/recordings", "free-spoken-digit-dataset/recordings", "recordings", "fsdd", ".")
_MEMBER = re.compile(r"\w[\w.-]*/recordings/(\d_[a-z]+_\d+\.wav)")
_MOST, _LARGEST = 10_000, 1 << 20  # files of the archive, and bytes of one


def find_fsdd(data_dir: str | os.PathLike | None, fetch: bool = True) -> Path:
    """The folder of the recordings; fetched where ``data_dir`` (or $MINIENC_DATA) has none.

    Raises
    ------
    FileNotFoundError, ImportError, ConnectionError
        As for the other data sets that are known by name.
    """
    root = data_dir if data_dir is not None else os.environ.get("MINIENC_DATA") or None
    if root is not None:
        root = Path(root)
        if not root.is_dir():
            which = "data_dir" if data_dir is not None else "MINIENC_DATA"
            raise FileNotFoundError(f"load_dataset: {which} is {root}, which is not a folder")
        for folder in (root / sub for sub in _FOLDERS):
            if folder.is_dir() and next(folder.glob("[0-9]_*_[0-9]*.wav"), None):
                return folder
    if not fetch:
        check_fetched("fsdd", root)
    return download(root)


def download(looked_in: Path | None = None) -> Path:
    """Fetch the archive into the user's cache, compare its checksum, take the recordings out."""
    instead = "or give a folder that holds recordings/ with --data-dir, data_dir or MINIENC_DATA"
    if looked_in is not None:
        instead += f" ({looked_in} does not)"
    try:
        import pooch
    except ImportError:
        raise ImportError(
            f"load_dataset: downloading fsdd needs pooch: pip install 'minienc[download]'; "
            f"{instead}"
        ) from None
    cache = Path(pooch.os_cache("minienc")) / "fsdd"
    folder = cache / "recordings"
    if folder.is_dir():
        return folder
    try:
        pooch.retrieve(URL, f"sha256:{SHA256}", fname=FILE, path=cache)
    except (ValueError, OSError) as error:
        why = "gave a file with another checksum"
        if isinstance(error, OSError):
            why = f"gave {type(error).__name__}"
        raise ConnectionError(
            f"load_dataset: fsdd could not be downloaded ({URL} {why}); try again with a network, "
            f"{instead}"
        ) from None
    unpack(cache / FILE, folder)
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Take the recordings out of the archive into ``folder``, which is there when all of them are.

    Raises
    ------
    ValueError
        If it is damaged, or holds too many files, or too large ones.
    """
    ensure_writable_folder(folder.parent)
    partial = Path(tempfile.mkdtemp(prefix="recordings.", dir=folder.parent))
    n = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = _MEMBER.fullmatch(member.name)
                if name is None or not member.isfile():
                    continue
                n += 1
                if n > _MOST or member.size > _LARGEST:
                    raise ValueError(
                        f"load_dataset: {archive} holds more than {_MOST:,} recordings, or one of "
                        f"more than {_LARGEST:,} bytes ({member.name}): it is not fsdd"
                    )
                file = tar.extractfile(member)
                assert file is not None
                (partial / name[1]).write_bytes(file.read(_LARGEST))
        if n == 0:
            raise ValueError(f"load_dataset: {archive} holds no recordings: it is not fsdd")
        os.replace(partial, folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(
            f"load_dataset: {archive} is cut short or corrupt: {error}; delete it, and try again"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_is_fsdd(raw: RawData, folder: Path) -> None:
    """Refuse a folder whose files have such names and are something else."""
    heard, digits = raw.sound, tuple("0123456789")
    speakers = np.concatenate([heard.speakers, heard.test_speakers])
    labels = np.concatenate([raw.y, raw.test_y])  # type: ignore[list-item]
    counts = {s: np.bincount(labels[speakers == s], minlength=10) for s in set(speakers.tolist())}
    if raw.class_names != digits or heard.how.rate != RATE:
        came = f"classes {', '.join((raw.class_names or ())[:12])} at {heard.how.rate:,} Hz"
    elif uneven := [s for s, count in counts.items() if count.min() == 0]:
        came = f"not all ten digits of {uneven[0]}"
    else:
        return
    raise ValueError(
        f"load_dataset: {folder} holds {came}, expected fsdd's ten digits of each speaker at "
        f"{RATE:,} Hz; load it by its path instead"
    )
