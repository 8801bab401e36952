"""The loss of words that may be copied, around the kernel's cross-entropy.

The kernel knows a row's l = -log v_label, and dl (v - [w = label]). What more is asked for is made
of these by a pass over the logits: the mean of log v is that of z, less log sum exp(z) = l +
z_label; and a part of the gradient, the same for all words, is added.
"""

from __future__ import annotations

import numpy as np

from minienc import _kernels
from minienc.functions import copying
from minienc.functions.activations import sigmoid
from minienc.functions.losses import reduce_loss
from minienc.primitive import register_fast
from minienc.shapes import Form, check_shapes

_FORWARD, _SLOPE = _kernels.loss_codes["categorical"]


def counted_labels(labels, ignore_class):
    """(labels as int64, 0 where none counts; which count, or None); None for other arrays."""
    if type(labels) is not np.ndarray or labels.dtype.kind not in "iu":
        return None
    counted = None if ignore_class is None else labels != ignore_class
    labels = labels if counted is None else labels * counted
    return np.ascontiguousarray(labels, dtype=np.int64), counted


def log_of_labels(z, labels, want_mean):
    """(log v of the labels, the mean of log v or 0) of logits; None where the kernel declines, or
    numbers are not finite: the definition knows what becomes of those."""
    result = _kernels.loss_forward(z, labels, _FORWARD)
    if result is None:
        return None
    l = result[0]
    if not np.isfinite(l.sum()):
        return None
    if not want_mean:
        return -l, 0
    own = np.take_along_axis(z, labels[..., None], axis=-1)[..., 0]
    return -l, z.mean(axis=-1) - (l + own)


def gradient(z, labels, dlog_v, dmean):
    """dz of log v at the labels and of its mean: dlog_v [w = label] + dmean / V - (both) v; dmean
    None is 0."""
    V, labels = z.shape[-1], np.ascontiguousarray(labels, dtype=np.int64)
    both = dlog_v if dmean is None else dlog_v + dmean
    dz = _kernels.loss_backward(np.ascontiguousarray(-both), z, labels, _SLOPE)
    if dz is None or dmean is None:
        return dz
    flat, dmean = dz.reshape(-1, V), dmean.reshape(-1)
    flat += (dmean / V)[:, None]
    flat[np.arange(len(flat)), labels.reshape(-1)] -= dmean
    return dz


def _fits(dloss, loss):
    """Whether dloss is a number, or of the loss's form; the definition looks at others."""
    if isinstance(dloss, (np.ndarray, np.generic)):
        return loss == (dloss.shape, dloss.dtype)
    return type(dloss) is float or type(dloss) is int


@register_fast
def copying_crossentropy_forward(
    z, s, a, source, labels, reduction="mean", ignore_class=None, label_smoothing=0.0
):
    name, found = "copying_crossentropy_forward", counted_labels(labels, ignore_class)
    arrays = type(z) is type(s) is type(a) is type(source) is np.ndarray
    if found is None or not arrays or not 0 <= label_smoothing < 1:
        return NotImplemented
    labels, counted = found
    spec = "z: N T V, s: N T, a: N T S, source: N S int < V, labels: N T int < V"
    check_shapes(name, spec, z, s, a, source, labels)
    logs = log_of_labels(z, labels, bool(label_smoothing))
    if logs is None:
        return NotImplemented
    is_copied = source[:, None, :] == labels[:, :, None]
    log_p, c = copying._log_mixture(logs[0], s, a, is_copied)
    l = -(1 - label_smoothing) * log_p - label_smoothing * logs[1]
    loss, factor = reduce_loss(name, l, None, reduction, counted)
    form, e = Form(loss.shape, loss.dtype), float(label_smoothing)
    return loss, copying.CopyingCrossentropyCache(
        z, s, is_copied, c, log_p, labels, factor, form, e
    )


@register_fast
def copying_crossentropy_backward(dloss, cache: copying.CopyingCrossentropyCache):
    z, s, is_copied, c, log_p, labels, factor, loss, e = cache
    if type(z) is not np.ndarray or not _fits(dloss, loss):
        return NotImplemented
    dl = dloss * factor
    dlog_p = -(1 - e) * dl
    copy = sigmoid(-s) * np.exp(np.minimum(-log_p, copying._MOST))
    r = copy * c
    dz = gradient(z, labels, dlog_p * (1 - r), -e * dl if e else None)
    if dz is None:
        return NotImplemented
    return dz, dlog_p * (sigmoid(-s) - r), (dlog_p * copy)[..., None] * is_copied
