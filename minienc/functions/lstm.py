"""Long short-term memory: a recurrent network that is asked before it forgets.

    i, f, g, o = s(z_i), s(z_f), tanh(z_g), s(z_o),     z = x W + h U + b,  four gates side by side
    c' = f c + i g                                      what is kept, and what is added
    h' = o tanh(c')                                     what is shown

The memory c goes from step to step by one product with f, no matrix and no slope: a gradient that
comes back over many steps is multiplied by the forget gates alone, and stays.

``lstm_step`` is one step, ``lstm`` a sequence; ``recurrent.py`` says what the two have to do with
each other and how lengths are meant. The gates stand in Keras's order, i f g o.

Sources: Hochreiter and Schmidhuber 1997, "Long short-term memory"; Gers, Schmidhuber and Cummins
2000, "Learning to forget" (the forget gate).
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import sigmoid
from minienc.functions.dense import DenseCache, dense_backward, dense_forward
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

    gates: tuple[Array, Array, Array, Array]  # i, f, g, o (N, M) each
    c: Array  # (N, M)  before
    t: Array  # (N, M)  tanh of c after


def _lstm_cell(z, c):
    """((h', c'), what the backward needs) of the four gates' z (N, 4 M) and the memory c (N, M)."""
    M = c.shape[1]
    i, f = sigmoid(z[:, :M]), sigmoid(z[:, M : 2 * M])  # (1)
    g = get_array_module(z).tanh(z[:, 2 * M : 3 * M])  # (2)
    o = sigmoid(z[:, 3 * M :])  # (3)
    c_new = f * c + i * g  # (4)
    t = get_array_module(z).tanh(c_new)  # (5)
    h = o * t  # (6)
    return (h, c_new), _Cell((i, f, g, o), c, t)


def _lstm_cell_backward(dh, dc_new, cell):
    """(dz (N, 4 M), dc (N, M)): by s' = s (1 - s), tanh' = 1 - tanh^2."""
    (i, f, g, o), c, t = cell
    do = dh * t  # (6) was h = o t
    dt = dh * o  # (6)
    dc_new = dc_new + dt * (1 - t * t)  # (5) was t = tanh(c_new)
    di, df, dg, dc = dc_new * g, dc_new * c, dc_new * i, dc_new * f  # (4) was c_new = f c + i g
    parts = di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)  # (1) to (3)
    return get_array_module(dh).concatenate(parts, axis=1), dc


# --------------------------------------------------------------------------------------- one step


class LstmStepCache(NamedTuple):
    of_x: DenseCache  # x (N, D), W (D, 4 M)
    of_h: DenseCache  # h (N, M), U (M, 4 M)
    cell: _Cell


@primitive
def lstm_step_forward(x, h, c, W, U, b=None):
    """(h, c) after one step.

    Parameters
    ----------
    x : array (N, D)
    h, c : array (N, M)
        Output and memory before.
    W : array (D, 4 M)
        The gates i, f, g, o side by side.
    U : array (M, 4 M)
    b : array (4 M,) or None

    Returns
    -------
    (h, c) : two arrays (N, M), of x's dtype
    cache : LstmStepCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit.

    Examples
    --------
    >>> x, h, c = np.ones((1, 2)), np.zeros((1, 3)), np.ones((1, 3))
    >>> (h, c), cache = lstm_step_forward(x, h, c, np.zeros((2, 12)), np.zeros((3, 12)))
    >>> c  # every gate is half open
    array([[0.5, 0.5, 0.5]])
    """
    spec = "x: N D, h: N M, c: N M, W: D G, U: M G, b: G"
    check_gates("lstm_step_forward", 4, spec, x, h, c, W, U, b)
    zx, of_x = dense_forward(x, W, b)  # (1)
    zh, of_h = dense_forward(h, U)  # (2)
    y, cell = _lstm_cell(zx + zh, c)  # (3)
    return y, LstmStepCache(of_x, of_h, cell)


@primitive
def lstm_step_backward(dy, cache: LstmStepCache):
    """Both products see the same dz, for z is their sum; c's own way back is the product with f.

    Parameters
    ----------
    dy : two arrays (N, M)
        Of h and of c after the step.
    cache : LstmStepCache

    Returns
    -------
    dx (N, D), dh (N, M), dc (N, M), dW (D, 4 M), dU (M, 4 M), db (4 M,)
        db is None where there was no b.
    """
    of_x, of_h, cell = cache
    dh, dc = dy
    dz, dc = _lstm_cell_backward(dh, dc, cell)  # (3) was y = the cell of zx + zh and c
    dh, dU, _ = dense_backward(dz, of_h)  # (2) was zh = h U
    dx, dW, db = dense_backward(dz, of_x)  # (1) was zx = x W + b
    return dx, dh, dc, dW, dU, db


# ---------------------------------------------------------------------------------- the sequence


class LstmCache(NamedTuple):
    of_x: DenseCache  # x (N, T, D), W (D, 4 M)
    U: Array  # (M, 4 M)
    h_before: Array  # (N, T, M)  the output that each step began with
    counts: tuple[Array | None, ...]  # T times (N, 1): for whom the step counts; None: for all
    has_h0: bool
    has_c0: bool
    cells: tuple[_Cell, ...]  # T of them


@primitive(constants=("lengths",))
def lstm_forward(x, W, U, b=None, h0=None, c0=None, lengths=None):
    """(h_t, c_t) = the cell of x_t W + h_(t-1) U + b and c_(t-1), for all steps.

    Parameters
    ----------
    x : array (N, T, D)
    W : array (D, 4 M)
        The gates i, f, g, o side by side.
    U : array (M, 4 M)
    b : array (4 M,) or None
    h0, c0 : array (N, M) or None
        Output and memory before the first step; None is 0.
    lengths : array (N,) of integers, 0 to T, or None
        How many steps of each sequence count; None is all. Not differentiated.

    Returns
    -------
    (y, h, c) : array (N, T, M), two arrays (N, M)
        The output at every step, 0 where none counts; the last output and the last memory.
    cache : LstmCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or lengths out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, W, U = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 16)), rng.normal(size=(4, 16))
    >>> (y, h, c), cache = lstm_forward(x, W, U)
    >>> y.shape, bool((y[:, -1] == h).all())
    ((2, 5, 4), True)
    """
    name, spec = "lstm_forward", "x: N T D, W: D G, U: M G, b: G, h0: N M, c0: N M"
    check_gates(name, 4, f"{spec}, lengths: N int <= T", x, W, U, b, h0, c0, lengths)
    counts = steps_that_count(name, x, lengths)
    z, of_x = dense_forward(x, W, b)  # (1)
    h, c = first_state(x, U, h0), first_state(x, U, c0)
    ys, before, cells = [], [], []
    for t, count in enumerate(counts):
        before.append(h)
        (h_new, c_new), cell = _lstm_cell(z[:, t] + h @ U, c)  # (2)
        ys.append(shown(count, h_new))  # (3)
        h, c = hold(count, h_new, h), hold(count, c_new, c)  # (4)
        cells.append(cell)
    xp = get_array_module(x)
    y, h_before = xp.stack(ys, axis=1), xp.stack(before, axis=1)
    cache = LstmCache(of_x, U, h_before, counts, h0 is not None, c0 is not None, tuple(cells))
    return (y, h + 0, c + 0), cache  # + 0: arrays of their own


@primitive
def lstm_backward(dy, cache: LstmCache):
    """From the last step to the first, as ``rnn_backward``; what c is owed goes along.

    Inside the loop stand the gates and dz_t U', which gives dh_(t-1); behind it one product each:
    dx = dz W', dW = x' dz, dU = sum_t h_(t-1)' dz_t.

    Parameters
    ----------
    dy : (array (N, T, M), array (N, M), array (N, M))
        Of y, of the last output, of the last memory.
    cache : LstmCache

    Returns
    -------
    dx (N, T, D), dW (D, 4 M), dU (M, 4 M), db (4 M,), dh0 (N, M), dc0 (N, M)
        None where there was no b, no h0, or no c0.
    """
    of_x, U, h_before, counts, has_h0, has_c0, cells = cache
    dy, dh, dc = dy
    spec = "h_before: N T M, dy: N T M, dh: N M, dc: N M"
    check_shapes("lstm_backward", spec, h_before, dy, dh, dc)
    from_last = []
    for t, count in reversed(list(enumerate(counts))):
        dc_new, dc = hold_gradient(count, dc)  # (4) was h, c = h_new, c_new where it counts
        dh_new, dh = hold_gradient(count, dh)  # (4)
        dh_new = dh_new + shown(count, dy[:, t])  # (3) was y = h_new where the step counts
        # (2) was h_new, c_new = the cell of z + h U and c
        dz, past = _lstm_cell_backward(dh_new, dc_new, cells[t])
        dh, dc = dh + dz @ U.T, dc + past  # (2)
        from_last.append(dz)
    dz = get_array_module(dy).stack(from_last[::-1], axis=1)
    dx, dW, db = dense_backward(dz, of_x)  # (1) was z = x W + b
    dU = through_time(h_before, dz)  # (2)
    return dx, dW, dU, db, dh + 0 if has_h0 else None, dc + 0 if has_c0 else None


def check_gates(name, n, spec, *arrays):
    """Shapes as in ``spec``, whose G must be n times M."""
    check_shapes(name, spec, *arrays)
    names = [part.partition(":")[0].strip() for part in spec.split(",")]
    U = arrays[names.index("U")]
    if U.shape[1] != n * U.shape[0]:
        raise ValueError(
            f"{name}: U is {tuple(U.shape)}, expected (M, {n} M): {n} gates side by side"
        )
