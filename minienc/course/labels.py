"""What cases are called in a report: by their function; and where two have the same one, by what
makes them differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from minienc.course.parts import Case, Function


def labels_of(cases: Sequence[Case]) -> list[str]:
    """A label for each case, no two alike; they do not depend on what is drawn.

    >>> from minienc.course import Pair
    >>> labels_of([Pair("softmax", "x=N,D"), Pair("softmax", "x=N,T,D"), Pair("relu", "x=N,D")])
    ['softmax (x=N,D)', 'softmax (x=N,T,D)', 'relu']
    """
    found: list[str] = [""] * len(cases)
    for name in dict.fromkeys(case.name for case in cases):
        places = [i for i, case in enumerate(cases) if case.name == name]
        told = _tell_apart([cases[i] for i in places])
        for i, words in zip(places, told, strict=True):
            found[i] = f"{name} ({words})" if words else name
    return found


def _tell_apart(cases: list[Case]) -> list[str]:
    """The first way of telling them apart in which no two are alike."""
    given = [case.label for case in cases]
    if len(cases) == 1 or (all(given) and len(set(given)) == len(cases)):
        return given
    for tell in WAYS:
        words = [case.label or tell(case) for case in cases]
        if all(words) and len(set(words)) == len(cases):
            return words
    return [f"case {k}" for k in range(1, len(cases) + 1)]


def _options(case: Case) -> str:
    """axis=0; axis=0 or axis=1, where they take turns; as it is."""
    words = [", ".join(f"{k}={v!r}" for k, v in each.items()) for each in case.options]
    return " or ".join(word or "as it is" for word in words)


def _shapes(case: Case) -> str:
    """x=N,T,D, or what the function is called that draws the arguments."""
    if isinstance(case.inputs, str):
        return case.inputs
    name = getattr(case.inputs, "__name__", "")
    return name.replace("_", " ") if name.isidentifier() else ""


def _sizes(case: Case) -> str:
    return ", ".join(f"{k} = {least} to {most}" for k, (least, most) in case.sizes.items())


def _constants(case: Case) -> str:
    return f"constant {', '.join(case.constants)}" if case.constants else "no constants"


def _results(case: Case) -> str:
    """What it returns; a pair has nothing to be named by."""
    return ", ".join(case.outputs) if isinstance(case, Function) else case.kind


def _together(case: Case) -> str:
    return "; ".join(filter(None, (_shapes(case), _options(case), _sizes(case))))


WAYS: tuple[Callable[[Case], str], ...] = (
    _shapes,
    _options,
    _sizes,
    _constants,
    _results,
    _together,
)


def unlike(names: Sequence[str]) -> Iterator[str]:
    """Names, each with a number behind it where it was there before."""
    seen: set[str] = set()
    for name in names:
        k, own = 2, name
        while own in seen:
            k, own = k + 1, f"{name}_{k}"
        seen.add(own)
        yield own
