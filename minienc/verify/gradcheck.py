"""The gradient checker: ``gradcheck`` and ``assert_gradients``.

It asks the forward how its outputs change (``differences``) and holds against that what the
backward claims (``examiner``), for random cotangents. Three verdicts: *pass*, *fail*, and
*inconclusive* where the question cannot be answered: a gradient below the noise, or nothing to
check. Beside the numbers it holds the backward to the laws of a pure pair (``laws``), to arrays
laid out in every way (``layouts``), and to its own power (``mutants``).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minienc.verify.diagnosis import diagnose
from minienc.verify.differences import gradient_rounding
from minienc.verify.examiner import DIRECTIONS, EPS, RTOL, Examiner, float_outputs
from minienc.verify.laws import check_laws
from minienc.verify.layouts import check_layouts, couples_samples, one_sample
from minienc.verify.mutants import count_caught, plant
from minienc.verify.oracles import Oracle, complex_step, jax_vjp
from minienc.verify.report import FAIL, INCONCLUSIVE, Report, TensorResult
from minienc.verify.second_order import check_symmetry
from minienc.verify.subject import Arguments, Outputs, Subject, SubjectError
from minienc.verify.ways_in import make_subject


@contextmanager
def _global_noise_kept() -> Iterator[None]:
    """Leave ``np.random`` as it was found: forwards that draw from it are replayed meanwhile."""
    before = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(before)


@_global_noise_kept()
@np.errstate(all="ignore")  # steps that leave the function's domain are dealt with, not warned of
def gradcheck(
    what: Any,
    *args: Any,
    gradient: Any = None,
    targets: Any = None,
    surrogate: Any = None,
    stop_gradient: str | tuple[str, ...] = (),
    oracle: str | None = None,
    second_order: bool = False,
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
        loss, ``gradcheck(model, x, y)``; a loss, ``gradcheck(loss, y, target)``; an object with
        ``forward(x)`` and ``backward(dy)``; a function of PyTorch tensors or JAX arrays. What is
        given arrays of a device, or has its weights there, runs there.
    gradient : function or arrays, optional
        What a plain function of a number claims as its gradient: ``gradcheck(f, x, gradient=g)``.
    surrogate : function, optional
        Of the same arguments: what the backward is declared to differentiate in the forward's
        place, such as the identity for a straight-through estimator.
    stop_gradient : str or tuple of str
        Arguments whose gradient is declared to be zero.
    oracle : {None, "jax"}
        "jax" asks ``jax.vjp`` of the same forward, too.
    second_order : bool
        Check that the gradient's own derivative, the Hessian, is symmetric.
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
    subject = make_subject(
        what,
        args,
        gradient=gradient,
        targets=targets,
        surrogate=surrogate,
        stop_gradient=stop_gradient,
        options=options,
    )
    rng = np.random.default_rng(seed)
    report = Report(subject.name, [], device=subject.device)
    report.unchecked = {k: v for k, v in subject.unchecked.items() if k not in subject.stopped}
    given = {k: np.array(v) if _is_array(v) else v for k, v in subject.arguments.items()}
    shadow = {k: _as_float64(v) for k, v in given.items()}
    y = _real_outputs(subject, shadow)
    undefined = _not_finite(subject, shadow, y)
    if undefined:
        report.tensors = [
            TensorResult(k, given[k].shape, "elements", verdict=INCONCLUSIVE, reason=undefined)
            for k in subject.differentiable
        ]
        return report
    v = tuple(rng.standard_normal(part.shape) for part in y)
    _, cache = subject.forward(shadow)
    claimed = subject.backward(v, cache)
    for name, g in claimed.items():
        dtype = np.asarray(0 if g is None else g).dtype
        if dtype.kind not in "fiub":
            raise SubjectError(
                f"{subject.name}: the gradient of {name} is made of {dtype}, expected real numbers"
            )
    native = _native_gradients(subject, given, v)
    oracles = _oracles(subject, shadow, v, oracle)
    report.oracles = {o.name: o.reason for o in oracles}
    largest = max((np.abs(g).max(initial=0) for g in claimed.values() if g is not None), default=0)
    examiner = Examiner(subject, shadow, y, v, rng, exhaustive, oracles, float(largest))
    if examiner.eps > EPS:
        report.notes.append(
            f"the forward rounds to {examiner.eps:.0e} though it was given float64, as float32 or "
            f"float16 arrays inside it do: smaller mistakes cannot be seen"
        )
    for name in subject.differentiable:
        result = examiner.examine(name, claimed[name])
        if native is not None and claimed[name] is not None and result.verdict != FAIL:
            dtype = given[name].dtype
            rounding = gradient_rounding(shadow[name], v, y, float(np.finfo(dtype).eps))
            _compare_precision(result, native[name], claimed[name], dtype, rounding)
        report.tensors.append(result)
    for result in report.tensors:
        if result.verdict == FAIL:
            result.diagnosis = diagnose(
                result, claimed[result.name], examiner.numeric.get(result.name), shadow, v, y
            )
    _draw_v_curves(report.tensors, examiner, claimed)
    report.problems += check_laws(subject, given, v)
    if not report.problems and subject.device == "cpu":  # a device has no layouts to hand over
        report.problems += check_layouts(subject, given, v)
    if report.verdict != FAIL:
        _check_one_sample(report, subject, shadow, y, rng)
    if second_order:
        _check_second_order(report, subject, shadow, v, rng)
    if couples_samples(subject, shadow, y):
        report.notes.append(
            "a sample's output depends on the other samples of its batch, as in batch "
            "normalisation: the gradient holds for this batch"
        )
    if report.verdict == FAIL and subject.model is not None:
        report.notes.append(find_wrong_layer(subject))
    right = {t.name: claimed[t.name] for t in report.tensors if t.verdict != FAIL and t.taylor}
    planted = plant(subject, shadow, v, right)
    report.mutants, report.mutants_missed = count_caught(planted, examiner.judge_again)
    if any(t.method == "directions" for t in report.tensors):
        report.miss_probability = miss_probability(1e-2, DIRECTIONS)
    report.evaluations = examiner.evaluations
    report.seconds = time.perf_counter() - started
    return report


def _real_outputs(subject: Subject, shadow: Arguments) -> Outputs:
    y = subject.outputs(shadow)
    if any(np.iscomplexobj(part) for part in y):
        raise SubjectError(
            f"{subject.name} returned complex numbers, expected real ones: return the real and the "
            f"imaginary part as two outputs"
        )
    return float_outputs(y)


def _not_finite(subject: Subject, arguments: Arguments, y: Outputs) -> str:
    """Why nothing can be differentiated here; "" where everything is a finite number."""
    named = [(k, arguments[k]) for k in subject.differentiable]
    named += [("the output" if len(y) == 1 else f"output {i}", part) for i, part in enumerate(y)]
    for name, a in named:
        bad = np.argwhere(~np.isfinite(a))
        if len(bad):
            index = tuple(map(int, bad[0]))
            return f"{name} is {a[index]} at {list(index)}: there is no derivative at this point"
    return ""


def _oracles(subject: Subject, shadow: Arguments, v: Outputs, wanted: str | None) -> list[Oracle]:
    if wanted not in (None, "jax"):
        raise SubjectError(f"gradcheck: oracle is {wanted!r}, expected 'jax' or None")
    found = [complex_step(subject, shadow, v)]
    return [*found, jax_vjp(subject, shadow, v)] if wanted == "jax" else found


def _draw_v_curves(tensors: list[TensorResult], examiner: Examiner, claimed: dict) -> None:
    """Of what failed; of what passed, the one with the largest error."""
    worst = [t for t in tensors if t.verdict == FAIL]
    if not worst:
        worst = sorted(tensors, key=lambda t: -t.worst_relative_error)[:1]
    for result in worst[:3]:
        examiner.draw_v_curve(result, claimed[result.name])


def _check_one_sample(
    report: Report, subject: Subject, shadow: Arguments, y: Outputs, rng: np.random.Generator
) -> None:
    """Once more with N = 1: along one direction each."""
    one = one_sample(subject, shadow, y) if subject.surrogate is None else None
    if one is None:
        return
    y_one = float_outputs(subject.outputs(one))
    v = tuple(rng.standard_normal(part.shape) for part in y_one)
    _, cache = subject.forward(one)
    try:
        claimed = subject.backward(v, cache)
    except Exception as error:  # whatever it raises is what the student has to see
        report.problems.append(
            f"with one sample (N = 1) the backward raises {type(error).__name__}: {error}"
        )
        return
    examiner = Examiner(subject, one, y_one, v, rng, False, [])
    for name in subject.differentiable:
        g = claimed[name]
        if g is None or name in subject.stopped or one[name].size == 0:
            continue
        if np.shape(g) != one[name].shape:
            report.problems.append(
                f"with one sample (N = 1) the gradient of {name} has shape {np.shape(g)}, expected "
                f"{one[name].shape}"
            )
        elif not examiner.holds_along_a_direction(name, np.asarray(g)):
            report.problems.append(f"with one sample (N = 1) the gradient of {name} is wrong")
    report.notes.append("checked with one sample (N = 1), too")


def _check_second_order(
    report: Report, subject: Subject, shadow: Arguments, v: Outputs, rng: np.random.Generator
) -> None:
    symmetry = check_symmetry(subject, shadow, v, rng)
    if symmetry.relative_gap <= 1e-5:
        report.notes.append(
            f"second order: the Hessian is symmetric, <w, H u> = {symmetry.one:.6g} = <u, H w> but "
            f"for {symmetry.relative_gap:.0e} of its size"
        )
    else:
        report.problems.append(
            f"second order: <w, H u> is {symmetry.one:.6g}, <u, H w> is {symmetry.other:.6g}; a "
            f"Hessian is symmetric, so this is the gradient of no function"
        )


def assert_gradients(what: Any, *args: Any, **options: Any) -> None:
    """For a test suite: raise AssertionError, with the report, unless the verdict is "pass"."""
    report = gradcheck(what, *args, **options)
    if not report:
        raise AssertionError(f"gradients of {report.title}: {report.verdict}\n{report}")


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


# --------------------------------------------------------------------------------- float32, float64


def _is_array(x: Any) -> bool:
    return hasattr(x, "dtype") and hasattr(x, "shape")


def _as_float64(x: Any) -> Any:
    """The shadow in which the differences are taken."""
    return x.astype(np.float64) if _is_array(x) and x.dtype.kind == "f" else x


def _native_gradients(subject: Subject, given: Arguments, v: Outputs) -> dict[str, Any] | None:
    """The gradients in the dtype that was given, if that is not float64."""
    dtypes = {given[k].dtype for k in subject.differentiable}
    if dtypes == {np.dtype(np.float64)}:
        return None
    y, cache = subject.forward(given)
    return subject.backward(
        tuple(c.astype(part.dtype) for c, part in zip(v, y, strict=True)), cache
    )


def _compare_precision(
    result: TensorResult, native: Any, exact: Any, dtype: np.dtype, rounding: float
) -> None:
    """How far float32 is from float64, apart from any mistake of calculus."""
    native, exact = np.asarray(native, np.float64), np.asarray(exact, np.float64)
    if native.shape != exact.shape or native.size == 0:
        return
    size = float(np.abs(exact).max())
    gap = float(np.abs(native - exact).max())
    result.precision_error = gap / size if size > 0 else 0.0
    if not gap <= max(1e-2 * size, rounding):
        result.verdict = FAIL
        result.reason = (
            f"in float64 the gradient is right, but in {dtype} it is off by "
            f"{result.precision_error:.0%} of its largest element"
        )
