"""What networks against each other show: what is made, whether of every kind, whether copied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.arrays import to_numpy
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, some
from minienc.pretraining.gan import GAN, N_KEPT, N_SHOWN, PARTS, nearest
from minienc.pretraining.seeding import plus_plus


def mode_coverage(method: GAN, n: int = 1000, n_modes: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """The share of training samples, and of made ones, near each of 20 training samples.

    The 20 lie far from each other (k-means++). A generator that has given up a kind of samples
    makes none near some of them.
    """
    kept = method.some_samples_
    modes = plus_plus(kept, min(n_modes, len(kept)), np.random.default_rng(0))
    return tuple(  # type: ignore[return-value]
        np.bincount(nearest(x, modes)[0], minlength=len(modes)) / len(x)
        for x in (kept, method.sample(n))
    )


def covered(real: np.ndarray, made: np.ndarray) -> int:
    """Near how many modes lies more than a tenth of the share that lies there in reality."""
    return int((made > 0.1 * real).sum())


def memorisation(method: GAN, X: Samples, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest training sample: of made samples, and of test samples X.

    Made ones that are much nearer than test samples are copies.
    """
    of_made = nearest(method.sample(n), method.some_samples_)[1]
    return of_made, nearest(some(method, X, len(X)), method.some_samples_)[1]


def measures(method: GAN, X: Samples, y: np.ndarray | None) -> dict[str, float]:
    """Whether every kind of sample is made, and whether what is made are copies."""
    real, made = mode_coverage(method)
    of_made, of_test = memorisation(method, X[:N_KEPT])
    return {
        f"kinds of samples that are made, of {len(real)}": covered(real, made),
        "distance of made samples from the nearest training sample": float(np.median(of_made)),
        "of test samples from it": float(np.median(of_test)),
    }


def pictures(method: GAN, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    found = [_distances(method, X), _kinds(method), _answers(method)]
    if image_shape is not None:
        found = [_course(method, image_shape), _made(method, image_shape), *found]
    return found


def _course(method: GAN, image_shape: Sequence[int]) -> Picture:
    parts = [f"{100 * part:g} %" for part in PARTS]
    snapshots = to_numpy(method.arrays_["snapshots"])
    rows = list(zip(parts, snapshots, strict=True))
    caption = "What the generator made of the same noise, after parts of the training."
    return Picture(caption, plots.image_grid(rows, image_shape))


def _made(method: GAN, image_shape: Sequence[int]) -> Picture:
    made = method.sample(N_SHOWN, 1)
    neighbours = method.some_samples_[nearest(made, method.some_samples_)[0]]
    rows = [("made", made), ("nearest real", neighbours)]
    caption = "Made samples above the training samples that are nearest to them."
    return Picture(caption, plots.image_grid(rows, image_shape))


def _distances(method: GAN, X: Samples) -> Picture:
    of_made, of_test = memorisation(method, X)
    figure = plots.histograms(
        [
            ("from made to nearest training sample", of_made, np.median(of_made)),
            ("from test to nearest training sample", of_test, np.median(of_test)),
        ],
        same_x=True,
    )
    caption = (
        f"A generator that copies makes samples nearer to training samples than new ones are. "
        f"Here the median distance (line) is {np.median(of_made):.2f}, of test samples "
        f"{np.median(of_test):.2f}."
    )
    return Picture(caption, figure, is_drawing=True)


def _kinds(method: GAN) -> Picture:
    real, made = mode_coverage(method)
    caption = (
        f"The shares of training samples and of made ones near each of {len(real)} training "
        f"samples that lie far from each other; {covered(real, made)} of them are "
        f"covered (by more than a tenth of what is near them in reality)."
    )
    order = np.argsort(-real, kind="stable")
    shares = {"training samples": real[order], "made ones": made[order]}
    return Picture(caption, plots.bars(shares, "kind of sample", "share"), is_drawing=True)


def _answers(method: GAN) -> Picture:
    logits = {f"{name} samples": method.history_[name] for name in ("real", "made")}
    caption = (
        "What the discriminator answered to real and to made samples while it learned, as mean "
        "logits: the further apart, the surer it was."
    )
    return Picture(caption, plots.lines(logits, "epoch", "logit"), is_drawing=True)


def course(method: GAN) -> str:
    """Two that learn against each other: a falling loss of one is the other's failure."""
    if method.loss == "wasserstein":
        return (
            "The critic's loss: minus the distance that it sees between samples and made ones, "
            "with a penalty; so it is below 0. It nears 0 from below as made samples become like "
            "real ones; lower is not better."
        )
    return (
        "The discriminator's loss: 1.39 (2 log 2) where it cannot tell made samples from real "
        "ones, and lower the surer it is. Neither lower nor higher is better; a curve at 0 says "
        "that the generator has lost."
    )
