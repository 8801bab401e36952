"""Another rate: the same sound with more or fewer samples a second.

    y_n = sum_k h_(n down - k up) x_k,        up / down = the new rate / the old, in lowest terms

As if up - 1 zeros were put between the samples, a low-pass filter h joined them, and every down-th
was kept. Of h only each up-th number meets a sample, which ones depends on n mod up: so the filter
is cut into up phases, and each phase is one product. h is a sinc, cut off at half the lower rate,
times a Kaiser window (beta 5) of 20 max(up, down) + 1: what lies above half the new rate is not
folded down, and what lies below by more than a tenth stays. It is ``scipy.signal.resample_poly``'s
default.

Source: Crochiere and Rabiner 1983, "Multirate digital signal processing", section 3.3; Kaiser and
Schafer 1980 (the window).
"""

from __future__ import annotations

import math

import numpy as np

MOST = 100_000  # up, down: the filter has twenty times as many numbers


def resample(x: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """x (L,) at ``rate`` Hz becomes (ceil(L new_rate / rate),) at ``new_rate``, of x's dtype.

    Raises
    ------
    ValueError
        If the rates are no positive whole numbers, or have hardly a factor in common.
    """
    if not (rate == int(rate) > 0 and new_rate == int(new_rate) > 0):
        raise ValueError(f"resample: from {rate} to {new_rate} Hz, expected whole numbers from 1")
    common = math.gcd(int(rate), int(new_rate))
    up, down = int(new_rate) // common, int(rate) // common
    if up == down:
        return x.copy()
    if max(up, down) > MOST:
        raise ValueError(
            f"resample: from {rate} to {new_rate} Hz is {up} / {down} in lowest terms, expected "
            f"numbers up to {MOST:,}"
        )
    half = 10 * max(up, down)
    n_taps = -(-(2 * half + 1) // up)  # of the longest phase
    h = np.zeros(n_taps * up)
    h[: 2 * half + 1] = up * low_pass(half, 1 / max(up, down))
    phases = h.reshape(n_taps, up)  # phases[j, p] = h[j up + p]
    n_out = -(-len(x) * up // down)
    y = np.empty(n_out, np.float64)
    before = n_taps  # zeros, so that a filter may reach over either end
    wide = np.pad(x.astype(np.float64), (before, n_taps + half // up + 1))
    windows = np.lib.stride_tricks.sliding_window_view(wide, n_taps)
    for n in range(min(up, n_out)):  # all outputs n, n + up, n + 2 up, ... are of one phase
        base, phase = divmod(n * down + half, up)
        rows = windows[base - n_taps + 1 + before :: down][: -(-(n_out - n) // up)]
        y[n::up] = rows @ phases[::-1, phase]
    return y.astype(x.dtype)


def low_pass(half: int, cutoff: float, beta: float = 5.0) -> np.ndarray:
    """(2 half + 1,): cutoff sinc(cutoff n) times a Kaiser window, with the sum 1; ``cutoff`` is in
    half the rate."""
    n = np.arange(-half, half + 1)
    h = cutoff * np.sinc(cutoff * n) * np.kaiser(2 * half + 1, beta)
    return h / h.sum()
