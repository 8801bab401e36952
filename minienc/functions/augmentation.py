"""Other recordings of the same words, made of one spectrogram.

``y, cache = X_forward(x, ..., rng=generator)`` and ``dx = X_backward(dy, cache)``, as in ``noise``:
without a generator y is a copy of x, what was drawn is in the cache, and one seed makes one change
for float32 and float64. x and y are (N, T, F): frames of bands whose mean is about 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.noise import _check_rng
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# ------------------------------------------------------------------------------------ parts hidden


class SpecAugmentCache(NamedTuple):
    m: Array | None  # (N, T, F)  0 where x is hidden, else 1; None: nothing is
    y: Form  # (N, T, F)


@primitive
def spec_augment_forward(
    x, time_masks=2, time_width=8.0, frequency_masks=2, frequency_width=8.0, rng=None
):
    """y = x m, m = 0 in some stripes of frames and of bands, else 1.

    A stripe is 0 to ``width`` frames (bands) wide, by equal chance, and lies anywhere.

    Source: Park et al. 2019, "SpecAugment: a simple data augmentation method for automatic speech
    recognition", section 2 (without its time warping).

    Examples
    --------
    >>> x = np.ones((1, 20, 4))
    >>> y, cache = spec_augment_forward(x, time_width=4.0, rng=np.random.default_rng(0))
    >>> bool(y.mean() < 1), bool((spec_augment_forward(x)[0] == x).all())  # no rng: as it is
    (True, True)
    """
    check_shapes("spec_augment_forward", "x: N T F", x)
    for name, width in (("time_width", time_width), ("frequency_width", frequency_width)):
        if not width >= 0:
            raise ValueError(f"spec_augment_forward: {name} is {width}, expected a number >= 0")
    form = Form(x.shape, x.dtype)
    if rng is None:
        return x.copy(), SpecAugmentCache(None, form)
    _check_rng("spec_augment_forward", rng)
    N, T, F = x.shape
    frames = _outside(rng, x, N, T, time_masks, time_width)
    bands = _outside(rng, x, N, F, frequency_masks, frequency_width)
    m = (frames[:, :, None] & bands[:, None, :]).astype(x.dtype)
    y = x * m  # (1)
    return y, SpecAugmentCache(m, form)


@primitive
def spec_augment_backward(dy, cache: SpecAugmentCache):
    """dx = dy m."""
    m, y = cache
    check_shapes("spec_augment_backward", "y: ..., dy: ...", y, dy)
    dx = dy.copy() if m is None else dy * m  # (1) was y = x m
    return dx


def _outside(rng, x, N, length, n_masks, width):
    """(N, length) booleans: whether a place lies in none of a sample's stripes."""
    xp = get_array_module(x)
    u = xp.asarray(rng.random((N, 2, int(n_masks), 1), dtype="float32"))  # sample by sample
    wide = u[:, 0] * min(float(width), length)
    start = u[:, 1] * (length - wide)
    places = xp.arange(length) + 0.5
    return ((places < start) | (places >= start + wide)).all(axis=1)


# ------------------------------------------------------------------------------ another microphone


class RandomEqualizerCache(NamedTuple):
    y: Form  # (N, T, F)


@primitive
def random_equalizer_forward(x, amount=0.3, rng=None):
    """y_ntf = x_ntf + e_nf in the frames that count: some bands louder, others softer.

        e_nf = amount sum_k a_nk cos(pi k (f + 1/2) / F) / sqrt(k),    k = 1 ... 4,   a normal

    A microphone, a room, a mouth each multiply the spectrum by a smooth curve of their own, which
    in the logarithm is added. Frames that are 0 throughout are padding and stay 0.

    Source: Nam, Kim and Park 2022, "FilterAugment: an acoustic environmental data augmentation
    method" (there with pieces of lines for the curve).

    Examples
    --------
    >>> x = np.zeros((1, 3, 40))
    >>> y, cache = random_equalizer_forward(x, amount=0.3, rng=np.random.default_rng(0))
    >>> bool((y == y[:, :1]).all())  # each band of a recording is louder or softer all along
    True
    """
    check_shapes("random_equalizer_forward", "x: N T F", x)
    if not amount >= 0:
        raise ValueError(f"random_equalizer_forward: amount is {amount}, expected a number >= 0")
    if rng is None:
        return x.copy(), RandomEqualizerCache(Form(x.shape, x.dtype))
    xp, (N, _, F) = get_array_module(x), x.shape
    _check_rng("random_equalizer_forward", rng)
    a = xp.asarray(rng.standard_normal((N, 4), dtype="float32")).astype(x.dtype)
    k = xp.arange(1, 5).reshape((4, 1)).astype(x.dtype)
    waves = xp.cos(k * ((xp.arange(F) + 0.5) * (math.pi / F)).astype(x.dtype)) / xp.sqrt(k)
    e = float(amount) * (a @ waves)
    counts = (x != 0).any(axis=2).astype(x.dtype)
    y = x + counts[:, :, None] * e[:, None]  # (1)
    return y, RandomEqualizerCache(Form(y.shape, y.dtype))


@primitive
def random_equalizer_backward(dy, cache: RandomEqualizerCache):
    """dx = dy: e does not depend on x."""
    check_shapes("random_equalizer_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy.copy()  # (1) was y = x + e
    return dx


# --------------------------------------------------------------------------------- axes stretched


class RandomStretchCache(NamedTuple):
    A: Array | None  # (N, T, T); None: nothing is stretched
    B: Array | None  # (N, F, F)
    y: Form  # (N, T, F)


@primitive
def random_stretch_forward(x, time=0.1, frequency=0.1, rng=None):
    """y_ntf = x_n at frame a_n t and band b_n f, between frames and bands in proportion.

        y = A x B,    A_nts = max(0, 1 - |a_n t - s|),    B_ngf = max(0, 1 - |b_n f - g|)

    a is drawn from 1 - time to 1 + time: who speaks faster has fewer frames. b is drawn from
    1 - frequency to 1 + frequency: whose vocal tract is shorter has all resonances higher. Beyond
    the last frame and band of x there is 0.

    Source: Jaitly and Hinton 2013, "Vocal tract length perturbation (VTLP) improves speech
    recognition"; Ko et al. 2015, "Audio augmentation for speech recognition" (the speed).

    Examples
    --------
    >>> x = np.ones((1, 20, 8))
    >>> y, cache = random_stretch_forward(x, rng=np.random.default_rng(0))
    >>> y.shape
    (1, 20, 8)
    """
    check_shapes("random_stretch_forward", "x: N T F", x)
    for name, amount in (("time", time), ("frequency", frequency)):
        if not 0 <= amount < 1:
            raise ValueError(f"random_stretch_forward: {name} is {amount}, expected in [0, 1)")
    form = Form(x.shape, x.dtype)
    if rng is None:
        return x.copy(), RandomStretchCache(None, None, form)
    _check_rng("random_stretch_forward", rng)
    N, T, F = x.shape
    A = _stretching(rng, x, N, T, time)
    B = _stretching(rng, x, N, F, frequency).transpose((0, 2, 1))
    z = A @ x  # (1)
    y = z @ B  # (2)
    return y, RandomStretchCache(A, B, form)


@primitive
def random_stretch_backward(dy, cache: RandomStretchCache):
    """dx = A' dy B': each x has gone to the few places of y that lie near it."""
    A, B, y = cache
    check_shapes("random_stretch_backward", "y: ..., dy: ...", y, dy)
    if A is None or B is None:
        return dy.copy()
    dz = dy @ B.transpose((0, 2, 1))  # (2) was y = z B
    dx = A.transpose((0, 2, 1)) @ dz  # (1) was z = A x
    return dx


def _stretching(rng, x, N, length, amount):
    """(N, length, length) of x's dtype: a hat around factor times the place, for each sample."""
    xp = get_array_module(x)
    u = xp.asarray(rng.random((N, 1, 1), dtype="float32")).astype(x.dtype)
    factor = 1 + float(amount) * (2 * u - 1)
    places = xp.arange(length).astype(x.dtype)
    return xp.maximum(1 - abs(factor * places[:, None] - places), 0)
