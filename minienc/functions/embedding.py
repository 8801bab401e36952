"""Embedding: a row of a table for each integer, so that words become numbers.

    y_n = W_(id_n)

It is a dense layer without its product: x W with rows x that are 1 at the id and 0 elsewhere.

Source: Bengio et al. 2003, "A neural probabilistic language model", section 2 (its matrix C).
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes


class EmbeddingCache(NamedTuple):
    ids: Array  # (...,) integers
    W: Form  # (V, D)


@primitive(constants=("ids",))
def embedding_forward(ids, W):
    """y = W[ids]: each integer is replaced by its row.

    Parameters
    ----------
    ids : array (...,) of integers, 0 to V - 1
        Not differentiated.
    W : array (V, D)

    Returns
    -------
    y : array (..., D), of W's dtype
    cache : EmbeddingCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or an id that the table has no row for (the first
        such is named).

    Examples
    --------
    >>> y, cache = embedding_forward(np.array([2, 0, 2]), np.array([[0.0], [1.0], [2.0]]))
    >>> y.ravel()
    array([2., 0., 2.])
    >>> embedding_backward(np.ones_like(y), cache).ravel()  # row 2 was looked up twice
    array([1., 0., 2.])
    """
    check_shapes("embedding_forward", "W: V D, ids: ... int < V", W, ids)
    y = W[ids]  # (1)
    return y, EmbeddingCache(ids, Form(W.shape, W.dtype))


@primitive
def embedding_backward(dy, cache: EmbeddingCache):
    """dW_v = the sum of dy_n over all n with id_n = v; rows of ids that did not occur are 0.

    A row that was copied to several places receives the sum of what comes back from them.

    Parameters
    ----------
    dy : array (..., D)
    cache : EmbeddingCache

    Returns
    -------
    dW : array (V, D)
    """
    ids, W = cache
    check_shapes("embedding_backward", "ids: ... int, W: V D, dy: ... D", ids, W, dy)
    xp = get_array_module(dy)
    dW = _add_rows(xp, xp.zeros(W.shape, dtype=dy.dtype), ids, dy)  # (1) was y = W[ids]
    return dW


def _add_rows(xp, total, ids, rows):
    """``total`` with each row added at its id, an id that occurs twice twice.

    ``total[ids] += rows`` would add but one of them.
    """
    if hasattr(total, "at"):  # JAX, whose arrays cannot be written to
        return total.at[ids].add(rows)
    xp.add.at(total, ids, rows)
    return total
