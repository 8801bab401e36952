"""What a sparse autoencoder shows: how many units speak for a sample, and how often each does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.arrays import to_numpy
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, restoring
from minienc.pretraining.sparse import SparseAutoencoder


def pictures(
    method: SparseAutoencoder, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    H = to_numpy(method.transform(X))
    at_work = np.abs(H) > 0.1 * np.abs(H).max(initial=1e-30)
    mean = np.abs(H).mean(axis=0, dtype=float)
    asked = method.sparsity if method.penalty == "kl" else None
    figure = plots.histograms(
        [
            ("mean activity of a unit", mean, asked),
            ("units at work for a sample", at_work.sum(axis=1), None),
        ]
    )
    caption = (
        f"Of {H.shape[1]} units, {at_work.sum(axis=1).mean():.1f} are at work for a sample on "
        f"average (above a tenth of the greatest activity); {int((mean < 1e-3).sum())} never "
        f"speak. The line is the mean activity that was asked for, where one was."
    )
    return [Picture(caption, figure, is_drawing=True)]


def course(method: SparseAutoencoder) -> str:
    return f"The loss, with the penalty that keeps units silent: {restoring(method)}."
