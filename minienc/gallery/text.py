"""What a model of text shows: what it wrote, whom its attention heeds, which tokens it holds alike.

Other than the rest of this room, its pictures are of a text, and asked for by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minienc.arrays import to_numpy
from minienc.functions.losses import (
    sparse_categorical_crossentropy_backward,
    sparse_categorical_crossentropy_forward,
)
from minienc.gallery.common import Picture
from minienc.language import LanguageModel, TextPretrainer
from minienc.layers import MultiHeadAttention
from minienc.models import Model


def neighbours(method: TextPretrainer, n_tokens: int = 12, n: int = 5) -> list[tuple[str, str]]:
    """(token, those whose vectors have the smallest angle to its), of the most frequent tokens."""
    W = method.vectors()
    W = W / np.maximum(np.linalg.norm(W, axis=1, keepdims=True), 1e-12)
    rows = []
    for i in method.frequent_[:n_tokens]:
        nearest = [j for j in np.argsort(-(W @ W[i]), kind="stable") if j != i][:n]
        rows.append((shown(method, [i]), "  ".join(shown(method, [j]) for j in nearest)))
    return rows


def shown(method: TextPretrainer, ids: Sequence[int]) -> str:
    """Tokens as they can be read on a page: a space is a space no longer."""
    return method.tokenizer_.decode(ids).replace("\n", "\\n").replace(" ", "␣")


def pictures(method: LanguageModel, ids: np.ndarray) -> list[Picture]:
    """Of ids (L,): attention, and how far back the gradient of the loss reaches."""
    if not isinstance(method, LanguageModel):
        return []
    many = ids[: 64 * (method.context + 1)].astype(np.int32)
    return [*attention(method, many[: method.context]), gradient_norms(method, many)]


def attention(method: LanguageModel, ids: np.ndarray, most: int = 32) -> list[Picture]:
    """Each head's weights, of the first and the last attention: a row is who looks."""
    from matplotlib.figure import Figure

    model, T = method.model_, min(len(ids), most)
    steps = [k for k, s in enumerate(model.graph.steps) if isinstance(s.layer, MultiHeadAttention)]
    if not steps:
        return []
    _, cache = model.forward(ids[None].astype(np.int32))
    tokens = [shown(method, [i]) for i in ids[:T]]
    found = []
    for k in dict.fromkeys((steps[0], steps[-1])):
        p = to_numpy(cache.layers[k].inner.attention.p)[0, :, :T, :T]
        n_columns = min(len(p), 2)
        n_rows = -(-len(p) // n_columns)
        figure = Figure(figsize=(3 * n_columns, 3.2 * n_rows), layout="constrained")
        places = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes in places[len(p) :]:
            axes.axis("off")
        for h, axes in enumerate(places[: len(p)]):
            axes.imshow(p[h], cmap="Blues", vmin=0)
            axes.set_title(f"head {h + 1}")
            axes.set_xticks(range(T), tokens, fontsize=5)
            axes.set_yticks(range(T), tokens, fontsize=5)
        caption = (
            f"Whom each head of {model.graph.steps[k].path} heeds: a row is a step of the text, "
            f"and dark are the steps before it that it takes most of."
        )
        found.append(Picture(caption, figure))
    return found


def gradient_norms(method: LanguageModel, ids: np.ndarray) -> Picture:
    """How much the loss of a window's last step depends on each step before it."""
    from matplotlib.figure import Figure

    norms = norms_through_time(method, ids)
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(len(norms)) - len(norms) + 1, norms, marker=".")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")  # no mathematics: an SVG's letters are letters
    axes.yaxis.set_minor_formatter("")
    axes.set_xlabel("steps before the one that is predicted")
    axes.set_ylabel("|d loss / d x|")
    caption = (
        "How much the last step's loss depends on the token at each step before it: the norm of "
        "its gradient by that token's vector, a mean over windows. Where the line falls steeply, "
        "nothing is learned of what lies further back."
    )
    return Picture(caption, figure, is_drawing=True)


def norms_through_time(method: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """(T,) the mean norm of d(loss of the last step) / d(the token's vector at each step)."""
    T, inner = method.context, Model(method.embedded_, method.model_.output)
    N = max(len(ids) // (T + 1), 1)
    windows = ids[: N * (T + 1)].reshape(N, T + 1)
    embedded, _ = method.model_.get_layer("embedding").forward(windows[:, :-1])
    logits, cache = inner.forward(embedded)
    of_last, last_cache = sparse_categorical_crossentropy_forward(
        logits[:, -1], windows[:, -1], from_logits=True, reduction="sum"
    )
    dlogits = np.zeros_like(logits)
    dlogits[:, -1] = sparse_categorical_crossentropy_backward(np.ones_like(of_last), last_cache)
    dx = inner.backward(dlogits, cache, None, need_dx=True)
    return np.linalg.norm(to_numpy(dx), axis=-1).mean(axis=0)
