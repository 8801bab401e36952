"""How exact a forward is: what rounding may have done to its outputs.

A difference of two outputs is only as good as their last digits. Nobody says how many of those are
right, so it is measured: values a hair apart should lie on a smooth curve, and what does not is
noise (Hamming; More and Wild 2011, "Estimating computational noise", section 4).
"""

from __future__ import annotations

import math

import numpy as np

from minienc.verify.line import Line, Outputs, flat

EPS = float(np.finfo(np.float64).eps)


def measure_noise(line: Line, eps: float, h: float) -> float:
    """The relative error of an output, measured: at least eps.

    Seven values a hair apart lie on a straight line but for their rounding; the third and fourth
    differences of them remove any smooth part and leave the noise.
    """
    delta = max(h * 1e-6, 64 * eps * h)
    scale = np.abs(flat(line.y))
    table = np.array([flat(line.at(k * delta)) for k in range(7)])
    worst = eps
    for order in range(1, 5):
        table = np.diff(table, axis=0)
        if order < 3:
            continue
        gamma = math.factorial(order) ** 2 / math.factorial(2 * order)
        noise = np.sqrt(gamma * np.mean(table**2, axis=0))
        seen = scale > 0
        if seen.any():
            worst = max(worst, float(np.sqrt(np.mean((noise[seen] / scale[seen]) ** 2))))
    return min(worst, 1e3 * eps) * 2


def noise_along(line: Line, h: float) -> float:
    """The absolute error of <v, y> near one place, by third differences of seven values.

    An output that two nearly equal numbers left (1 + tanh(-6)) stays the same a hair away and jumps
    further on. So the values are taken at several distances: what is smooth falls with the cube of
    the distance, what is only continuous with the distance; what does not fall is rounding.
    """
    noise, before = 0.0, np.inf
    for k in range(5):
        values = [line.at(j * 4 * h / 8**k) for j in range(-3, 4)]
        third = np.diff([line.change(y, values[3]) for y in values], 3)
        sigma = float(np.sqrt(np.mean(third**2) * math.factorial(3) ** 2 / math.factorial(6)))
        if sigma > before / 4:
            noise = max(noise, sigma)
        before = sigma
    return noise


def precision_of(y: Outputs) -> float:
    """The epsilon of the coarsest type that holds every output, which gives away a buffer of
    float32 in a forward of float64. Whole numbers fit every type and show nothing."""
    values = flat(y)
    values = values[values != np.rint(values)]
    if values.size:
        for dtype in (np.float16, np.float32):
            if np.array_equal(values.astype(dtype), values):
                return float(np.finfo(dtype).eps)
    return EPS


def gradient_rounding(x: np.ndarray, v: Outputs, y: Outputs, eps: float) -> float:
    """What rounding may leave of a gradient that is zero, as a bias's before a normalisation: the
    size of a gradient that takes the function from its value to 0 over the size of x, times what
    arithmetic of relative error eps leaves of a sum."""
    size = sum(float(np.sum(np.abs(c * part))) for c, part in zip(v, y, strict=True))
    return 8 * eps * size / tensor_scale(x)


def tensor_scale(x: np.ndarray) -> float:
    """The size that elements of x have, for elements that happen to be near zero."""
    if x.size == 0:
        return 1.0
    largest = float(np.abs(x).max())
    if not 0 < largest < np.inf:
        return 1.0
    rms = largest * float(np.sqrt(np.mean(np.square(x / largest, dtype=np.float64))))
    return 0.1 * rms if rms > 0 else 1.0
