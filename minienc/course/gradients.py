"""A submission's gradients, held against the checker: the solution's forward is what they must be
the derivative of, measured here; what the submission says is asked of its process.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minienc.course import wire
from minienc.course.calls import made
from minienc.course.compare import as_floats, differences, gap
from minienc.course.key import Asked, Key, Reply, gradients_of, results_of
from minienc.course.parts import Case, Function, Pair
from minienc.course.results import INCONCLUSIVE, RIGHT, WRONG
from minienc.course.session import Session, sentence
from minienc.course.wire import Value
from minienc.verify import Report, SubjectError, gradcheck
from minienc.verify.findings import FAIL, PASS, TensorResult

RTOL = 1e-6  # of the checker
EXACT = 1e-12  # what a formula keeps and differences do not


Ask = Callable[[dict[str, Any]], Reply]


class Raised(Exception):
    """The submission's own error, on its way through the checker."""


@dataclass
class Checks:
    """What was found of a case's gradients."""

    problem: str = ""  # of all of them
    wrong: dict[str, str] = field(default_factory=dict)  # by argument, a sentence
    tensors: dict[str, list[TensorResult]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[str, str]:
        """(verdict, sentence) on the gradient of an argument."""
        if self.problem:
            return WRONG, self.problem
        if name in self.wrong:
            return WRONG, self.wrong[name]
        found = self.tensors.get(name, [])
        verdicts = {t.verdict for t in found}
        if FAIL in verdicts:
            failed = next(t for t in found if t.verdict == FAIL)
            return WRONG, f"d{name}: {failed.reason}"
        if PASS in verdicts:
            return RIGHT, ""
        reasons = [t.reason for t in found if t.reason]
        return INCONCLUSIVE, reasons[0] if reasons else "nothing could be measured"


def student_gradients(asked: Asked, reply: Reply) -> dict[str, Any] | str:
    """The gradients in a reply, by argument; or what is wrong with all of them."""
    if "error" in reply:
        return sentence(reply["error"])
    if isinstance(asked.case, Pair):
        return gradients_of(asked, reply["gradients"][0])
    found = results_of(asked, reply)
    if isinstance(found, str):
        return found
    return {n: found[k] for n, k in gradient_outputs(asked).items()}


def gradient_outputs(asked: Asked) -> dict[str, int]:
    """Which of a function's results are gradients, by the argument."""
    assert isinstance(asked.case, Function)
    return asked.case.gradients(asked.names)


def check_case(case: Case, session: Session, key: Key) -> Checks:
    """All gradients of a case: compared at all its shapes, and examined by the checker at two, with
    N = 1 and with sizes that differ; at more, where these say nothing."""
    checks = Checks()
    rows = zip(key.asked, session.replies, key.right, strict=True)
    rows = [row for row in rows if row[0].case is case and not row[0].single]  # type: ignore[assignment]
    names: set[str] = set()
    for asked, reply, right in rows:
        mine, true = student_gradients(asked, reply), student_gradients(asked, right)
        assert isinstance(true, dict), true
        if isinstance(mine, str):
            sizes = ", ".join(f"{k} = {n}" for k, n in asked.point.sizes.items())
            checks.problem = f"{mine}, with {sizes}" if sizes else mine
            return checks
        for name in true:
            told = next(differences(mine[name], true[name], RTOL, f"d{name}"), "")
            if told and name not in checks.wrong:
                checks.wrong[name] = told
        names |= set(true)
    for number, (asked, _, _) in enumerate(rows):
        open_ones = [n for n in names - set(checks.wrong) if checks.of(n)[0] == INCONCLUSIVE]
        if (number < 2 and len(checks.wrong) < len(names)) or open_ones:
            _check(checks, asked, session, key)
    return checks


def _check(checks: Checks, asked: Asked, session: Session, key: Key) -> None:
    """One shape, by ``gradcheck``."""
    try:
        report = report_of(asked, session.call, key)
    except (Raised, SubjectError) as error:  # or what it returns cannot be taken for gradients
        checks.problem = str(error)
        return
    for t in report.tensors:
        checks.tensors.setdefault(t.name, []).append(t)


def _remembering(ask: Ask) -> Ask:
    """The same question is asked once: the checker tries other layouts of the same numbers, which
    all travel alike."""
    known: dict[bytes, Reply] = {}

    def asked(request: dict[str, Any]) -> Reply:
        words = wire.encode(request)
        if words not in known:
            known[words] = ask(request)
        return known[words]

    return asked


def report_of(asked: Asked, ask: Ask, key: Key, budget: float = 2.0) -> Report:
    """The checker's report on what is asked for: the solution's forward, somebody's gradients."""
    f, ask = key.solution[asked.case.functions[0]], _remembering(ask)
    if isinstance(asked.case, Pair):
        return _report_of_pair(asked, f, ask, budget)
    return _report_of_function(asked, f, ask, budget)


def _plain(x: Value) -> Value:
    """An argument as the solution gets it. An array that nobody watches: no sentence of the checker
    speaks of the solution's lines; and what stands for a generator or a function is made anew."""
    return np.array(np.asarray(x)) if hasattr(x, "dtype") else made(x, wire)


def _report_of_pair(asked: Asked, f: Callable, ask: Ask, budget: float) -> Report:
    @functools.wraps(f)
    def forward(*args: Value, **options: Value) -> Value:
        return f(*map(_plain, args), **made(options, wire))[0], args

    def backward(dy: Value, cache: Value) -> Value:
        dys = tuple(map(np.asarray, dy)) if isinstance(dy, tuple) else np.asarray(dy)
        request = {**asked.request, "args": list(cache), "dys": [dys], "look": False}
        given = student_gradients(asked, ask(request))
        if isinstance(given, str):
            raise Raised(given)
        return tuple(_number(given[n], asked, n) for n in asked.wrt)

    forward.constants = asked.case.constants  # type: ignore[attr-defined]
    options = asked.point.options
    return gradcheck(forward, backward, *asked.point.args, budget=budget, **options)


def _report_of_function(asked: Asked, f: Callable, ask: Ask, budget: float) -> Report:
    """The gradient of the first result, by those arguments that have one."""
    outputs = gradient_outputs(asked)
    names = list(outputs)
    places = [asked.names.index(n) for n in names]

    def moved(wrt: tuple) -> list[Any]:
        args = [_copied(a) for a in asked.point.args]
        for place, value in zip(places, wrt, strict=True):
            args[place] = _plain(value)
        return args

    def forward(*wrt: Value) -> Value:
        y = f(*map(_plain, moved(wrt)), **asked.point.options)
        return np.float64(y[0] if isinstance(y, (tuple, list)) else y), wrt

    def backward(dy: Value, cache: Value) -> Value:
        given = student_gradients(asked, ask({**asked.request, "args": moved(cache)}))
        if isinstance(given, str):
            raise Raised(given)
        return tuple(float(dy) * _number(given[n], asked, n) for n in names)

    named = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names]
    forward.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    values = [np.asarray(asked.point.args[place], np.float64) for place in places]
    return gradcheck(forward, backward, *values, budget=budget)


def _copied(x: Value) -> Value:
    return x.copy() if isinstance(x, np.ndarray) else x


def _number(g: Value, asked: Asked, name: str) -> np.ndarray:
    """A gradient as numbers; NaN where it is none, so that it is wrong and nothing else is."""
    try:
        return as_floats(g)
    except (TypeError, ValueError):
        return np.full(np.shape(asked.point.args[asked.names.index(name)]), np.nan)


# ---------------------------------------------------------------------- gradients by differences


def computed_by_differences(case: Case, name: str, session: Session, key: Key) -> str:
    """What says that a right gradient was computed by differences; "" where nothing does."""
    worst = 0.0
    rows = zip(key.asked, session.replies, key.right, strict=True)
    for asked, reply, right in [r for r in rows if r[0].case is case and not r[0].single]:
        mine, true = student_gradients(asked, reply), student_gradients(asked, right)
        if isinstance(mine, dict) and isinstance(true, dict):
            worst = max(worst, gap(mine[name], true[name]))
        ways = reply.get("ways") or {}
        size = min((np.size(a) for a in asked.point.args if np.size(a) > 1), default=1)
        if ways.get("forwards", 0) >= max(3, size):
            return f"its backward calls the forward {ways['forwards']} times"
        if ways.get("strange"):
            return f"its backward computes with {ways['strange']} numbers"
    if isinstance(case, Pair) and worst > EXACT:
        return f"it is right to {worst:.0e} only, and a formula to rounding"
    return ""
