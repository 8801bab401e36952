"""What a classifier of texts shows: what it takes for what, and where it was sure and wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.gallery.common import Picture
from minienc.gallery.multitask import CONFUSION, MOST_CLASSES
from minienc.report_texts import Mistake


def confusion(names: Sequence[str], y: np.ndarray, p: np.ndarray) -> list[Picture]:
    """Of probabilities p (N, K) and labels y (N,): nothing where there are many classes."""
    if len(names) > MOST_CLASSES:
        return []
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (y, p.argmax(axis=1)), 1)
    return [Picture(CONFUSION.format("the texts"), plots.confusion(counts, names))]


def mistakes(
    names: Sequence[str], texts: Sequence[str], y: np.ndarray, p: np.ndarray, most: int = 8
) -> list[Mistake]:
    """The texts that were taken for another class, the surest first."""
    said = p.argmax(axis=1)
    wrong = np.flatnonzero(said != y)
    order = wrong[np.argsort(-p[wrong, said[wrong]], kind="stable")][:most]
    return [Mistake(texts[i], names[y[i]], names[said[i]], float(p[i, said[i]])) for i in order]
