"""Vector quantisation: the code of a codebook that is nearest."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.clustering import squared_distances_forward
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class QuantizationErrorCache(NamedTuple):
    z: Array  # (N, D)
    index: Array  # (N,)  which code is nearest
    q: Array  # (N, D)  that code
    e: Form  # (N,)
    n_codes: int


@primitive
def quantization_error_forward(z, C):
    """e_n = min_k |z_n - c_k|^2: how far each z is from the nearest code; the cache has the code.

    Parameters
    ----------
    z : array (N, D)
    C : array (K, D)
        The codebook.

    Returns
    -------
    e : array (N,)
    cache : QuantizationErrorCache
        ``index`` (N,) and ``q`` (N, D) = C[index] are the quantised z.

    Source: van den Oord, Vinyals and Kavukcuoglu 2017, "Neural discrete representation learning",
    eq. 1 and 2.
    """
    check_shapes("quantization_error_forward", "z: N D, C: K D", z, C)
    d, _ = squared_distances_forward(z, C)
    index = d.argmin(axis=1)
    q = C[index]  # (1)
    e = ((z - q) * (z - q)).sum(axis=1)  # (2)
    return e, QuantizationErrorCache(z, index, q, Form(e.shape, e.dtype), len(C))


@primitive
def quantization_error_backward(de, cache: QuantizationErrorCache):
    """dz_n = 2 de_n (z_n - q_n),  dc_k = sum over the z_n whose code is k of 2 de_n (q_n - z_n).

    Which code is nearest does not change with a small step.
    """
    z, index, q, e, n_codes = cache
    check_shapes("quantization_error_backward", "e: N, de: N", e, de)
    xp = get_array_module(z)
    dz = 2 * de[:, None] * (z - q)  # (2) was e = |z - q|^2
    member = (index[:, None] == xp.arange(n_codes)).astype(z.dtype)
    dC = member.T @ -dz  # (1) was q = C[index], and dq = -dz
    return dz, dC
