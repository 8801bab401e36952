"""What comes in as samples, targets, labels or weights becomes a plain array: once, and here.

Frames, series, tensors, lists and NumPy's subclasses each have an indexing of their own: a shuffled
Series would answer by its index, a masked array forget its mask. Behind this door there are arrays
of the modules in ``minienc.arrays``, memory maps, and ``Pixels``, which are all indexed by place.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minienc.arrays import is_array
from minienc.data.pixels import Pixels, Samples
from minienc.shapes import kind_of

# What a caller may hand over as samples, targets or weights: arrays, lists, and what becomes an
# array by its ``__array__``, as frames, series, tensors, open HDF5 data sets and ``Pixels`` do.
DataLike = ArrayLike


def plain_array(x: Any, name: str = "X") -> Samples:
    """``x`` as an array that is indexed by place; numbers are not looked at.

    Parameters
    ----------
    x : array, memory map, Pixels, list, pandas or polars object, torch tensor, ...
        Whatever is none of these passes if it has ``shape``, a NumPy ``dtype``, ``len`` and
        indexing: an open HDF5 data set.
    name : str
        What the messages call it.

    Raises
    ------
    TypeError, ValueError
        For a sparse matrix, a masked array with masked numbers, a frame with columns that hold no
        numbers, lists of different lengths, and what is no array at all; with the mend.
    """
    if type(x) is np.ndarray or isinstance(x, (Pixels, np.memmap)):
        return x
    if isinstance(x, np.ma.MaskedArray):
        return _unmasked(x, name)
    if is_array(x):
        return np.asarray(x) if isinstance(x, np.ndarray) else x  # np.matrix, np.recarray, ...
    if hasattr(x, "toarray") or hasattr(x, "todense"):
        raise TypeError(
            f"{name} is {kind_of(x)}, a sparse matrix, expected an array: {name}.toarray()"
        )
    if hasattr(x, "detach"):
        return _of_tensor(x, name)
    if hasattr(x, "to_numpy"):
        return _of_frame(x, name)
    if isinstance(getattr(x, "dtype", None), np.dtype) and hasattr(x, "__getitem__"):
        return x
    return _made(x, name)


def _unmasked(x: Any, name: str) -> np.ndarray:
    masked = int(np.ma.count_masked(x))
    if masked:
        raise ValueError(
            f"{name} is a masked array and {masked} of its {x.size} numbers are masked, expected "
            f"all of them; fill them with {name}.filled(value), or leave their rows out"
        )
    return np.asarray(x.data)


def _of_tensor(x: Any, name: str) -> np.ndarray:
    """Of a torch tensor, wherever it lives."""
    try:
        return x.detach().cpu().numpy()
    except TypeError:
        raise TypeError(
            f"{name} is a tensor that NumPy has no dtype for ({x.dtype}, {x.layout}), expected "
            f"numbers in rows; use {name}.to_dense().float()"
        ) from None


def _of_frame(x: Any, name: str) -> np.ndarray:
    """Of a DataFrame, a Series or the like: row by row, whatever its index says."""
    array = x.to_numpy()
    if isinstance(array, np.ma.MaskedArray):
        return _unmasked(array, name)
    if array.dtype != object:
        return array
    if all(isinstance(value, (Real, np.bool_)) for value in array.ravel()):
        return np.array(array.tolist())  # columns of several kinds of numbers
    columns = list(getattr(x, "columns", []))
    wrong = [str(c) for c in columns if getattr(x[c].dtype, "kind", "O") not in "buif"]
    told = f" in {', '.join(map(repr, wrong[:5]))}" if wrong else ""
    if any(type(value).__name__ == "NAType" for value in array.ravel()):
        raise ValueError(f"{name} has missing values{told}; fill them or leave their rows out")
    if not columns:
        return array  # of texts, perhaps: labels, whose owner knows what to say
    raise TypeError(
        f"{name} is {kind_of(x)} with columns that hold no numbers{told}; leave them out, "
        f"or turn each word into a number or a column of its own"
    )


def _made(x: DataLike, name: str) -> Samples:
    """What NumPy makes of a list, or of whatever has ``__array__`` or a buffer."""
    kind = kind_of(x)
    try:
        array = np.asarray(x)
    except ValueError:
        shapes = list(dict.fromkeys(np.shape(part) for part in _parts(x)))
        shown = f" ({', '.join(map(str, shapes[:3]))})" if len(shapes) > 1 else ""
        raise ValueError(
            f"{name} is {kind} of parts of different shapes{shown}, expected samples all of one"
        ) from None
    if array.ndim == 0:
        raise TypeError(f"{name} is {kind}, expected an array of samples in rows")
    return plain_array(array, name)


def _parts(x: DataLike) -> Iterator[Any]:
    """The parts of a list whose shapes can be told."""
    for part in x if isinstance(x, (list, tuple)) else ():
        try:
            np.shape(part)
        except ValueError:
            continue
        yield part
