"""One layer of a sequence, forward and backward, in each library: ``benchmarks.sequences``.

Every part has a ``problem(*sizes)`` of arrays in minienc's layout, x first and the output's
cotangent last; and in each library a function that makes of them a call without arguments, which
returns y and dx, in arrays that ``numpy.asarray`` takes, of minienc's axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minienc.functions import (
    attention_backward,
    attention_forward,
    conv1d_backward,
    conv1d_forward,
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
)

Arrays = tuple[np.ndarray, ...]
GATES = {"LSTM": 4, "GRU": 3}


def normal(seed: int, *shapes: tuple[int, ...]) -> Arrays:
    rng = np.random.default_rng(seed)
    sizes = [1 if i in (0, len(shapes) - 1) else 1 / np.sqrt(s[0]) for i, s in enumerate(shapes)]
    return tuple(
        rng.standard_normal(s, "float32") * np.float32(k)
        for s, k in zip(shapes, sizes, strict=True)
    )


# ------------------------------------------------------------------------------ recurrent networks


def recurrent_problem(kind: str, N: int, T: int, D: int, M: int) -> Arrays:
    """(x, W, U, b, dy)."""
    G = GATES[kind] * M
    return normal(0, (N, T, D), (D, G), (M, G), (G,), (N, T, M))


def recurrent_minienc(kind: str, p: Arrays) -> Callable[[], Any]:
    x, W, U, b, dy = p
    forward, backward = {
        "LSTM": (lstm_forward, lstm_backward),
        "GRU": (gru_forward, gru_backward),
    }[kind]
    nothing = np.zeros((len(x), len(U)), x.dtype)
    biases = (b,) if kind == "LSTM" else (b, np.zeros_like(b))

    def both() -> Any:
        (y, *states), cache = forward(x, W, U, *biases)
        return y, backward((dy, *[nothing] * len(states)), cache)[0]

    return both


def recurrent_torch(kind: str, p: Arrays, compiled: bool) -> Callable[[], Any]:
    import torch

    x, W, U, b, dy = p
    net = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}[kind](x.shape[2], len(U), batch_first=True)
    if kind == "GRU":  # whose gates are r z n there
        W, U, b = (np.concatenate([a[..., i] for i in _z_and_r(a)], -1) for a in (W, U, b))
    with torch.no_grad():
        for name, a in (("weight_ih_l0", W.T), ("weight_hh_l0", U.T), ("bias_ih_l0", b)):
            getattr(net, name).copy_(torch.from_numpy(np.ascontiguousarray(a)))
        net.bias_hh_l0.zero_()
    run = torch.compile(net, dynamic=False) if compiled else net
    x, dy = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(dy)
    learned = [x, *net.parameters()]

    def both() -> Any:
        y = run(x)[0]
        return y.detach(), torch.autograd.grad(y, learned, dy)[0]

    return both


def _z_and_r(a: np.ndarray) -> tuple[slice, slice, slice]:
    M = a.shape[-1] // 3
    return slice(M, 2 * M), slice(M), slice(2 * M, 3 * M)


def recurrent_jax(kind: str, p: Arrays) -> Callable[[], Any]:
    import jax
    from jax import numpy as jnp
    from jax.nn import sigmoid

    x, W, U, b, dy = (jax.device_put(a) for a in p)
    M = U.shape[0]

    def lstm(state: Any, a: Any) -> Any:
        h, c = state
        z = a + h @ U_of[0]
        i, f, g, o = (z[:, k * M : (k + 1) * M] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(state: Any, a: Any) -> Any:
        (h,) = state
        q = h @ U_of[0]
        z, r = sigmoid(a[:, :M] + q[:, :M]), sigmoid(a[:, M : 2 * M] + q[:, M : 2 * M])
        h = z * h + (1 - z) * jnp.tanh(a[:, 2 * M :] + r * q[:, 2 * M :])
        return (h,), h

    U_of = [U]

    def forward(x: Any, W: Any, U: Any, b: Any) -> Any:
        U_of[0] = U
        first = tuple(
            jnp.zeros((x.shape[0], M), x.dtype) for _ in range(2 if kind == "LSTM" else 1)
        )
        a = (x @ W + b).swapaxes(0, 1)
        return jax.lax.scan(lstm if kind == "LSTM" else gru, first, a)[1].swapaxes(0, 1)

    @jax.jit
    def both(x: Any, W: Any, U: Any, b: Any, dy: Any) -> Any:
        y, backward = jax.vjp(forward, x, W, U, b)
        return y, backward(dy)

    def call() -> Any:
        y, gradients = jax.block_until_ready(both(x, W, U, b, dy))
        return y, gradients[0]

    return call


# --------------------------------------------------------------------------------------- attention


def attention_problem(N: int, H: int, T: int, D: int) -> Arrays:
    """(q, k, v, dy), (N, H, T, D) each: heads that lie side by side, as a layer has them."""
    rng = np.random.default_rng(0)
    drawn = (rng.standard_normal((N, T, H, D), "float32") for _ in range(4))
    return tuple(a.swapaxes(1, 2) for a in drawn)


def attention_minienc(p: Arrays) -> Callable[[], Any]:
    q, k, v, dy = p

    def both() -> Any:
        y, cache = attention_forward(q, k, v, causal=True)
        return y, attention_backward(dy, cache)[0]

    return both


def attention_torch(p: Arrays, compiled: bool, plain: bool = False) -> Callable[[], Any]:
    import torch
    from torch.nn import functional

    q, k, v = (torch.from_numpy(a.copy(order="K")).requires_grad_() for a in p[:3])
    dy, T, scale = torch.from_numpy(p[3]), p[0].shape[2], p[0].shape[3] ** -0.5
    hidden = ~torch.tril(torch.ones(T, T, dtype=torch.bool))

    def fused(q: Any, k: Any, v: Any) -> Any:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    def written(q: Any, k: Any, v: Any) -> Any:
        scores = (q @ k.transpose(-1, -2)) * scale
        return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v

    run: Any = written if plain else fused
    run = torch.compile(run, dynamic=False) if compiled else run

    def both() -> Any:
        y = run(q, k, v)
        return y.detach(), torch.autograd.grad(y, [q, k, v], dy)[0]

    return both


def attention_jax(p: Arrays) -> Callable[[], Any]:
    import jax
    from jax import numpy as jnp

    q, k, v, dy = (jax.device_put(np.ascontiguousarray(a)) for a in p)

    def forward(q: Any, k: Any, v: Any) -> Any:
        T = q.shape[2]
        scores = q @ k.swapaxes(2, 3) / jnp.sqrt(jnp.float32(q.shape[3]))
        seen = jnp.tril(jnp.ones((T, T), bool))
        return jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1) @ v

    @jax.jit
    def both(q: Any, k: Any, v: Any, dy: Any) -> Any:
        y, backward = jax.vjp(forward, q, k, v)
        return y, backward(dy)

    def call() -> Any:
        y, gradients = jax.block_until_ready(both(q, k, v, dy))
        return y, gradients[0]

    return call


# -------------------------------------------------------------------------------------- convolution


def conv1d_problem(N: int, T: int, C: int, M: int, K: int) -> Arrays:
    """(x, W, b, dy), of "same" padding."""
    x, W, b, dy = normal(0, (N, T, C), (K * C, M), (M,), (N, T, M))
    return x, W.reshape(K, C, M), b, dy


def conv1d_minienc(p: Arrays) -> Callable[[], Any]:
    x, W, b, dy = p

    def both() -> Any:
        y, cache = conv1d_forward(x, W, b, padding="same")
        return y, conv1d_backward(dy, cache)[0]

    return both


def conv1d_torch(p: Arrays, compiled: bool) -> Callable[[], Any]:
    """(N, C, T), as PyTorch has it."""
    import torch
    from torch.nn import functional

    x, W, b, dy = p
    x, dy = (torch.from_numpy(np.ascontiguousarray(a.swapaxes(1, 2))) for a in (x, dy))
    weight = torch.from_numpy(np.ascontiguousarray(W.transpose(2, 1, 0))).requires_grad_()
    bias, x = torch.from_numpy(b.copy()).requires_grad_(), x.requires_grad_()

    def forward(x: Any, weight: Any, bias: Any) -> Any:
        return functional.conv1d(x, weight, bias, padding=len(W) // 2)

    run: Any = torch.compile(forward, dynamic=False) if compiled else forward

    def both() -> Any:
        y = run(x, weight, bias)
        dx = torch.autograd.grad(y, [x, weight, bias], dy)[0]
        return y.detach().transpose(1, 2), dx.transpose(1, 2)

    return both


def conv1d_jax(p: Arrays) -> Callable[[], Any]:
    import jax

    x, W, b, dy = (jax.device_put(a) for a in p)

    def forward(x: Any, W: Any, b: Any) -> Any:
        layout = ("NWC", "WIO", "NWC")
        return jax.lax.conv_general_dilated(x, W, (1,), "SAME", dimension_numbers=layout) + b

    @jax.jit
    def both(x: Any, W: Any, b: Any, dy: Any) -> Any:
        y, backward = jax.vjp(forward, x, W, b)
        return y, backward(dy)

    def call() -> Any:
        y, gradients = jax.block_until_ready(both(x, W, b, dy))
        return y, gradients[0]

    return call
