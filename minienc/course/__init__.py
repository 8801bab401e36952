"""The course: exercises that are graded by the checker, with the hint that fits the mistake."""

from minienc.course.parts import Code, Function, Pair, Seed

__all__ = ["Code", "Function", "Pair", "Seed"]
