"""From wrong numbers to a likely mistake, where one explains them.

Every mistake that is known here is a row of a table (``guesses``, ``operations``, ``slopes``,
``products``): a
sentence, and what the gradient would be if it were so. One that explains the wrong numbers to
rounding is told; where none does, nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from minienc.verify.findings import TensorResult
from minienc.verify.lesson.evidence import Changes, Evidence, Way
from minienc.verify.lesson.factors import name_of_size
from minienc.verify.lesson.guesses import Guess, factors, guesses, steps
from minienc.verify.lesson.operations import Told, places, shares
from minienc.verify.lesson.overlaps import of_overlaps
from minienc.verify.lesson.patterns import of_places, of_shapes, of_sizes
from minienc.verify.lesson.products import wrong_products, wrong_signs
from minienc.verify.lesson.slopes import straight, wrong_slopes
from minienc.verify.lesson.softmaxes import wrong_softmaxes
from minienc.verify.lesson.wholes import sums, wholes


def diagnose(result: TensorResult, evidence: Evidence, numeric: np.ndarray | None) -> list[str]:
    """A sentence that says what the mistake looks like; none where nothing fits."""
    name, gradient = result.name, evidence.trial.gradients[result.name]
    if gradient is None:
        return []
    yours = np.asarray(gradient, dtype=np.float64)
    if yours.shape != result.shape:
        return of_shapes(name, yours, numeric, result.shape, evidence.trial.v)
    if not yours.any():
        loop = any(name in p.first.names and p.numbers[1:] for p in places(evidence.operations))
        over = ", or is `=` written for `+=` in the loop" if loop else ""
        return [f"your d{name} is zero everywhere: is it ever written{over}?"]
    known = of_places(name, yours, numeric, evidence.trial.arguments)
    if known:
        return known
    ways = evidence.ways(name) if result.n_wrong else []
    return (
        next(_fitting(name, ways, evidence), None)
        or of_overlaps(name, yours, numeric, evidence)
        or of_sizes(name, yours, numeric, evidence)
    )


def _fitting(name: str, ways: list[Way], evidence: Evidence) -> Iterator[list[str]]:
    """What explains the slopes: the simple first."""
    if not ways:
        return
    if evidence.explains(lambda way: -way.right, ways):
        yield [f"your d{name} has the wrong sign"]
    ratio = _ratio(ways, evidence)
    if ratio is not None:
        yield from _of_factor(name, ratio, ways, evidence)
        return
    for told in evidence.believed:
        if told.fits(name, ways):
            yield [f"your d{name}: {told.sentence}"]
    if (number := _added(ways, evidence)) is not None:
        told = f"your d{name} has the same number, {number:.3g}, too much in each element"
        yield [f"{told}, whatever dy is"]
    yield from _guessed(guesses(name, evidence), ways, evidence)
    yield from _guessed(wholes(name, ways, evidence), ways, evidence)
    for told in _of_softmaxes(name, ways, evidence):
        evidence.believed.append(told)
        yield [f"your d{name}: {told.sentence}"]
    yield from _guessed(steps(name, evidence), ways, evidence)
    for table in (_of_slopes, shares, _of_rules, _of_straight):
        for told in table(name, ways, evidence):
            evidence.believed.append(told)
            yield [f"your d{name}: {told.sentence}"]
    yield from _guessed(sums(name, ways, evidence), ways, evidence)
    yield from _guessed(factors(name, evidence), ways, evidence)


def _guessed(table: Iterable[Guess], ways: list[Way], evidence: Evidence) -> Iterator[list[str]]:
    return ([guess.sentence] for guess in table if evidence.explains(guess.says, ways))


def _ratio(ways: list[Way], evidence: Evidence) -> float | None:
    """One factor between what is yours and what is right, whichever way they are asked."""
    if not ways[0].right:
        return None
    ratio = ways[0].yours / ways[0].right
    same = evidence.explains(lambda way: ratio * way.right, ways)
    return ratio if same and abs(ratio - 1) > 1e-3 else None


def _added(ways: list[Way], evidence: Evidence) -> float | None:
    """A number that is added to each element, with whatever cotangent."""
    if len(ways[0].direction) < 2 if ways[0].direction.ndim else True:
        return None
    number = (ways[0].yours - ways[0].right) / ways[0].direction.sum()
    added = lambda way: way.right + number * way.direction.sum()  # noqa: E731
    return number if evidence.explains(added, ways) else None


def _of_factor(name: str, ratio: float, ways: list[Way], evidence: Evidence) -> Iterator[list[str]]:
    """A factor by its name, or as it is."""
    size = name_of_size(ratio, evidence.trial)
    told = next((t for t in shares(name, ways, evidence) if "times too" in t.sentence), None)
    sentences = [f"your d{name} is {size}"] if size else []
    sentences += [f"your d{name}: {told.sentence}"] if told else []
    yield sentences or [f"your d{name} is {ratio:.4g} times what it should be, everywhere"]


def _of_softmaxes(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Told]:
    """Softmaxes with another derivative."""
    return _of_changes(name, ways, evidence, wrong_softmaxes(evidence.operations))


def _of_slopes(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Told]:
    """Known activations with another derivative in the backward."""
    return _of_changes(name, ways, evidence, wrong_slopes(evidence.operations, known=True))


def _of_rules(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Told]:
    """Other operations whose rule is another one in the backward."""
    operations = evidence.operations
    others = wrong_slopes(operations, known=False), wrong_products(operations)
    for table in (wrong_signs(operations), *others):
        yield from _of_changes(name, ways, evidence, table)


def _of_changes(
    name: str, ways: list[Way], evidence: Evidence, table: Iterable[tuple[str, Changes]]
) -> Iterator[Told]:
    """Sentences of those changed forwards that say what the backward says."""
    for sentence, changes in table:
        if evidence.is_late():
            return

        def fits(name: str, ways: list[Way], changes: Changes = changes) -> bool:
            return evidence.explains(
                lambda way: evidence.slope(name, way.direction, way.v, changes), ways
            )

        if fits(name, ways):
            yield Told(sentence, fits)


def _of_straight(name: str, ways: list[Way], evidence: Evidence) -> Iterator[Told]:
    """An activation whose derivative is a number, where it should not be."""
    for text, line, held in straight(evidence.operations):
        if evidence.is_late():
            return
        ratio = evidence.ratio(name, ways, line, held)
        if ratio is not None and abs(ratio) > 1e-3:
            told = f"the derivative of {text} is the same everywhere: a factor of it is missing"
            yield Told(told, lambda name, ways: False)
