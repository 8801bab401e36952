"""What convolutions show: the kernels of the first one, and what the strongest of them answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc import plots
from minienc.arrays import on_device, to_device_of, to_numpy
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, some
from minienc.pretraining.convolutional import ConvolutionalAutoencoder
from minienc.pretraining.networks import as_image_shape


def pictures(
    method: ConvolutionalAutoencoder, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    first: Any = method.encoder_.get_layer("encoder_1")
    W = to_numpy(first.W.value)  # (KH, KW, C, M)
    figure = plots.filters(W.reshape(-1, W.shape[-1]), W.shape[:3])
    caption = "The kernels of the first convolution: red excites, blue inhibits."
    found = [Picture(caption, figure)]
    if image_shape is not None:
        caption = (
            "What the five kernels that answer most find in test samples, whose image they have "
            "halved: bright where it looks like them."
        )
        grid = plots.image_grid(_answers(method, some(method, X), first), image_shape)
        found.append(Picture(caption, grid))
    return found


def _answers(
    method: ConvolutionalAutoencoder, x: np.ndarray, layer: Any
) -> list[tuple[str, np.ndarray]]:
    """The samples, and under them a kernel's answers in a row, drawn as large as they."""
    height, width, channels = as_image_shape(method.image_shape, x[0].size)
    images = to_device_of(x.reshape(-1, height, width, channels), layer.W.value)
    with on_device(method.model_.device):
        answers = to_numpy(layer(images))
    answers = np.maximum(answers, 0) / max(float(answers.max()), 1e-30)
    rows = [("sample", x)]
    for k in np.argsort(-answers.mean(axis=(0, 1, 2), dtype=float), kind="stable")[:5]:
        large = answers[..., k].repeat(2, axis=1).repeat(2, axis=2)[..., None]
        rows.append((f"kernel {k + 1}", large.repeat(channels, axis=3).reshape(len(x), -1)))
    return rows
