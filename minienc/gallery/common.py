"""What every report shows of a method, where the method's own file says nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minienc.arrays import to_numpy
from minienc.data.pixels import Samples
from minienc.pretraining.base import Pretrainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture(NamedTuple):
    """A figure of a report, and what it shows in a sentence or two."""

    caption: str
    figure: Figure
    is_drawing: bool = False  # kept as lines (SVG), not as pixels


def measures(method: Pretrainer, X: Samples, y: np.ndarray | None) -> dict[str, float]:
    """None."""
    return {}


def pictures(method: Pretrainer, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    """None of its own."""
    return []


def filters(method: Pretrainer) -> np.ndarray | None:
    """The weights of a first layer that is dense, if the input meets one."""
    encoder = method.encoder_
    W = getattr(encoder.layers[0], "W", None) if encoder.layers else None
    if W is None or W.shape[:1] != encoder.inputs[0].sample_shape:
        return None
    return to_numpy(W.value)


def disturbed(method: Pretrainer, x: Samples) -> np.ndarray | None:
    """The output of a first layer that draws noise."""
    first = method.model_.layers[0] if method.model_.layers else None
    if first is None or not first.uses_rng:
        return None
    return first.forward(np.asarray(x, method.dtype), rng=np.random.default_rng(0))[0]


RESTORING = {
    "binary_crossentropy": (
        "the binary cross-entropy of a restored sample, a mean over its numbers. Lower is better; "
        "it reaches 0 only for samples of 0 and 1"
    ),
    "mean_squared_error": (
        "the squared error of a restored sample, a mean over its numbers. Lower is better, and 0 "
        "is perfect"
    ),
}


def restoring(method: Pretrainer) -> str:
    """What a loss of restoring is, without a full stop: others say what is added to it."""
    words = "how far restored samples are from the samples. Lower is better"
    return RESTORING.get(getattr(method, "loss", ""), words)


def course(method: Pretrainer) -> str:
    """What the loss is, and whether lower is better."""
    return f"The loss: {restoring(method)}."


def some(method: Pretrainer, X: Samples, n: int = 10) -> np.ndarray:
    """The first n of samples X as floats on the host, laid out as the method takes them."""
    return to_numpy(method.samples(X[:n])).astype(method.dtype)


def rows_of(images: np.ndarray, n_rows: int) -> list[tuple[str, np.ndarray]]:
    """Rows without names for ``plots.image_grid``, as many images in each."""
    return [("", row) for row in np.split(images, n_rows)]
