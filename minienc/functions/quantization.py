"""Vector quantisation: the code of a codebook that is nearest."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.clustering import squared_distances_forward
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class QuantizationErrorCache(NamedTuple):
    z: Array  # (N, D)
    index: Array  # type: ignore[assignment]  # (N,)  which code is nearest
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

    Examples
    --------
    >>> z, C = np.array([[0.9, 0.1]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> error, cache = quantization_error_forward(z, C)
    >>> np.round(error, 4)
    array([0.02])
    """
    check_shapes("quantization_error_forward", "z: N D, C: K D", z, C)
    index = _index_of_nearest(z, C)
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
    dz = 2 * de[:, None] * (z - q)  # (2) was e = |z - q|^2; of q it is -dz
    dC = -(_members(index, n_codes, z.dtype).T @ dz)  # (1) was q = C[index]
    return dz, dC


# ------------------------------------------------------------------------------- the nearest code


class NearestCodeCache(NamedTuple):
    index: Array  # type: ignore[assignment]  # (N,)  which code is nearest
    y: Form  # (N, D)
    n_codes: int


@primitive(constants=("z",))
def nearest_code_forward(z, C):
    """y_n = the code c_k that is nearest to z_n: what a vector quantiser passes on.

    z (N, D) is a constant: a small step of it does not change the code, so the true gradient is 0
    almost everywhere. What a layer hands down in its place is the layer's matter.

    Source: van den Oord, Vinyals and Kavukcuoglu 2017, section 3.1.

    Examples
    --------
    >>> z, C = np.array([[0.9, 0.1]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> y, cache = nearest_code_forward(z, C)
    >>> y
    array([[1., 0.]])
    """
    check_shapes("nearest_code_forward", "z: N D, C: K D", z, C)
    index = _index_of_nearest(z, C)
    y = C[index]  # (1)
    return y, NearestCodeCache(index, Form(y.shape, y.dtype), len(C))


@primitive
def nearest_code_backward(dy, cache: NearestCodeCache):
    """dc_k = the sum of dy_n over the z_n whose code is k."""
    index, y, n_codes = cache
    check_shapes("nearest_code_backward", "y: N D, dy: N D", y, dy)
    dC = _members(index, n_codes, dy.dtype).T @ dy  # (1) was y = C[index]
    return dC


def _index_of_nearest(z, C):
    d, _ = squared_distances_forward(z, C)
    return d.argmin(axis=1)


def _members(index, n_codes, dtype):
    """(N, K): 1 where the code of sample n is k, else 0."""
    xp = get_array_module(index)
    return (index[:, None] == xp.arange(n_codes)).astype(dtype)
