"""From a loss for each sample to the loss: its weight, then the mean or the sum.

Every loss ends with the same two lines, so they stand here once. With l (N, ...) the losses of
the samples and w their weights, each l is multiplied by a factor and the products are summed:

    "mean"   factor = w / (number of entries of l)      Keras's sum_over_batch_size
    "sum"    factor = w
    "none"   factor = w, and nothing is summed

So backward begins with dl = dloss * factor, whatever the reduction was.
"""

from __future__ import annotations

from typing import Any

from minienc.arrays import Array, get_array_module
from minienc.shapes import check_shapes

REDUCTIONS = ("mean", "sum", "none")


def loss_factor(
    function: str,
    l: Array,  # noqa: E741
    sample_weight: Array | None,
    reduction: str,
) -> Array:
    """The factor of each l, in l's shape; ``function`` is the first word of the messages.

    Raises
    ------
    ValueError
        For an unknown reduction, or weights that are not the leading part of l's shape.
    TypeError
        For weights that are no array, or of another dtype than l.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{function}: reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}"
        )
    xp = get_array_module(l)
    n_terms = l.size if reduction == "mean" else 1
    factor = xp.full_like(l, 1 / max(n_terms, 1))  # max: no samples have the loss 0
    if sample_weight is None:
        return factor
    check_shapes(function, "sample_weight: ...", sample_weight)
    n_axes = sample_weight.ndim
    if tuple(sample_weight.shape) != tuple(l.shape[:n_axes]):
        raise ValueError(
            f"{function}: sample_weight is {tuple(sample_weight.shape)}, expected the leading part "
            f"of {tuple(l.shape)}, the shape of the samples' losses"
        )
    if sample_weight.dtype != l.dtype:
        raise TypeError(
            f"{function}: sample_weight is {sample_weight.dtype} but y is {l.dtype}; nothing is "
            f"silently upcast, so convert one of them with .astype"
        )
    return factor * sample_weight.reshape(sample_weight.shape + (1,) * (l.ndim - n_axes))


def reduce_loss(l: Array, factor: Array, reduction: str) -> Array:  # noqa: E741
    """The loss: a number, or with "none" an array of l's shape."""
    return l * factor if reduction == "none" else (l * factor).sum()


def check_dloss(function: str, dloss: Any, loss: Array) -> None:
    """Refuse a ``dloss`` that is neither a plain number nor of the loss's shape and dtype: a
    dloss (N,) for a mean would broadcast, and be silently wrong."""
    if type(dloss) not in (int, float):
        check_shapes(function, "loss: ..., dloss: ...", loss, dloss)


def as_rows(y: Array) -> Array:
    """y (N,) as (N, 1): samples of one number each; everything else as it is."""
    return y[..., None] if y.ndim < 2 else y
