"""A training step of two networks in each library: ``benchmarks.sequences``.

The language model is nanoGPT's: a causal Transformer, norms first, gelu, no biases in its products,
softmax cross-entropy, AdamW. The other is the convolutional autoencoder of
``minienc.pretraining``, with Adam. minienc's model comes first: its weights, by their names, are
what all others begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.training_candidates import BETA_1, BETA_2, EPSILON, RATE
from minienc.devices import pipeline
from minienc.layers import (
    Dense,
    Embedding,
    Input,
    LayerNormalization,
    PositionEmbedding,
    TransformerBlock,
)
from minienc.models import Model
from minienc.pretraining import ConvolutionalAutoencoder
from minienc.training.batches import Batches
from minienc.training.losses import SparseCategoricalCrossentropy
from minienc.training.optimizers import Adam, AdamW
from minienc.training.step import Learner

DECAY = 0.1
NUMBERS = (RATE, DECAY, BETA_1, BETA_2, EPSILON)
V = 65  # symbols of tiny Shakespeare
NORM_EPSILON = 1e-3  # minienc's, and Keras's
Weights = dict[str, np.ndarray]


class Step:
    """A call trains once and returns the loss; ``weights`` are those of the beginning."""

    def __init__(self, model: Model, x: np.ndarray, y: np.ndarray) -> None:
        self.model, self.x, self.y = model, x, y
        self.weights = {name: a.copy() for name, a in model.parameters.items()}
        learner = Learner(model, model.objective, model.optimizer)
        self.train = pipeline("cpu").step_of(learner)
        self.batch = pipeline("cpu").upload(Batches(model, x, y).arrays)
        self.rng = np.random.default_rng(0)

    def __call__(self) -> Any:
        return self.train(self.batch, self.rng)["loss"]

    def reset(self) -> None:
        self.model.set_weights(list(self.weights.values()))
        self.model.optimizer.load_state_dict({"iterations": 0})


# ------------------------------------------------------------------------------------ Transformer


def transformer(N: int, T: int, D: int, H: int, n_blocks: int) -> Step:
    rng = np.random.default_rng(0)
    ids = Input((T,), dtype="int32")
    h = PositionEmbedding(seed=1)(Embedding(V, D, seed=0)(ids))
    for i in range(n_blocks):
        h = TransformerBlock(H, causal=True, use_bias=False, seed=10 * i, name=f"{i}")(h)
    model = Model(ids, Dense(V, use_bias=False, seed=5)(LayerNormalization()(h)))
    model.compile(AdamW(*NUMBERS), SparseCategoricalCrossentropy(from_logits=True))
    x, y = (rng.integers(0, V, (N, T), "int32") for _ in range(2))
    return Step(model, x, y)


def _blocks(names: Any) -> list[str]:
    return sorted({n.partition("_")[0] for n in names if n[0].isdigit()}, key=int)


def transformer_torch(first: Step, H: int, compiled: bool) -> Callable[[], Any]:
    """Weights (out, in) as its own layers have them; queries, keys and values by one product."""
    import torch
    from torch.nn import functional as F

    w: dict[str, Any] = {}
    for name, a in _joined(first.weights).items():
        as_linear = a.ndim == 2 and not name.startswith(("embedding", "position"))
        w[name] = torch.from_numpy(np.ascontiguousarray(a.T if as_linear else a))
        w[name] = torch.nn.Parameter(w[name].clone())
    adam = torch.optim.AdamW(
        w.values(), lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, weight_decay=DECAY, fused=True
    )
    x, labels = torch.from_numpy(first.x).long(), torch.from_numpy(first.y).long()
    D, blocks = first.weights["embedding_1/W"].shape[1], _blocks(first.weights)

    def norm(h: Any, name: str) -> Any:
        return F.layer_norm(h, (D,), w[f"{name}/gamma"], w[f"{name}/beta"], NORM_EPSILON)

    def loss_of(x: Any, labels: Any) -> Any:
        h = F.embedding(x, w["embedding_1/W"]) + w["position_embedding_1/P"]
        for i in blocks:
            q, k, v = (
                a.unflatten(-1, (H, -1)).transpose(1, 2)
                for a in F.linear(norm(h, f"{i}_norm_1"), w[f"{i}_attention/Wqkv"]).chunk(3, -1)
            )
            a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + F.linear(a.transpose(1, 2).flatten(2), w[f"{i}_attention/Wo"])
            a = F.linear(norm(h, f"{i}_norm_2"), w[f"{i}_wide/W"])
            h = h + F.linear(F.gelu(a, approximate="tanh"), w[f"{i}_narrow/W"])
        logits = F.linear(norm(h, "layer_normalization_1"), w["dense_1/W"])
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    return _torch_step(torch, loss_of, adam, (x, labels), compiled)


def _torch_step(torch: Any, loss_of: Any, adam: Any, batch: tuple, compiled: bool) -> Any:
    if compiled:
        torch.compiler.reset()
        loss_of = torch.compile(loss_of, dynamic=False)

    def step() -> Any:
        adam.zero_grad()
        loss = loss_of(*batch)
        loss.backward()
        adam.step()
        return loss.detach()

    return step


def _joined(weights: Weights) -> Weights:
    """With Wq, Wk and Wv of each attention side by side, as Wqkv."""
    found = {n: a for n, a in weights.items() if n[-3:] not in ("/Wq", "/Wk", "/Wv")}
    for i in _blocks(weights):
        parts = [weights[f"{i}_attention/W{part}"] for part in "qkv"]
        found[f"{i}_attention/Wqkv"] = np.concatenate(parts, axis=1)
    return found


def transformer_jax(first: Step, H: int) -> Callable[[], Any]:
    import jax
    from jax import numpy as jnp

    T, blocks = first.x.shape[1], _blocks(first.weights)

    def norm(w: Any, h: Any, name: str) -> Any:
        centred = h - h.mean(-1, keepdims=True)
        scale = jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + NORM_EPSILON)
        return centred * scale * w[f"{name}/gamma"] + w[f"{name}/beta"]

    def attention(h: Any) -> Any:
        q, k, v = (a.reshape(*a.shape[:2], H, -1).swapaxes(1, 2) for a in jnp.split(h, 3, -1))
        scores = q @ k.swapaxes(2, 3) / jnp.sqrt(jnp.float32(q.shape[3]))
        seen = jnp.tril(jnp.ones((T, T), bool))
        a = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1) @ v
        return a.swapaxes(1, 2).reshape(*h.shape[:2], -1)

    def loss_of(w: Any, x: Any, labels: Any) -> Any:
        h = w["embedding_1/W"][x] + w["position_embedding_1/P"]
        for i in blocks:
            a = attention(norm(w, h, f"{i}_norm_1") @ w[f"{i}_attention/Wqkv"])
            h = h + a @ w[f"{i}_attention/Wo"]
            a = jax.nn.gelu(norm(w, h, f"{i}_norm_2") @ w[f"{i}_wide/W"], approximate=True)
            h = h + a @ w[f"{i}_narrow/W"]
        log_p = jax.nn.log_softmax(norm(w, h, "layer_normalization_1") @ w["dense_1/W"])
        return -jnp.take_along_axis(log_p, labels[..., None], -1).mean()

    return _jax_step(jax, loss_of, _joined(first.weights), (first.x, first.y), DECAY)


def _jax_step(jax: Any, loss_of: Any, weights: Weights, batch: tuple, decay: float) -> Any:
    """The whole step jitted, its state donated, Adam written out."""
    jnp, tree = jax.numpy, jax.tree.map

    def train(state: Any, *batch: Any) -> Any:
        w, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(w, *batch)
        t = t + 1
        rate = RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        m = tree(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, g)
        v = tree(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, g)
        w = tree(lambda w, m, v: w - RATE * decay * w - rate * m / (jnp.sqrt(v) + EPSILON), w, m, v)
        return loss, (w, m, v, t)

    compiled = jax.jit(train, donate_argnums=0)
    w = {name: jnp.array(a) for name, a in weights.items()}
    kept = [(w, tree(jnp.zeros_like, w), tree(jnp.zeros_like, w), jnp.zeros((), "float32"))]
    batch = tuple(jax.device_put(a) for a in batch)

    def step() -> Any:
        loss, kept[0] = compiled(kept[0], *batch)
        jax.block_until_ready(kept[0])
        return loss

    return step


# ---------------------------------------------------------------------- convolutional autoencoder


def convolutional(N: int) -> Step:
    """28 x 28 -> 16 x 14 x 14 -> 32 x 7 x 7 -> 32, and back."""
    rng = np.random.default_rng(0)
    method = ConvolutionalAutoencoder(filters=(16, 32), code=32)
    method.build((784,), np.random.default_rng(1))
    x = (rng.random((N, 784)) * (rng.random((N, 784)) < 0.2)).astype("float32")
    method.model_.compile(Adam(RATE, BETA_1, BETA_2, EPSILON), "binary_crossentropy")
    return Step(method.model_, x, x)


def convolutional_torch(first: Step, compiled: bool) -> Callable[[], Any]:
    """Channels last, which is the faster order there, too; the margins are those of "same"."""
    import torch
    from torch.nn import functional as F

    def turned(name: str, a: np.ndarray) -> Any:
        a = a.transpose(3, 2, 0, 1) if a.ndim == 4 else a.T if a.ndim == 2 else a
        tensor = torch.from_numpy(np.ascontiguousarray(a))
        if tensor.ndim == 4:
            tensor = tensor.to(memory_format=torch.channels_last)
        return torch.nn.Parameter(tensor.clone())

    w = {name: turned(name, a) for name, a in first.weights.items()}
    adam = torch.optim.Adam(w.values(), lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True)
    x = torch.from_numpy(first.x)

    def down(h: Any, name: str) -> Any:
        return F.relu(F.conv2d(F.pad(h, (0, 1, 0, 1)), w[f"{name}/W"], w[f"{name}/b"], 2))

    def up(h: Any, name: str) -> Any:
        return F.conv_transpose2d(h, w[f"{name}/W"], w[f"{name}/b"], 2)[:, :, :-1, :-1]

    def loss_of(x: Any) -> Any:
        h = x.view(-1, 1, 28, 28).contiguous(memory_format=torch.channels_last)
        h = down(down(h, "encoder_1"), "encoder_2")
        code = F.linear(h.permute(0, 2, 3, 1).flatten(1), w["code/W"], w["code/b"])
        h = F.relu(F.linear(code, w["from_code/W"], w["from_code/b"]))
        h = h.view(-1, 7, 7, 32).permute(0, 3, 1, 2)
        y = up(F.relu(up(h, "decoder_2")), "decoder_1")
        return F.binary_cross_entropy_with_logits(y.permute(0, 2, 3, 1).flatten(1), x)

    return _torch_step(torch, loss_of, adam, (x,), compiled)


def convolutional_jax(first: Step) -> Callable[[], Any]:
    import jax
    from jax import numpy as jnp

    layout = ("NHWC", "HWIO", "NHWC")

    def down(w: Any, h: Any, name: str) -> Any:
        W, b = w[f"{name}/W"], w[f"{name}/b"]
        y = jax.lax.conv_general_dilated(h, W, (2, 2), "SAME", dimension_numbers=layout)
        return jnp.maximum(y + b, 0)

    def up(w: Any, h: Any, name: str) -> Any:
        W, b = w[f"{name}/W"][::-1, ::-1].swapaxes(2, 3), w[f"{name}/b"]
        margins = ((2, 1), (2, 1))
        y = jax.lax.conv_general_dilated(
            h, W, (1, 1), margins, lhs_dilation=(2, 2), dimension_numbers=layout
        )
        return y + b

    def loss_of(w: Any, x: Any) -> Any:
        h = down(w, down(w, x.reshape(-1, 28, 28, 1), "encoder_1"), "encoder_2")
        code = h.reshape(len(x), -1) @ w["code/W"] + w["code/b"]
        h = jnp.maximum(code @ w["from_code/W"] + w["from_code/b"], 0).reshape(-1, 7, 7, 32)
        y = up(w, jnp.maximum(up(w, h, "decoder_2"), 0), "decoder_1").reshape(len(x), -1)
        return (jnp.maximum(y, 0) - y * x + jnp.log1p(jnp.exp(-jnp.abs(y)))).mean()

    return _jax_step(jax, loss_of, first.weights, (first.x,), 0.0)
