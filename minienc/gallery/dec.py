"""What deep embedded clustering shows: as k-means, and the samples that a cluster is surest of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture
from minienc.gallery.kmeans import measures
from minienc.pretraining.dec import DEC

__all__ = ["measures", "pictures"]


def pictures(method: DEC, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    """The surest samples of each cluster; how large the clusters are."""
    K, q = method.n_clusters, method.memberships(X)
    sizes = np.bincount(q.argmax(axis=1), minlength=K)
    names = [str(k) for k in range(K)] if K <= 20 else None
    figure = plots.bars(sizes, "cluster", "samples", names)
    found = [Picture("Test samples in each cluster.", figure, is_drawing=True)]
    rows = [] if image_shape is None else _surest(q, sizes, X)
    if rows and image_shape is not None:
        caption = "The test samples that belong to each cluster most surely."
        found.append(Picture(caption, plots.image_grid(rows, image_shape)))
    return found


def _surest(q: np.ndarray, sizes: np.ndarray, X: Samples) -> list[tuple[str, np.ndarray]]:
    """Ten samples of each of the largest clusters that have as many."""
    rows, clusters = [], q.argmax(axis=1)
    for k in np.argsort(-sizes, kind="stable")[:10]:
        members = np.flatnonzero(clusters == k)
        surest = members[np.argsort(-q[members, k], kind="stable")][:10]
        if len(surest) == 10:
            rows.append((f"cluster {k}", X[surest]))
    return rows


def course(method: DEC) -> str:
    return (
        "The loss: the divergence KL(p || q) of memberships q from their sharpened selves p, which "
        "are made again as q changes. Lower is surer, not truer: it says nothing of whether the "
        "clusters are those that one would want."
    )
