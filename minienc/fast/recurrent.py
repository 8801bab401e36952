"""Recurrent networks on the compiled kernel: a whole sequence in one call.

What a forward here puts into its cache is what the definition puts there, so that the definition's
backward can follow it: only the cells of the steps are made when somebody asks for one, out of the
few large arrays that the kernel keeps for its own backward. Behind the definition's forward, whose
cells are a tuple, the definition's backward runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc import _kernels
from minienc.fast.fused import fused, fused_activations
from minienc.fast.whole import as_lengths
from minienc.functions.activations import CACHE_OF_OUTPUT
from minienc.functions.dense import DenseCache
from minienc.functions.gru import GruCache
from minienc.functions.gru import _Cell as GruCell
from minienc.functions.lstm import LstmCache
from minienc.functions.lstm import _Cell as LstmCell
from minienc.functions.recurrent import RnnCache, steps_that_count
from minienc.primitive import register_fast
from minienc.shapes import Form

_LSTM, _GRU, _RNN = (_kernels.recurrent_codes[kind] for kind in ("lstm", "gru", "rnn"))
_FUSED = fused_activations(_kernels.activation_codes)
_GELU = _kernels.activation_codes["gelu"]
_IDENTITY = CACHE_OF_OUTPUT["identity"]

# ------------------------------------------------------------------------------ the cells of steps


class _Cells(Sequence):
    """The T cells of a sequence, in arrays (T, N, ...) whose rows kernels/cells.h describes."""

    def __init__(self, kept, padded, M, lengths):
        self.kept, self.padded, self.M = kept, padded, M
        self.lengths = lengths  # int64 (N,), or None

    def __len__(self):
        return len(self.kept[1])

    def __getitem__(self, t):
        if isinstance(t, slice):
            return tuple(self[i] for i in range(len(self))[t])
        return self.cell(range(len(self))[t])

    def __repr__(self):
        return repr(tuple(self))

    def before(self, t):
        """The state (N, M) before the step; of a slice of steps, (T, N, M)."""
        return self.kept[0][t, ..., : self.M]

    def slot(self, t, i):
        """What stands in slot i of the step's gates, (N, M)."""
        return self.kept[1][t, :, i * self.padded : i * self.padded + self.M]


class _LstmCells(_Cells):
    def cell(self, t):
        memory = self.kept[2][..., : self.M]
        gates = tuple(self.slot(t, i) for i in range(4))
        return LstmCell(gates, memory[t], np.tanh(memory[t + 1]))


class _GruCells(_Cells):
    def cell(self, t):
        n, z, r, q = (self.slot(t, i) for i in range(4))
        return GruCell((z, r, n), self.before(t), q)


class _RnnCells(_Cells):
    def __init__(self, kept, padded, M, lengths, cache_of):
        super().__init__(kept, padded, M, lengths)
        self.cache_of = cache_of

    def cell(self, t):
        return self.cache_of(self.slot(t, 0))


def _forward(kind, x, W, U, b, v, h0, c0, lengths, code=0, alpha=0.0):
    """(y, h, c, DenseCache of x W + b, kept, padded, own lengths); None where it is not served."""
    own = as_lengths(lengths)
    if lengths is not None and own is None:
        return None
    result = _kernels.recurrent_forward(kind, x, W, U, b, v, h0, c0, own, code, alpha)
    if result is None:
        return None
    z = Form((*x.shape[:2], W.shape[1]), x.dtype)
    of_x = DenseCache(x, W, b is not None, "identity", _IDENTITY(z))
    return *result[:3], of_x, result[3], result[4], own


def _backward(kind, dy, dh, dc, of_x, U, has_v, cells, code=0, alpha=0.0):
    return _kernels.recurrent_backward(
        kind, dy, dh, dc, of_x.W, U, of_x.has_bias, has_v, cells.kept, cells.lengths, code, alpha
    )


# ---------------------------------------------------------------------------------- the functions


@register_fast
def lstm_forward(x, W, U, b=None, h0=None, c0=None, lengths=None):
    result = _forward(_LSTM, x, W, U, b, None, h0, c0, lengths)
    if result is None:
        return NotImplemented
    y, h, c, of_x, kept, padded, own = result
    cells = _LstmCells(kept, padded, len(U), own)
    h_before = cells.before(slice(-1)).swapaxes(0, 1)
    counts = steps_that_count("lstm_forward", x, own)
    has = h0 is not None, c0 is not None
    return (y, h, c), LstmCache(of_x, U, h_before, counts, *has, cells)


@register_fast
def lstm_backward(dy, cache: LstmCache):
    of_x, U, _, _, has_h0, has_c0, cells = cache
    if type(cells) is not _LstmCells:
        return NotImplemented
    result = _backward(_LSTM, *dy, of_x, U, False, cells)
    if result is None:
        return NotImplemented
    *gradients, _, dh0, dc0 = result
    return *gradients, dh0 if has_h0 else None, dc0 if has_c0 else None


@register_fast
def gru_forward(x, W, U, b=None, v=None, h0=None, lengths=None):
    result = _forward(_GRU, x, W, U, b, v, h0, None, lengths)
    if result is None:
        return NotImplemented
    y, h, _, of_x, kept, padded, own = result
    cells = _GruCells(kept, padded, len(U), own)
    counts = steps_that_count("gru_forward", x, own)
    return (y, h), GruCache(of_x, U, v is not None, h0 is not None, counts, cells)


@register_fast
def gru_backward(dy, cache: GruCache):
    of_x, U, has_v, has_h0, _, cells = cache
    if type(cells) is not _GruCells:
        return NotImplemented
    result = _backward(_GRU, *dy, None, of_x, U, has_v, cells)
    if result is None:
        return NotImplemented
    *gradients, dh0, _ = result
    return *gradients, dh0 if has_h0 else None


@register_fast
def rnn_forward(x, W, U, b=None, h0=None, lengths=None, activation="tanh"):
    found = fused(_FUSED, activation)
    if found is None or found[0] == _GELU:  # whose slope needs more than what is shown
        return NotImplemented
    code, alpha, cache_of = found
    result = _forward(_RNN, x, W, U, b, None, h0, None, lengths, code, alpha)
    if result is None:
        return NotImplemented
    y, h, _, of_x, kept, padded, own = result
    steps = _RnnCells(kept, padded, len(U), own, cache_of)
    h_before = steps.before(slice(-1)).swapaxes(0, 1)
    counts = steps_that_count("rnn_forward", x, own)
    return (y, h), RnnCache(of_x, U, h_before, counts, h0 is not None, activation, steps)


@register_fast
def rnn_backward(dy, cache: RnnCache):
    of_x, U, _, _, has_h0, activation, steps = cache
    found = fused(_FUSED, activation)
    if found is None or type(steps) is not _RnnCells:
        return NotImplemented
    result = _backward(_RNN, *dy, None, of_x, U, False, steps, *found[:2])
    if result is None:
        return NotImplemented
    *gradients, _, dh0, _ = result
    return *gradients, dh0 if has_h0 else None
