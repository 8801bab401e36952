"""The examination of one gradient: claims against differences, number by number.

Element by element where a tensor is small; where it is large, along random directions, and where
one of those is wrong by bisection down to the wrong elements. Each number comes out right, wrong,
a subgradient at a kink, or below the noise of the forward, where only an oracle can decide.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minienc.verify.curves import taylor_remainder, v_curve
from minienc.verify.differences import (
    Derivative,
    Line,
    Outputs,
    Sides,
    derivative,
    find_kink,
    first_step,
    measure_noise,
    noise_along,
    precision_of,
    tensor_scale,
)
from minienc.verify.oracles import Answer, Oracle, consult
from minienc.verify.report import FAIL, INCONCLUSIVE, PASS, Element, TensorResult
from minienc.verify.subject import Arguments, Subject

ELEMENTWISE = 600  # tensors of at most so many elements are checked one by one,
ELEMENTWISE_OF_LARGE = 30  # or so many, where all tensors together have more than
LARGE = 20_000  # so many, for each evaluation takes long then
DIRECTIONS = 6
RTOL = 1e-6  # of float64 gradients: far above what differences leave, far below any mistake
SURE = 10.0  # an uncertainty is an estimate: it counts this many times
EPS = float(np.finfo(np.float64).eps)


class Examiner:
    """Holds claims against differences of one forward, at one point, for one cotangent.

    Attributes
    ----------
    evaluations : int
        Of the forward, so far.
    numeric : dict
        The gradient by differences, of the tensors that were checked by elements.
    seen : dict
        For each argument every (direction, derivative) that was measured.
    """

    def __init__(
        self,
        subject: Subject,
        arguments: Arguments,
        y: Outputs,
        v: Outputs,
        rng: np.random.Generator,
        exhaustive: bool,
        oracles: list[Oracle],
        largest: float = 0.0,
    ) -> None:
        self.subject, self.arguments, self.y, self.v = subject, arguments, y, v
        self.rng, self.exhaustive, self.oracles = rng, exhaustive, oracles
        self.largest = largest  # of all elements of all gradients
        n_elements = sum(arguments[name].size for name in subject.differentiable)
        self.elementwise = ELEMENTWISE if n_elements <= LARGE else ELEMENTWISE_OF_LARGE
        self.evaluations = 0
        self.numeric: dict[str, np.ndarray] = {}
        self.seen: dict[str, list[tuple[np.ndarray, Derivative]]] = {}
        self.eps = self._precision()
        self.noise: float | None = None  # of the forward, measured at the first derivative

    def _precision(self) -> float:
        """Of the forward, near the point: at the point itself the numbers may be simple ones."""
        rng = np.random.default_rng(0)
        near = {
            k: a * (1 + 1e-3 * rng.random(a.shape)) if k in self.subject.differentiable else a
            for k, a in self.arguments.items()
        }
        try:
            with np.errstate(all="ignore"):
                y = self.subject.outputs(near)
        except (ValueError, ArithmeticError, AssertionError):  # outside its domain
            return EPS
        return precision_of(y)

    def examine(self, name: str, claimed: Any) -> TensorResult:
        """One argument's gradient."""
        x = self.arguments[name]
        small = self.exhaustive or x.size <= self.elementwise
        result = TensorResult(name, tuple(x.shape), "elements" if small else "directions")
        if x.size == 0:
            return _decide(result, PASS if np.shape(claimed) == x.shape else FAIL, "it is empty")
        if name in self.subject.stopped:
            return _examine_stopped(result, claimed)
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
        all_dead = self._by_elements(result, x, claimed) if small else False
        if not small:
            all_dead = self._by_directions(result, x, claimed)
        self._ask_oracles(result, claimed)
        result.taylor = self._taylor(name, claimed)
        return _conclude(result, all_dead)

    def _examine_missing(self, result: TensorResult, x: np.ndarray) -> TensorResult:
        """The backward gave None: right only where nothing depends on x."""
        d = self._along(result.name, self.rng.standard_normal(x.shape))
        result.checked = 1
        if d.unchanged:
            return _decide(result, PASS, "no gradient, and the outputs do not depend on it")
        return _decide(result, FAIL, "the backward gave no gradient, but the outputs depend on it")

    # -- element by element

    def _by_elements(self, result: TensorResult, x: np.ndarray, claimed: np.ndarray) -> bool:
        """Returns whether no element moved any output."""
        numeric = np.zeros(x.shape)
        all_dead = True
        for index in np.ndindex(x.shape):
            direction = np.zeros(x.shape)
            direction[index] = 1.0
            d = self._along(result.name, direction, index)
            if is_wrong(float(claimed[index]), d):
                d = self._look_closer(result.name, direction, index, d)
                d = self._with_local_noise(result.name, direction, index, d)
            numeric[index] = d.value
            all_dead = all_dead and d.unchanged
            self._judge(result, index, float(claimed[index]), d, direction)
        self.numeric[result.name] = numeric
        result.checked = x.size
        if result.n_kinks and not result.n_wrong:
            self._by_ties(result, claimed)
        return all_dead

    def _by_ties(self, result: TensorResult, claimed: np.ndarray) -> None:
        """Where a maximum is tied, each element may have any share of its slope, but all together
        exactly the whole: along (1, ..., 1) a maximum has no kink."""
        ones = np.ones(claimed.shape)
        d = self._along(result.name, ones)
        yours = float(np.sum(claimed))
        if is_wrong(yours, d) and not self._kink_at(d, ones, result.name):
            result.n_wrong += 1
            result.wrong.append(_element((), yours, d))

    def _holds_beside(self, name: str) -> bool | None:
        """Redrawn: at a point a little beside, with the backward's gradient there, along one
        direction; None where no other point can be had."""
        x = self.arguments[name]
        if self.subject.fixed or self.subject.surrogate is not None:
            return None
        step = 0.1 * tensor_scale(x) * self.rng.standard_normal(x.shape)
        moved = {**self.arguments, name: x + step}
        try:
            with np.errstate(all="ignore"):
                y, cache = self.subject.forward(moved)
                claimed = self.subject.backward(self.v, cache)[name]
        except (ValueError, ArithmeticError, AssertionError):  # outside its domain
            return None
        beside = Examiner(self.subject, moved, float_outputs(y), self.v, self.rng, False, [])
        return claimed is not None and beside.holds_along_a_direction(name, np.asarray(claimed))

    # -- along directions, then by bisection

    def _by_directions(self, result: TensorResult, x: np.ndarray, claimed: np.ndarray) -> bool:
        all_dead = True
        for _ in range(DIRECTIONS):
            direction = self.rng.standard_normal(x.shape)
            d = self._along(result.name, direction)
            all_dead = all_dead and d.unchanged
            before = result.n_wrong
            yours = float(np.sum(claimed * direction))
            if is_wrong(yours, d):
                d = self._with_local_noise(result.name, direction, None, d)
            if is_wrong(yours, d) and self._kink_at(d, direction, result.name):
                result.n_kinks += 1  # of many kinks at once: nothing can be told here
                holds = self._holds_beside(result.name)
                if holds:
                    result.n_redrawn += 1
                elif holds is not None:
                    result.n_wrong += 1
                    result.wrong.append(_element((), yours, d))
                continue
            self._judge(result, (), yours, d, direction)
            if result.n_wrong > before and len(result.wrong) < 5:
                result.wrong += self._bisect(result.name, x, claimed, direction)
        result.checked = DIRECTIONS
        return all_dead

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
            if not is_wrong(yours, d):
                continue
            if len(indices) == 1:
                index = tuple(int(i) for i in np.unravel_index(indices[0], x.shape))
                found.append(_element(index, yours, d))
            else:
                half = len(indices) // 2
                pending += [indices[half:], indices[:half]]
        return found

    # -- one derivative, one judgement

    def line(self, name: str, direction: np.ndarray) -> Line:
        """t -> the outputs, with t times the direction added to one argument."""
        x = self.arguments[name]

        def line(t: float) -> Outputs:
            self.evaluations += 1
            moved = {**self.arguments, name: x + t * direction}
            try:
                return float_outputs(self.subject.outputs(moved))
            except (ValueError, ArithmeticError, AssertionError):  # outside its domain
                return tuple(np.full(part.shape, np.nan) for part in self.y)

        return line

    def _along(self, name: str, direction: np.ndarray, index: tuple | None = None) -> Derivative:
        x = self.arguments[name]
        line = self.line(name, direction)
        size = 0.0 if index is None else float(x[index])
        h = first_step(size, tensor_scale(x), self.eps)
        with np.errstate(all="ignore"):
            if self.noise is None:
                self.noise = measure_noise(line, self.y, self.eps, h)
            # along a direction, only as exact as the judgement needs: these may be large models
            goal = 1e-9 if index is not None else RTOL / SURE
            small = first_step(size, 0.0, EPS) if size else None
            d = derivative(line, self.v, self.y, h, self.noise, goal, small)
        self.seen.setdefault(name, []).append((direction, d))
        return d

    def _look_closer(
        self, name: str, direction: np.ndarray, index: tuple, d: Derivative
    ) -> Derivative:
        """An element far smaller than its tensor may lie beside a pole that the first step leapt
        over: with a step of its own size another number comes out, and that one counts."""
        x = self.arguments[name]
        h = first_step(float(x[index]), 0.0, self.eps)
        if x[index] == 0 or h >= d.step:
            return d
        assert self.noise is not None
        with np.errstate(all="ignore"):
            closer = derivative(self.line(name, direction), self.v, self.y, h, self.noise)
        if not abs(closer.value - d.value) > SURE * (closer.uncertainty + d.uncertainty):
            return d
        self.seen[name][-1] = (direction, closer)
        return closer

    def _with_local_noise(
        self, name: str, direction: np.ndarray, index: tuple | None, d: Derivative
    ) -> Derivative:
        """Before a number is called wrong: an output may be much less exact than its last digit,
        where it is what two nearly equal numbers left (1 + tanh of -5)."""
        x = self.arguments[name]
        own = 0.0 if index is None else abs(float(x[index]))
        h = first_step(own, 0.0 if own > 0 else tensor_scale(x), self.eps)
        with np.errstate(all="ignore"):
            rounding = 3 * noise_along(self.line(name, direction), self.v, h) / d.step
        if not rounding > d.uncertainty:
            return d
        noisy = d._replace(uncertainty=d.uncertainty + rounding)
        self.seen[name][-1] = (direction, noisy)
        return noisy

    def _kink_at(self, d: Derivative, direction: np.ndarray, name: str) -> Sides | None:
        assert self.noise is not None
        with np.errstate(all="ignore"):
            line = self.line(name, direction)
            return find_kink(line, self.v, self.y, d.step / 2, self.noise)

    def _is_subgradient(
        self, yours: float, d: Derivative, direction: np.ndarray, name: str
    ) -> bool:
        """At a kink, any slope between those to both sides is right."""
        sides = self._kink_at(d, direction, name)
        if sides is None:
            return False
        slack = 1e-4 * max(abs(sides.left), abs(sides.right))
        return min(sides) - slack <= yours <= max(sides) + slack

    def _judge(
        self, result: TensorResult, index: tuple, yours: float, d: Derivative, direction: np.ndarray
    ) -> None:
        """Count one number: right, wrong, at a kink, or below the noise."""
        element = _element(index, yours, d)
        if not math.isfinite(d.value):
            result.n_undefined += 1
            return
        is_flat = d.value == 0.0 == yours and not d.unchanged  # |x| at 0; x^2 at 0, too
        if is_flat and self._is_subgradient(yours, d, direction, result.name):
            result.n_kinks += 1
            return
        if is_wrong(yours, d):
            if self._is_subgradient(yours, d, direction, result.name):
                result.n_kinks += 1
                return
            result.n_wrong += 1
            result.wrong.append(element)
        elif _is_below_floor(yours, d):
            if self._is_subgradient(yours, d, direction, result.name):  # |x| at 0
                result.n_kinks += 1
            else:
                result.n_below_floor += 1
            return
        if result.worst is None or element.relative_error > result.worst.relative_error:
            result.worst = element

    def judge_again(self, name: str, claimed: np.ndarray) -> bool:
        """Would this claim be found wrong by the differences that were already taken?"""
        return any(
            is_wrong(float(np.sum(claimed * direction)), d) for direction, d in self.seen[name]
        )

    def holds_along_a_direction(self, name: str, claimed: np.ndarray) -> bool:
        """One direction through all elements; a kink on the way does not count as wrong."""
        direction = self.rng.standard_normal(claimed.shape)
        d = self._along(name, direction)
        yours = float(np.sum(claimed * direction))
        if is_wrong(yours, d):
            index = (0,) * claimed.ndim if claimed.size == 1 else None
            d = self._with_local_noise(name, direction, index, d)
        return not is_wrong(yours, d) or self._is_subgradient(yours, d, direction, name)

    # -- beside the differences

    def _ask_oracles(self, result: TensorResult, claimed: np.ndarray) -> None:
        """Where an oracle agrees with all differences, it decides what lies below their noise."""
        seen = self.seen[result.name]
        yours = [float(np.sum(claimed * direction)) for direction, _ in seen]
        for oracle in self.oracles:
            if oracle.along is None or result.n_kinks:
                continue
            answers, contradiction = consult(oracle, result.name, seen, is_wrong)
            if answers is None:
                result.oracles[oracle.name] = f"not used: {contradiction}"
                continue
            size = max((max(abs(a.value), a.rounding) for a in answers), default=0.0)
            gaps = [abs(mine - a.value) for mine, a in zip(yours, answers, strict=True)]
            result.oracles[oracle.name] = max(gaps) / size if size > 0 else max(gaps)
            self._decide_below_floor(result, seen, yours, answers)

    def _decide_below_floor(
        self,
        result: TensorResult,
        seen: list[tuple[np.ndarray, Derivative]],
        yours: list[float],
        answers: list[Answer],
    ) -> None:
        for (direction, d), mine, answer in zip(seen, yours, answers, strict=True):
            rounding = answer.rounding + 64 * EPS * self.largest  # the backward rounds, too
            exact = d._replace(value=answer.value, uncertainty=rounding)
            if is_wrong(mine, d) or not _is_below_floor(mine, d):
                continue
            if not math.isfinite(d.uncertainty):
                continue  # nothing has confirmed the oracle here
            if not is_wrong(mine, exact._replace(uncertainty=1e-40 * self.largest)):  # the same
                result.n_below_floor -= 1
                continue
            if _is_below_floor(mine, exact):
                continue
            result.n_below_floor -= 1
            if is_wrong(mine, exact):
                result.n_wrong += 1
                index: tuple[int, ...] = ()
                if np.count_nonzero(direction) == 1:
                    index = tuple(int(i) for i in np.argwhere(direction)[0])
                result.wrong.append(_element(index, mine, exact))

    def _taylor(self, name: str, claimed: np.ndarray) -> Any:
        x = self.arguments[name]
        direction = self.rng.standard_normal(x.shape)
        slope = float(np.sum(claimed * direction))
        # half the argument's size along the direction, which has length 1 in each element
        h = 2.0 ** round(math.log2(0.5 * tensor_scale(x)))
        assert self.noise is not None
        with np.errstate(all="ignore"):
            line = self.line(name, direction)
            return taylor_remainder(line, self.v, self.y, slope, h, self.noise)

    def draw_v_curve(self, result: TensorResult, claimed: Any) -> None:
        """Add the V-curve of the worst element (or direction) to a result."""
        worst = result.wrong[0] if result.wrong else result.worst
        if worst is None or claimed is None or np.shape(claimed) != result.shape:
            return
        x = self.arguments[result.name]
        if worst.index or result.shape == ():
            direction = np.zeros(x.shape)
            direction[worst.index] = 1.0
        else:
            direction = self.seen[result.name][0][0]
        yours = float(np.sum(np.asarray(claimed) * direction))
        scale = max(tensor_scale(x), abs(float(x[worst.index])) if worst.index else 0.0)
        with np.errstate(all="ignore"):
            result.v_curve = v_curve(self.line(result.name, direction), self.v, yours, scale)


def is_wrong(yours: float, d: Derivative) -> bool:
    """Further from the difference than its uncertainty and the tolerance allow."""
    if not math.isfinite(d.uncertainty):
        return False  # there is no difference to hold it against
    tolerance = SURE * d.uncertainty + RTOL * max(abs(yours), abs(d.value))
    return not abs(yours - d.value) <= tolerance


def _is_below_floor(yours: float, d: Derivative) -> bool:
    """A number so small that the difference could not have told it from another."""
    if d.unchanged and yours == 0.0:
        return False  # proven to be zero
    return not SURE * d.uncertainty <= 0.1 * max(abs(yours), abs(d.value))


def _element(index: tuple, yours: float, d: Derivative) -> Element:
    return Element(index, yours, d.value, d.uncertainty, d.step, d.above, d.below)


def _examine_stopped(result: TensorResult, claimed: Any) -> TensorResult:
    """A declared stop-gradient: None or zeros, whatever the outputs do."""
    result.checked = int(np.prod(result.shape))
    if claimed is None or (np.shape(claimed) == result.shape and not np.any(claimed)):
        return _decide(result, PASS, "no gradient, as declared")
    result.n_wrong = int(np.count_nonzero(claimed))
    return _decide(result, FAIL, "stop_gradient is declared for it, but it has a gradient")


def _decide(result: TensorResult, verdict: str, reason: str) -> TensorResult:
    result.verdict, result.reason = verdict, reason
    return result


def _conclude(result: TensorResult, all_dead: bool) -> TensorResult:
    result.wrong.sort(key=lambda e: (not e.index, -abs(e.yours - e.numeric)))
    undecided = result.n_kinks - result.n_redrawn + result.n_below_floor + result.n_undefined
    result.touched = 1.0 - undecided / result.checked
    if result.n_wrong:
        what = "elements" if result.method == "elements" else "directions"
        return _decide(result, FAIL, f"{result.n_wrong} of {result.checked} {what} are wrong")
    if all_dead:
        return _decide(
            result,
            INCONCLUSIVE,
            "the outputs do not change with it at this point, so its zero gradient proves nothing",
        )
    if result.n_kinks == result.checked and not result.n_redrawn:
        return _decide(
            result, INCONCLUSIVE, "every number lies at a kink, where many slopes are right"
        )
    if result.n_undefined:
        return _decide(
            result,
            INCONCLUSIVE,
            f"{result.n_undefined} of {result.checked} numbers have no difference: beside this "
            f"point the forward gives NaN or infinity",
        )
    if result.n_below_floor:
        return _decide(
            result,
            INCONCLUSIVE,
            f"{result.n_below_floor} of {result.checked} numbers are smaller than the noise of the "
            f"forward: nothing can be said of them",
        )
    return _decide(result, PASS, "")


def float_outputs(y: Outputs) -> Outputs:
    """Outputs as float64 arrays of their own."""
    return tuple(np.array(part, dtype=np.float64) for part in y)
