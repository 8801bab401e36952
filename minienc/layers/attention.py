"""``Attention``, ``MultiHeadAttention``; ``TransformerBlock``, a way to put one into a graph."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minienc.arrays import Arrays, Cache, DTypeLike, Rng
from minienc.functions.attention import attention_forward, attention_with_weights_forward
from minienc.functions.multi_head_attention import (
    multi_head_attention_forward,
    multi_head_attention_next,
)
from minienc.layers.base import Layer, Past
from minienc.layers.dense import Dense
from minienc.layers.initializers import InitializerLike
from minienc.layers.noise import Dropout
from minienc.layers.normalization import LayerNormalization, RMSNormalization
from minienc.layers.parameters import Grads, Parameter
from minienc.layers.shaping import Add
from minienc.layers.symbolic import SymbolicTensor
from minienc.shapes import Shape, is_whole

__all__ = ["Attention", "MultiHeadAttention", "TransformerBlock"]


class Attention(Layer):
    """Every step of x takes of the context in proportion to how well the two agree, without weights
    of its own: ``functions.attention.attention_with_weights_forward``.

        y = Attention()([x, context])                            p context, p = softmax(x context')
        y = Attention()([x, context, lengths])                   integers: steps that count
        y, p = Attention(return_attention_scores=True)([x, context])

    Parameters
    ----------
    scaled : bool
        Whether the products are divided by sqrt(D), as in multi-head attention; in Luong's they
        are not.
    return_attention_scores : bool
        Whether p (T, S) is an output, too.
    name : str or None

    Notes
    -----
    Source: Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine
    translation", eq. 7 and 8, "dot".

    Examples
    --------
    >>> q, v = np.ones((1, 1, 2)), np.array([[[1.0, 0.0], [0.0, 3.0]]])
    >>> Attention()((q, v)).shape
    (1, 1, 2)
    """

    pair = attention_forward
    takes_several = True

    def __init__(
        self,
        scaled: bool = False,
        return_attention_scores: bool = False,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        self.scaled, self.return_attention_scores = scaled, return_attention_scores
        if return_attention_scores:
            self.pair = attention_with_weights_forward

    def output_shape(self, sample_shape: Shape) -> Shape:
        shapes = [tuple(s) for s in sample_shape if len(s) == 2]
        if len(shapes) != 2 or shapes[0][1] != shapes[1][1]:
            raise ValueError(
                f"{self.label}: samples are {', '.join(map(str, sample_shape))}, expected "
                f"sequences (T, D) and a context (S, D), and lengths ()"
            )
        (T, D), (S, _) = shapes
        return [(T, D), (T, S)] if self.return_attention_scores else (T, D)

    def flops(self, sample_shape: Shape) -> int:
        """Two products of queries and context."""
        (T, D), (S, _) = sample_shape[:2]
        return 4 * T * S * D

    def forward(self, x: Any, **given: Any) -> tuple[Any, Any]:
        """``x`` is a tuple of sequences (N, T, D), a context (N, S, D), and lengths or none."""
        x, context, *others = x
        if others:
            given["lengths"] = others[0]
        q = x if self.scaled else x * math.sqrt(x.shape[-1])
        return super().forward((q, context, context), **given)

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        """(dx, dcontext): the context is key and value at once."""
        q, _, _, p = self.check_stamp(cache)
        if self.return_attention_scores:
            dy = tuple(0 * a if d is None else d for d, a in zip(dy, (q, p), strict=True))
        dx = super().backward(dy, cache, grads, need_dx)
        if dx is None:
            return None
        dq, dk, dv = dx
        return (dq if self.scaled else dq * math.sqrt(q.shape[-1])), dk + dv


class MultiHeadAttention(Layer):
    """Every step of a sequence asks, every step of the context answers:
    ``functions.multi_head_attention.multi_head_attention_forward``.

        y = MultiHeadAttention(4, 16)(x)                         self-attention
        y = MultiHeadAttention(4, 16)([x, context])              the context answers
        y = MultiHeadAttention(4, 16)([x, lengths])              integers: steps that count

    Parameters
    ----------
    num_heads : int
    key_dim : int
        Features of each head's queries and keys.
    value_dim : int or None
        Of its values; None is ``key_dim``.
    output_dim : int or None
        Features of y; None is x's.
    causal : bool
        Whether no step sees what comes after it.
    rotary : bool
        Whether queries and keys know their places.
    qk_norm : bool
        Whether queries and keys are made as long as one another.
    use_bias : bool
    kernel_initializer : str or callable ``(shape, rng, dtype) -> array``
    seed : int or None
    name : str or None

    Examples
    --------
    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4, causal=True, seed=0)
    >>> layer(np.ones((1, 5, 8), "float32")).shape
    (1, 5, 8)
    """

    pair = multi_head_attention_forward
    learned = ("Wq", "Wk", "Wv", "Wo", "bq", "bk", "bv", "bo")
    options = ("num_heads", "causal", "rotary", "qk_norm")
    takes_several = True
    limits_context = True
    Wq: Parameter
    Wk: Parameter
    Wv: Parameter
    Wo: Parameter
    bq: Parameter | None = None
    bk: Parameter | None = None
    bv: Parameter | None = None
    bo: Parameter | None = None

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        output_dim: int | None = None,
        causal: bool = False,
        rotary: bool = False,
        qk_norm: bool = False,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name, trainable)
        for key, value in (
            ("num_heads", num_heads),
            ("key_dim", key_dim),
            ("value_dim", 1 if value_dim is None else value_dim),
            ("output_dim", 1 if output_dim is None else output_dim),
        ):
            if not is_whole(value, 1):
                raise ValueError(
                    f"MultiHeadAttention: {key} is {value!r}, expected a whole number from 1"
                )
        self.num_heads, self.key_dim = num_heads, key_dim
        self.value_dim, self.output_dim = value_dim, output_dim
        self.causal, self.rotary, self.qk_norm = causal, rotary, qk_norm
        self.use_bias = use_bias
        self.kernel_initializer, self.seed = kernel_initializer, seed

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        rng = np.random.default_rng(self.seed) if rng is None else rng
        (_, D), (_, C) = self._sequences(sample_shape)
        keys = self.num_heads * self.key_dim
        values = self.num_heads * (self.value_dim or self.key_dim)
        shapes = {"q": (D, keys), "k": (C, keys), "v": (C, values)}
        shapes["o"] = (values, self.output_dim or D)
        for part, shape in shapes.items():
            W = self.add_parameter(f"W{part}", shape, self.kernel_initializer, dtype, rng)
            setattr(self, f"W{part}", W)
            if self.use_bias:
                b = self.add_parameter(f"b{part}", shape[1:], "zeros", dtype, rng)
                setattr(self, f"b{part}", b)
        super().build(sample_shape)

    def _sequences(self, sample_shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """(T, D) of x and (S, C) of the context."""
        shapes = sample_shape if isinstance(sample_shape, list) else [sample_shape]
        found = [tuple(s) for s in shapes if len(s) == 2]
        if len(found) not in (1, 2) or any(len(s) not in (0, 2) for s in shapes):
            raise ValueError(
                f"{self.label}: samples are {', '.join(map(str, shapes))}, expected sequences "
                f"(T, D), a context (S, C), and lengths ()"
            )
        return found[0], found[-1]

    def output_shape(self, sample_shape: Shape) -> Shape:
        (T, _), _ = self._sequences(sample_shape)
        return T, self.Wo.shape[1]

    def flops(self, sample_shape: Shape) -> int:
        """Four products with weights, and two of each head's queries, keys and values."""
        (T, D), (S, C) = self._sequences(sample_shape)
        keys, values = self.Wq.shape[1], self.Wv.shape[1]
        products = T * D * keys + S * C * (keys + values) + T * values * self.Wo.shape[1]
        return 2 * (products + T * S * (keys + values))

    def forward(self, x: Arrays, **given: Any) -> tuple[Arrays, Cache]:
        """``x`` is (N, T, D); or a tuple of it, a context, and lengths."""
        x, *others = x if isinstance(x, (tuple, list)) else (x,)
        if others and others[-1].dtype.kind in "iu":
            given["lengths"] = others.pop()
        return super().forward((x, *(others or [None])), **given)

    def backward(self, dy: Arrays, cache: Cache, grads: Grads, need_dx: bool = True) -> Arrays:
        dx = super().backward(dy, cache, grads, need_dx)
        return None if dx is None else dx if dx[1] is not None else dx[:1]

    def forward_from(self, x: Arrays, past: Past = None) -> tuple[Arrays, Past]:
        """What is remembered are the keys and values of all steps so far; of a context nothing, for
        each step asks it by itself."""
        x, *others = x if isinstance(x, (tuple, list)) else (x,)
        if others and others[0].ndim == 3 and not (self.causal or self.rotary):
            return self.forward((x, *others))[0], None
        if others or not self.causal:
            raise ValueError(f"{self.label}: it is not causal, so it does not go on step by step")
        owned = {name: getattr(self, name) for name in self.learned}
        W: dict[str, Any] = {k: None if p is None else p.value for k, p in owned.items()}
        how: dict[str, Any] = {k: getattr(self, k) for k in ("num_heads", "rotary", "qk_norm")}
        return multi_head_attention_next(x, past, **W, **how)


class TransformerBlock:
    """x + attention(norm(x)), and of that h + feed-forward(norm(h)).

    It is no layer but a way to put several into a graph: ``y = TransformerBlock(4)(x)``. Norms
    come first ("pre-norm"), so that x goes on through all blocks as it is.

    Parameters
    ----------
    num_heads : int
    expansion : float
        The inner layer of the feed-forward part is so many times as wide as x.
    activation : str
        "relu_squared", "gelu", ...
    causal : bool
        Whether no step sees what comes after it: a decoder.
    rotary : bool
        Whether attention knows places.
    qk_norm : bool
        Whether queries and keys are made as long as one another.
    dropout : float
        Of what both parts add to x.
    norm : {"layer", "rms"}
    use_bias : bool
    seed : int or None
    name : str or None
        The layers' names begin with it.

    Notes
    -----
    Sources: Vaswani et al. 2017, "Attention is all you need"; Xiong et al. 2020, "On layer
    normalization in the transformer architecture" (norms first).

    Examples
    --------
    >>> block = TransformerBlock(num_heads=2, causal=True, seed=0)
    >>> block(np.ones((1, 5, 8), "float32")).shape
    (1, 5, 8)
    """

    def __init__(
        self,
        num_heads: int,
        expansion: float = 4,
        activation: str = "gelu",
        causal: bool = False,
        rotary: bool = False,
        qk_norm: bool = False,
        dropout: float = 0.0,
        norm: str = "layer",
        use_bias: bool = True,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        if norm not in ("layer", "rms"):
            raise ValueError(f"TransformerBlock: norm is {norm!r}, expected 'layer' or 'rms'")
        self.num_heads, self.expansion, self.activation = num_heads, expansion, activation
        self.causal, self.rotary, self.qk_norm = causal, rotary, qk_norm
        self.dropout = dropout
        self.norm, self.use_bias, self.seed, self.name = norm, use_bias, seed, name

    def __call__(
        self,
        x: SymbolicTensor,
        context: SymbolicTensor | None = None,
        lengths: SymbolicTensor | None = None,
    ) -> SymbolicTensor:
        """Symbolic tensors: x (T, D), a context (S, C) that every step asks besides, lengths."""
        D = x.shape[-1]
        if D % self.num_heads:
            raise ValueError(
                f"TransformerBlock: x has {D} features, which {self.num_heads} heads cannot share"
            )
        also = [] if lengths is None else [lengths]
        asked = self._attention("attention", D, self.causal, 0)
        h = self._normed(x, "norm_1")
        h = self._added(x, asked([h, *also] if context is None else h))
        if context is not None:
            answer = self._attention("context", D, False, 1)
            h = self._added(h, answer([self._normed(h, "norm_context"), context, *also]))
        wide = Dense(
            int(self.expansion * D), self.activation, self.use_bias, **self._named("wide", 2)
        )
        narrow = Dense(D, None, self.use_bias, **self._named("narrow", 3))
        return self._added(h, narrow(wide(self._normed(h, "norm_2"))))

    def _attention(self, part: str, D: int, causal: bool, k: int) -> MultiHeadAttention:
        heads, each = self.num_heads, D // self.num_heads
        return MultiHeadAttention(
            heads,
            each,
            causal=causal,
            rotary=self.rotary and part == "attention",
            qk_norm=self.qk_norm,
            use_bias=self.use_bias,
            **self._named(part, k),
        )

    def _named(self, part: str, k: int) -> dict[str, Any]:
        seed = None if self.seed is None else self.seed + k
        return {"seed": seed, "name": None if self.name is None else f"{self.name}_{part}"}

    def _normed(self, x: SymbolicTensor, part: str) -> SymbolicTensor:
        cls = LayerNormalization if self.norm == "layer" else RMSNormalization
        return cls(name=self._named(part, 0)["name"])(x)

    def _added(self, x: SymbolicTensor, part: SymbolicTensor) -> SymbolicTensor:
        return Add()([x, Dropout(self.dropout)(part) if self.dropout else part])
