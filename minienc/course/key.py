"""What is right: the hidden calls of an exercise, and what the solution and each planted mistake
answer.

Computed once for each exercise and term, however many submissions there are.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any, NamedTuple

import numpy as np

from minienc.course import wire
from minienc.course.calls import call
from minienc.course.compare import describe
from minienc.course.draws import Point, draw
from minienc.course.exercise import Exercise, Mistake
from minienc.course.parts import Case, Function, Pair
from minienc.course.wire import Value

Reply = dict[str, Any]


class Asked(NamedTuple):
    """One hidden call."""

    case: Case
    point: Point
    request: dict[str, Any]
    names: tuple[str, ...]  # of the arguments
    wrt: tuple[str, ...]  # of those that have a gradient
    number: int  # of the case
    single: bool = False  # in float32, for the dtype alone


class Key:
    """An exercise's hidden calls and what is right.

    Attributes
    ----------
    asked : list of Asked
    right : list of Reply
        The solution's.
    answers : dict
        To the questions.
    wrong : list of (Mistake, list of Reply, dict)
        What each planted mistake gives.
    """

    def __init__(self, exercise: Exercise, term: str | None = None) -> None:
        self.exercise = exercise
        self.solution = exercise.namespace()
        self.questions = list(exercise.answers)
        self.asked: list[Asked] = []
        for number, case in enumerate(exercise.cases):
            self._ask(number, case, draw(exercise, number, term))
        self.right = self._replies(self.solution)
        for asked, reply in zip(self.asked, self.right, strict=True):
            self._refuse(asked, reply)
        self.answers = {name: self.solution.get(name) for name in self.questions}
        self.wrong = [self._of_mistake(mistake) for mistake in exercise.mistakes]

    def _ask(self, number: int, case: Case, points: list[Point]) -> None:
        forward = self.solution[case.functions[0]]
        names = tuple(inspect.signature(forward).parameters)
        for which, point in enumerate(points):
            kinds = [getattr(a, "dtype", np.dtype(object)).kind for a in point.args]
            floats = [n for n, kind in zip(names, kinds, strict=False) if kind == "f"]
            wrt = tuple(n for n in floats if n not in case.constants)
            request = self._request(case, point, names)
            request["look"] = which in (1, 4)
            self.asked.append(Asked(case, point, request, names, wrt, number))
        if case.dtype and case.functions:
            point = points[1]
            single = point._replace(args=_single(point.args), options=point.options)
            request = self._request(case, single, names)
            self.asked.append(Asked(case, single, request, names, (), number, single=True))

    def _request(self, case: Case, point: Point, names: tuple[str, ...]) -> dict[str, Any]:
        request: dict[str, Any] = {
            "functions": list(case.functions),
            "args": list(point.args),
            "options": point.options,
        }
        if isinstance(case, Function):
            return {**request, "changes": [names.index(name) for name in case.changes]}
        dys: list[Any] = []
        reply = _called(self.solution, {**request, "dys": dys})
        if "y" not in reply:
            self._refuse_error(reply["error"])
        rng = np.random.default_rng((len(self.asked), 4711))
        dy = _cotangent(reply["y"], rng)
        return {**request, "dys": [dy, dy]}  # twice: a cache may be used again

    def _refuse(self, asked: Asked, reply: Reply) -> None:
        """What a solution cannot be judged by; its own errors first."""
        case, at = asked.case, f"{self.exercise.path}: "
        if "error" in reply:
            self._refuse_error(reply["error"])
        if not isinstance(case, Function):
            return
        found = results_of(asked, reply)
        if isinstance(found, str):
            raise ValueError(f"{at}the solution's {found}")
        for name, k in case.gradients(asked.names).items():
            argument = asked.point.args[asked.names.index(name)]
            if k == 0 or np.ndim(found[0]):
                told = "it is itself the first" if k == 0 else f"that is {describe(found[0])}"
            elif np.asarray(argument).dtype.kind != "f":
                told = f"{name} is {describe(argument)}, which has no gradient"
            else:
                continue
            raise ValueError(
                f"{at}d{name} of {case.name} is taken for the gradient of its first result, one "
                f"number, by {name}; {told}: call it something else, or say constants={name!r}"
            )

    def _refuse_error(self, error: dict[str, Any]) -> None:
        raise ValueError(
            f"{self.exercise.path}: the solution's {error['where']} raised {error['type']}: "
            f"{error['message']}"
        )

    def _replies(self, names: dict[str, Any]) -> list[Reply]:
        return [_called(names, asked.request) for asked in self.asked]

    def _of_mistake(self, mistake: Mistake) -> tuple[Mistake, list[Reply], dict[str, Any]]:
        names = self.exercise.namespace(mistake)
        answers = {name: names.get(name) for name in self.questions}
        return mistake, self._replies(names), answers


def _called(names: dict[str, Any], request: dict[str, Any]) -> Reply:
    """``call`` in this process, for what is trusted; through the wire, as all others."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reply = wire.encode(call(names, request, wire))
    head, _ = wire.sizes(reply[:16])
    return wire.decode(reply[16 : 16 + head], reply[16 + head :])


def _single(value: Value) -> Value:
    """Floating arrays as float32."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float32) if value.dtype.kind == "f" else value
    if type(value) in (list, tuple):
        return type(value)(map(_single, value))
    if isinstance(value, dict):
        return {k: _single(v) for k, v in value.items()}
    return value


def _cotangent(y: Value, rng: np.random.Generator) -> Value:
    if isinstance(y, (tuple, list)):
        return tuple(_cotangent(part, rng) for part in y)
    y = np.asarray(y)
    kind = np.float32 if y.dtype == np.float32 else np.float64
    return np.asarray(rng.standard_normal(y.shape)).astype(kind)


def results_of(asked: Asked, reply: Reply) -> tuple[Any, ...] | str:
    """What a ``Function`` returned, by its outputs; or why it does not fit."""
    case = asked.case
    assert isinstance(case, Function)
    found = reply["results"]
    n = len(case.outputs)
    if n == 1:
        found = (found,)
    if n == 0:
        found = ()
    if not isinstance(found, (tuple, list)) or len(found) != n:
        told = f"{len(found)} results" if isinstance(found, (tuple, list)) else "one result"
        return f"{case.name} returned {told}, expected {n}: {', '.join(case.outputs)}"
    return (*found, *reply["new"])


def gradients_of(asked: Asked, found: Value) -> dict[str, Any] | str:
    """What a backward returned, by the names of the arguments; or why it does not fit."""
    case = asked.case
    assert isinstance(case, Pair)
    parts = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    floats = [
        n
        for n, a in zip(asked.names, asked.point.args, strict=False)
        if getattr(a, "dtype", np.dtype(object)).kind == "f"
    ]
    for names in (list(asked.wrt), floats, list(asked.names)):
        if len(parts) == len(names):
            by_name = dict(zip(names, parts, strict=True))
            return {name: by_name[name] for name in asked.wrt}
    expected = ", ".join(f"d{name}" for name in asked.wrt)
    told = f"{len(parts)} results" if len(parts) != 1 else "one result"
    return f"{case.functions[1]} returned {told}, expected {len(asked.wrt)}: {expected}"


_KEYS: dict[tuple[str, int, str | None], Key] = {}


def key_of(exercise: Exercise, term: str | None = None) -> Key:
    """The key of an exercise, made once."""
    stamp = (str(exercise.path), exercise.path.stat().st_mtime_ns, term)
    if stamp not in _KEYS:
        _KEYS[stamp] = Key(exercise, term)
    return _KEYS[stamp]
