"""Sequences of different lengths in one array: what stands behind the end of each is made 0.

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
