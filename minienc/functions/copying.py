"""Copying: a writer may take its next word from its vocabulary, or from what it reads.

    v = softmax(z)                          over the vocabulary
    g = 1 / (1 + exp(-s))                   how much is written by oneself; 1 - g is copied
    c_w = sum of a_j where x_j = w          the attention on the places j of the text that hold w
    p = g v + (1 - g) c

c scatters the attention a over the words of the source x: its backward gathers, for a_j goes to one
place of c, x_j. A rare name that v holds unlikely is written where the attention is on it.

``copying_forward`` gives p, which decoding needs; ``copying_crossentropy_forward`` gives the loss
-log p of labels without ever making the rows c and p, for it needs but one number of each.

Source: See, Liu and Manning 2017, "Get to the point: summarization with pointer-generator
networks", eq. 8 and 9 (eq. 6 is the loss).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import sigmoid
from minienc.functions.losses import _log_softmax, reduce_loss
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

_MOST = 80.0  # exp(80) is within float32: a target of a smaller p than exp(-80) pulls no harder

# -------------------------------------------------------------------------------- the mixture


class CopyingCache(NamedTuple):
    v: Array  # (N, T, V)
    g: Array  # (N, T)
    a: Array  # (N, T, S)
    source: Array  # (N, S) integers


@primitive(constants=("source",))
def copying_forward(v, g, a, source):
    """p = g v + (1 - g) c, with c the attention scattered over the vocabulary.

    Parameters
    ----------
    v : array (N, T, V)
        Probabilities of the vocabulary's words.
    g : array (N, T)
        How much of p is v's, in [0, 1].
    a : array (N, T, S)
        Attention on the places of the source; 0 behind its end.
    source : array (N, S) of integers, 0 to V - 1
        The words there. Not differentiated.

    Returns
    -------
    p : array (N, T, V), of v's dtype
    cache : CopyingCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or a word that the vocabulary lacks.
    """
    check_shapes(
        "copying_forward", "v: N T V, g: N T, a: N T S, source: N S int < V", v, g, a, source
    )
    c = _scatter(a, source, v.shape[-1])  # (1)
    p = g[..., None] * v + (1 - g[..., None]) * c  # (2)
    return p, CopyingCache(v, g, a, source)


@primitive
def copying_backward(dp, cache: CopyingCache):
    """dv = g dp, dc = (1 - g) dp, dg = sum_w dp_w (v_w - c_w); da_j = dc at x_j.

    Parameters
    ----------
    dp : array (N, T, V)
    cache : CopyingCache

    Returns
    -------
    dv (N, T, V), dg (N, T), da (N, T, S)
    """
    v, g, a, source = cache
    check_shapes("copying_backward", "v: N T V, dp: N T V", v, dp)
    xp = get_array_module(dp)
    dv, dc = g[..., None] * dp, (1 - g[..., None]) * dp  # (2) was p = g v + (1 - g) c
    gathered = xp.take_along_axis(dp, _at_places(xp, a, source), axis=-1)
    dg = (dp * v).sum(axis=-1) - (gathered * a).sum(axis=-1)  # (2)
    da = xp.take_along_axis(dc, _at_places(xp, a, source), axis=-1)  # (1) was c = a, scattered
    return dv, dg, da


def _at_places(xp, a, source):
    """(N, T, S): the source's words for each step."""
    return xp.broadcast_to(source[:, None, :], a.shape)


def _scatter(a, source, V):
    """(N, T, V): each a (N, T, S) added at the word of its place."""
    xp, (N, T) = get_array_module(a), a.shape[:2]
    rows = xp.arange(N * T).reshape((N, T, 1)) * V
    places, total = (rows + source[:, None, :]).reshape(-1), xp.zeros(N * T * V, dtype=a.dtype)
    if hasattr(total, "at"):  # JAX, whose arrays cannot be written to
        return total.at[places].add(a.reshape(-1)).reshape((N, T, V))
    xp.add.at(total, places, a.reshape(-1))
    return total.reshape((N, T, V))


# ----------------------------------------------------------------------------------- the loss


class CopyingCrossentropyCache(NamedTuple):
    z: Array  # (N, T, V)
    s: Array  # (N, T)
    is_copied: Array  # (N, T, S) booleans: where the source holds the label
    c: Array  # (N, T)  the attention there
    log_p: Array  # (N, T)
    labels: Array  # (N, T) integers, 0 where none counts
    factor: Array  # (N, T)
    loss: Form  # () or (N, T)
    label_smoothing: float


@primitive(constants=("source", "labels"))
def copying_crossentropy_forward(
    z, s, a, source, labels, reduction="mean", ignore_class=None, label_smoothing=0.0
):
    """l = -log p_label, with p = g softmax(z) + (1 - g) c.

    In logarithms, log p = log(exp(log g + log v) + exp(log(1 - g) + log c)), so nothing overflows;
    where the source does not hold the label, c = 0, and the second part is not there.

    Parameters
    ----------
    z : array (N, T, V)
        Logits of the vocabulary.
    s : array (N, T)
        Logits of g.
    a : array (N, T, S)
        Attention; 0 behind the source's end.
    source : array (N, S) of integers, 0 to V - 1
    labels : array (N, T) of integers
        What is to be written, 0 to V - 1, or ``ignore_class``.
    reduction : {"mean", "sum", "none"}
    ignore_class : int or None
        The label of entries that do not count: "mean" is the mean over the others.
    label_smoothing : float in [0, 1)
        Smooths v alone, what is written by oneself: l = -(1 - e) log p_label - e/V sum_w log v_w.
        (What is copied is right or wrong; p of a word that the source lacks is v's anyway.)

    Returns
    -------
    loss : number of z's dtype; with "none" an array (N, T)
    cache : CopyingCrossentropyCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, a word or a label that the vocabulary lacks,
        label_smoothing out of range.
    """
    name = "copying_crossentropy_forward"
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"{name}: label_smoothing is {label_smoothing}, expected in [0, 1)")
    counted = None
    if ignore_class is not None:
        check_shapes(name, "z: N T V, labels: N T int", z, labels)
        counted = labels != ignore_class
        labels = labels * counted
    spec = "z: N T V, s: N T, a: N T S, source: N S int < V, labels: N T int < V"
    check_shapes(name, spec, z, s, a, source, labels)
    log_v, mean_log_v = _log_v(z, labels)  # (1)
    is_copied = source[:, None, :] == labels[:, :, None]
    log_p, c = _log_mixture(log_v, s, a, is_copied)  # (2)
    l = -(1 - label_smoothing) * log_p - label_smoothing * mean_log_v  # (3)
    loss, factor = reduce_loss(name, l, None, reduction, counted)  # (4)
    form, smoothing = Form(loss.shape, loss.dtype), float(label_smoothing)
    return loss, CopyingCrossentropyCache(
        z, s, is_copied, c, log_p, labels, factor, form, smoothing
    )


@primitive
def copying_crossentropy_backward(dloss, cache: CopyingCrossentropyCache):
    """With r = (1 - g) c / p, the copied part of p, and dl' = (1 - e) dl:

        ds = dl' (r - (1 - g)),  da_j = -dl' (1 - g) / p where x_j is the label,
        dz_w = dl' (1 - r) (v_w - [w = label]) + e dl (v_w - 1/V)

    For log p = log(g v + (1 - g) c): d/ds (g v) = g v (1 - g) and d/ds ((1 - g) c) = -(1 - g) c g,
    so d log p / ds = (1 - r)(1 - g) - r g = (1 - g) - r; and d log p / d log v = 1 - r.

    Parameters
    ----------
    dloss : number, or array (N, T)
    cache : CopyingCrossentropyCache

    Returns
    -------
    dz (N, T, V), ds (N, T), da (N, T, S)
    """
    z, s, is_copied, c, log_p, labels, factor, loss, e = cache
    check_shapes("copying_crossentropy_backward", "loss: ..., dloss: ... number", loss, dloss)
    xp = get_array_module(z)
    dl = dloss * factor  # (4) was loss = sum l factor
    dlog_p = -(1 - e) * dl  # (3) was l = -(1 - e) log p - e mean log v
    copy = sigmoid(-s) * xp.exp(xp.minimum(-log_p, _MOST))  # (1 - g) / p
    r = copy * c
    ds = dlog_p * (sigmoid(-s) - r)  # (2) was log p = log(g v + (1 - g) c)
    da = (dlog_p * copy)[..., None] * is_copied  # (2) c is the sum of a where it is copied
    dlog_v = dlog_p * (1 - r)  # (2)
    dz = _dz(z, labels, dlog_v, -e * dl)  # (1) was v = softmax(z)
    return dz, ds, da


def _log_v(z, labels):
    """(log v of the labels, the mean of log v over the vocabulary), (N, T) each."""
    xp = get_array_module(z)
    log_v = _log_softmax(xp, z)
    is_label = labels[..., None] == xp.arange(z.shape[-1])  # no index: another thread may write it
    return xp.where(is_label, log_v, 0).sum(axis=-1), log_v.mean(axis=-1)


def _dz(z, labels, dlog_v, dmean):
    """dz of log v at the labels and of the mean: d log v_j / dz_k = [j = k] - v_k."""
    xp, V = get_array_module(z), z.shape[-1]
    v = xp.exp(_log_softmax(xp, z))
    is_label = labels[..., None] == xp.arange(V)
    own = dlog_v[..., None] * is_label + dmean[..., None] / V
    return own - (dlog_v + dmean)[..., None] * v


def _log_mixture(log_v, s, a, is_copied):
    """(log p, c): p = g v + (1 - g) c, c the attention where the label can be copied."""
    xp = get_array_module(a)
    c = (a * is_copied).sum(axis=-1)
    written = log_v - _softplus(xp, -s)  # log g = -log(1 + exp(-s))
    log_c = xp.where(c > 0, xp.log(xp.where(c > 0, c, xp.ones_like(c))), -math.inf)
    copied = log_c - _softplus(xp, s)  # log(1 - g) = -log(1 + exp(s))
    most = xp.maximum(written, copied)
    return most + xp.log(xp.exp(written - most) + xp.exp(copied - most)), c


def _softplus(xp, x):
    """log(1 + exp(x)), of any x."""
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))
