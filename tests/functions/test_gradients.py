"""Every pair of ``minienc.functions``, found in the registry: gradients and the contract's laws."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest

from minienc import functions
from minienc.primitive import REGISTRY
from minienc.verify import numerical_gradient
from tests.cases import CASES, FORWARDS, all_cases, call, parts


def differentiated(forward: Any, arguments: tuple) -> list[int]:
    """Positions of the arguments that backward gives a gradient for."""
    names = list(inspect.signature(forward.definition).parameters)
    return [
        i
        for i, value in enumerate(arguments)
        if isinstance(value, np.ndarray)
        and names[min(i, len(names) - 1)] not in forward.constants
        and value.dtype.kind == "f"
    ]


def gradients(forward: Any, arguments: tuple, dy: Any, options: dict, backward: Any = None) -> list:
    """What backward claims, one for each differentiated argument."""
    _, cache = call(forward, arguments, options)
    claimed = (backward or forward.backward)(dy, cache)
    return list(claimed) if isinstance(claimed, tuple) else [claimed]


def cotangent(y: Any, rng: np.random.Generator) -> Any:
    """Of y's shape; of several outputs a tuple."""
    if isinstance(y, tuple):
        return tuple(rng.standard_normal(part.shape) for part in y)
    return rng.standard_normal(np.shape(y))


def flat(y: Any) -> np.ndarray:
    """Several outputs as one vector."""
    return np.concatenate([np.ravel(part) for part in parts(y)])


def mismatch(claimed: np.ndarray, numeric: np.ndarray) -> float:
    """The largest difference, against the size of the gradient as a whole."""
    if claimed.shape != numeric.shape:
        return np.inf
    if numeric.size == 0:
        return 0.0
    return float(np.abs(claimed - numeric).max() / max(1.0, np.abs(numeric).max()))


def check(forward: Any, arguments: tuple, options: dict, backward: Any = None) -> float:
    """The worst mismatch over all differentiated arguments."""
    y, _ = call(forward, arguments, options)
    dy = cotangent(y, np.random.default_rng(1))
    claimed = gradients(forward, arguments, dy, options, backward)
    places = differentiated(forward, arguments)
    worst = 0.0
    for place, gradient in zip(places, [g for g in claimed if g is not None], strict=True):

        def f(x: np.ndarray, place: int = place) -> Any:
            changed = (*arguments[:place], x, *arguments[place + 1 :])
            return flat(call(forward, changed, options)[0])

        numeric = numerical_gradient(f, arguments[place], flat(dy))
        worst = max(worst, mismatch(gradient, numeric))
    return worst


def test_every_forward_has_a_backward_and_a_case():
    assert set(FORWARDS) == set(CASES)
    for name in FORWARDS:
        assert REGISTRY[name].backward.__name__ == name.replace("_forward", "_backward")


def test_a_backward_is_of_dy_and_the_cache_alone():
    """And of more cotangents where there are more outputs: ``d...`` each, then the cache."""
    backwards = [name for name in REGISTRY if name.endswith("_backward")]
    assert len(backwards) == len(FORWARDS)
    for name in backwards:
        *cotangents, cache = inspect.signature(REGISTRY[name].definition).parameters.values()
        assert cotangents and all(p.name[0] == "d" and len(p.name) > 1 for p in cotangents), name
        assert cache.name == "cache" and cache.annotation.endswith("Cache"), name
        assert all(p.default is p.empty for p in (*cotangents, cache)), name


def test_what_is_public_is_a_pair():
    """So the sweeps over FORWARDS leave nothing out."""
    pairs = {half for name in FORWARDS for half in (name, name.replace("_forward", "_backward"))}
    steps = {name for name in REGISTRY if name.endswith("_step")} | {"sum_of_squares"}
    others = {"ACTIVATIONS", "get_activation", "power_iteration", "sinusoidal_positions"}
    assert set(functions.__all__) - pairs == others | steps


@pytest.mark.parametrize("name", FORWARDS)
def test_backward_is_the_gradient(name):
    for arguments, options in all_cases(name):
        assert check(REGISTRY[name], arguments, options) < 1e-7, (options, arguments)


SABOTAGES = {
    "zero": lambda g: g * 0,
    "sign": lambda g: -g,
    "one per cent": lambda g: g * 1.01,
    "transposed": lambda g: np.ascontiguousarray(g.T),
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
@pytest.mark.parametrize("name", FORWARDS)
def test_a_wrong_backward_is_found(name, sabotage):
    """The check has the power to fail: by name softmax, where all-ones cotangents see nothing."""
    forward, found, possible = REGISTRY[name], False, False

    def spoilt(dy: Any, cache: Any) -> Any:
        claimed = forward.backward(dy, cache)
        spoil = SABOTAGES[sabotage]
        if isinstance(claimed, tuple):
            return tuple(g if g is None else spoil(g) for g in claimed)
        return spoil(claimed)

    for arguments, options in all_cases(name):
        sizes = [arguments[i] for i in differentiated(forward, arguments)]
        if any(a.size == 0 for a in sizes):
            continue
        if sabotage == "transposed" and all(a.ndim < 2 for a in sizes):
            continue
        possible = True
        found = found or check(forward, arguments, options, spoilt) > 1e-3
    assert found == possible
    assert possible


@pytest.mark.parametrize("name", FORWARDS)
def test_nothing_is_written_to_shared_or_used_up(name):
    """Inputs and cotangent are read-only, backward is called twice, results own their memory."""
    forward = REGISTRY[name]
    for arguments, options in all_cases(name):
        given = [a for a in arguments if isinstance(a, np.ndarray)]
        for a in given:
            a.flags.writeable = False
        y, cache = call(forward, arguments, options)
        dy = cotangent(y, np.random.default_rng(1))
        dy = dy if isinstance(dy, tuple) else np.asarray(dy)
        for part in parts(dy):
            part.flags.writeable = False
        first, second = forward.backward(dy, cache), forward.backward(dy, cache)
        firsts = first if isinstance(first, tuple) else (first,)
        seconds = second if isinstance(second, tuple) else (second,)
        for one, two in zip(firsts, seconds, strict=True):
            if one is not None:
                np.testing.assert_array_equal(one, two)
        for result in (*parts(y), *firsts):
            for a in (*given, *parts(dy)):
                assert not np.shares_memory(np.asarray(result), a)
        for results in (parts(y), firsts):
            for i, one in enumerate(results):
                for other in results[i + 1 :]:
                    if one is not None and other is not None:
                        assert not np.shares_memory(one, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORWARDS)
def test_dtypes_are_kept_and_close(name, dtype):
    forward = REGISTRY[name]
    for arguments, options in all_cases(name):
        cast = tuple(
            a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
            for a in arguments
        )
        y, cache = call(forward, cast, options)
        assert all(part.dtype == dtype for part in parts(y))
        exact, _ = call(forward, arguments, options)
        if "noise" not in name:
            np.testing.assert_allclose(flat(y), flat(exact), rtol=2e-5, atol=2e-6)
        ones = tuple(map(np.ones_like, y)) if isinstance(y, tuple) else np.ones_like(y)
        for dy in (ones, 1.0) if not isinstance(y, tuple) and np.ndim(y) == 0 else (ones,):
            result = forward.backward(dy, cache)
            for g in result if isinstance(result, tuple) else (result,):
                assert g is None or g.dtype == dtype
        for a, g in zip(
            [cast[i] for i in differentiated(forward, cast)],
            [g for g in (result if isinstance(result, tuple) else (result,)) if g is not None],
            strict=True,
        ):
            assert g.shape == a.shape


# what a cache keeps for another than its backward: a layer's moving averages are made of them
FOR_THE_OWNER = {
    (f"{kind}BatchNormalizationCache", name)
    for kind in ("", "Joint")
    for name in ("mean", "variance")
}


def arrays_in(cache: Any, path: tuple = ()) -> list[tuple]:
    """Where arrays stand in a cache, and in the caches within it."""
    if isinstance(cache, (np.ndarray, np.generic)):
        return [path]
    if not isinstance(cache, tuple):
        return []
    return [found for i, field in enumerate(cache) for found in arrays_in(field, (*path, i))]


def exchanged(cache: Any, path: tuple) -> Any:
    """The cache with NaN, or other integers, in place of one array."""
    if not path:
        return np.full_like(cache, np.nan) if cache.dtype.kind == "f" else cache * 0 - 1
    fields = list(cache)
    fields[path[0]] = exchanged(cache[path[0]], path[1:])
    return type(cache)(*fields) if hasattr(cache, "_fields") else tuple(fields)


def name_of(cache: Any, path: tuple) -> tuple[str, str]:
    """The innermost cache that holds it, and the field's name there."""
    for i in path[:-1]:
        cache = cache[i]
    return type(cache).__name__, getattr(cache, "_fields", range(len(cache)))[path[-1]]


def unread_fields(forward: Any, cases: list) -> set[tuple[str, str]]:
    """Arrays in the caches of these cases that change nothing of what backward returns."""
    held, read = set(), set()
    for arguments, options in cases:
        y, cache = call(forward.definition, arguments, options)
        dy = cotangent(y, np.random.default_rng(1))
        right = forward.backward.definition(dy, cache)
        for path in arrays_in(cache):
            name = name_of(cache, path)
            held.add(name)
            other = forward.backward.definition(dy, exchanged(cache, path))
            read |= {name} if _bytes(other) != _bytes(right) else set()
    return held - read


def _bytes(result: Any) -> list[bytes]:
    gradients = result if isinstance(result, tuple) else (result,)
    return [np.asarray(g).tobytes() for g in gradients if g is not None]


@pytest.mark.parametrize("name", FORWARDS)
def test_a_cache_keeps_no_array_that_its_backward_does_not_read(name):
    assert unread_fields(REGISTRY[name], all_cases(name)) <= FOR_THE_OWNER


def test_an_array_kept_for_its_shape_is_noticed():
    class KeptCache(NamedTuple):
        x: Any
        shape_of: Any

    def forward(x: Any) -> Any:
        return 2 * x * x, KeptCache(x, 2 * x * x)

    def backward(dy: Any, cache: Any) -> Any:
        return (4 * cache.x * dy).reshape(cache.shape_of.shape)

    forward.definition, forward.backward = forward, backward
    backward.definition = backward
    assert unread_fields(forward, [((np.ones((2, 3)),), {})]) == {("KeptCache", "shape_of")}


def on_jax(dy: Any) -> Any:
    jax = pytest.importorskip("jax")
    return tuple(map(jax.numpy.asarray, dy)) if isinstance(dy, tuple) else jax.numpy.asarray(dy)


@pytest.mark.parametrize("name", FORWARDS)
def test_automatic_differentiation_of_the_forward_agrees(name):
    """An independent oracle: jax.vjp of the same source."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    forward = REGISTRY[name]
    for arguments, options in all_cases(name):
        places = differentiated(forward, arguments)
        if any(arguments[i].size == 0 for i in places):
            continue

        def f(*xs, arguments=arguments, options=options, places=places):
            full = list(arguments)
            for place, x in zip(places, xs, strict=True):
                full[place] = x
            full = [jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a for a in full]
            return call(forward, tuple(full), options)[0]

        y, vjp = jax.vjp(f, *[jax.numpy.asarray(arguments[i]) for i in places])
        dy = cotangent(y, np.random.default_rng(2))
        claimed = [g for g in gradients(forward, arguments, dy, options) if g is not None]
        for one, two in zip(claimed, vjp(on_jax(dy)), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", FORWARDS)
def test_backward_runs_where_arrays_cannot_be_written_to(name):
    """On JAX's arrays: no line assigns to an element."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    forward = REGISTRY[name]
    for arguments, options in all_cases(name)[:4]:
        there = tuple(jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments)
        y, cache = call(forward, there, options)
        dy = cotangent(y, np.random.default_rng(2))
        found = forward.backward(on_jax(dy), cache)
        found = found if isinstance(found, tuple) else (found,)
        for one, two in zip(gradients(forward, arguments, dy, options), found, strict=True):
            if one is not None:
                assert isinstance(two, jax.Array)
                np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-11)


def test_the_function_that_is_no_pair_runs_there_too():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    W, u = rng.standard_normal((4, 3)), rng.standard_normal(3)
    there = functions.power_iteration(jax.numpy.asarray(W), jax.numpy.asarray(u), 3)
    assert isinstance(there, jax.Array)
    np.testing.assert_allclose(there, functions.power_iteration(W, u, 3), rtol=1e-12)
