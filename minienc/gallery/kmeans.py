"""What k-means shows: how its clusters agree with the labels, their sizes, and the centroids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture
from minienc.pretraining.dec import DEC
from minienc.pretraining.kmeans import KMeans
from minienc.training.clustering_metrics import clustering_measures


def measures(method: KMeans | DEC, X: Samples, y: np.ndarray | None) -> dict[str, float]:
    """How well the clusters agree with the labels."""
    return {} if y is None else clustering_measures(y, method.predict(X))


def filters(method: KMeans) -> None:
    """None: what the input meets first are centroids, and shown as such."""
    return None


def pictures(method: KMeans, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    """The centroids, those of most samples first, and how many samples each has."""
    sizes = np.bincount(method.predict(X), minlength=method.n_clusters)
    order = np.argsort(-sizes, kind="stable")
    caption = f"Test samples of each of the {method.n_clusters} clusters, the largest first."
    figure = plots.bars(sizes[order], "cluster", "samples")
    found = [Picture(caption, figure, is_drawing=True)]
    if image_shape is not None:
        shown = method.centroids_[order[:40]]
        rows = [("", shown[i : i + 10]) for i in range(0, len(shown) // 10 * 10, 10)]
        caption = "The centroids of the largest clusters: each is the mean of its samples."
        found.append(Picture(caption, plots.image_grid(rows or [("", shown)], image_shape)))
    return found


def course(method: KMeans) -> str:
    return (
        "The loss: the squared distance of a sample from the nearest centroid, on average. Lower "
        "is better, for as many clusters; with more it falls by itself."
    )
