"""What features of patches show: the centroids, as patches."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minienc import plots
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture
from minienc.pretraining.networks import as_image_shape
from minienc.pretraining.patches import PatchFeatures


def filters(method: PatchFeatures) -> None:
    """None: the weights that the input meets first are of patches, and shown as such."""
    return None


def pictures(method: PatchFeatures, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    channels = as_image_shape(method.image_shape, math.prod(X.shape[1:]))[2]
    shape = (method.patch_size, method.patch_size, *((channels,) if channels > 1 else ()))
    caption = "Centroids of whitened patches: bright is red, dark is blue."
    return [Picture(caption, plots.filters(method.kmeans_.centroids_.T, shape))]


def course(method: PatchFeatures) -> str:
    return (
        "The loss: the squared distance of a whitened patch from the nearest centroid, on average. "
        "Lower is better, for as many centroids."
    )
