"""Multi-head attention: several attentions side by side, each in features of its own.

    q = x W_q + b_q,  k = c W_k + b_k,  v = c W_v + b_v       x asks, the context c answers
    head h:  a_h = attention(q_h, k_h, v_h)                   of the h-th part of the features
    y = [a_1 ... a_H] W_o + b_o

In self-attention the context is x itself, and x's gradient is the sum of both. With ``qk_norm``,
each query and key is made as long as any other (``rms_normalization.py``), so that none can make
the softmax a hard choice by its length; with ``rotary``, they are turned by their places
(``positions.py``) before they meet.

Sources: Vaswani et al. 2017, "Attention is all you need", section 3.2.2; Henry et al. 2020,
"Query-key normalization for Transformers" (with an RMS norm in the place of theirs).
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import get_array_module
from minienc.functions.attention import AttentionCache, attention_backward, attention_forward
from minienc.functions.dense import DenseCache, dense_backward, dense_forward
from minienc.functions.positions import RotaryCache, rotary_backward, rotary_forward
from minienc.functions.rms_normalization import (
    RmsNormalizationCache,
    rms_normalization_backward,
    rms_normalization_forward,
)
from minienc.primitive import primitive
from minienc.shapes import check_shapes, is_whole


class MultiHeadAttentionCache(NamedTuple):
    q: DenseCache  # x (N, T, D), W_q (D, H K)
    k: DenseCache  # context (N, S, C), W_k (C, H K)
    v: DenseCache  # context (N, S, C), W_v (C, H V)
    normed: tuple[RmsNormalizationCache, RmsNormalizationCache] | None  # of q and of k
    turned: tuple[RotaryCache, RotaryCache] | None  # of q and of k
    attention: AttentionCache  # its p (N, H, T, S) are what pictures of attention show
    o: DenseCache  # a (N, T, H V), W_o (H V, M)
    num_heads: int
    is_self: bool  # the context is x


@primitive(constants=("lengths", "mask"))
def multi_head_attention_forward(
    x,
    context,
    Wq,
    Wk,
    Wv,
    Wo,
    bq=None,
    bk=None,
    bv=None,
    bo=None,
    num_heads=1,
    lengths=None,
    mask=None,
    causal=False,
    rotary=False,
    qk_norm=False,
):
    """y = [attention of each head] W_o + b_o.

    Parameters
    ----------
    x : array (N, T, D)
        Who asks.
    context : array (N, S, C), or None
        Who answers; None is x.
    Wq, Wk : array (D, H K), array (C, H K)
    Wv : array (C, H V)
    Wo : array (H V, M)
    bq, bk, bv, bo : arrays, or None
    num_heads : int
        H.
    lengths : array (N,) of integers, 0 to S, or None
        How many steps of each context count.
    mask : array of booleans that broadcasts with (N, H, T, S), or None
    causal : bool
    rotary : bool
    qk_norm : bool

    Returns
    -------
    y : array (N, T, M), of x's dtype
    cache : MultiHeadAttentionCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, or features that the heads cannot share.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, (Wq, Wk, Wv, Wo) = rng.normal(size=(1, 3, 4)), rng.normal(size=(4, 4, 4))
    >>> y, cache = multi_head_attention_forward(x, x, Wq, Wk, Wv, Wo, num_heads=2, causal=True)
    >>> y.shape
    (1, 3, 4)
    """
    name = "multi_head_attention_forward"
    spec = "x: N T D, context: N S C, Wq: D Q, Wk: C Q, Wv: C V, Wo: V M"
    spec += ", bq: Q, bk: Q, bv: V, bo: M"
    c = x if context is None else context
    check_shapes(name, spec, x, c, Wq, Wk, Wv, Wo, bq, bk, bv, bo)
    for what, W in (("Wq", Wq), ("Wv", Wv)):
        if not is_whole(num_heads, 1) or W.shape[1] % num_heads:
            raise ValueError(
                f"{name}: {what} makes {W.shape[1]} features, which {num_heads} heads cannot share"
            )
    q, of_q = dense_forward(x, Wq, bq)  # (1)
    k, of_k = dense_forward(c, Wk, bk)  # (2)
    v, of_v = dense_forward(c, Wv, bv)  # (3)
    q, k, v = (_by_heads(a, num_heads) for a in (q, k, v))  # (4)
    normed = turned = None
    if qk_norm:
        q, normed_q = rms_normalization_forward(q)  # (5)
        k, normed_k = rms_normalization_forward(k)  # (6)
        normed = normed_q, normed_k
    if rotary:
        S, T = k.shape[2], q.shape[2]
        q, turned_q = rotary_forward(q, start=max(S - T, 0))  # (7)
        k, turned_k = rotary_forward(k)  # (8)
        turned = turned_q, turned_k
    a, of_a = attention_forward(q, k, v, lengths, mask, causal)  # (9)
    y, of_o = dense_forward(_side_by_side(a), Wo, bo)  # (10)
    cache = MultiHeadAttentionCache(
        of_q, of_k, of_v, normed, turned, of_a, of_o, num_heads, context is None
    )
    return y, cache


@primitive
def multi_head_attention_backward(dy, cache: MultiHeadAttentionCache):
    """Each line undone by its own backward; what stood in two places receives the sum.

    Parameters
    ----------
    dy : array (N, T, M)
    cache : MultiHeadAttentionCache

    Returns
    -------
    dx (N, T, D), dcontext (N, S, C), dWq, dWk, dWv, dWo, dbq, dbk, dbv, dbo
        None where there was no context, or no bias.
    """
    of_q, of_k, of_v, normed, turned, of_a, of_o, num_heads, is_self = cache
    da, dWo, dbo = dense_backward(dy, of_o)  # (10) was y = a W_o + b_o
    da = _by_heads(da, num_heads)
    dq, dk, dv = attention_backward(da, of_a)  # (9) was a = attention(q, k, v)
    if turned is not None:
        dk = rotary_backward(dk, turned[1])  # (8) was k, turned
        dq = rotary_backward(dq, turned[0])  # (7) was q, turned
    if normed is not None:
        dk, _ = rms_normalization_backward(dk, normed[1])  # (6) was k, of one length
        dq, _ = rms_normalization_backward(dq, normed[0])  # (5) was q, of one length
    dq, dk, dv = _side_by_side(dq), _side_by_side(dk), _side_by_side(dv)  # (4) was q, k, v by heads
    dcontext, dWv, dbv = dense_backward(dv, of_v)  # (3) was v = c W_v + b_v
    through_k, dWk, dbk = dense_backward(dk, of_k)  # (2) was k = c W_k + b_k
    dx, dWq, dbq = dense_backward(dq, of_q)  # (1) was q = x W_q + b_q
    dcontext = dcontext + through_k  # (2, 3) the context is in both
    if is_self:
        dx, dcontext = dx + dcontext, None
    return dx, dcontext, dWq, dWk, dWv, dWo, dbq, dbk, dbv, dbo


def multi_head_attention_next(
    x,
    kept,
    Wq,
    Wk,
    Wv,
    Wo,
    bq=None,
    bk=None,
    bv=None,
    bo=None,
    num_heads=1,
    rotary=False,
    qk_norm=False,
):
    """What ``causal`` self-attention makes of the next steps x (N, T, D) of sequences whose first S
    steps have left their keys and values: nothing of those is computed again.

    Parameters
    ----------
    kept : (k, v), arrays (N, H, S, K) and (N, H, S, V), or None at the beginning

    Returns
    -------
    y : array (N, T, M)
    kept : (k, v) of S + T steps
    """
    xp = get_array_module(x)
    q, k, v = (
        _by_heads(dense_forward(x, W, b)[0], num_heads) for W, b in ((Wq, bq), (Wk, bk), (Wv, bv))
    )
    if qk_norm:
        q, k = rms_normalization_forward(q)[0], rms_normalization_forward(k)[0]
    if rotary:
        S = 0 if kept is None else kept[0].shape[2]
        q, k = rotary_forward(q, start=S)[0], rotary_forward(k, start=S)[0]
    if kept is not None:
        k, v = xp.concatenate([kept[0], k], axis=2), xp.concatenate([kept[1], v], axis=2)
    a, _ = attention_forward(q, k, v, causal=True)
    y, _ = dense_forward(_side_by_side(a), Wo, bo)
    return y, (k, v)


def _by_heads(a, num_heads):
    """(N, T, H K) as (N, H, T, K)."""
    N, T, D = a.shape
    return a.reshape((N, T, num_heads, D // num_heads)).swapaxes(1, 2)


def _side_by_side(a):
    """(N, H, T, K) as (N, T, H K)."""
    N, H, T, K = a.shape
    return a.swapaxes(1, 2).reshape((N, T, H * K))
