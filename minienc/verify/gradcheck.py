"""The gradient checker: ``gradcheck`` and ``assert_gradients``.

It asks the forward how its outputs change (``differences``) and holds against that what the
backward claims, for random cotangents, element by element where a tensor is small, along random
directions and then by bisection where it is large. Three verdicts: *pass*, *fail*, and
*inconclusive* where the question cannot be answered: a gradient below the noise, or nothing to
check. Beside the numbers it holds the backward to the laws of a pure pair (``laws``).
"""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import numpy as np

from minienc.verify.diagnosis import diagnose
from minienc.verify.differences import (
    Derivative,
    Line,
    Outputs,
    derivative,
    find_kink,
    first_step,
    measure_noise,
    tensor_scale,
)
from minienc.verify.laws import check_laws
from minienc.verify.mutants import count_caught
from minienc.verify.report import FAIL, INCONCLUSIVE, PASS, Element, Report, TensorResult
from minienc.verify.subject import Arguments, Subject, make_subject

ELEMENTWISE = 600  # tensors of at most so many elements are checked one by one
DIRECTIONS = 6
RTOL = 1e-6  # of float64 gradients: far above what differences leave, far below any mistake
SURE = 10.0  # an uncertainty is an estimate: it counts this many times
EPS = float(np.finfo(np.float64).eps)


def gradcheck(
    what: Any,
    *args: Any,
    gradient: Any = None,
    targets: Any = None,
    seed: int = 0,
    exhaustive: bool = False,
    **options: Any,
) -> Report:
    """Check gradients.

    Parameters
    ----------
    what, *args
        A pair ``gradcheck(forward, backward, x, W, b)``; a function that returns ``(y, backward)``,
        ``gradcheck(f, x, W)``; a layer or model, ``gradcheck(layer, x)``; a compiled model with its
        loss, ``gradcheck(model, x, y)``.
    gradient : function or arrays, optional
        What a plain function of a number claims as its gradient: ``gradcheck(f, x, gradient=g)``.
    seed : int
        For the cotangents and directions.
    exhaustive : bool
        Element by element whatever the size.
    **options
        Passed to the forward.

    Returns
    -------
    Report
        ``report.verdict``, ``bool(report)``, ``print(report)``.

    Raises
    ------
    SubjectError
        If what was given cannot be checked.
    """
    started = time.perf_counter()
    subject = make_subject(what, args, gradient, targets, options)
    rng = np.random.default_rng(seed)
    report = Report(subject.name, [])
    given = {k: np.array(v) if _is_array(v) else v for k, v in subject.arguments.items()}
    shadow = {k: _as_float64(v) for k, v in given.items()}
    y = _float_outputs(subject.outputs(shadow))
    v = tuple(rng.standard_normal(part.shape) for part in y)
    _, cache = subject.forward(shadow)
    claimed = subject.backward(v, cache)
    native = _native_gradients(subject, given, v)
    examiner = _Examiner(subject, shadow, y, v, rng, exhaustive)
    for name in subject.differentiable:
        result = examiner.examine(name, claimed[name])
        if native is not None and claimed[name] is not None and result.verdict != FAIL:
            _compare_precision(result, native[name], claimed[name])
        report.tensors.append(result)
    for result in report.tensors:
        if result.verdict == FAIL:
            result.diagnosis = diagnose(
                result, claimed[result.name], examiner.numeric.get(result.name), shadow, v, y
            )
    report.problems += check_laws(subject, given, v)
    if report.verdict == FAIL and subject.model is not None:
        report.notes.append(find_wrong_layer(subject))
    report.mutants, report.mutants_caught = count_caught(
        {t.name: claimed[t.name] for t in report.tensors if t.verdict == PASS}, examiner.judge_again
    )
    if any(t.method == "directions" for t in report.tensors):
        report.miss_probability = miss_probability(1e-2, DIRECTIONS)
    report.evaluations = examiner.evaluations
    report.seconds = time.perf_counter() - started
    return report


def assert_gradients(what: Any, *args: Any, **options: Any) -> None:
    """For a test suite: raise AssertionError, with the report, unless the verdict is "pass"."""
    report = gradcheck(what, *args, **options)
    if not report:
        raise AssertionError(f"gradients of {report.subject}: {report.verdict}\n{report}")


def miss_probability(relative_error: float, directions: int) -> float:
    """How likely an error of this fraction of the gradient's norm escapes all directions.

    Along a normal direction the error is normal too, with its norm as standard deviation; it
    escapes where it is below the tolerance, with probability about sqrt(2/pi) tolerance / error.
    """
    return (math.sqrt(2 / math.pi) * RTOL / relative_error) ** directions


def find_wrong_layer(subject: Subject) -> str:
    """Check each layer of a model by itself, on what it was given in the model, in the order in
    which they run; say which is the first that is wrong."""
    graph = subject.model.graph
    probe = copy.copy(graph)
    probe.output_slots = list(range(graph.n_slots))
    values, _ = probe.forward(subject.inputs)
    for step in graph.steps:
        x = tuple(values[s] for s in step.inputs)
        alone = gradcheck(step.layer, x if step.several else x[0])
        if alone.verdict == FAIL:
            return f"the first wrong layer is {step.path}; by itself:\n{alone}"
    return (
        "each layer by itself is right: the mistake lies in the loss, or in how the graph adds up "
        "its gradients"
    )


class _Examiner:
    """Holds claims against differences of one forward, at one point, for one cotangent."""

    def __init__(
        self,
        subject: Subject,
        arguments: Arguments,
        y: Outputs,
        v: Outputs,
        rng: np.random.Generator,
        exhaustive: bool,
    ) -> None:
        self.subject, self.arguments, self.y, self.v = subject, arguments, y, v
        self.rng, self.exhaustive = rng, exhaustive
        self.evaluations = 0
        self.numeric: dict[str, np.ndarray] = {}  # where a tensor was checked by elements
        self.seen: dict[str, list[tuple[np.ndarray, Derivative]]] = {}  # direction, derivative
        self.noise: float | None = None  # of the forward, measured at the first derivative

    def examine(self, name: str, claimed: Any) -> TensorResult:
        """One argument's gradient."""
        x = self.arguments[name]
        small = self.exhaustive or x.size <= ELEMENTWISE
        result = TensorResult(name, tuple(x.shape), "elements" if small else "directions")
        if x.size == 0:
            return _decide(result, PASS if np.shape(claimed) == x.shape else FAIL, "it is empty")
        if claimed is None:
            return self._examine_missing(result, x)
        claimed = np.asarray(claimed)
        if claimed.shape != x.shape:
            result.n_wrong = x.size
            return _decide(
                result,
                FAIL,
                f"the gradient has shape {claimed.shape}, expected {x.shape}, {name}'s",
            )
        if not np.isfinite(claimed).all():
            bad = [tuple(map(int, i)) for i in np.argwhere(~np.isfinite(claimed))[:3]]
            return _decide(result, FAIL, f"the gradient is not finite at {bad}")
        if small:
            return self._by_elements(result, x, claimed)
        return self._by_directions(result, x, claimed)

    def _examine_missing(self, result: TensorResult, x: np.ndarray) -> TensorResult:
        """The backward gave None: right only where nothing depends on x."""
        d = self._along(result.name, self.rng.standard_normal(x.shape))
        result.checked = 1
        if d.unchanged:
            return _decide(result, PASS, "no gradient, and the outputs do not depend on it")
        return _decide(result, FAIL, "the backward gave no gradient, but the outputs depend on it")

    # -- element by element

    def _by_elements(
        self, result: TensorResult, x: np.ndarray, claimed: np.ndarray
    ) -> TensorResult:
        numeric = np.zeros(x.shape)
        all_dead = True
        for index in np.ndindex(x.shape):
            direction = np.zeros(x.shape)
            direction[index] = 1.0
            d = self._along(result.name, direction, index)
            numeric[index] = d.value
            all_dead = all_dead and d.unchanged
            self._judge(result, index, float(claimed[index]), d, direction)
        self.numeric[result.name] = numeric
        result.checked = x.size
        return _conclude(result, all_dead)

    # -- along directions, then by bisection

    def _by_directions(
        self, result: TensorResult, x: np.ndarray, claimed: np.ndarray
    ) -> TensorResult:
        all_dead = True
        for _ in range(DIRECTIONS):
            direction = self.rng.standard_normal(x.shape)
            d = self._along(result.name, direction)
            all_dead = all_dead and d.unchanged
            before = result.n_wrong
            self._judge(result, (), float(np.sum(claimed * direction)), d, direction)
            if result.n_wrong > before and len(result.wrong) < 5:
                result.wrong += self._bisect(result.name, x, claimed, direction)
        result.checked = DIRECTIONS
        result.wrong.sort(key=lambda e: (not e.index, -abs(e.yours - e.numeric)))
        return _conclude(result, all_dead)

    def _bisect(
        self, name: str, x: np.ndarray, claimed: np.ndarray, direction: np.ndarray
    ) -> list[Element]:
        """Follow the halves in which a direction is wrong down to single elements."""
        found: list[Element] = []
        pending = [np.arange(x.size)]
        while pending and len(found) < 3:
            indices = pending.pop()
            part = np.zeros(x.size)
            part[indices] = 1.0 if len(indices) == 1 else direction.ravel()[indices]
            d = self._along(name, part.reshape(x.shape))
            yours = float(np.sum(claimed.ravel() * part))
            if not _is_wrong(yours, d):
                continue
            if len(indices) == 1:
                index = tuple(int(i) for i in np.unravel_index(indices[0], x.shape))
                found.append(_element(index, yours, d))
            else:
                half = len(indices) // 2
                pending += [indices[half:], indices[:half]]
        return found

    # -- one derivative, one judgement

    def _line(self, name: str, direction: np.ndarray) -> Line:
        """t -> the outputs, with t times the direction added to one argument."""
        x = self.arguments[name]

        def line(t: float) -> Outputs:
            moved = {**self.arguments, name: x + t * direction}
            return _float_outputs(self.subject.outputs(moved))

        return line

    def _along(self, name: str, direction: np.ndarray, index: tuple | None = None) -> Derivative:
        x = self.arguments[name]
        line = self._line(name, direction)
        size = 0.0 if index is None else float(x[index])
        h = first_step(size, tensor_scale(x), EPS)
        with np.errstate(all="ignore"):
            if self.noise is None:
                self.noise = measure_noise(line, self.y, EPS, h)
                self.evaluations += 7
            d = derivative(line, self.v, self.y, h, self.noise)
        self.evaluations += d.evaluations
        self.seen.setdefault(name, []).append((direction, d))
        return d

    def _is_subgradient(
        self, yours: float, d: Derivative, direction: np.ndarray, name: str
    ) -> bool:
        """At a kink, any slope between those to both sides is right."""
        assert self.noise is not None
        with np.errstate(all="ignore"):
            line = self._line(name, direction)
            sides = find_kink(line, self.v, self.y, d.step / 2, self.noise)
        self.evaluations += 4
        if sides is None:
            return False
        slack = 1e-4 * max(abs(sides.left), abs(sides.right))
        return min(sides) - slack <= yours <= max(sides) + slack

    def _judge(
        self, result: TensorResult, index: tuple, yours: float, d: Derivative, direction: np.ndarray
    ) -> None:
        """Count one number: right, wrong, at a kink, or below the noise."""
        element = _element(index, yours, d)
        if _is_wrong(yours, d):
            if self._is_subgradient(yours, d, direction, result.name):
                result.n_kinks += 1
                return
            result.n_wrong += 1
            result.wrong.append(element)
            result.worst_relative_error = max(result.worst_relative_error, element.relative_error)
            return
        size = max(abs(yours), abs(d.value))
        proven_zero = d.unchanged and yours == 0.0
        if not proven_zero and SURE * d.uncertainty > 0.1 * size:
            result.n_below_floor += 1
            return
        result.worst_relative_error = max(result.worst_relative_error, element.relative_error)

    def judge_again(self, name: str, claimed: np.ndarray) -> bool:
        """Would this claim be found wrong by the differences that were already taken?"""
        return any(
            _is_wrong(float(np.sum(claimed * direction)), d) for direction, d in self.seen[name]
        )


def _is_wrong(yours: float, d: Derivative) -> bool:
    tolerance = SURE * d.uncertainty + RTOL * max(abs(yours), abs(d.value))
    return not abs(yours - d.value) <= tolerance


def _element(index: tuple, yours: float, d: Derivative) -> Element:
    return Element(index, yours, d.value, d.uncertainty, d.step, d.above, d.below)


def _decide(result: TensorResult, verdict: str, reason: str) -> TensorResult:
    result.verdict, result.reason = verdict, reason
    return result


def _conclude(result: TensorResult, all_dead: bool) -> TensorResult:
    result.wrong.sort(key=lambda e: (not e.index, -abs(e.yours - e.numeric)))
    if result.n_wrong:
        what = "elements" if result.method == "elements" else "directions"
        return _decide(result, FAIL, f"{result.n_wrong} of {result.checked} {what} are wrong")
    if all_dead:
        return _decide(
            result,
            INCONCLUSIVE,
            "the outputs do not change with it at this point, so its zero gradient proves nothing",
        )
    if result.n_below_floor:
        return _decide(
            result,
            INCONCLUSIVE,
            f"{result.n_below_floor} of {result.checked} numbers are smaller than the noise of the "
            f"forward: nothing can be said of them",
        )
    return _decide(result, PASS, "")


# --------------------------------------------------------------------------------- float32, float64


def _is_array(x: Any) -> bool:
    return hasattr(x, "dtype") and hasattr(x, "shape")


def _as_float64(x: Any) -> Any:
    """The shadow in which the differences are taken."""
    return x.astype(np.float64) if _is_array(x) and x.dtype.kind == "f" else x


def _float_outputs(y: Outputs) -> Outputs:
    return tuple(np.array(part, dtype=np.float64) for part in y)


def _native_gradients(subject: Subject, given: Arguments, v: Outputs) -> dict[str, Any] | None:
    """The gradients in the dtype that was given, if that is not float64."""
    dtypes = {given[k].dtype for k in subject.differentiable}
    if dtypes == {np.dtype(np.float64)}:
        return None
    y, cache = subject.forward(given)
    return subject.backward(
        tuple(c.astype(part.dtype) for c, part in zip(v, y, strict=True)), cache
    )


def _compare_precision(result: TensorResult, native: Any, exact: Any) -> None:
    """How far float32 is from float64, apart from any mistake of calculus."""
    native, exact = np.asarray(native, np.float64), np.asarray(exact, np.float64)
    if native.shape != exact.shape or native.size == 0:
        return
    size = float(np.abs(exact).max())
    result.precision_error = float(np.abs(native - exact).max() / size) if size > 0 else 0.0
    if not result.precision_error < 1e-2:
        _decide(
            result,
            FAIL,
            f"in float64 the gradient is right, but in the dtype given it is off by "
            f"{result.precision_error:.0%} of its largest element",
        )
