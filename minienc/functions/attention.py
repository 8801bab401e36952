"""Attention: each query looks at all keys, and takes of their values in proportion to how well they
answer.

    s = q k' / sqrt(D)        how well query i and key j agree
    p = softmax(s)            over the keys that the query may see
    y = p v                   a mean of the values

What a query may see: with ``causal``, no key that comes after it; with ``lengths``, no key behind
the end of its sequence; and whatever ``mask`` allows. A query that may see nothing gets y = 0, and
gives no gradient.

All leading axes are apart from one another: samples, and the heads of a multi-head attention, of
which each looks in D numbers of its own (``layers/attention.py`` cuts and joins them).

Sources: Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to align and
translate"; Vaswani et al. 2017, "Attention is all you need", eq. 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class AttentionCache(NamedTuple):
    q: Array  # (..., T, D)
    k: Array  # (..., S, D)
    v: Array  # (..., S, M)
    p: Array  # (..., T, S)  each row's weights: 0 or more, and of sum 1 where it sees anything


@primitive(constants=("lengths", "mask"))
def attention_forward(q, k, v, lengths=None, mask=None, causal=False):
    """y = softmax(q k' / sqrt(D)) v, over the keys that a query may see.

    Parameters
    ----------
    q : array (..., T, D)
        Queries.
    k : array (..., S, D)
        Keys.
    v : array (..., S, M)
        Values.
    lengths : array (N,) of integers, 0 to S, or None
        How many keys of each sample count; N is the first of the leading axes.
    mask : array of booleans that broadcasts with (..., T, S), or None
        Where True, the query may see the key.
    causal : bool
        Whether query i sees only keys up to its own place. Queries are the last T of the S places:
        so one query behind kept keys sees them all.

    Returns
    -------
    y : array (..., T, M), of q's dtype
    cache : AttentionCache
        Its ``p`` are the weights, which pictures of attention show.

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, lengths out of range, or ``causal`` with fewer keys
        than queries.

    Examples
    --------
    >>> q, k, v = np.ones((1, 1, 2)), np.eye(2)[None], np.array([[[1.0], [3.0]]])
    >>> y, cache = attention_forward(q, k, v)  # both keys answer equally well
    >>> y
    array([[[2.]]])
    >>> dq, dk, dv = attention_backward(np.ones_like(y), cache)
    >>> dv
    array([[[0.5],
            [0.5]]])
    """
    check_shapes("attention_forward", "q: ... T D, k: ... S D, v: ... S M", q, k, v)
    xp = get_array_module(q, k, v)
    s = (q @ _turned(k)) / math.sqrt(q.shape[-1])  # (1)
    seen = _what_is_seen(q, k, lengths, mask, causal)
    if seen is not None:
        s = xp.where(seen, s, xp.full_like(s, -math.inf))
    most = s.max(axis=-1, keepdims=True)
    e = xp.exp(s - xp.where(most > -math.inf, most, xp.zeros_like(most)))  # (2)  exp(-inf) is 0
    total = e.sum(axis=-1, keepdims=True)
    p = e / xp.where(total > 0, total, xp.ones_like(total))  # (3)
    y = p @ v  # (4)
    return y, AttentionCache(q, k, v, p)


@primitive
def attention_backward(dy, cache: AttentionCache):
    """dv = p' dy;  with dp = dy v' and ds = p (dp - sum_j dp_j p_j):  dq = ds k, dk = ds' q, each
    by sqrt(D).

    (4) and (1) are products, as of a dense layer, and (2, 3) is the softmax. Where a query may not
    see a key, p is 0, and so is ds: nothing need be masked a second time.

    Parameters
    ----------
    dy : array (..., T, M)
    cache : AttentionCache

    Returns
    -------
    dq (..., T, D), dk (..., S, D), dv (..., S, M)
    """
    q, k, v, p = cache
    check_shapes("attention_backward", "p: ... T S, v: ... S M, dy: ... T M", p, v, dy)
    dv = _turned(p) @ dy  # (4) was y = p v
    dp = dy @ _turned(v)  # (4)
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))  # (2, 3) was p = e / sum e, e = exp(s)
    scaled = ds / math.sqrt(q.shape[-1])
    dq, dk = scaled @ k, _turned(scaled) @ q  # (1) was s = q k' / sqrt(D)
    return dq, dk, dv


@primitive(constants=("lengths",))
def attention_with_weights_forward(q, k, v, lengths=None):
    """(y, p) of the attention: for who uses the weights p, too, as copying does (``copying.py``).

    Parameters
    ----------
    q, k, v, lengths
        As of ``attention_forward``.

    Returns
    -------
    (y, p) : array (..., T, M), array (..., T, S)
    cache : AttentionCache

    Examples
    --------
    >>> q, k, v = np.ones((1, 1, 2)), np.eye(2)[None], np.array([[[1.0], [3.0]]])
    >>> (y, weights), cache = attention_with_weights_forward(q, k, v)
    >>> weights
    array([[[0.5, 0.5]]])
    """
    check_shapes("attention_with_weights_forward", "q: ... T D, k: ... S D, v: ... S M", q, k, v)
    y, cache = attention_forward(q, k, v, lengths)  # (1)
    p = cache.p + 0  # (2)
    return (y, p), cache


@primitive
def attention_with_weights_backward(dy, cache: AttentionCache):
    """That of y, and of p = softmax(s): ds = p (dp - sum_j dp_j p_j).

    Parameters
    ----------
    dy : (array (..., T, M), array (..., T, S))
        Of y and of p.
    cache : AttentionCache

    Returns
    -------
    dq (..., T, D), dk (..., S, D), dv (..., S, M)
    """
    (dy, dp), (q, k, _, p) = dy, cache
    check_shapes("attention_with_weights_backward", "p: ... T S, dp: ... T S", p, dp)
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))  # (2) was p = softmax(s)
    ds = ds / math.sqrt(q.shape[-1])
    dq, dk, dv = attention_backward(dy, cache)  # (1) was y = p v
    return dq + ds @ k, dk + _turned(ds) @ q, dv  # (2) s = q k' / sqrt(D)


def _turned(a):
    """The last two axes exchanged."""
    return a.swapaxes(-1, -2)


def _what_is_seen(q, k, lengths, mask, causal):
    """(..., T, S) booleans, or what broadcasts to that; None where everybody sees everything."""
    name, xp = "attention_forward", get_array_module(q)
    (T, S), seen = (q.shape[-2], k.shape[-2]), mask
    if mask is not None:
        check_shapes(name, "mask: ... bool", mask)
        shape = (*q.shape[:-1], S)
        sizes = list(zip(mask.shape[::-1], shape[::-1], strict=False))
        if mask.ndim > q.ndim or any(m not in (1, n) for m, n in sizes):
            raise ValueError(
                f"{name}: mask is {tuple(mask.shape)}, expected {shape}, or 1 for a size"
            )
    if lengths is not None:
        check_shapes(name, "keys: N S, lengths: N int <= S", Form((len(k), S), k.dtype), lengths)
        ends = lengths.reshape((-1, *[1] * (q.ndim - 1)))
        seen = _both(seen, xp.arange(S) < ends)
    if causal:
        if S < T:
            raise ValueError(
                f"{name}: causal, with {T} queries for {S} keys; the queries are the last of the "
                f"keys' places"
            )
        seen = _both(seen, xp.arange(S) <= xp.arange(S - T, S).reshape((T, 1)))
    return seen


def _both(one, other):
    return other if one is None else one & other
