"""What a contractive autoencoder shows: in how many directions the code follows a sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, restoring
from minienc.pretraining.contractive import ContractiveAutoencoder


def pictures(
    method: ContractiveAutoencoder, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    """The singular values of the Jacobian."""
    values = np.linalg.svd(method.jacobian(X[:50]), compute_uv=False)
    mean = values.mean(axis=0, dtype=float)
    half = int(np.searchsorted(np.cumsum(mean**2), 0.9 * (mean**2).sum())) + 1
    caption = (
        f"Singular values of the encoder's Jacobian, the mean over test samples: "
        f"{half} of {len(mean)} directions hold nine tenths of its squared norm."
    )
    figure = plots.bars(mean, "direction", "singular value")
    return [Picture(caption, figure, is_drawing=True)]


def course(method: ContractiveAutoencoder) -> str:
    return f"The loss, with the penalty on the Jacobian: {restoring(method)}."
