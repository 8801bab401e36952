"""What a translator or a summarizer shows: where it looked, and how its score rose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import to_device_of, to_numpy
from minienc.gallery.common import Picture
from minienc.tasks.seq2seq import PairsModel

MOST = 30  # tokens of a side, in a picture


class Alignment(NamedTuple):
    """How much of each token that was read went into each that was written."""

    read: list[str]
    written: list[str]
    p: np.ndarray  # (T, S), rows of sum 1


def alignment(model: PairsModel, source: str, written: str) -> Alignment | None:
    """The attention by which ``written`` is written of ``source``: of the pointer where it copies,
    of the last block of a transformer the mean of its heads. None without attention."""
    (x,), (y,) = model._encoded([source]), model._targets([written])
    loss: Any = model.learners_["model"].objective
    before = np.concatenate([[loss.first], y[:-1]]).astype(np.int32)
    like, whole = model.model_.parameters.vector, model.model_
    given = (x[None], np.array([len(x)], np.int32), before[None])
    _, caches = whole.graph.forward([to_device_of(a, like) for a in given])
    for name in ("pointer", "attention", f"writer_{model.n_layers}_context"):
        for step, cache in zip(whole.graph.steps, caches, strict=True):
            if step.path == name:
                inner = cache.inner
                p = to_numpy(inner.attention.p[0].mean(axis=0) if "_" in name else inner.p[0])
                return Alignment(_shown(model, x), _shown(model, y), p)
    return None


def _shown(model: PairsModel, ids: np.ndarray) -> list[str]:
    """Tokens as they can be read in a picture."""
    return [model.tokenizer_.decode([i]).replace("\n", "\\n").replace(" ", "␣") for i in ids]


def alignments(
    model: PairsModel, sources: Sequence[str], written: Sequence[str], n: int = 4
) -> list[Picture]:
    """Of some short texts: a row is a token that was written, and dark is what it looked at."""
    found: list[Alignment] = []
    for source, text in zip(sources, written, strict=True):
        if len(found) == n:
            break
        seen = alignment(model, source, text)
        if seen is None:
            return []
        if len(seen.read) <= MOST and len(seen.written) <= MOST:
            found.append(seen)
    return [Picture(_CAPTION, _drawn(seen)) for seen in found]


_CAPTION = (
    "What was looked at: a row is a token as it was written, a column one that was read, and dark "
    "is where the attention was."
)


def _drawn(seen: Alignment) -> Any:
    from matplotlib.figure import Figure

    T, S = seen.p.shape
    figure = Figure(figsize=(1.2 + 0.24 * S, 1.0 + 0.24 * T), layout="constrained")
    axes = figure.subplots()
    axes.imshow(seen.p, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(S), seen.read, rotation=90, fontsize=8)
    axes.set_yticks(range(T), seen.written, fontsize=8)
    axes.xaxis.tick_top()
    return figure


def score_curve(history: dict[str, list[float]], name: str) -> list[Picture]:
    """The score of held-out pairs after each epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    values = history.get(f"val_{name}", [])
    if not values:
        return []
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(values) + 1), values, marker=".")
    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    caption = f"{name} of held-out pairs after each epoch, the likeliest token taken each time."
    return [Picture(caption, figure, is_drawing=True)]
