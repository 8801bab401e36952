"""Reading an exercise file, and cutting it: solved, for students, with a mistake planted."""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from minienc.course.parts import Case, Function
from minienc.course.wire import Value

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
LECTURER, LECTURER_END = "### BEGIN LECTURER", "### END LECTURER"
BUCKETS = ("forward", "gradients", "laws", "predictions")
OWN, FILES = "MINIENC_EXERCISES", "e[0-9][0-9]_*.py"
PLAIN = {"forward": 80, "gradients": 0, "laws": 10, "predictions": 10}  # without a gradient
USUAL = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}
Edit = tuple[str, str]


class Mistake(NamedTuple):
    """What a student may get wrong, and what is said then."""

    name: str
    wrong: Value  # an edit, several, or a dictionary of functions and answers
    hint: str


class Exercise:
    """One file of exercises.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    key : str
        ``"e04"``.
    title : str
    marked, solved, student : str
        The file without the lecturer's part: with its markers; solved; with stubs in the place of
        the solution.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.key = self.name.partition("_")[0]
        text = self.path.read_text(encoding="utf-8")
        before, begin, rest = text.partition(f"\n{LECTURER}\n")
        if not begin or f"\n{LECTURER_END}" not in rest:
            raise ValueError(
                f"{path}: no part of the lecturer between {LECTURER} and {LECTURER_END}"
            )
        self._lecturer, _, after = rest.partition(f"\n{LECTURER_END}")
        if after.strip():
            raise ValueError(f"{path}: something stands behind {LECTURER_END}")
        self.marked = before.rstrip() + "\n"
        self.solved = "".join(line for line, _ in self._lines())
        self.student = "".join(self._stubs())

    @cached_property
    def title(self) -> str:
        """The first line of the text."""
        text = ast.get_docstring(ast.parse(self.student)) or self.name
        return text.split("\n")[0]

    # -- the two parts

    def _lines(self) -> Iterator[tuple[str, bool]]:
        """The student's part line by line without its markers, and whether that is solution."""
        inside = False
        for number, line in enumerate(self.marked.splitlines(keepends=True), 1):
            word = line.strip()
            if word in (BEGIN, END):
                if inside is (word == BEGIN):
                    raise ValueError(
                        f"{self.path}, line {number}: {word} within or without another"
                    )
                inside = word == BEGIN
            else:
                yield line, inside
        if inside:
            raise ValueError(f"{self.path}: a {BEGIN} has no {END}")

    def _stubs(self) -> Iterator[str]:
        block: list[str] = []
        for line, is_solution in [*self._lines(), ("", False)]:
            if is_solution:
                block.append(line)
                continue
            if block:
                yield from stub("".join(block))
                block = []
            yield line

    # -- what is in it

    def namespace(self, mistake: Mistake | None = None) -> dict[str, Any]:
        """The names that the solved file defines; with a mistake in the place of what is right."""
        source, wrong = self.solved, {} if mistake is None else mistake.wrong
        for old, new in [] if isinstance(wrong, dict) else _edits(wrong):
            if source.count(old) != 1:
                raise ValueError(
                    f"{self.path}: mistake {mistake and mistake.name!r}: the solution has {old!r} "
                    f"{source.count(old)} times, expected once"
                )
            source = source.replace(old, new)
        names: dict[str, Any] = {"__name__": self.name}
        exec(compile(source, f"<{self.name}>", "exec"), names)  # a name that shows no source
        if isinstance(wrong, dict):
            names.update(wrong)
        return names

    @cached_property
    def _all(self) -> dict[str, Any]:
        names = self.namespace()
        # empty lines first: what it raises has the file's line numbers
        below = "\n" * (self.marked.count("\n") + 1) + self._lecturer
        exec(compile(below, str(self.path), "exec"), names)
        return names

    @property
    def cases(self) -> list[Case]:
        cases = self._all["CASES"]
        for name in (name for case in cases for name in case.functions):
            if not callable(self._all.get(name)):
                raise ValueError(
                    f"{self.path}: CASES has {name}, which the solution does not define; expected "
                    f"a def {name} in it"
                )
        return cases

    @property
    def points(self) -> dict[str, float]:
        """How many for each of ``BUCKETS``; 100 together."""
        given = self._all.get("POINTS")
        gradients = [told for case in self.cases for told in self._gradients(case)]
        if given is None:
            given = USUAL if gradients else PLAIN
        if unknown := set(given) - set(BUCKETS):
            raise ValueError(f"{self.path}: POINTS has {sorted(unknown)}, expected {BUCKETS}")
        if sum(given.values()) != 100:
            raise ValueError(
                f"{self.path}: POINTS are {sum(given.values())}, expected 100 together"
            )
        if gradients and not given.get("gradients"):
            raise ValueError(
                f"{self.path}: {gradients[0]}, and POINTS has nothing for gradients: give them "
                f'some, as in {{"forward": 40, "gradients": 40, ...}}'
            )
        return {bucket: float(given.get(bucket, 0)) for bucket in BUCKETS}

    def _gradients(self, case: Case) -> list[str]:
        """What has the points for gradients, in words."""
        if not isinstance(case, Function):
            return [f"{case.name}_backward returns gradients"]
        names = inspect.signature(self._all[case.name]).parameters
        return [
            f"the result d{name} of {case.name} is a gradient (or else say constants={name!r})"
            for name in case.gradients(list(names))
        ]

    @property
    def answers(self) -> dict[str, str]:
        """The hints for wrong answers, by the names of the questions."""
        return self._all.get("ANSWERS", {})

    @property
    def proofs(self) -> dict[str, Callable[[], Any]]:
        return self._all.get("PROOFS", {})

    @property
    def mistakes(self) -> list[Mistake]:
        return [Mistake(name, *rest) for name, rest in self._all.get("MISTAKES", {}).items()]


def _edits(wrong: Value) -> list[Edit]:
    return [wrong] if isinstance(wrong, tuple) else list(wrong)


def stub(block: str) -> Iterator[str]:
    """What stands in the place of a block of the solution."""
    indent = re.match(r"\s*", block.lstrip("\n"))[0]  # type: ignore[index]
    if indent:
        yield f"{indent}# your code here\n{indent}raise NotImplementedError\n"
        return
    for statement in ast.parse(block).body:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise ValueError(f"a solution at the top level has {ast.unparse(statement)!r}; assign")
        yield f"{ast.unparse(statement.targets[0])} = None  # your answer\n"


# ------------------------------------------------------------------------- where exercises are


def folder() -> Path:
    """Where the exercises lie: in the installed package, or beside it in the repository."""
    here = Path(__file__).parent
    for place in (here / "exercises", here.parents[1] / "tutorials" / "exercises"):
        if place.is_dir():
            return place
    raise FileNotFoundError("this installation of minienc has no exercises")


def all_exercises() -> list[Path]:
    """The files of all exercises, in their order; those of the folder that the environment names in
    MINIENC_EXERCISES are among them, and stand in the place of others of their number."""
    places = [folder(), *([Path(own)] if (own := os.environ.get(OWN)) else [])]
    found = {path.name[:3]: path for place in places for path in place.glob(FILES)}
    return [found[key] for key in sorted(found)]


def find_exercise(name: str) -> Exercise:
    """The exercise that a name means: ``e04``, ``e04_affine``, ``e04_affine.py``, or any file that
    is called so or whose name begins so, such as ``e04_smith.py``; or the path of an exercise file.

    Raises
    ------
    ValueError
        If there is none.
    """
    path = Path(name)
    if path.is_file() and f"\n{LECTURER}\n" in path.read_text(encoding="utf-8", errors="replace"):
        return Exercise(path)
    found = re.search(r"(?<![A-Za-z0-9])e(\d\d)(?!\d)", path.name)
    known = {p.name[:3]: p for p in all_exercises()}
    if found is None or found[0] not in known:
        raise ValueError(
            f"{path.name}: which exercise is this? Expected one of {', '.join(known) or 'none'} in "
            f"the file's name, or --exercise e04"
        )
    return Exercise(known[found[0]])
