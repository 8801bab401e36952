"""The course: exercises that are graded by the checker, with the hint that fits the mistake.

    print(minienc.course.grade("e04_ada.py", term="a secret"))

An exercise file (``exercise``) says what is graded (``parts``) and which mistakes students make.
From it come the hidden arguments (``draws``) and what the solution and each mistake answer
(``key``). A submission answers in a process of its own: ``process`` and ``session`` are the
grader's side, ``child``, ``calls``, ``guard`` and ``wire`` the other, which imports nothing else of
the library; ``replies`` looks at what came back. ``grading`` judges item by item, with ``labels``,
``gradients`` (the checker), ``laws`` and ``hints``; ``batch`` does so many times. ``forms`` builds
what platforms take: ``nbgrader``, ``gradescope``, ``classroom``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minienc.course.parts import Code, Function, Pair, Seed

if TYPE_CHECKING:
    from minienc.course.batch import grade_all
    from minienc.course.forms import build
    from minienc.course.grading import grade
    from minienc.course.overview import overview_of

__all__ = [
    "Code",
    "Function",
    "Pair",
    "Seed",
    "build",
    "grade",
    "grade_all",
    "overview_of",
]
# loaded when they are asked for: an exercise file needs the four above alone
_LATER = {"build": "forms", "grade": "grading", "grade_all": "batch", "overview_of": "overview"}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
