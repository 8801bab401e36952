"""From a loss for each sample to the loss: its weight, then the mean or the sum.

Every loss ends with the same two lines, so they stand here once. With l (N, ...) the losses of
the samples and w their weights, each l is multiplied by a factor and the products are summed:

    "mean"   factor = w / (number of entries of l)      Keras's sum_over_batch_size
    "sum"    factor = w
    "none"   factor = w, and nothing is summed

So backward begins with dl = dloss * factor, whatever the reduction was.
"""

from __future__ import annotations

from minienc.arrays import Array, get_array_module

REDUCTIONS = ("mean", "sum", "none")


def loss_factor(l: Array, sample_weight: Array | None, reduction: str) -> Array:  # noqa: E741
    """The factor of each l, in l's shape.

    Raises
    ------
    ValueError
        For an unknown reduction, or weights that are not the leading part of l's shape.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}")
    xp = get_array_module(l)
    factor = xp.full_like(l, 1 / max(l.size, 1) if reduction == "mean" else 1)
    if sample_weight is None:
        return factor
    n_axes = sample_weight.ndim
    if tuple(sample_weight.shape) != tuple(l.shape[:n_axes]):
        raise ValueError(
            f"sample_weight is {tuple(sample_weight.shape)}, expected the leading part of "
            f"{tuple(l.shape)}, the shape of the samples' losses"
        )
    return factor * sample_weight.reshape(sample_weight.shape + (1,) * (l.ndim - n_axes))


def reduce_loss(l: Array, factor: Array, reduction: str) -> Array:  # noqa: E741
    """The loss: a number, or with "none" an array of l's shape."""
    return l * factor if reduction == "none" else (l * factor).sum()


def as_rows(y: Array) -> Array:
    """y (N,) as (N, 1): samples of one number each; everything else as it is."""
    return y[:, None] if y.ndim == 1 else y
