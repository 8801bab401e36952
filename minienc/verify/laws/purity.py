"""The laws of a pair: purity, linearity, caches of its own, dtypes that stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minienc.arrays import (
    Cache,
    device_of,
    get_array_module,
    is_array,
    lives_on_device,
    to_host,
    to_numpy,
)
from minienc.verify.laws.precision import gradient_rounding
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, Trial


def check_purity(trial: Trial) -> tuple[list[str], list[str]]:
    """Return a sentence for each law that is broken, and one for each habit that may surprise.

    Views, and writing into what was handed over, are habits of many courses, and right as long as
    the caller knows of them; another number for the same question is not. On a device the laws are
    held against the arrays that live there.
    """
    place, subject = trial.subject.to_device or _copy, trial.subject.on_device or trial.subject
    arguments = {k: place(a) for k, a in trial.given.items()}

    def cotangents() -> Outputs:
        return tuple(map(place, host_dys))

    before = {k: _bytes(a) for k, a in arguments.items() if is_array(a)}
    y, cache = subject.forward(arguments)
    host_dys = tuple(c.astype(part.dtype) for c, part in zip(trial.v, y, strict=True))
    dys = cotangents()
    if changed := _changed(arguments, before):
        return [f"the forward writes into its argument {name}" for name in changed], []
    notes = [
        f"the output shares memory with the argument {k}: writing to one changes the other"
        for k, a in arguments.items()
        if any(_share(part, a) for part in y)
    ]
    again = subject.forward(arguments)[0]
    if not _same(to_host(y), to_host(again)):
        return [
            "the forward gives two results for one input: pass its generator, or seed it"
        ], notes
    dy_bytes = [_bytes(d) for d in dys]
    first = subject.backward(dys, cache)
    if [_bytes(d) for d in dys] != dy_bytes:
        notes.append("the backward writes into the cotangent dy")
    found = [f"the backward writes into {name}" for name in _changed(arguments, before)]
    notes += _shared_gradients(first, dys, arguments)
    found += _on_wrong_device(first, arguments)
    notes += _dtypes(trial, y, to_host(first))
    first = {k: None if g is None else np.array(g) for k, g in to_host(first).items()}
    broken, habits = _repetition(subject, cotangents, cache, first, arguments)
    found += broken
    found += _linearity(subject, place, host_dys, first, arguments, to_host(y))
    found += _addition(subject, cotangents(), cache, first)
    return found, notes + habits


def _copy(a: object) -> Any:
    return a.copy() if isinstance(a, np.ndarray) else a


def _bytes(a: object) -> bytes:
    return to_numpy(a).tobytes()


def _changed(arguments: Arguments, before: dict[str, bytes]) -> list[str]:
    """Names of the arrays that are no longer what they were."""
    return [k for k, was in before.items() if _bytes(arguments[k]) != was]


def _same(one: Outputs, two: Outputs) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, two, strict=True))


def _share(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.shares_memory(one, other)
    on_device = lives_on_device(one) and lives_on_device(other)
    return on_device and bool(get_array_module(one, other).shares_memory(one, other))


def _shared_gradients(gradients: dict[str, Any], dys: Outputs, arguments: Arguments) -> list[str]:
    found = []
    for name, g in gradients.items():
        if any(_share(g, d) for d in dys):
            found.append(f"the gradient of {name} shares memory with the cotangent dy")
        for k, a in arguments.items():
            if _share(g, a):
                found.append(f"the gradient of {name} shares memory with the argument {k}")
    return found


def _on_wrong_device(gradients: dict[str, Any], arguments: Arguments) -> list[str]:
    """A gradient made with NumPy, though its argument lives on a device."""
    return [
        f"the gradient of {name} lives on cpu, expected {device_of(arguments[name])}, where {name} "
        f"does"
        for name, g in gradients.items()
        if lives_on_device(arguments[name]) and isinstance(g, np.ndarray)
    ]


def _repetition(
    subject: Subject,
    cotangents: Callable[[], Outputs],
    cache: Cache,
    first: dict[str, Any],
    arguments: Arguments,
) -> tuple[list[str], list[str]]:
    """Backward again; and forward with other numbers in between, for caches of one slot."""
    kept = {k: g for k, g in first.items() if g is not None}
    try:
        second = to_host(subject.backward(cotangents(), cache))
    except Exception:  # a cache that is used up is of no harm
        return [], []
    found, used_up = [], []
    for name, g in kept.items():
        if np.array_equal(second[name], g, equal_nan=True):
            continue
        if np.allclose(second[name], 2 * g, rtol=1e-5):
            found.append(
                f"the gradient of {name} accumulates: a second backward gives twice as much"
            )
        else:
            used_up.append(name)
    if used_up:
        sentences = [
            f"a second backward with the same cache gives another gradient of {name}"
            for name in used_up
        ]
        anew = to_host(subject.backward(cotangents(), subject.forward(arguments)[1]))
        if all(np.array_equal(anew[k], g, equal_nan=True) for k, g in kept.items()):
            return found, sentences  # it writes into its cache, which is its own
        found += sentences
    if found:
        return found, []
    other = {
        k: a[::-1] * a.dtype.type(0.5) + a.dtype.type(0.25)
        if is_array(a) and a.dtype.kind == "f" and a.ndim
        else a
        for k, a in arguments.items()
    }
    try:
        subject.forward(other)
    except Exception:  # it refuses these numbers (probabilities, a positive definite matrix)
        subject.forward(arguments)
    third = to_host(subject.backward(cotangents(), cache))
    sentences = [
        f"the gradient of {name} changes when the forward is called again in between: the cache "
        f"belongs to the function, not to the call"
        for name, g in kept.items()
        if not np.array_equal(third[name], g, equal_nan=True)
    ]
    return ([], sentences) if subject.shares_cache else (sentences, [])


def _linearity(
    subject: Subject,
    place: Callable[[Any], Any],
    dys: Outputs,
    first: dict[str, Any],
    arguments: Arguments,
    y: Outputs,
) -> list[str]:
    """backward(3 dy + dz) = 3 backward(dy) + backward(dz): the chain rule is linear."""
    rng = np.random.default_rng((1, 1847))
    others = tuple(rng.standard_normal(d.shape).astype(d.dtype) for d in dys)
    sums = tuple(np.asarray(3 * a + b, a.dtype) for a, b in zip(dys, others, strict=True))
    apart, together = (
        to_host(subject.backward(tuple(map(place, d)), subject.forward(arguments)[1]))
        for d in (others, sums)
    )
    found = []
    for name, g in first.items():
        if g is None or together[name] is None or np.shape(together[name]) != np.shape(g):
            continue
        expected = 3 * np.asarray(g, float) + np.asarray(apart[name], float)
        size = max(np.abs(expected).max(initial=0), np.abs(np.asarray(g, float)).max(initial=0))
        kinds = {a.dtype for a in (np.asarray(g), *dys) if a.dtype.kind == "f"}
        eps = max((float(np.finfo(dtype).eps) for dtype in kinds), default=0.0)
        tolerance = max(1e-9, min(1e4 * eps, 2e-2))
        rounding = 4 * gradient_rounding(to_host(arguments[name]), dys, y, eps)
        atol = max(tolerance * size, rounding, 1e-300)
        gap = np.abs(together[name] - expected).max(initial=0)
        if not gap <= max(atol, 1e-5 * size):  # less than that is float32 inside
            found.append(f"the gradient of {name} is not linear in dy")
    return found


def _addition(subject: Subject, dys: Outputs, cache: Cache, first: dict[str, Any]) -> list[str]:
    """Parameter gradients add to what the caller's arrays hold: a layer that is used twice in a
    model would lose one use otherwise."""
    if subject.backward_onto is None:
        return []
    sizes = [float(np.abs(g).max(initial=0)) for g in first.values() if g is not None]
    start = max(sizes, default=0.0)
    onto = to_host(subject.backward_onto(dys, cache, start))
    return [
        f"the gradient of {name} is written over what was there, instead of added to it: a layer "
        f"that is used twice would lose a use"
        for name, total in onto.items()
        if np.any(first[name])
        and not np.allclose(total, first[name] + start, rtol=0, atol=1e-3 * start)
        and np.allclose(total, first[name], rtol=0, atol=1e-3 * start)
    ]


def _dtypes(trial: Trial, y: Outputs, gradients: dict[str, Any]) -> list[str]:
    """float32 in, float32 out."""
    dtypes = {trial.given[k].dtype for k in trial.subject.differentiable}
    if dtypes != {np.dtype(np.float32)}:
        return []
    arrays = {k: g for k, g in gradients.items() if isinstance(g, np.ndarray)}
    widened = [f"the gradient of {k}" for k, g in arrays.items() if g.dtype == np.float64]
    if any(part.dtype == np.float64 and part.ndim for part in y):
        widened.insert(0, "the output")
    return [
        f"{what} is float64 though every input is float32: it was silently upcast"
        for what in widened
    ]
