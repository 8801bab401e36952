"""The gradient checker: ``gradcheck`` and ``assert_gradients``.

It asks the forward how its outputs change (``measure``) and holds against that what the backward
gives (``judge``), for random cotangents. Three verdicts: *pass*, *fail*, and *inconclusive* where
the question cannot be answered: a gradient below the noise, or nothing to check. Beside the numbers
it holds the backward to the ``laws`` of a pair; then it explains what it found (``lesson``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minienc.verify.adapters.complexstep import complex_step
from minienc.verify.adapters.jax import jax_vjp
from minienc.verify.adapters.recognize import make_subject
from minienc.verify.examine import examine
from minienc.verify.findings import FAIL, INCONCLUSIVE, TensorResult
from minienc.verify.laws.cotangents import ignored_cotangents
from minienc.verify.laws.layouts import check_layouts
from minienc.verify.laws.precision import compare_precision
from minienc.verify.laws.purity import check_purity
from minienc.verify.laws.reference import check_reference
from minienc.verify.laws.samples import check_one_sample, couples_samples
from minienc.verify.laws.symmetry import check_symmetry
from minienc.verify.lesson.explain import explain
from minienc.verify.lesson.places import where
from minienc.verify.lesson.report import Report
from minienc.verify.measure import RTOL, Meter
from minienc.verify.noise import EPS
from minienc.verify.subject import Subject, SubjectError, Trial, try_out


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
    rtol: float = RTOL,
    against: Any = None,
    budget: float = 4.0,
    **options: Any,
) -> Report:
    """Check gradients.

    Parameters
    ----------
    what, *args
        A pair ``gradcheck(forward, backward, x, W, b)``, called as its parameters say; a function
        that returns ``(y, backward)`` or ``(loss, gradients)``, ``gradcheck(f, x, W)``; a layer or
        model, ``gradcheck(layer, x)``; a compiled model with its loss, ``gradcheck(model, x, y)``;
        a loss, ``gradcheck(loss, y, target)``; an object with ``forward(x)`` and ``backward(dy)``,
        under these or other names, or two of its methods; a function of PyTorch tensors or JAX
        arrays, a ``torch.autograd.Function``, a ``jax.custom_vjp``. Arguments may be dictionaries
        and lists of arrays. What is given arrays of a device, or has its weights there, runs there.
    gradient : function, arrays or True, optional
        The derivative at the same arguments, ``gradcheck(f, x, gradient=g)``: of a number its
        gradient, of arrays f'(x) element by element, or the Jacobian. True where f returns
        ``(y, gradient)``; False where it does not, though it looks so.
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
        Element by element whatever the size, and however long it takes.
    rtol : float
        A number g of a gradient is wrong if it lies further from the difference d than
        10 u + rtol max(abs(g), abs(d)), where u is how wrong the difference itself may be. A
        million times as far as differences of float64 need is 1e-6, the default.
    against : function, optional
        A forward that is right, of the same arguments: the check fails where y differs from its.
    budget : float
        Seconds that it should take at most. Where a forward is slow, tensors are then checked along
        random directions instead of element by element, and less is tried beside the numbers; the
        report says what was left out. Directions are always measured, so a very slow forward takes
        longer.
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

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(5, 3))
    >>> report = gradcheck(lambda x: x**3, lambda dy, x: dy * 3 * x**2, x)
    >>> report.verdict
    'pass'
    >>> gradcheck(lambda x: x**3, lambda dy, x: dy * 2 * x**2, x).verdict
    'fail'
    """
    started = time.perf_counter()
    if oracle not in (None, "jax"):
        raise SubjectError(f"gradcheck: oracle is {oracle!r}, expected 'jax' or None")
    if not 0 < rtol < 1:
        raise SubjectError(f"gradcheck: rtol is {rtol!r}, expected a number between 0 and 1")
    subject = make_subject(
        what,
        args,
        gradient=gradient,
        targets=targets,
        surrogate=surrogate,
        stop_gradient=stop_gradient,
        options=options,
    )
    report = Report(subject.name, device=subject.device, unchecked=subject.unchecked)
    # a stream of its own: default_rng(0) is where everybody's x comes from, and where y has x's
    # shape the cotangent would be x itself
    rng = np.random.default_rng((seed, 1847))
    given = {k: np.array(a) if hasattr(a, "dtype") else a for k, a in subject.arguments.items()}
    trial = try_out(subject, given, rng)
    if undefined := _undefined(trial):
        report.tensors = [
            TensorResult(k, given[k].shape, "elements", verdict=INCONCLUSIVE, reason=undefined)
            for k in subject.differentiable
        ]
        return report
    until = math.inf if exhaustive else started + budget
    meter = Meter(trial, rng, rtol=rtol, until=until)
    _check_numbers(report, meter, exhaustive, oracle)
    _check_laws(report, meter, second_order)
    if against is not None:
        name = getattr(against, "__name__", "the reference")
        report.problems += check_reference(trial, against, name)
    report.notes += subject.notes
    if report.verdict == FAIL and subject.parts is not None:
        report.notes.append(_find_wrong_part(subject))
    explain(report, meter)
    if report.left_out:
        report.left_out.insert(0, f"the budget of {budget:g} s was reached")
    report.evaluations = meter.evaluations
    report.seconds = time.perf_counter() - started
    return report


def assert_gradients(what: Any, *args: Any, **options: Any) -> None:
    """For a test suite: raise AssertionError, with the report, unless the verdict is "pass".

    Examples
    --------
    >>> from minienc.layers import Dense
    >>> assert_gradients(Dense(3, "tanh", seed=0), np.random.default_rng(0).normal(size=(5, 4)))
    """
    report = gradcheck(what, *args, **options)
    if not report:
        raise AssertionError(f"gradients of {report.title}: {report.verdict}\n{report}")


def _undefined(trial: Trial) -> str:
    """Why nothing can be differentiated here; "" where everything is a finite number."""
    named = [(k, trial.arguments[k]) for k in trial.subject.differentiable]
    one = len(trial.y) == 1
    named += [("the output" if one else f"output {i}", a) for i, a in enumerate(trial.y)]
    for name, a in named:
        bad = np.argwhere(~np.isfinite(a))
        if len(bad):
            at = tuple(map(int, bad[0]))
            return f"{name} is {a[at]} at {list(at)}: there is no derivative at this point"
    return ""


def _check_numbers(report: Report, meter: Meter, exhaustive: bool, oracle: str | None) -> None:
    """Each gradient against differences, and against the second opinions that there are."""
    trial = meter.trial
    oracles = [complex_step(trial)] + ([jax_vjp(trial)] if oracle == "jax" else [])
    report.oracles = {o.name: o.reason for o in oracles}
    if meter.eps > EPS:
        report.notes.append(
            f"the forward rounds to {meter.eps:.0e} though it was given float64, as float32 or "
            f"float16 arrays inside it do: smaller mistakes cannot be seen"
        )
    names = trial.subject.differentiable
    for k, name in enumerate(names):  # what is left of two thirds of the time is for all others
        part = 2 / 3 / (len(names) - k)
        report.tensors.append(examine(meter, name, exhaustive, oracles, part))
    if hurried := [t for t in report.tensors if t.hurried]:
        told = ", ".join(f"{t.name} along {t.checked} directions" for t in hurried)
        report.left_out.append(f"{told}, not element by element")
    for t in report.tensors:
        if t.n_wrong and t.method == "elements" and (place := where(_indices(t), t.shape)):
            t.reason += f", {place}"
    if any(t.wrong for t in report.tensors):
        report.problems += ignored_cotangents(trial)
    report.notes += _beyond_tolerance(report, meter)
    compare_precision(report.tensors, trial)


def _indices(t: TensorResult) -> list[tuple[int, ...]]:
    return [e.index for e in t.wrong if e.index or t.shape == ()]


def _beyond_tolerance(report: Report, meter: Meter) -> list[str]:
    """What passes within the tolerance, and an oracle that is exact to rounding still sees."""
    notes = []
    for t in report.tensors:
        gaps = [(gap, name) for name, gap in t.oracles.items() if not isinstance(gap, str)]
        gap, name = min(gaps, default=(0.0, ""))
        if t.verdict == FAIL or gap < 1e-9 or meter.eps > EPS or meter.backward_rounding(t.name):
            continue
        notes.append(
            f"the gradient of {t.name} is within the tolerance, rtol = {meter.rtol:.0e}, but "
            f"{name} is exact to rounding and finds it off by {gap:.0e}: is a constant in it "
            f"rounded, as 3.14159 for pi, or a number of it float32?"
        )
    return notes


def _check_laws(report: Report, meter: Meter, second_order: bool) -> None:
    trial, rng = meter.trial, meter.rng
    problems, notes = check_purity(trial)
    late = meter.left() < 0
    if not problems and report.device == "cpu" and not late:  # a device hands over no layouts
        problems, more = check_layouts(trial, meter.eps)
        notes += more
    report.problems += problems
    report.notes += notes
    late = late or meter.left() < 0
    if late:
        report.left_out.append("other layouts of the arrays, one sample alone")
    if report.verdict != FAIL and not late:
        alone = check_one_sample(meter)
        if alone is not None:
            report.problems += alone
            report.notes.append("checked with one sample (N = 1), too")
    if second_order:
        problems, note = check_symmetry(trial, rng)
        report.problems += problems
        report.notes += [note] if note else []
    if not late and couples_samples(trial):
        report.notes.append(
            "a sample's output depends on the other samples of its batch, as in batch "
            "normalisation: the gradient holds for this batch"
        )


def _find_wrong_part(subject: Subject) -> str:
    """Check each layer of a model by itself, on what it is given in the model; say which is the
    first that is wrong."""
    assert subject.parts is not None
    for path, layer, x in subject.parts():
        alone = gradcheck(layer, x)
        if alone.verdict == FAIL:
            return f"the first wrong layer is {path}; by itself:\n{alone}"
    return (
        "each layer by itself is right: the mistake lies in the loss, or in how the graph adds up "
        "its gradients"
    )
