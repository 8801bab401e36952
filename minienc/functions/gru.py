"""Gated recurrent unit: two gates, and no memory beside what is shown.

    z, r = s(x W_z + b_z + h U_z + v_z), s(x W_r + b_r + h U_r + v_r)     update and reset
    n = tanh(x W_n + b_n + r (h U_n + v_n))                               the new proposal
    h' = z h + (1 - z) n                                                  how much of the old stays

The reset comes after the product, as in cuDNN, PyTorch, and Keras's ``reset_after=True``: then h U
is one product for all three, and its bias v is not b's equal. The gates stand in Keras's order,
z r n.

``gru_step`` is one step, ``gru`` a sequence; ``recurrent.py`` says what the two have to do with
each other and how lengths are meant.

Sources: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical
machine translation", section 2.3; the reset after the product: Ravanelli et al. 2018, "Light gated
recurrent units for speech recognition", and cuDNN.
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import sigmoid
from minienc.functions.dense import DenseCache, dense_backward, dense_forward
from minienc.functions.lstm import check_gates
from minienc.functions.recurrent import (
    first_state,
    hold,
    hold_gradient,
    shown,
    steps_that_count,
    through_time,
)
from minienc.primitive import primitive
from minienc.shapes import check_shapes

# --------------------------------------------------------------------------------------- the cell


class _Cell(NamedTuple):
    """What one step's gates knew."""

    gates: tuple[Array, Array, Array]  # z, r, n (N, M) each
    h: Array  # (N, M)  before
    q: Array  # (N, M)  h U_n + v_n


def _gru_cell(a, p, h):
    """(h', what the backward needs) of a = x W + b and p = h U + v (N, 3 M), and h (N, M)."""
    M = h.shape[1]
    z, r = sigmoid(a[:, :M] + p[:, :M]), sigmoid(a[:, M : 2 * M] + p[:, M : 2 * M])  # (1)
    q = p[:, 2 * M :]
    n = get_array_module(a).tanh(a[:, 2 * M :] + r * q)  # (2)
    y = z * h + (1 - z) * n  # (3)
    return y, _Cell((z, r, n), h, q)


def _gru_cell_backward(dy, cell):
    """(da (N, 3 M), dp (N, 3 M), dh (N, M)): they differ in the third part, where the reset is."""
    (z, r, n), h, q = cell
    dz, dn, dh = dy * (h - n), dy * (1 - z), dy * z  # (3) was y = z h + (1 - z) n
    du = dn * (1 - n * n)  # (2) was n = tanh(u), u = a + r q
    dr, dq = du * q, du * r  # (2)
    both = dz * z * (1 - z), dr * r * (1 - r)  # (1) was z, r = s(a + p)
    xp = get_array_module(dy)
    return xp.concatenate((*both, du), axis=1), xp.concatenate((*both, dq), axis=1), dh


# --------------------------------------------------------------------------------------- one step


class GruStepCache(NamedTuple):
    of_x: DenseCache  # x (N, D), W (D, 3 M)
    of_h: DenseCache  # h (N, M), U (M, 3 M)
    cell: _Cell


@primitive
def gru_step_forward(x, h, W, U, b=None, v=None):
    """The state after one step.

    Parameters
    ----------
    x : array (N, D)
    h : array (N, M)
        The state before.
    W : array (D, 3 M)
        The gates z, r, n side by side.
    U : array (M, 3 M)
    b, v : array (3 M,) or None
        Of x W and of h U.

    Returns
    -------
    y : array (N, M), of x's dtype
    cache : GruStepCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit.

    Examples
    --------
    >>> x, h, W, U = np.ones((1, 2)), np.zeros((1, 3)), np.zeros((2, 9)), np.zeros((3, 9))
    >>> h_next, cache = gru_step_forward(x, h, W, U)
    >>> h_next
    array([[0., 0., 0.]])
    """
    spec = "x: N D, h: N M, W: D G, U: M G, b: G, v: G"
    check_gates("gru_step_forward", 3, spec, x, h, W, U, b, v)
    a, of_x = dense_forward(x, W, b)  # (1)
    p, of_h = dense_forward(h, U, v)  # (2)
    y, cell = _gru_cell(a, p, h)  # (3)
    return y, GruStepCache(of_x, of_h, cell)


@primitive
def gru_step_backward(dy, cache: GruStepCache):
    """h has two ways to y: through the product with U, and past it, as much as z lets through.

    Parameters
    ----------
    dy : array (N, M)
    cache : GruStepCache

    Returns
    -------
    dx (N, D), dh (N, M), dW (D, 3 M), dU (M, 3 M), db (3 M,), dv (3 M,)
        None where there was no b, or no v.
    """
    of_x, of_h, cell = cache
    da, dp, dh = _gru_cell_backward(dy, cell)  # (3) was y = the cell of a, p and h
    through_U, dU, dv = dense_backward(dp, of_h)  # (2) was p = h U + v
    dx, dW, db = dense_backward(da, of_x)  # (1) was a = x W + b
    return dx, dh + through_U, dW, dU, db, dv


# ---------------------------------------------------------------------------------- the sequence


class GruCache(NamedTuple):
    of_x: DenseCache  # x (N, T, D), W (D, 3 M)
    U: Array  # (M, 3 M)
    has_v: bool
    has_h0: bool
    counts: tuple[Array | None, ...]  # T times (N, 1): for whom the step counts; None: for all
    cells: tuple[_Cell, ...]  # T of them


@primitive(constants=("lengths",))
def gru_forward(x, W, U, b=None, v=None, h0=None, lengths=None):
    """h_t = the cell of x_t W + b, h_(t-1) U + v and h_(t-1), for all steps.

    Parameters
    ----------
    x : array (N, T, D)
    W : array (D, 3 M)
        The gates z, r, n side by side.
    U : array (M, 3 M)
    b, v : array (3 M,) or None
        Of x W and of h U.
    h0 : array (N, M) or None
        The state before the first step; None is 0.
    lengths : array (N,) of integers, 0 to T, or None
        How many steps of each sequence count; None is all. Not differentiated.

    Returns
    -------
    (y, h) : array (N, T, M), array (N, M)
        The state after every step, 0 where none counts; and the last state.
    cache : GruCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or lengths out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, W, U = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 12)), rng.normal(size=(4, 12))
    >>> (y, h), cache = gru_forward(x, W, U)
    >>> y.shape, bool((y[:, -1] == h).all())
    ((2, 5, 4), True)
    """
    name, spec = "gru_forward", "x: N T D, W: D G, U: M G, b: G, v: G, h0: N M"
    check_gates(name, 3, f"{spec}, lengths: N int <= T", x, W, U, b, v, h0, lengths)
    counts = steps_that_count(name, x, lengths)
    a, of_x = dense_forward(x, W, b)  # (1)
    h = first_state(x, U, h0)
    ys, cells = [], []
    for t, count in enumerate(counts):
        p = h @ U if v is None else h @ U + v  # (2)
        h_new, cell = _gru_cell(a[:, t], p, h)  # (3)
        ys.append(shown(count, h_new))  # (4)
        h = hold(count, h_new, h)  # (5)
        cells.append(cell)
    y = get_array_module(x).stack(ys, axis=1)
    return (y, h + 0), GruCache(of_x, U, v is not None, h0 is not None, counts, tuple(cells))


@primitive
def gru_backward(dy, cache: GruCache):
    """From the last step to the first, as ``rnn_backward``; dW and dU are one product each.

    Parameters
    ----------
    dy : (array (N, T, M), array (N, M))
        Of y, and of the last state.
    cache : GruCache

    Returns
    -------
    dx (N, T, D), dW (D, 3 M), dU (M, 3 M), db (3 M,), dv (3 M,), dh0 (N, M)
        None where there was no b, no v, or no h0.
    """
    of_x, U, has_v, has_h0, counts, cells = cache
    dy, dh = dy
    xp, of_a, of_p = get_array_module(dy), [], []
    check_shapes("gru_backward", "dy: N T M, dh: N M, U: M G", dy, dh, U)
    for t, count in reversed(list(enumerate(counts))):
        dh_new, dh = hold_gradient(count, dh)  # (5) was h = h_new where the step counts
        dh_new = dh_new + shown(count, dy[:, t])  # (4) was y = h_new where the step counts
        da, dp, past = _gru_cell_backward(dh_new, cells[t])  # (3) was the cell of a, p and h
        dh = dh + past + dp @ U.T  # (2) was p = h U + v
        of_a.append(da)
        of_p.append(dp)
    da, dp = xp.stack(of_a[::-1], axis=1), xp.stack(of_p[::-1], axis=1)
    dx, dW, db = dense_backward(da, of_x)  # (1) was a = x W + b
    dU = through_time(xp.stack([cell.h for cell in cells], axis=1), dp)  # (2)
    dv = dp.sum(axis=(0, 1)) if has_v else None  # (2)
    return dx, dW, dU, db, dv, dh + 0 if has_h0 else None
