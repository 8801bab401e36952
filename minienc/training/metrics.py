"""Metrics: what is reported beside the loss. ``metric(target, y)`` gives a value per sample (N,).

They need no gradient, so they may count what cannot be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable

from minienc.arrays import Array, get_array_module

MetricFunction = Callable[[Array, Array], Array]  # (target, y) -> a value per sample (N,)
MetricLike = str | MetricFunction  # or its name


def better(greater: bool) -> Callable[[MetricFunction], MetricFunction]:
    """Mark a metric by ``greater_is_better``, which callbacks with ``mode="auto"`` ask for."""

    def mark(metric: MetricFunction) -> MetricFunction:
        vars(metric)["greater_is_better"] = greater
        return metric

    return mark


@better(greater=True)
def accuracy(target: Array, y: Array) -> Array:
    """1 where the answer is right, chosen by the shapes as Keras does: against integer labels or
    one-hot rows the largest of y's columns, for a single column whether it is on the right side of
    one half.

    Examples
    --------
    >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    array([1., 0.])
    """
    if y.ndim > 1 and y.shape[-1] > 1:
        answer = y.argmax(axis=-1)
        truth = target if target.ndim < y.ndim else target.argmax(axis=-1)
        return _per_sample(answer == truth, y)
    return binary_accuracy(target.reshape(y.shape), y)


@better(greater=True)
def binary_accuracy(target: Array, y: Array) -> Array:
    """The fraction of numbers that are on the target's side of one half.

    Examples
    --------
    >>> binary_accuracy(np.array([[0.0, 1.0]]), np.array([[0.2, 0.3]]))
    array([0.5])
    """
    return _per_sample((y > 0.5) == (target > 0.5), y)


@better(greater=False)
def mean_squared_error(target: Array, y: Array) -> Array:
    """mean (y - t)^2.

    Examples
    --------
    >>> mean_squared_error(np.array([[0.0, 1.0]]), np.array([[0.0, 3.0]]))
    array([2.])
    """
    return _per_sample((y - target) ** 2, y)


@better(greater=False)
def mean_absolute_error(target: Array, y: Array) -> Array:
    """mean |y - t|.

    Examples
    --------
    >>> mean_absolute_error(np.array([[0.0, 1.0]]), np.array([[0.0, 3.0]]))
    array([1.])
    """
    return _per_sample(get_array_module(y).abs(y - target), y)


def _per_sample(values: Array, y: Array) -> Array:
    """The mean over all axes but the batch's, in y's dtype."""
    return values.reshape(len(values), -1).astype(y.dtype).mean(axis=1)


METRICS: dict[str, MetricFunction] = {
    "accuracy": accuracy,
    "acc": accuracy,
    "binary_accuracy": binary_accuracy,
    "mean_squared_error": mean_squared_error,
    "mse": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "mae": mean_absolute_error,
}


def get_metric(metric: MetricLike) -> MetricFunction:
    """Return the metric of this name, or the function itself."""
    if callable(metric):
        return metric
    if isinstance(metric, str) and metric.lower() in METRICS:
        return METRICS[metric.lower()]
    raise ValueError(f"metric is {metric!r}, expected one of {', '.join(sorted(METRICS))}")
