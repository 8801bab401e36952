"""What a variational autoencoder shows: its likelihood, the cost of its code, and new samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.arrays import to_numpy
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, rows_of
from minienc.pretraining.variational import ACTIVE, VariationalAutoencoder


def measures(method: VariationalAutoencoder, X: Samples, y: np.ndarray | None) -> dict[str, float]:
    """The likelihood of the first thousand samples, and how much of the code is in use."""
    likelihood = method.log_likelihood(X[:1000], n_samples=100).mean()
    return {
        "log-likelihood, nats (100 importance samples)": float(likelihood),
        "active numbers of the code": method.active_units(X),
    }


def pictures(
    method: VariationalAutoencoder, X: Samples, image_shape: Sequence[int] | None
) -> list[Picture]:
    """What each number of the code costs, and how that came; what is made of codes."""
    kl = method.kl_per_dimension(X)
    caption = (
        f"What each number of the code costs, on average over test samples: "
        f"{method.active_units(X)} of {method.code} are active (their mean varies by more than "
        f"{ACTIVE}), the others have been given up. In all {kl.sum():.1f} nats."
    )
    figure = plots.bars(np.sort(kl)[::-1], "number of the code", "KL, nats")
    found = [Picture(caption, figure, is_drawing=True)]
    history = method.history_
    course = {"active numbers": history["active"], "KL in all, nats": history["kl"]}
    caption = (
        "How both went while it learned: where they fall to 0, the code has collapsed. Neither "
        "lower nor higher is better by itself."
    )
    found.append(Picture(caption, plots.lines(course, "epoch", ""), is_drawing=True))
    if image_shape is not None:
        grid = plots.image_grid(rows_of(method.sample(30), 3), image_shape)
        found.append(Picture("New samples, drawn from the model.", grid))
        caption = "From -2 to 2 along the two numbers of the code that cost most, the others 0."
        grid = plots.image_grid(rows_of(_walk(method, kl), 9), image_shape)
        found.append(Picture(caption, grid))
    return found


def _walk(method: VariationalAutoencoder, kl: np.ndarray) -> np.ndarray:
    """9 x 9 samples between which the two numbers of the code that say most change."""
    first, second = np.argsort(-kl, kind="stable")[[0, min(1, len(kl) - 1)]]
    steps = np.linspace(-2, 2, 9)
    z = np.zeros((9, 9, method.code), method.dtype)
    z[:, :, first], z[:, :, second] = steps[None, :], steps[:, None]
    return to_numpy(method.inverse_transform(z.reshape(81, -1)))


def course(method: VariationalAutoencoder) -> str:
    below = (
        ""
        if method.likelihood == "bernoulli"
        else " Densities may be above 1, and so the loss below 0."
    )
    return (
        "The loss: minus the lower bound of a sample's log-likelihood, in nats: what restoring it "
        f"costs, and its code. Lower is better.{below}"
    )
