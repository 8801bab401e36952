"""Writing: tokens are drawn, one after another, from what a language model holds likely.

    p(w) ~ exp(logit_w / temperature)

A temperature below 1 makes the likely likelier; at 0 the likeliest is taken. ``top_k`` draws from
the k likeliest alone, ``top_p`` from the fewest whose sum is at least p. What was computed for the
tokens so far is kept (``Model.forward_from``), so that each new one costs but its own step.

Source: Holtzman, Buys, Du, Forbes and Choi 2020, "The curious case of neural text degeneration",
section 3.1 (top-p).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minienc.arrays import to_device_of, to_numpy
from minienc.data.tokenizers import Tokenizer, UnknownTokenError
from minienc.shapes import is_whole


def generate_ids(
    model: Any,
    prompt: np.ndarray,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Yield ``length`` ids that follow those of ``prompt`` (T,).

    A model whose attention or positions are for a context of T tokens is shown the last T / 2 anew
    when T are full.

    Raises
    ------
    ValueError
        For an empty prompt, or settings out of range.
    """
    check_settings(length, temperature, top_k, top_p)
    if len(prompt) == 0:
        raise ValueError("prompt is empty, expected a token at least: a model begins with one")
    most = int(model.inputs[0].sample_shape[0]) if model.limits_context else sys.maxsize
    like = model.parameters.vector
    seen, new, past = list(map(int, prompt)), list(map(int, prompt)), None
    n = 0  # tokens behind ``past``
    for _ in range(length):
        if n + len(new) > most:
            new, past, n = seen[-max(most // 2, 1) :], None, 0
        x = np.array([new], dtype=np.int32)
        logits, past = model.forward_from(to_device_of(x, like), past)
        n += len(new)
        found = draw(to_numpy(logits)[0, -1], temperature, top_k, top_p, rng)
        seen.append(found)
        new = [found]
        yield found


def draw(
    logits: np.ndarray,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    rng: np.random.Generator,
) -> int:
    """One id, drawn from logits (V,)."""
    if temperature == 0:
        return int(logits.argmax())
    z = logits.astype(np.float64) / temperature
    order = np.argsort(-z, kind="stable")  # the likeliest first
    p = np.exp(z[order] - z[order[0]])
    if top_k is not None:
        p[top_k:] = 0
    p /= p.sum()
    if top_p is not None:
        p[np.cumsum(p) - p >= top_p] = 0  # those that begin when p is full
        p /= p.sum()
    return int(order[rng.choice(len(p), p=p)])


def pieces(tokenizer: Tokenizer, ids: Iterable[int], stop: str | None = None) -> Iterator[str]:
    """The text of ids as they come, up to ``stop``, which is left out.

    A character of several bytes waits until it is whole.
    """
    waiting: list[int] = []
    held = ""  # the end of the text, which may be the beginning of ``stop``
    for i in ids:
        waiting.append(i)
        text = tokenizer.decode(waiting)
        if text.endswith("\ufffd") and len(waiting) < 4:
            continue
        waiting = []
        held += tokenizer.between + text
        if stop and stop in held:
            yield held[: held.index(stop)]
            return
        keep = 0 if not stop else _overlap(held, stop)
        yield held[: len(held) - keep]
        held = held[len(held) - keep :]
    yield held + (tokenizer.decode(waiting) if waiting else "")


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` are the beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


def first_prompt(tokenizer: Tokenizer) -> str:
    """What to begin with where nothing was said: a new line, or the first token that there is."""
    try:
        return "\n" if len(tokenizer.encode("\n")) else tokenizer.decode([0])
    except UnknownTokenError:
        return tokenizer.decode([0])


def check_settings(
    length: int, temperature: float, top_k: int | None = None, top_p: float | None = None
) -> None:
    """Refuse what cannot be drawn with."""
    if not is_whole(length, 0):
        raise ValueError(f"length is {length!r}, expected a whole number from 0")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature is {temperature!r}, expected a number of at least 0")
    if top_k is not None and not is_whole(top_k, 1):
        raise ValueError(f"top_k is {top_k!r}, expected a whole number from 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p!r}, expected a number in (0, 1]")
