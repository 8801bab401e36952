"""What a vector-quantised autoencoder shows: how its codes are used, and what each changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, restoring
from minienc.pretraining.vq import VQAutoencoder, perplexity


def measures(method: VQAutoencoder, X: Samples, y: np.ndarray | None) -> dict[str, float]:
    """How much of the codebook is in use."""
    use = _use(method, method.tokens(X))
    return {"codes in use": float((use > 0).sum()), "their perplexity": perplexity(use)}


def pictures(method: VQAutoencoder, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    """How often each code is used; what one sample becomes when one of its codes changes."""
    tokens = method.tokens(X)
    use = _use(method, tokens)
    caption = (
        f"How often each code is used for test samples: {int((use > 0).sum())} of "
        f"{method.n_codes}, worth {perplexity(use):.1f} in equal use."
    )
    figure = plots.bars(np.sort(use)[::-1], "code, the most used first", "times")
    found = [Picture(caption, figure, is_drawing=True)]
    if image_shape is not None:
        n_rows = min(method.groups, 8)
        changed = np.repeat(tokens[:1], 10 * n_rows, axis=0)
        popular = np.argsort(-use, kind="stable")[np.arange(10) % len(use)]
        for g in range(n_rows):
            changed[10 * g : 10 * g + 10, g] = popular
        images = np.split(method.from_tokens(changed), n_rows)
        rows = [(f"group {g + 1}", row) for g, row in enumerate(images)]
        caption = "One test sample, with one of its codes replaced by each of the ten most used."
        found.append(Picture(caption, plots.image_grid(rows, image_shape)))
    return found


def _use(method: VQAutoencoder, tokens: np.ndarray) -> np.ndarray:
    return np.bincount(tokens.ravel(), minlength=method.n_codes)


def course(method: VQAutoencoder) -> str:
    return f"The loss, with what draws codes and codebook together: {restoring(method)}."
