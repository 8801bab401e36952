"""The simple recurrent network: one dense layer, used at every step, that hears its own last word.

    h_t = f(x_t W + h_(t-1) U + b)

``rnn_step`` is one step; ``rnn`` is a sequence, where x W is one product for all steps and so are
dW and dU: what must wait for the step before is h U alone. The backward walks the steps from the
last to the first, and what h_t is owed by step t + 1 arrives with what y_t is owed: that is
backpropagation through time.

**Lengths.** Of sequences that were padded to a common T, the states stop at their ends: h stays
what it was at the last step that counts, y is 0 behind it, and no gradient comes from there. So
nothing that is put behind a sequence changes anything.

Sources: Elman 1990, "Finding structure in time"; Werbos 1990, "Backpropagation through time: what
it does and how to do it".
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.functions.activations import get_activation
from minienc.functions.dense import DenseCache, dense_backward, dense_forward
from minienc.primitive import primitive
from minienc.shapes import check_shapes

# --------------------------------------------------------------------------------------- one step


class RnnStepCache(NamedTuple):
    of_x: DenseCache  # x (N, D), W (D, M)
    of_h: DenseCache  # h (N, M), U (M, M)
    activation: str
    f: NamedTuple  # the activation's own cache: y (N, M) for most


@primitive
def rnn_step_forward(x, h, W, U, b=None, activation="tanh"):
    """y = f(x W + h U + b), the state after this step.

    Parameters
    ----------
    x : array (N, D)
    h : array (N, M)
        The state before.
    W : array (D, M)
    U : array (M, M)
    b : array (M,) or None
    activation : str
        A name of ``activations.ACTIVATIONS``.

    Returns
    -------
    y : array (N, M), of x's dtype
    cache : RnnStepCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or an unknown activation.

    Examples
    --------
    >>> x, h, W, U = np.ones((1, 2)), np.zeros((1, 1)), np.ones((2, 1)), np.ones((1, 1))
    >>> h_next, cache = rnn_step_forward(x, h, W, U, activation="identity")
    >>> h_next
    array([[2.]])
    """
    check_shapes("rnn_step_forward", "x: N D, h: N M, W: D M, U: M M, b: M", x, h, W, U, b)
    zx, of_x = dense_forward(x, W, b)  # (1)
    zh, of_h = dense_forward(h, U)  # (2)
    y, f = get_activation(activation)(zx + zh)  # (3)
    return y, RnnStepCache(of_x, of_h, activation, f)


@primitive
def rnn_step_backward(dy, cache: RnnStepCache):
    """Both products see the same dz = f'(z) dy, for z is their sum.

    Returns
    -------
    dx (N, D), dh (N, M), dW (D, M), dU (M, M), db (M,)
        db is None where there was no b.
    """
    of_x, of_h, activation, f = cache
    dz = get_activation(activation).backward(dy, f)  # (3) was y = f(zx + zh)
    dh, dU, _ = dense_backward(dz, of_h)  # (2) was zh = h U
    dx, dW, db = dense_backward(dz, of_x)  # (1) was zx = x W + b
    return dx, dh, dW, dU, db


# ---------------------------------------------------------------------------------- the sequence


class RnnCache(NamedTuple):
    of_x: DenseCache  # x (N, T, D), W (D, M)
    U: Array  # (M, M)
    h_before: Array  # (N, T, M)  the state that each step began with
    counts: tuple[Array | None, ...]  # T times (N, 1): for whom the step counts; None: for all
    has_h0: bool
    activation: str
    steps: tuple[NamedTuple, ...]  # T caches of the activation


@primitive(constants=("lengths",))
def rnn_forward(x, W, U, b=None, h0=None, lengths=None, activation="tanh"):
    """h_t = f(x_t W + h_(t-1) U + b), for all steps.

    Parameters
    ----------
    x : array (N, T, D)
    W : array (D, M)
    U : array (M, M)
    b : array (M,) or None
    h0 : array (N, M) or None
        The state before the first step; None is 0.
    lengths : array (N,) of integers, 0 to T, or None
        How many steps of each sequence count; None is all. Not differentiated.
    activation : str

    Returns
    -------
    (y, h) : array (N, T, M), array (N, M)
        The state after every step, 0 where none counts; and the last state.
    cache : RnnCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, lengths out of range, or an unknown activation.

    Examples
    --------
    >>> x, W, U = np.ones((1, 3, 1)), np.ones((1, 1)), np.ones((1, 1))
    >>> (y, h), cache = rnn_forward(x, W, U, activation="identity")
    >>> y.ravel()  # it counts
    array([1., 2., 3.])
    """
    name, spec = "rnn_forward", "x: N T D, W: D M, U: M M, b: M, h0: N M, lengths: N int <= T"
    check_shapes(name, spec, x, W, U, b, h0, lengths)
    f_forward, counts = get_activation(activation), steps_that_count(name, x, lengths)
    z, of_x = dense_forward(x, W, b)  # (1)
    h = first_state(x, U, h0)
    ys, before, steps = [], [], []
    for t, count in enumerate(counts):
        before.append(h)
        h_new, f = f_forward(z[:, t] + h @ U)  # (2)
        ys.append(shown(count, h_new))  # (3)
        h = hold(count, h_new, h)  # (4)
        steps.append(f)
    xp = get_array_module(x)
    y, h_before = xp.stack(ys, axis=1), xp.stack(before, axis=1)
    cache = RnnCache(of_x, U, h_before, counts, h0 is not None, activation, tuple(steps))
    return (y, h + 0), cache  # + 0: an array of its own


@primitive
def rnn_backward(dy, cache: RnnCache):
    """From the last step to the first: what h_t is owed is dy_t, and what step t + 1 owes it.

    With dz_t = f'(z_t) (dy_t + dh_t) at a step that counts:

        dh_(t-1) = dz_t U'              the only product that must wait for the next step
        dU = sum_t h_(t-1)' dz_t        one product for all steps, as are dx = dz W', dW = x' dz

    Parameters
    ----------
    dy : (array (N, T, M), array (N, M))
        Of y, and of the last state.
    cache : RnnCache

    Returns
    -------
    dx (N, T, D), dW (D, M), dU (M, M), db (M,), dh0 (N, M)
        None where there was no b, or no h0.
    """
    of_x, U, h_before, counts, has_h0, activation, steps = cache
    dy, dh = dy
    check_shapes("rnn_backward", "h_before: N T M, dy: N T M, dh: N M", h_before, dy, dh)
    f_backward, from_last = get_activation(activation).backward, []
    for t, count in reversed(list(enumerate(counts))):
        dh_new, dh = hold_gradient(count, dh)  # (4) was h = h_new where the step counts
        dh_new = dh_new + shown(count, dy[:, t])  # (3) was y = h_new where the step counts
        dz = f_backward(dh_new, steps[t])  # (2) was h_new = f(z + h U)
        dh = dh + dz @ U.T  # (2)
        from_last.append(dz)
    dz = get_array_module(dy).stack(from_last[::-1], axis=1)
    dx, dW, db = dense_backward(dz, of_x)  # (1) was z = x W + b
    dU = through_time(h_before, dz)  # (2)
    return dx, dW, dU, db, dh + 0 if has_h0 else None


# ------------------------------------------------------------- what all recurrent networks share


def steps_that_count(name, x, lengths):
    """For each of the T steps, which sequences it counts for: (N, 1) booleans; None if for all."""
    n, T, _ = x.shape
    if T == 0:
        raise ValueError(f"{name}: x is {tuple(x.shape)}, expected sequences of at least one step")
    if lengths is None:
        return (None,) * T
    counts = get_array_module(x, lengths).arange(T) < lengths.reshape((n, 1))
    return tuple(counts[:, t : t + 1] for t in range(T))


def first_state(x, U, h0):
    """The state before the first step: h0 (N, M), or 0."""
    if h0 is not None:
        return h0
    return get_array_module(x).zeros((x.shape[0], U.shape[0]), dtype=x.dtype)


def hold(count, new, old):
    """The state after a step: the new one where the step counts, elsewhere the old one."""
    return new if count is None else get_array_module(new).where(count, new, old)


def hold_gradient(count, dstate):
    """(dnew, dold): whoever was taken receives the gradient."""
    return (dstate, 0) if count is None else (dstate * count, dstate * ~count)


def shown(count, new):
    """y of a step: the new state, 0 where the step does not count."""
    return new if count is None else new * count


def through_time(h_before, dz):
    """dU = sum over samples and steps of h' dz: one product."""
    M, G = h_before.shape[-1], dz.shape[-1]
    return h_before.reshape((-1, M)).T @ dz.reshape((-1, G))
