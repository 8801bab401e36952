"""What a Boltzmann machine shows: its likelihood, how learning went, and chains from samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import plots
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture, some
from minienc.pretraining.rbm import RBM

N_ANNEALING = 200  # steps for the likelihood in a report
BETTER = {
    "pseudo-likelihood": "A logarithm of probabilities, and so below 0: higher is better.",
    "reconstruction": "A squared error: lower is better.",
}
AT = (1, 10, 100, 1000)  # steps of the chains after which they are shown


def measures(method: RBM, X: Samples, y: np.ndarray | None) -> dict[str, float]:
    """The likelihood of samples rounded to 0 and 1, where Z can be estimated.

    By 100 chains of 200 steps, a fifth of what ``log_partition`` takes, so that it ends within
    seconds for 784 x 500 units. Too few steps make Z too small, mostly, and so the likelihood
    too large; for a machine of the digits log Z comes out the same within 0.2 nats.
    """
    if (method.visible, method.hidden_units) != ("binary", "binary"):
        return {}
    v = (some(method, X, 1000) > 0.5).astype(method.dtype)
    likelihood = -float(method.free_energy(v).mean()) - method.log_partition(100, N_ANNEALING)
    return {f"log-likelihood, nats (Z by annealing in {N_ANNEALING} steps)": likelihood}


def quality(method: RBM) -> Sequence[float]:
    """What says most of how learning went: an epoch's mean over its batches."""
    return method.history_["pseudo_likelihood" if method.visible == "binary" else "reconstruction"]


def pictures(method: RBM, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    """The course of learning, and chains that begin at test samples."""
    name = "pseudo-likelihood" if method.visible == "binary" else "reconstruction"
    caption = f"Of each epoch, the mean over its batches while they were learned. {BETTER[name]}"
    figure = plots.lines({name: quality(method)}, "epoch", "")
    found = [Picture(caption, figure, is_drawing=True)]
    if image_shape is not None:
        start = some(method, X)
        chains = method.chains(len(start), AT, start=start)
        after = [(f"after {step}", v) for step, v in zip(AT, chains, strict=True)]
        caption = (
            "Chains that begin at test samples, after so many steps to and fro between the two "
            "layers: what the machine itself finds probable."
        )
        grid = plots.image_grid([("sample", start), *after], image_shape)
        found.append(Picture(caption, grid))
    return found


def course(method: RBM) -> str:
    """The loss of contrastive divergence says nothing of how good the machine is."""
    return (
        "The loss: the free energy of samples less that of the chains' ends. Learning holds it "
        "near 0, from either side; neither lower nor higher is better, and the curve further up "
        "says how learning went."
    )
