"""What a classifier of texts has to beat: counting, without any network.

    p(k | text) ~ p(k) prod_g p(g | k)^n_g,     p(g | k) = (c_kg + a) / (c_k + a V)

n_g is how often the n-gram g stands in the text, c_kg how often in the texts of class k, c_k the
sum of those, V how many n-grams there are, and a a little for each that the class has not shown.
That n-grams do not depend on one another is naive, and does little harm: which class is likeliest
is often right, how likely it is is not to be believed.

Source: McCallum and Nigam 1998, "A comparison of event models for naive Bayes text classification",
eq. 5 and 6 (multinomial; there a = 1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from minienc.data.labels import as_labels
from minienc.data.plain import DataLike
from minienc.shapes import is_whole

WORDS = re.compile(r"\w+")
PARTS = ("characters", "words")


class NaiveBayes:
    """Multinomial naive Bayes of n-grams.

    Parameters
    ----------
    of : {"characters", "words"}
        What n-grams are of; either in small letters.
    longest : int
        n-grams of 1 to so many.
    smoothing : float
        a, above 0.

    Attributes
    ----------
    log_p_ : array (V, K)
        log p(g | k).
    log_prior_ : array (K,)

    Examples
    --------
    >>> model = NaiveBayes("words").fit(["a cat sat", "a dog ran"], [0, 1])
    >>> model.predict(["the dog"])
    array([1])
    """

    def __init__(self, of: str = "characters", longest: int = 4, smoothing: float = 0.1) -> None:
        if of not in PARTS:
            raise ValueError(f"NaiveBayes: of is {of!r}, expected {' or '.join(PARTS)}")
        if not is_whole(longest, 1):
            raise ValueError(f"NaiveBayes: longest is {longest!r}, expected a whole number from 1")
        if not smoothing > 0:
            raise ValueError(f"NaiveBayes: smoothing is {smoothing!r}, expected above 0")
        self.of, self.longest, self.smoothing = of, longest, smoothing

    def grams(self, text: str) -> Counter[str]:
        """How often each n-gram stands in a text."""
        lowered = text.lower()
        parts = WORDS.findall(lowered) if self.of == "words" else lowered
        between = " " if self.of == "words" else ""
        return Counter(
            between.join(parts[i : i + n])
            for n in range(1, self.longest + 1)
            for i in range(len(parts) - n + 1)
        )

    def fit(self, texts: Sequence[str], y: DataLike, n_classes: int | None = None) -> NaiveBayes:
        """Count. Labels are 0 to K - 1; ``n_classes`` is K where some do not occur."""
        labels = as_labels(y, len(texts))
        K = int(labels.max()) + 1 if n_classes is None else n_classes
        counts: dict[str, np.ndarray] = {}
        for text, k in zip(texts, labels.tolist(), strict=True):
            for gram, n in self.grams(text).items():
                counts.setdefault(gram, np.zeros(K))[k] += n
        self.index_ = {gram: i for i, gram in enumerate(counts)}
        c = np.array([*counts.values()]).reshape(len(counts), K) + self.smoothing
        self.log_p_ = np.log(c) - np.log(c.sum(axis=0))
        self.log_prior_ = np.log(np.bincount(labels, minlength=K) + self.smoothing)
        return self

    def decision(self, texts: Sequence[str]) -> np.ndarray:
        """(N, K) the logarithm of p(k | text), but for a number that all classes have; n-grams that
        were never seen are passed over."""
        scores = np.tile(self.log_prior_, (len(texts), 1))
        for row, text in zip(scores, texts, strict=True):
            known = [(self.index_[g], n) for g, n in self.grams(text).items() if g in self.index_]
            if known:
                which, n = np.array(known).T
                row += n @ self.log_p_[which]
        return scores

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """(N,) the likeliest class of each."""
        return self.decision(texts).argmax(axis=1)

    def score(self, texts: Sequence[str], y: DataLike) -> float:
        """The fraction that is right."""
        return float((self.predict(texts) == as_labels(y, len(texts))).mean())
