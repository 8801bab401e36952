"""How good is a text beside a reference? ROUGE, chrF, BLEU.

    rouge(predictions, references)        {"rouge1": ..., "rouge2": ..., "rougeL": ...}, in [0, 100]
    chrf(predictions, references)         in [0, 100]
    bleu(predictions, references)         Bleu(score, signature); needs sacrebleu

ROUGE and chrF are written out here. BLEU is sacrebleu's, for a figure of BLEU means nothing without
its tokenisation, and that is the one that others report: its signature says which.

Sources: Lin 2004, "ROUGE: a package for automatic evaluation of summaries"; Popovic 2015, "chrF:
character n-gram F-score for automatic MT evaluation"; Papineni, Roukos, Ward and Zhu 2002, "BLEU: a
method for automatic evaluation of machine translation"; Post 2018, "A call for clarity in reporting
BLEU scores".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

# ------------------------------------------------------------------------------------------ ROUGE


def words_of(text: str) -> list[str]:
    """Words as ROUGE counts them: lower-cased, letters a to z and digits alone."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).split()


def f_measure(match: int, n_predicted: int, n_reference: int) -> float:
    """F1 of so many that match."""
    if not match:
        return 0.0
    precision, recall = match / n_predicted, match / n_reference
    return 2 * precision * recall / (precision + recall)


def rouge_n(predicted: Sequence[str], reference: Sequence[str], n: int) -> float:
    """F1 of the n-grams that two lists of words have in common, each as often as in both."""
    a, b = (
        Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        for words in (predicted, reference)
    )
    return f_measure(sum((a & b).values()), sum(a.values()), sum(b.values()))


def rouge_l(predicted: Sequence[str], reference: Sequence[str]) -> float:
    """F1 of the longest common subsequence: words in the same order, others in between."""
    row = [0] * (len(reference) + 1)  # row[j]: the longest with the first j words of the reference
    for word in predicted:
        before, row = row, [0]
        for j, other in enumerate(reference):
            row.append(before[j] + 1 if word == other else max(row[j], before[j + 1]))
    return f_measure(row[-1], len(predicted), len(reference))


def rouge(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Means over the texts, in per cent.

    Raises
    ------
    ValueError
        If there are not as many of the one as of the other, or none.
    """
    check_aligned("rouge", predictions, references)
    pairs = [(words_of(p), words_of(r)) for p, r in zip(predictions, references, strict=True)]
    return {
        "rouge1": 100 * sum(rouge_n(p, r, 1) for p, r in pairs) / len(pairs),
        "rouge2": 100 * sum(rouge_n(p, r, 2) for p, r in pairs) / len(pairs),
        "rougeL": 100 * sum(rouge_l(p, r) for p, r in pairs) / len(pairs),
    }


# ------------------------------------------------------------------------------------------- chrF

CHARACTERS, BETA = 6, 2  # the longest n-grams, and how much more recall counts than precision


def chrf(predictions: Sequence[str], references: Sequence[str]) -> float:
    """F2 of n-grams of characters, space left out: the mean of precision and of recall over n = 1
    to 6, of all texts together (sacrebleu's chrF2).

    Raises
    ------
    ValueError
        As ``rouge``.
    """
    check_aligned("chrf", predictions, references)
    found = []
    for n in range(1, CHARACTERS + 1):
        match = n_predicted = n_reference = 0
        for predicted, reference in zip(predictions, references, strict=True):
            a, b = (_character_ngrams(text, n) for text in (predicted, reference))
            match += sum((a & b).values())
            n_predicted += sum(a.values()) if b else 0
            n_reference += sum(b.values())
        if n_predicted and n_reference:
            found.append((match / n_predicted, match / n_reference))
    sums = [sum(part) / len(found) for part in zip(*found, strict=True)] if found else [0.0, 0.0]
    precision, recall = sums
    weighted = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / weighted if weighted else 0.0


def _character_ngrams(text: str, n: int) -> Counter[str]:
    text = "".join(text.split())
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


# ------------------------------------------------------------------------------------------- BLEU


class Bleu(NamedTuple):
    """A figure, and how it was made."""

    score: float
    signature: str


def bleu(predictions: Sequence[str], references: Sequence[str], lowercase: bool = False) -> Bleu:
    """Corpus BLEU by sacrebleu: tokenised as "13a", cased unless ``lowercase``.

    Raises
    ------
    ImportError
        Where sacrebleu is not installed.
    ValueError
        As ``rouge``.
    """
    check_aligned("bleu", predictions, references)
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        raise ImportError(
            "BLEU is computed by sacrebleu, which is not installed: pip install sacrebleu; chrF "
            "needs nothing"
        ) from None
    metric: Any = BLEU(lowercase=lowercase)
    score = metric.corpus_score(list(predictions), [list(references)]).score
    return Bleu(float(score), str(metric.get_signature()))


def check_aligned(name: str, predictions: Sequence[str], references: Sequence[str]) -> None:
    """Refuse lists that are not one text each."""
    for what, texts in (("predictions", predictions), ("references", references)):
        if isinstance(texts, str):
            raise TypeError(f"{name}: {what} is one str, expected a list of texts")
    if len(predictions) != len(references) or not len(references):
        raise ValueError(
            f"{name}: {len(predictions)} predictions for {len(references)} references, expected "
            f"as many, and one at least"
        )
