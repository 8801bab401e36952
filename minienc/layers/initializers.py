"""What weights are before training: ``initializer(shape, rng, dtype) -> array``.

A layer keeps the size of its signals, forward and backward, if the variance of its weights fits
the number of its inputs (fan-in) and outputs (fan-out):

    Glorot   2 / (fan_in + fan_out)    Glorot and Bengio 2010, eq. 16
    He       2 / fan_in                He et al. 2015, eq. 10 (for relu)
    LeCun    1 / fan_in                LeCun et al. 1998, "Efficient backprop", section 4.6

Numbers are drawn as float64 and then rounded, so that a float32 and a float64 model of one seed
begin alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minienc.arrays import Array, DTypeLike

Shape = tuple[int, ...]
Initializer = Callable[..., np.ndarray]  # (shape, rng, dtype) -> array
InitializerLike = str | Initializer  # or its name


def zeros(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """All 0: for biases."""
    return np.zeros(shape, dtype=dtype)


def ones(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """All 1."""
    return np.ones(shape, dtype=dtype)


def glorot_uniform(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """Uniform with variance 2 / (fan_in + fan_out)."""
    fan_in, fan_out = fans(shape)
    return _uniform(2 / (fan_in + fan_out), shape, rng, dtype)


def glorot_normal(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """Truncated normal with variance 2 / (fan_in + fan_out)."""
    fan_in, fan_out = fans(shape)
    return _truncated_normal(2 / (fan_in + fan_out), shape, rng, dtype)


def he_uniform(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """Uniform with variance 2 / fan_in."""
    return _uniform(2 / fans(shape)[0], shape, rng, dtype)


def he_normal(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """Truncated normal with variance 2 / fan_in."""
    return _truncated_normal(2 / fans(shape)[0], shape, rng, dtype)


def lecun_uniform(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """Uniform with variance 1 / fan_in."""
    return _uniform(1 / fans(shape)[0], shape, rng, dtype)


def lecun_normal(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """Truncated normal with variance 1 / fan_in."""
    return _truncated_normal(1 / fans(shape)[0], shape, rng, dtype)


def orthogonal(shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> np.ndarray:
    """Orthonormal columns (rows, if there are fewer of them): W'W = I keeps lengths.

    The Q of a normal matrix' QR decomposition, with the signs of R's diagonal taken out, so that
    every orthogonal matrix is equally likely.

    Source: Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", section 3.

    Examples
    --------
    >>> W = orthogonal((3, 3), np.random.default_rng(0), "float64")
    >>> np.allclose(W.T @ W, np.eye(3))
    True
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal: shape is {shape}, expected two axes or more")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    a = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(a)
    q = q * np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape).astype(dtype)


def fans(shape: Shape) -> tuple[float, float]:
    """(fan-in, fan-out) of weights (D, M), or of a convolution's (kh, kw, C, M): every output sees
    kh kw C numbers, every input is seen by kh kw M.

    Examples
    --------
    >>> fans((3, 4)), fans((3, 3, 8, 16))  # of a dense layer, and of a convolution
    ((3.0, 4.0), (72.0, 144.0))
    """
    if not shape:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    field = math.prod(shape[:-2])
    return float(field * shape[-2]), float(field * shape[-1])


def _uniform(variance: float, shape: Shape, rng: np.random.Generator, dtype: DTypeLike) -> Array:
    """Uniform in [-a, a] has variance a^2 / 3."""
    a = math.sqrt(3 * variance)
    return rng.uniform(-a, a, shape).astype(dtype)


# standard deviation of a standard normal variable that is drawn again beyond 2
_TRUNCATED_STDDEV = 0.87962566103423978


def _truncated_normal(
    variance: float, shape: Shape, rng: np.random.Generator, dtype: DTypeLike
) -> np.ndarray:
    """Normal, drawn again where it lies more than two standard deviations out, as in Keras."""
    values = rng.standard_normal(shape)
    while (far := np.abs(values) > 2).any():
        values[far] = rng.standard_normal(int(far.sum()))
    return (values * (math.sqrt(variance) / _TRUNCATED_STDDEV)).astype(dtype)


INITIALIZERS: dict[str, Initializer] = {
    f.__name__: f
    for f in (
        zeros,
        ones,
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        lecun_uniform,
        lecun_normal,
        orthogonal,
    )
}


def get_initializer(initializer: InitializerLike) -> Initializer:
    """Return the initializer of this name, or the function itself.

    Examples
    --------
    >>> W = get_initializer("glorot_uniform")((3, 4), np.random.default_rng(0), "float32")
    >>> W.shape, W.dtype
    ((3, 4), dtype('float32'))
    """
    if callable(initializer):
        return initializer
    if isinstance(initializer, str) and initializer.lower() in INITIALIZERS:
        return INITIALIZERS[initializer.lower()]
    raise ValueError(
        f"initializer is {initializer!r}, expected one of {', '.join(sorted(INITIALIZERS))}, or a "
        f"function (shape, rng, dtype) -> array"
    )
