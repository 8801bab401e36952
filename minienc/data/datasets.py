"""A data set: samples, their labels where there are any, and the part kept for testing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from minienc.data.pixels import Pixels, Samples
from minienc.notebook import html_table
from minienc.shapes import kind_of


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to learn from and samples to test on.

    Attributes
    ----------
    name : str
    x : ndarray or Pixels, (N, ...)
        Images are (N, H, W) or (N, H, W, C), tables (N, D), sounds (N, T, F).
    y : ndarray of int64, (N,), or None
        Labels; pretraining never sees them.
    test_x, test_y
        As ``x`` and ``y``, kept for testing; None where nothing was set apart.
    class_names : tuple of str, or None
        ``class_names[label]``.
    source : str
        Where it comes from: whom to credit, or a path.
    columns : tuple of str, or None
        The names of the features, of a table.
    sound : recordings.Heard, or None
        Of recordings: how they became frames, some of them to be heard, and the speakers. Samples
        are then (T, F), frames of mel bands, with 0 behind the end of a sound.
    order : ndarray of int64 or None
        The place in what was read of each sample, those to test on behind the others; None where
        they stand in that order.

    Examples
    --------
    >>> data = Dataset("mine", np.zeros((5, 4)), y=np.array([0, 1, 0, 1, 1]))
    >>> data.x.shape, data.name
    ((5, 4), 'mine')
    """

    name: str
    x: Samples
    y: np.ndarray | None = None
    test_x: Any = None  # Samples, or None
    test_y: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    source: str = ""
    columns: tuple[str, ...] | None = None
    sound: Any = None  # Heard, or None
    order: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_part(self.name, "x", self.x, "y", self.y, self.class_names)
        if self.test_x is None:
            if self.test_y is not None:
                raise ValueError(f"{self.name}: test_y came without test_x")
            return
        _check_part(self.name, "test_x", self.test_x, "test_y", self.test_y, self.class_names)
        if self.test_x.shape[1:] != self.x.shape[1:]:
            raise ValueError(
                f"{self.name}: test samples are {self.test_x.shape[1:]}, expected "
                f"{self.x.shape[1:]} as those of x"
            )

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x.shape[1:])

    @property
    def n_features(self) -> int:
        """How many numbers make one sample."""
        return int(np.prod(self.sample_shape))

    def _repr_html_(self) -> str:
        """In a notebook, what it holds."""
        labels = "none" if self.y is None else f"{len(np.unique(self.y))} classes"
        rows = [("samples", f"{len(self.x):,}"), ("each", self.sample_shape), ("labels", labels)]
        if self.test_x is not None:
            rows.insert(1, ("kept for testing", f"{len(self.test_x):,}"))
        return html_table((self.name, self.source), rows)

    def split(self, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
        """Return the data set with a part set apart for testing; itself if it has one.

        With labels each class gives its share, to the nearest sample. Both parts keep the order
        of the samples.

        Raises
        ------
        ValueError
            If ``test_fraction`` leaves one of the parts without a sample.
        """
        if self.test_x is not None:
            return self
        test = test_rows(self.y, len(self.x), test_fraction, seed)
        return dataclasses.replace(
            self,
            x=_choose(self.x, ~test),
            y=None if self.y is None else self.y[~test],
            test_x=_choose(self.x, test),
            test_y=None if self.y is None else self.y[test],
            order=np.concatenate([np.flatnonzero(~test), np.flatnonzero(test)]),
        )


def test_rows(y: np.ndarray | None, n: int, test_fraction: float, seed: int) -> np.ndarray:
    """(n,) booleans: which samples ``split`` sets apart.

    Raises
    ------
    ValueError
        If ``test_fraction`` leaves one of the parts without a sample.
    """
    n_test = round(n * test_fraction) if 0 < test_fraction < 1 else 0
    if not 0 < n_test < n:
        raise ValueError(
            f"split: test_fraction is {test_fraction} of {n} samples, expected a number "
            f"between 0 and 1 that leaves a sample for each part"
        )
    test = np.zeros(n, bool)
    test[_places_in_class(y, n, seed).argsort(kind="stable")[:n_test]] = True
    return test


def _places_in_class(y: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    """Give each sample a place in (0, 1) within its class: evenly spaced, in random order.

    The samples below any threshold t are then a fraction t of every class.
    """
    order = np.random.default_rng(seed).permutation(n)
    places = np.empty(n)
    labels = np.zeros(n, np.int64) if y is None else y
    for label in np.unique(labels):
        members = order[labels[order] == label]
        places[members] = (np.arange(len(members)) + 0.5) / len(members)
    return places


def _choose(x: Samples, chosen: np.ndarray) -> Samples:
    return x.take(np.flatnonzero(chosen)) if isinstance(x, Pixels) else x[chosen]


def _check_part(
    where: str, x_name: str, x: Samples, y_name: str, y: object, class_names: tuple[str, ...] | None
) -> None:
    if not hasattr(x, "shape") or len(x.shape) < 1:
        raise TypeError(f"{where}: {x_name} is {kind_of(x)}, expected an array (N, ...)")
    if y is None:
        return
    if not isinstance(y, np.ndarray) or y.dtype != np.int64 or y.shape != (len(x),):
        came = f"{y.dtype} {y.shape}" if isinstance(y, np.ndarray) else type(y).__name__
        raise ValueError(
            f"{where}: {y_name} is {came}, expected int64 ({len(x)},): a label for each sample "
            f"of {x_name}"
        )
    if class_names is not None and len(y) and not 0 <= y.min() <= y.max() < len(class_names):
        raise ValueError(
            f"{where}: {y_name} runs from {y.min()} to {y.max()}, expected 0 to "
            f"{len(class_names) - 1} for {len(class_names)} class_names"
        )
