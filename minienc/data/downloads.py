"""The data sets that are known by name: where they are looked for, and where they come from."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


class Named(NamedTuple):
    """A data set of four IDX files."""

    folders: tuple[str, ...]  # where in a data folder it is looked for
    urls: tuple[str, ...]  # mirrors, tried in turn
    sha256: tuple[str, ...]  # of FILES, compressed as they are published
    class_names: tuple[str, ...]
    source: str


NAMED = {
    "mnist": Named(
        folders=("mnist", "MNIST", "MNIST/raw"),
        urls=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        sha256=(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        class_names=tuple("0123456789"),
        source="Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, "
        "CC BY-SA 3.0",
    ),
    "fashion-mnist": Named(
        folders=("fashion-mnist", "fashion_mnist", "FashionMNIST", "FashionMNIST/raw"),
        urls=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        sha256=(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        source="H. Xiao, K. Rasul, R. Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747, MIT",
    ),
}

# Of MNIST's four files, decompressed: they tell it from other data of the same shapes.
MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)


def find_named(name: str, data_dir: str | Path | None, fetch: bool = True) -> Path:
    """Return the folder that holds the files of a named data set; download them if necessary.

    They are looked for in ``data_dir``, or else in ``$MINIENC_DATA``: in a sub-folder of the data
    set's name, then in the folder itself.

    Raises
    ------
    FileNotFoundError
        If ``data_dir`` or ``$MINIENC_DATA`` does not exist, or, without ``fetch``, if they are
        neither there nor fetched already.
    ImportError, ConnectionError
        If they have to be downloaded, and pooch or the network is missing.
    """
    root = data_dir if data_dir is not None else os.environ.get("MINIENC_DATA") or None
    if root is not None:
        root = Path(root)
        if not root.is_dir():
            which = "data_dir" if data_dir is not None else "MINIENC_DATA"
            raise FileNotFoundError(f"load_dataset: {which} is {root}, which is not a folder")
        for folder in (*(root / sub for sub in NAMED[name].folders), root):
            if _has_files(folder):
                return folder
    if not fetch:
        check_fetched(name, root)
    return _download(name, root)


def check_fetched(name: str, looked_in: Path | None) -> None:
    """Raise FileNotFoundError if a data set has not been fetched into the user's cache."""
    with suppress(ImportError):
        import pooch

        if any((Path(pooch.os_cache("minienc")) / name).glob("*")):
            return
    where = (
        "--data-dir (or MINIENC_DATA) was not said" if looked_in is None else f"not in {looked_in}"
    )
    raise FileNotFoundError(f"{name} is not here: {where}; --download fetches it")


def _has_files(folder: Path) -> bool:
    """Whether the four files, compressed or not, stand in this folder."""
    names = [file.removesuffix(".gz") for file in FILES]
    # some tools write a dot where the publisher wrote a dash
    forms = [
        (n, n + ".gz", n.replace("-idx", ".idx"), n.replace("-idx", ".idx") + ".gz") for n in names
    ]
    return all(any((folder / form).is_file() for form in four) for four in forms)


def _download(name: str, looked_in: Path | None) -> Path:
    """Fetch the files into the user's cache, each compared with its checksum."""
    instead = f"or give a folder that holds {FILES[0]} and the other three with --data-dir, "
    instead += "data_dir or MINIENC_DATA"
    if looked_in is not None:
        instead += f" ({looked_in} does not)"
    try:
        import pooch
    except ImportError:
        raise ImportError(
            f"load_dataset: downloading {name} needs pooch: pip install 'minienc[download]'; "
            f"{instead}"
        ) from None

    folder = Path(pooch.os_cache("minienc")) / name
    for file, sha256 in zip(FILES, NAMED[name].sha256, strict=True):
        failures = []
        for url in NAMED[name].urls:
            try:
                pooch.retrieve(url + file, f"sha256:{sha256}", fname=file, path=folder)
                break
            except ValueError:  # what came is deleted by pooch
                failures.append(f"{url} gave a file with another checksum")
            except OSError as error:
                failures.append(f"{url} gave {type(error).__name__}")
        else:
            raise ConnectionError(
                f"load_dataset: {name} could not be downloaded ({', '.join(failures)}); try again "
                f"with a network, {instead}"
            )
    return folder
