"""What a masked autoencoder shows: samples, what was left of them, and what it made of that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.arrays import to_device_of, to_numpy
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, restoring, some
from minienc.pretraining.masked import MaskedAutoencoder


def pictures(
    method: MaskedAutoencoder, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    if image_shape is None:
        return []
    x = some(method, X)
    m = method.draw_mask(x, np.random.default_rng(0))
    seen = to_device_of((1 - m) * x, method.encoder_.parameters.vector)
    restored = to_numpy(method.model_.predict(seen))
    rows = [
        ("sample", x),
        ("what was left", np.where(m > 0, 0.5, x)),
        ("restored", np.where(m > 0, restored, x)),
    ]
    caption = (
        f"Patches of {method.patch_size} x {method.patch_size} are hidden (grey), "
        f"{method.mask_ratio:.0%} of them, and restored from the others."
    )
    return [Picture(caption, plots.image_grid(rows, image_shape))]


def course(method: MaskedAutoencoder) -> str:
    return f"The loss, of the hidden patches alone: {restoring(method)}."
