"""The hidden arguments: drawn from an exercise's sizes by a secret."""

from __future__ import annotations

import hashlib
import inspect
import re
from typing import Any, NamedTuple

import numpy as np

from minienc.course.exercise import Exercise
from minienc.course.parts import BATCH, OTHERS, Case
from minienc.verify.adapters.files import draw_arguments

SHAPES = 5
PUBLIC = "public"  # the secret of the checks that students run themselves


class Point(NamedTuple):
    """One call's arguments."""

    sizes: dict[str, int]
    args: tuple
    options: dict[str, Any]


def draw(exercise: Exercise, number: int, term: str | None = None) -> list[Point]:
    """Arguments of an exercise's case, for each hidden shape.

    Parameters
    ----------
    exercise : Exercise
    number : int
        Of the case.
    term : str, optional
        The secret; without it the public arguments, which everybody can draw.
    """
    case = exercise.cases[number]
    words = f"{PUBLIC if term is None else 'term ' + term}/{exercise.name}/{number}"
    digest = hashlib.sha256(words.encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest, np.uint32))
    points = []
    for which in range(SHAPES):
        sizes = _sizes(case, which, rng)
        if isinstance(case.inputs, str):
            args = draw_arguments(case.inputs, rng, "float64", sizes)
        else:
            args = case.inputs(rng, **sizes)
            args = args if isinstance(args, tuple) else (args,)
        points.append(Point(sizes, args, case.options[which % len(case.options)]))
    return points


def _letters(case: Case) -> dict[str, tuple[int, int]]:
    """What each letter may be."""
    if isinstance(case.inputs, str):
        letters = list(dict.fromkeys(re.findall(r"(?<=[=,x])[A-Z]", case.inputs)))
    else:
        letters = list(inspect.signature(case.inputs).parameters)[1:]
    return {k: case.sizes.get(k, BATCH if k == "N" else OTHERS) for k in letters}


def _sizes(case: Case, which: int, rng: np.random.Generator) -> dict[str, int]:
    """The sizes of one hidden shape: the least batch; all different; all but N alike; then any."""
    ranges = _letters(case)
    drawn = {k: int(rng.integers(least, most + 1)) for k, (least, most) in ranges.items()}
    others = [k for k in ranges if k != "N"]
    if which == 0 and "N" in ranges:
        drawn["N"] = ranges["N"][0]
    elif which == 1:
        for _ in range(50):
            if len(set(drawn.values())) == len(drawn):
                break
            drawn = {k: int(rng.integers(a, b + 1)) for k, (a, b) in ranges.items()}
        if "N" in drawn and drawn["N"] == 1:
            drawn["N"] = min(ranges["N"][1], max(drawn.values()) + 1)
    elif which == 2 and others:
        alike = drawn[others[0]]
        for k in others:
            drawn[k] = min(max(alike, ranges[k][0]), ranges[k][1])
    return drawn
