"""Sequences of different lengths in one array: what stands behind the end is made 0, and stays so.

A convolution with a bias makes something out of the zeros behind the end, and the next one would
take that for sound. Behind each of them what does not count is made 0 again; then a sequence gives
the same numbers however many zeros stand behind it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class MaskStepsCache(NamedTuple):
    m: Array | None  # (N, T, 1, ...)  1 where a step counts, else 0; None: all count
    x: Form  # (N, T, ...)


@primitive(constants=("lengths",))
def mask_steps_forward(x, lengths=None):
    """y_nt = x_nt for t below the length of sequence n, else 0.

    Parameters
    ----------
    x : array (N, T, ...)
    lengths : array (N,) of integers, 0 to T, or None
        None: all steps count.

    Returns
    -------
    y : array (N, T, ...), of x's dtype
    cache : MaskStepsCache

    Examples
    --------
    >>> y, cache = mask_steps_forward(np.ones((1, 3, 1)), np.array([2]))
    >>> y.ravel()
    array([1., 1., 0.])
    """
    form = Form(x.shape, x.dtype)
    steps = Form((*x.shape[:2], math.prod(x.shape[2:])), x.dtype) if x.ndim > 2 else form
    spec = "x: N T, lengths: N int <= T" if x.ndim < 3 else "x: N T C, lengths: N int <= T"
    check_shapes("mask_steps_forward", spec, steps, lengths)
    if lengths is None:
        return x.copy(), MaskStepsCache(None, form)
    xp, (N, T) = get_array_module(x), x.shape[:2]
    counts = xp.arange(T) < lengths.reshape((N, 1))
    m = counts.astype(x.dtype).reshape((N, T, *[1] * (x.ndim - 2)))
    y = x * m  # (1)
    return y, MaskStepsCache(m, form)


@primitive
def mask_steps_backward(dy, cache: MaskStepsCache):
    """dx = dy m: what was made 0 had no part in it."""
    m, x = cache
    check_shapes("mask_steps_backward", "x: ..., dy: ...", x, dy)
    dx = dy.copy() if m is None else dy * m  # (1) was y = x m
    return dx


# ---------------------------------------------------------------------------- the mean taken off


class CenterStepsCache(NamedTuple):
    m: Array  # (N, T, 1)  1 where a step counts, else 0
    share: Array  # (N, T, 1)  1 / length where the step counts, else 0
    x: Form  # (N, T, C)


@primitive(constants=("lengths",))
def center_steps_forward(x, lengths=None):
    """y_ntc = x_ntc - the mean of x_nc over the steps that count; behind the end 0.

    A microphone multiplies each band of a sound by a number of its own. In the logarithm that is
    added to all frames alike, and is gone with the mean; so is what a voice always has.

    Parameters
    ----------
    x : array (N, T, C)
    lengths : array (N,) of integers, 0 to T, or None
        None: all steps count.

    Returns
    -------
    y : array (N, T, C), of x's dtype
    cache : CenterStepsCache

    Notes
    -----
    Source: Atal 1974, "Effectiveness of linear prediction characteristics of the speech wave for
    automatic speaker identification and verification", section IV (cepstral mean subtraction).

    Examples
    --------
    >>> y, cache = center_steps_forward(np.array([[[1.0], [3.0], [9.0]]]), np.array([2]))
    >>> y.ravel()
    array([-1.,  1.,  0.])
    """
    m = counted_steps("center_steps_forward", x, lengths)
    share = m / get_array_module(x).maximum(m.sum(axis=1, keepdims=True), 1)
    mean = (x * share).sum(axis=1, keepdims=True)  # (1)
    z = x - mean  # (2)
    y = z * m  # (3)
    return y, CenterStepsCache(m, share, Form(x.shape, x.dtype))


@primitive
def center_steps_backward(dy, cache: CenterStepsCache):
    """dx = dz - mean dz in the steps that count, with dz = dy m: what all steps share is lost.

    By (2) dx = dz and dmean = - sum dz; by (1) dx += share dmean, the same for all that count.
    """
    m, share, x = cache
    check_shapes("center_steps_backward", "x: N T C, dy: N T C", x, dy)
    dz = dy * m  # (3) was y = z m
    dmean = -dz.sum(axis=1, keepdims=True)  # (2) was z = x - mean
    dx = dz + dmean * share  # (1, 2) was mean = sum x share
    return dx


# ------------------------------------------------------------------------------- what both count by


def counted_steps(name, x, lengths):
    """(N, T, 1) of x's dtype: 1 where a step of x (N, T, C) counts, else 0."""
    check_shapes(name, "x: N T C, lengths: N int <= T", x, lengths)
    xp = get_array_module(x)
    if lengths is None:
        return xp.ones((*x.shape[:2], 1), dtype=x.dtype)
    return (xp.arange(x.shape[1]) < lengths.reshape((-1, 1))).astype(x.dtype)[:, :, None]
