"""What summaries are compared with: sentences of the text itself, without any learning.

A summary that is not nearer to the reference than the text's first sentence is not worth a model.
The oracle knows the reference: no choice of one sentence can do better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from minienc.tasks.scores import rouge, rouge_l, words_of

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")
NAME = re.compile(r"^\S+:\s+")  # "requests: Requests is ...": the name that a text begins with
SAYS = re.compile(r"\b(?:is|are|provides?|contains?|implements?)\s+(?:an?\s+|the\s+)?", re.I)
WORDS = 10  # of a trimmed lead


def sentences_of(text: str) -> list[str]:
    """The sentences of a text; a name before a colon is none of them."""
    return SENTENCE.split(NAME.sub("", text, count=1)) or [text]


def lead(text: str) -> str:
    """The first sentence."""
    return sentences_of(text)[0]


def trimmed_lead(text: str) -> str:
    """Of the first sentence, ten words behind "is a", "provides" and the like."""
    first = lead(text)
    return " ".join((SAYS.split(first, maxsplit=1)[-1] or first).split()[:WORDS]).rstrip(".")


def oracle(text: str, reference: str) -> str:
    """The sentence that is nearest to the reference, by ROUGE-L."""
    words = words_of(reference)
    return max(sentences_of(text), key=lambda sentence: rouge_l(words_of(sentence), words))


BASELINES: dict[str, Callable[[str, str], str]] = {
    "first sentence": lambda text, reference: lead(text),
    "ten words of it, trimmed": lambda text, reference: trimmed_lead(text),
    "best sentence (it knows the reference)": oracle,
}


def baseline_scores(texts: Sequence[str], references: Sequence[str]) -> dict[str, dict[str, float]]:
    """{name: ROUGE of what it makes of the texts}."""
    pairs = list(zip(texts, references, strict=True))
    return {name: rouge([f(*pair) for pair in pairs], references) for name, f in BASELINES.items()}
