"""What an adversarial autoencoder shows: whether its codes look like draws, and new samples."""

from __future__ import annotations

from collections.abc import Sequence

from minienc import plots
from minienc.arrays import to_numpy
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, restoring, rows_of
from minienc.pretraining.aae import AdversarialAutoencoder


def pictures(
    method: AdversarialAutoencoder, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    """How the codes are distributed, and how that came; new samples."""
    codes = to_numpy(method.transform(X))
    caption = (
        f"The numbers of the codes of test samples: mean {codes.mean():.2f}, standard "
        f"deviation {codes.std():.2f}; the discriminator asks for 0 and 1."
    )
    figure = plots.histograms([("a number of a code", codes.ravel(), None)])
    found = [Picture(caption, figure, is_drawing=True)]
    turns = {
        "discriminator, 1.39 by chance": method.history_["discriminator"],
        "encoder, 0.69 by chance": method.history_["encoder"],
    }
    caption = (
        "The losses of the two turns: by chance, where codes cannot be told from draws, which is "
        "what is wanted; neither lower nor higher is better."
    )
    found.append(Picture(caption, plots.lines(turns, "epoch", "loss"), is_drawing=True))
    if image_shape is not None:
        caption = "New samples: the decoder's answer to draws from the normal distribution."
        grid = plots.image_grid(rows_of(method.sample(30), 3), image_shape)
        found.append(Picture(caption, grid))
    return found


def course(method: AdversarialAutoencoder) -> str:
    return f"The loss of restoring: {restoring(method)}."
