"""Losses: how far y is from what it should be, and which way it should move.

Each is a pair ``loss, cache = X_forward(y, target)`` and ``dy = X_backward(dloss, cache)``.

y and target are (N, ..., D), or (N,): samples of one number. What a sample loses is averaged or
summed over the last axis, which gives l (N, ...); ``sample_weight`` (N,), or any leading part of
l's shape, multiplies it; ``reduction`` is "mean", "sum" or "none" (see ``reduce_loss`` below). The
loss is a number of y's dtype, with "none" an array of l's shape; dloss has the loss's shape and
dtype, or is a plain number.

Target and weights are constants of a loss: they have y's dtype, and backward returns dy alone. A
ValueError tells of shapes that do not fit or an unknown reduction, a TypeError of dtypes.

The cross-entropies have one option more. With ``from_logits=True``, y are the numbers before the
sigmoid or the softmax, and activation and loss are one function: the logarithm undoes the
exponential on paper, before rounding can spoil it, and the gradient becomes (probability - target),
exact for any logit. Without it, y are probabilities, held in [1e-7, 1 - 1e-7] as in Keras; outside,
the gradient is 0. They are taken as they are: a row that does not sum to 1 is not made to.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import sigmoid
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

EPSILON = 1e-7  # Keras's: probabilities are held between this and 1, or 1 minus this
REDUCTIONS = ("mean", "sum", "none")
_CONSTANTS = ("target", "sample_weight")


def reduce_loss(function, l, sample_weight, reduction, counted=None):
    """(loss, factor), from the losses l (N, ...) of the samples: each l counts ``factor`` times.

        "mean"   factor = w / (number of entries of l)      Keras's sum_over_batch_size
        "sum"    factor = w
        "none"   factor = w, and nothing is summed

    So backward begins with dl = dloss * factor, whatever the reduction was. w is 1 without weights;
    where ``counted`` (booleans of l's shape) is False, w is 0, and the mean is over the others.
    ``function`` is the first word of a message.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{function}: reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}"
        )
    n_terms = l.size if reduction == "mean" else 1
    xp = get_array_module(l)
    factor = xp.full_like(l, 1 / max(n_terms, 1))  # max: no samples lose 0
    if counted is not None:
        counts = counted.astype(l.dtype)
        factor = counts / xp.maximum(counts.sum(), 1) if reduction == "mean" else counts
    if sample_weight is not None:
        factor = factor * _as_weights(function, l, sample_weight)
    loss = l * factor if reduction == "none" else (l * factor).sum()
    return loss, factor


def _as_weights(function, l, sample_weight):
    """The weights with axes of 1 for those of l (N, ...) that they do not tell apart."""
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
    return sample_weight.reshape(sample_weight.shape + (1,) * (l.ndim - n_axes))


def _as_rows(y):
    """y (N,) as (N, 1): samples of one number each; everything else as it is."""
    return y[..., None] if y.ndim < 2 else y


# ----------------------------------------------------------------------------- mean squared error


class MeanSquaredErrorCache(NamedTuple):
    shape: tuple[int, ...]  # of y: (N, ..., D)
    e: Array  # (N, ..., D)  y - target
    factor: Array  # (N, ...)
    loss: Form  # () or (N, ...)


@primitive(constants=_CONSTANTS)
def mean_squared_error_forward(y, target, sample_weight=None, reduction="mean"):
    """l = 1/D sum_d (y_d - t_d)^2.

    Source: Bishop 2006, "Pattern recognition and machine learning", eq. 5.11 (there without 1/D,
    and halved).

    Examples
    --------
    >>> loss, cache = mean_squared_error_forward(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    >>> float(loss), mean_squared_error_backward(1.0, cache)
    (2.0, array([[ 0., -2.]]))
    """
    check_shapes("mean_squared_error_forward", "y: ..., target: ...", y, target)
    e = _as_rows(y) - _as_rows(target)  # (1)
    l = (e * e).mean(axis=-1)  # (2)
    loss, factor = reduce_loss("mean_squared_error_forward", l, sample_weight, reduction)  # (3)
    return loss, MeanSquaredErrorCache(y.shape, e, factor, Form(loss.shape, loss.dtype))


@primitive
def mean_squared_error_backward(dloss, cache: MeanSquaredErrorCache):
    """dy_d = dl 2/D (y_d - t_d), for l is the mean of (y_d - t_d)^2 over D numbers."""
    shape, e, factor, loss = cache
    check_shapes("mean_squared_error_backward", "loss: ..., dloss: ... number", loss, dloss)
    dl = dloss * factor  # (3) was loss = sum l factor
    de = dl[..., None] * e * (2 / e.shape[-1])  # (2) was l = mean e^2
    dy = de.reshape(shape)  # (1) was e = y - target
    return dy


# ---------------------------------------------------------------------------- mean absolute error


class MeanAbsoluteErrorCache(NamedTuple):
    shape: tuple[int, ...]  # of y: (N, ..., D)
    e: Array  # (N, ..., D)  y - target
    factor: Array  # (N, ...)
    loss: Form  # () or (N, ...)


@primitive(constants=_CONSTANTS)
def mean_absolute_error_forward(y, target, sample_weight=None, reduction="mean"):
    """l = 1/D sum_d |y_d - t_d|.

    Least where y is the median of the targets; the squared error, where y is their mean.

    Source: Bishop 2006, "Pattern recognition and machine learning", eq. 1.91 with q = 1.
    """
    check_shapes("mean_absolute_error_forward", "y: ..., target: ...", y, target)
    xp = get_array_module(y, target)
    e = _as_rows(y) - _as_rows(target)  # (1)
    l = xp.abs(e).mean(axis=-1)  # (2)
    loss, factor = reduce_loss("mean_absolute_error_forward", l, sample_weight, reduction)  # (3)
    return loss, MeanAbsoluteErrorCache(y.shape, e, factor, Form(loss.shape, loss.dtype))


@primitive
def mean_absolute_error_backward(dloss, cache: MeanAbsoluteErrorCache):
    """dy_d = dl/D sign(y_d - t_d): at the kink y = t the subgradient 0."""
    shape, e, factor, loss = cache
    check_shapes("mean_absolute_error_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(e)
    dl = dloss * factor  # (3) was loss = sum l factor
    de = dl[..., None] * xp.sign(e) / e.shape[-1]  # (2) was l = mean |e|
    dy = de.reshape(shape)  # (1) was e = y - target
    return dy


# -------------------------------------------------------------------- Kullback-Leibler divergence


class KLDivergenceCache(NamedTuple):
    y: Array  # (N, ..., K)
    t: Array  # (N, ..., K)  the target, held in [1e-7, 1]
    factor: Array  # (N, ...)
    loss: Form  # () or (N, ...)


@primitive(constants=_CONSTANTS)
def kl_divergence_forward(y, target, sample_weight=None, reduction="mean"):
    """l = sum_k t_k log(t_k / y_k), for rows of probabilities.

    y and t are held in [1e-7, 1], as in Keras: so a t_k of 0 adds, but for 1e-7 log(1e-7 / y_k),
    the 0 that 0 log 0 stands for, and a y_k of 0 costs much, but not infinitely much.

    Source: Kullback and Leibler 1951, "On information and sufficiency", section 2.
    """
    check_shapes("kl_divergence_forward", "y: ... K, target: ... K", y, target)
    xp = get_array_module(y, target)
    t = xp.clip(target, EPSILON, 1)
    q = xp.clip(y, EPSILON, 1)  # (1)
    l = (t * (xp.log(t) - xp.log(q))).sum(axis=-1)  # (2)
    loss, factor = reduce_loss("kl_divergence_forward", l, sample_weight, reduction)  # (3)
    return loss, KLDivergenceCache(y, t, factor, Form(loss.shape, loss.dtype))


@primitive
def kl_divergence_backward(dloss, cache: KLDivergenceCache):
    """dy_k = -dl t_k / y_k, and 0 where y was held: d/dy of -t log y."""
    y, t, factor, loss = cache
    check_shapes("kl_divergence_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(y)
    dl = dloss * factor  # (3) was loss = sum l factor
    dq = -dl[..., None] * t / xp.clip(y, EPSILON, 1)  # (2) was l = sum t log(t / q)
    dy = dq * ((y >= EPSILON) & (y <= 1))  # (1) was q = clip(y)
    return dy


# ----------------------------------------------------------------------------- binary crossentropy


class BinaryCrossentropyCache(NamedTuple):
    y: Array  # (N, ..., D)
    target: Array  # (N, ..., D)
    factor: Array  # (N, ...)
    loss: Form  # () or (N, ...)
    from_logits: bool


@primitive(constants=_CONSTANTS)
def binary_crossentropy_forward(y, target, sample_weight=None, from_logits=False, reduction="mean"):
    """l = -1/D sum_d [ t_d log p_d + (1 - t_d) log(1 - p_d) ], p = y or p = sigmoid(y).

    With p = 1 / (1 + exp(-z)): log p = z - log(1 + exp(z)) and log(1 - p) = -log(1 + exp(z)), so
    each term is log(1 + exp(z)) - t z, computed as max(z, 0) - t z + log1p(exp(-|z|)).
    """
    check_shapes("binary_crossentropy_forward", "y: ..., target: ...", y, target)
    xp = get_array_module(y, target)
    z, t = _as_rows(y), _as_rows(target)
    if from_logits:
        terms = xp.maximum(z, 0) - t * z + xp.log1p(xp.exp(-xp.abs(z)))  # (1)
    else:
        p = xp.clip(z, EPSILON, 1 - EPSILON)
        terms = -(t * xp.log(p) + (1 - t) * xp.log1p(-p))  # (1)
    l = terms.mean(axis=-1)  # (2)
    loss, factor = reduce_loss("binary_crossentropy_forward", l, sample_weight, reduction)  # (3)
    form = Form(loss.shape, loss.dtype)
    return loss, BinaryCrossentropyCache(y, target, factor, form, from_logits)


@primitive
def binary_crossentropy_backward(dloss, cache: BinaryCrossentropyCache):
    """dz = dl/D (sigmoid(z) - t) of logits; dp = dl/D (p - t) / (p (1 - p)) of probabilities.

    Of logits: d/dz [log(1 + exp(z)) - t z] = sigmoid(z) - t. Of probabilities: the derivative is
    -t/p + (1 - t)/(1 - p), here brought to one denominator.
    """
    y, target, factor, loss, from_logits = cache
    check_shapes("binary_crossentropy_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(y)
    z, t = _as_rows(y), _as_rows(target)
    dl = dloss * factor  # (3) was loss = sum l factor
    dterms = dl[..., None] / z.shape[-1]  # (2) was l = mean terms
    if from_logits:
        dz = dterms * (sigmoid(z) - t)  # (1) was log(1 + exp(z)) - t z
    else:
        p = xp.clip(z, EPSILON, 1 - EPSILON)
        dz = dterms * (p - t) / (p * (1 - p)) * (p == z)  # (1) was -t log p - (1-t) log(1-p)
    dy = dz.reshape(y.shape)
    return dy


# ------------------------------------------------------------------------ categorical crossentropy


class CategoricalCrossentropyCache(NamedTuple):
    y: Array  # (N, ..., K)
    target: Array  # (N, ..., K)
    factor: Array  # (N, ...)
    loss: Form  # () or (N, ...)
    from_logits: bool


@primitive(constants=_CONSTANTS)
def categorical_crossentropy_forward(
    y, target, sample_weight=None, from_logits=False, reduction="mean"
):
    """l = -sum_k t_k log p_k, with p = y or p = softmax(y).

    With p = softmax(z): log p_k = z_k - log sum_j exp(z_j), and the largest z is subtracted
    from all before exp.
    """
    name = "categorical_crossentropy_forward"
    check_shapes(name, "y: ... K, target: ... K", y, target)
    xp = get_array_module(y, target)
    log_p = _log_softmax(xp, y) if from_logits else _log_held(xp, y)  # (1)
    l = -(target * log_p).sum(axis=-1)  # (2)
    loss, factor = reduce_loss(name, l, sample_weight, reduction)  # (3)
    form = Form(loss.shape, loss.dtype)
    return loss, CategoricalCrossentropyCache(y, target, factor, form, from_logits)


@primitive
def categorical_crossentropy_backward(dloss, cache: CategoricalCrossentropyCache):
    """dz_k = dl (p_k sum_j t_j - t_k) of logits; dp_k = -dl t_k / p_k of probabilities.

    Of logits: d log p_j / dz_k = [j = k] - p_k, so dl/dz_k = -sum_j t_j ([j = k] - p_k), which is
    p_k sum_j t_j - t_k.
    """
    y, t, factor, loss, from_logits = cache
    check_shapes("categorical_crossentropy_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(y)
    dl = dloss * factor  # (3) was loss = sum l factor
    dlog_p = -dl[..., None] * t  # (2) was l = -sum t log p
    if from_logits:
        p = xp.exp(_log_softmax(xp, y))
        dy = dlog_p - p * dlog_p.sum(axis=-1, keepdims=True)  # (1) was log p = z - log sum exp(z)
    else:
        p = xp.clip(y, EPSILON, 1 - EPSILON)
        dy = dlog_p / p * (p == y)  # (1) was log p = log clip(y)
    return dy


def _log_held(xp, y):
    return xp.log(xp.clip(y, EPSILON, 1 - EPSILON))


def _log_softmax(xp, z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))


# ----------------------------------------------------------------- sparse categorical crossentropy


class SparseCategoricalCrossentropyCache(NamedTuple):
    y: Array  # (N, ..., K)
    labels: Array  # (N, ...) integers, 0 where none counts
    factor: Array  # (N, ...)
    loss: Form  # () or (N, ...)
    from_logits: bool
    label_smoothing: float


@primitive(constants=("labels", "sample_weight"))
def sparse_categorical_crossentropy_forward(
    y,
    labels,
    sample_weight=None,
    from_logits=False,
    reduction="mean",
    ignore_class=None,
    label_smoothing=0.0,
):
    """l = -log p_label: categorical cross-entropy with targets that are 1 at the label, else 0.

    Entries whose label is ``ignore_class`` do not count: of padded sequences, "mean" is the mean
    over the words, however they are cut into batches. With ``label_smoothing`` s the target is
    1 - s at the label, and s/K more at all K: l = -(1 - s) log p_label - s/K sum_k log p_k.

    Raises
    ------
    ValueError
        If a label is not one of 0 to K - 1 (the first such is named), or label_smoothing not in
        [0, 1).

    Notes
    -----
    Source of the smoothing: Szegedy et al. 2016, "Rethinking the inception architecture", sect. 7.
    """
    name = "sparse_categorical_crossentropy_forward"
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"{name}: label_smoothing is {label_smoothing}, expected in [0, 1)")
    counted = None
    if ignore_class is not None:
        check_shapes(name, "y: ... K, labels: ... int", y, labels)
        counted = labels != ignore_class
        labels = labels * counted
    check_shapes(name, "y: ... K, labels: ... int < K", y, labels)
    xp = get_array_module(y, labels)
    log_p = _log_softmax(xp, y) if from_logits else _log_held(xp, y)  # (1)
    is_label = labels[..., None] == xp.arange(y.shape[-1])  # no index: another thread may write it
    l = -xp.where(is_label, log_p, 0).sum(axis=-1)  # (2)
    if label_smoothing:
        l = (1 - label_smoothing) * l - label_smoothing * log_p.mean(axis=-1)  # (3)
    loss, factor = reduce_loss(name, l, sample_weight, reduction, counted)  # (4)
    form, s = Form(loss.shape, loss.dtype), float(label_smoothing)
    return loss, SparseCategoricalCrossentropyCache(y, labels, factor, form, from_logits, s)


@primitive
def sparse_categorical_crossentropy_backward(dloss, cache: SparseCategoricalCrossentropyCache):
    """dz_k = dl (p_k - t_k) of logits; dp_k = -dl t_k / p_k of probabilities, with the target
    t_k = (1 - s) [k = label] + s/K, whose sum is 1."""
    y, labels, factor, loss, from_logits, label_smoothing = cache
    name = "sparse_categorical_crossentropy_backward"
    check_shapes(name, "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(y, labels)
    dl = dloss * factor  # (4) was loss = sum l factor
    t = labels[..., None] == xp.arange(y.shape[-1])
    if label_smoothing:
        t = (1 - label_smoothing) * t.astype(y.dtype) + label_smoothing / y.shape[-1]
    dlog_p = -dl[..., None] * t  # (2, 3) was l = -sum_k t_k log p_k
    if from_logits:
        p = xp.exp(_log_softmax(xp, y))
        dy = dlog_p + p * dl[..., None]  # (1) was log p = z - log sum exp(z)
    else:
        p = xp.clip(y, EPSILON, 1 - EPSILON)
        dy = dlog_p / p * (p == y)  # (1) was log p = log clip(y)
    return dy
