"""The free energy of a restricted Boltzmann machine: how improbable v is, up to a constant."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import sigmoid
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

UNITS = ("binary", "gaussian")


class FreeEnergyCache(NamedTuple):
    v: Array  # (N, D)
    W: Array  # (D, M)
    b: Array  # (D,)
    a: Array  # (N, M)  what each hidden unit receives
    F: Form  # (N,)
    visible: str
    hidden: str


@primitive
def free_energy_forward(v, W, b, c, visible="binary", hidden="binary"):
    """F(v) = -log sum_h exp(-E(v, h)), so that p(v) = exp(-F(v)) / Z.

    With a = v W + c, and E(v, h) = -v b' - a h' for binary units:

        sum over the hidden units:   sum_j log(1 + exp(a_j)) for binary h, sum_j a_j^2 / 2 for
                                     Gaussian h (whose energy has h_j^2 / 2)
        of the visible ones:         -v b' for binary v, |v - b|^2 / 2 for Gaussian v
        F(v) = the latter - the former

    Parameters
    ----------
    v : array (N, D)
    W : array (D, M)
    b : array (D,)
        Of the visible units.
    c : array (M,)
        Of the hidden units.
    visible, hidden : {"binary", "gaussian"}
        Gaussian units have the variance 1.

    Returns
    -------
    F : array (N,)
    cache : FreeEnergyCache

    Source: Hinton 2012, "A practical guide to training restricted Boltzmann machines", section
    16.1 (binary) and 13 (Gaussian).

    Examples
    --------
    >>> v, W, b, c = np.array([[1.0, 0.0]]), np.zeros((2, 3)), np.zeros(2), np.zeros(3)
    >>> F, cache = free_energy_forward(v, W, b, c)
    >>> np.round(F, 4)  # -3 log 2
    array([-2.0794])
    """
    check_shapes("free_energy_forward", "v: N D, W: D M, b: D, c: M", v, W, b, c)
    for name, units in (("visible", visible), ("hidden", hidden)):
        if units not in UNITS:
            raise ValueError(
                f"free_energy_forward: {name} is {units!r}, expected one of {', '.join(UNITS)}"
            )
    xp = get_array_module(v, W, b, c)
    a = v @ W + c  # (1)
    if hidden == "binary":
        summed = (xp.maximum(a, 0) + xp.log1p(xp.exp(-xp.abs(a)))).sum(axis=1)  # (2)
    else:
        summed = (a * a).sum(axis=1) / 2  # (2)
    if visible == "binary":
        F = -(v @ b) - summed  # (3)
    else:
        F = ((v - b) * (v - b)).sum(axis=1) / 2 - summed  # (3)
    return F, FreeEnergyCache(v, W, b, a, Form(F.shape, F.dtype), visible, hidden)


@primitive
def free_energy_backward(dF, cache: FreeEnergyCache):
    """dW = -sum_n dF_n v_n' h_n,  dc = -sum_n dF_n h_n,  with h_nj = E[h_j | v_n], and

        binary v:    db = -sum_n dF_n v_n          dv_n = -dF_n (b + h_n W')
        Gaussian v:  db = sum_n dF_n (b - v_n)     dv_n = dF_n (v_n - b - h_n W')

    for d log(1 + exp(a)) / da = sigmoid(a) = E[h | v], and d (a^2 / 2) / da = a = E[h | v].
    """
    v, W, b, a, F, visible, hidden = cache
    check_shapes("free_energy_backward", "F: N, dF: N", F, dF)
    h = sigmoid(a) if hidden == "binary" else a
    da = -dF[:, None] * h  # (2) was the sum over h
    dW = v.T @ da  # (1) was a = v W + c
    dc = da.sum(axis=0)  # (1)
    if visible == "binary":
        db = -(dF @ v)  # (3) was -v b' - sum
        dv = -dF[:, None] * b + da @ W.T  # (1, 3) v enters twice
    else:
        apart = dF[:, None] * (v - b)
        db = -apart.sum(axis=0)  # (3) was |v - b|^2 / 2 - sum
        dv = apart + da @ W.T  # (1, 3) v enters twice
    return dv, dW, db, dc
