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
    the distance, what is only continuous with the distance; what does not fall is rounding. And
    what stays the same, and then jumps by more than its last digit, is not known to less than that;
    a jump of more than any rounding is the kink of a relu.
    """
    noise, before, least = 0.0, np.inf, np.full(flat(line.y).shape, np.inf)
    for k in range(10):
        values = [line.at(j * 4 * h / 8**k) for j in range(-3, 4)]
        third = np.diff([line.change(y, values[3]) for y in values], 3)
        sigma = float(np.sqrt(np.mean(third**2) * math.factorial(3) ** 2 / math.factorial(6)))
        if k < 5 and sigma > before / 4:
            noise = max(noise, sigma)
        before = sigma
        jumps = np.abs(np.diff([flat(y) for y in values], axis=0))
        least = np.minimum(least, np.where(jumps > 0, jumps, np.inf).min(axis=0))
    size = np.abs(flat(line.y))
    rounding = 1e-9 * max(float(size.max(initial=0)), 1e3 * h)  # at the most
    coarse = (jumps == 0).any(axis=0) & (least > 4 * EPS * size) & (least < rounding)
    return max(noise, float(np.linalg.norm((flat(line.v) * least)[coarse])))


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


def rounds_inside(line: Line) -> bool:
    """Whether float32 inside the forward gives itself away though the outputs are float64: third
    differences of the size of its rounding, and no smaller a tenth as far away."""
    size = float(np.linalg.norm(flat(line.v) * flat(line.y)))
    sigmas = []
    for step in (2.0**-17, 2.0**-20):  # of everything's size: many of its last digits, still
        values = [line.at(k * step) for k in range(7)]
        third = np.diff([line.change(y, values[3]) for y in values], 3)
        sigmas.append(float(np.sqrt(np.mean(third**2) / 20)))
    one, other = sigmas
    return 1e-10 * size < min(sigmas) and max(sigmas) < 1e-5 * size and one / 4 < other < 4 * one


def tensor_scale(x: np.ndarray) -> float:
    """The size that elements of x have, for elements that happen to be near zero."""
    if x.size == 0:
        return 1.0
    largest = float(np.abs(x).max())
    if not 0 < largest < np.inf:
        return 1.0
    rms = largest * float(np.sqrt(np.mean(np.square(x / largest, dtype=np.float64))))
    return 0.1 * rms if rms > 0 else 1.0
