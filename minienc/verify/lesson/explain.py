"""Adding to a report what a student can learn from."""

from __future__ import annotations

import math

import numpy as np

from minienc.verify.examine import DIRECTIONS
from minienc.verify.findings import FAIL, Element, Findings, TensorResult
from minienc.verify.judge import is_wrong
from minienc.verify.lesson.curves import Taylor, taylor_remainder, v_curve
from minienc.verify.lesson.diagnosis import diagnose
from minienc.verify.lesson.evidence import Evidence
from minienc.verify.lesson.mutants import plant
from minienc.verify.measure import Direction, Meter, element
from minienc.verify.noise import tensor_scale


def explain(findings: Findings, meter: Meter) -> None:
    """Add likely causes, curves, and which planted mistakes the check would have noticed."""
    trial, evidence = meter.trial, None
    for result in findings.tensors:
        if result.verdict == FAIL:
            _locate(result, meter)
            evidence = evidence or Evidence(meter)
            result.diagnosis = diagnose(result, evidence, _numeric_gradient(result, meter))
        if _is_examined(result, meter) and meter.left() > 0:
            result.taylor = _taylor(result.name, meter)
    if meter.left() > 0:
        _draw_v_curves(findings.tensors, meter)
    else:
        findings.left_out.append("curves, and some guesses at the cause")
    right = [t.name for t in findings.tensors if t.verdict != FAIL and _is_examined(t, meter)]
    planted = plant(trial, {k: trial.gradients[k] for k in right})
    findings.mutants = len(planted)
    findings.mutants_missed = [f"{m[0]}: {m[1]}" for m in planted if not _is_noticed(*m, meter)]
    if any(t.method == "directions" for t in findings.tensors):
        # Along a normal direction an error is normal too, with its norm as standard deviation; it
        # escapes below the tolerance, with probability about sqrt(2/pi) tolerance / error.
        findings.miss_probability = (math.sqrt(2 / math.pi) * meter.rtol / 1e-2) ** DIRECTIONS


def _locate(result: TensorResult, meter: Meter) -> None:
    """Where a direction is wrong, find the wrong elements by bisection."""
    if result.method != "directions" or not _is_examined(result, meter):
        return
    gradient = np.asarray(meter.trial.gradients[result.name])
    for direction, d in tuple(meter.measured[result.name]):
        if meter.left() < 0 and any(e.index for e in result.wrong):
            break
        if not is_wrong(direction.slope(gradient), d) or meter.sides(direction, d):
            continue
        result.wrong += _bisect(meter, direction, gradient)
        if len(result.wrong) - result.n_wrong >= 5:
            break
    result.wrong.sort(key=lambda e: (not e.index, -abs(e.yours - e.numeric)))


def _bisect(meter: Meter, direction: Direction, gradient: np.ndarray) -> list[Element]:
    """Follow the halves in which a direction is wrong down to single elements."""
    found: list[Element] = []
    pending = [np.arange(gradient.size)]
    while pending and len(found) < 3 and (meter.left() > 0 or not found):
        indices = pending.pop()
        vector = np.zeros(gradient.size)
        vector[indices] = 1.0 if len(indices) == 1 else direction.vector.ravel()[indices]
        part = Direction(direction.name, vector.reshape(gradient.shape))
        d, yours = meter.measure(part), part.slope(gradient)
        if not is_wrong(yours, d):
            continue
        if len(indices) == 1:
            index = tuple(int(i) for i in np.unravel_index(indices[0], gradient.shape))
            found.append(Element(index, yours, *d[:5]))
        else:
            half = len(indices) // 2
            pending += [indices[half:], indices[:half]]
    return found


def _is_examined(result: TensorResult, meter: Meter) -> bool:
    """Whether its numbers were measured, and the gradient had the shape for it."""
    return result.name in meter.measured and meter.trial.gradients[result.name] is not None


def _numeric_gradient(result: TensorResult, meter: Meter) -> np.ndarray | None:
    """By differences, where every element was measured (before anything else was)."""
    if result.method != "elements" or not _is_examined(result, meter):
        return None
    size = int(np.prod(result.shape))
    return np.array([d.value for _, d in meter.measured[result.name][:size]]).reshape(result.shape)


def _is_noticed(name: str, mistake: str, gradient: np.ndarray, meter: Meter) -> bool:
    """A planted mistake, held against the differences that were already taken."""
    return any(is_wrong(direction.slope(gradient), d) for direction, d in meter.measured[name])


def _taylor(name: str, meter: Meter) -> Taylor:
    direction, trial = meter.draw(name), meter.trial
    slope = direction.slope(np.asarray(trial.gradients[name]))
    # half the argument's size along the direction, which has length 1 in each element
    h = 2.0 ** round(math.log2(0.5 * tensor_scale(trial.arguments[name])))
    return taylor_remainder(meter.line(direction), slope, h)


def _draw_v_curves(tensors: list[TensorResult], meter: Meter) -> None:
    """Of the worst number of what failed; of what passed, of the one with the largest error."""
    worst = [t for t in tensors if t.verdict == FAIL]
    worst = worst or sorted(tensors, key=lambda t: -t.worst_relative_error)[:1]
    for result in worst[:3]:
        number = result.wrong[0] if result.wrong else result.worst
        if number is None:
            continue
        x = meter.trial.arguments[result.name]
        direction: Direction = meter.measured[result.name][0][0]
        if number.index or result.shape == ():
            direction = element(result.name, x.shape, number.index)
        slope = direction.slope(np.asarray(meter.trial.gradients[result.name]))
        scale = max(tensor_scale(x), abs(float(x[number.index])) if number.index else 0.0)
        result.v_curve = v_curve(meter.line(direction), slope, scale)
