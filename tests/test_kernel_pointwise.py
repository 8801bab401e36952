"""The compiled pointwise functions: exact to the last digits, and equal to their definitions.

How exact: exp and its kin are compared with the same function of the next wider type, over the
whole range of arguments. How equal: activations, losses and optimiser steps are compared with their
definitions over random shapes, for both types and every instruction set that this machine has.
"""

from __future__ import annotations

import math
import os
from functools import cache

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

import minienc.training.optimizers  # noqa: E402, F401
from minienc.functions import identity_forward  # noqa: E402
from minienc.primitive import REGISTRY, _fast  # noqa: E402

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
ISAS = kernels.instruction_sets
DTYPES = (np.float32, np.float64)
THREADS = kernels.get_num_threads()
WIDER = {np.float32: np.float64, np.float64: np.longdouble}


@pytest.fixture(autouse=True)
def as_it_was():
    """Each test leaves the instruction set and the number of threads as it found them."""
    isa = kernels.instruction_set
    with np.errstate(all="ignore"):
        yield
    kernels._use_isa(isa)
    kernels.set_num_threads(THREADS)


# ------------------------------------------------------------------ units in the last place


def ulps(a, b):
    """How many numbers of the type lie between a and b; 0 where both are NaN."""
    integer = np.dtype(f"i{a.itemsize}")

    def position(x):  # on the line of all numbers of the type, both zeros in one place
        i = x.view(integer).astype(np.int64)
        return np.where(i < 0, -(i & np.iinfo(integer).max), i)

    one_is_nan = np.isnan(a) != np.isnan(b)
    distance = np.abs(position(a) - position(b))
    return np.where(one_is_nan, 2**40, np.where(np.isnan(a), 0, distance))


def sigmoid(x):
    e = np.exp(-abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def gelu(x):
    """The definition's formula, with 1 + tanh(u) = 2 sigmoid(2u), which does not cancel."""
    x = np.asarray(x)
    two_c = 2 * np.sqrt(2 / x.dtype.type("3.14159265358979323846264338327950288"))
    u2 = two_c * (x + x.dtype.type("0.044715") * x * x * x)
    return np.where(np.isneginf(x), np.nan, x * sigmoid(u2))  # the definition has -inf * 0


# name -> (the function in NumPy, its arguments, units in the last place allowed)
FUNCTIONS = {
    "exp": (np.exp, "all", 2),
    "expm1": (np.expm1, "all", 2),
    "log": (np.log, "positive", 2),
    "log1p": (np.log1p, "(-1, 1]", 2),
    "tanh": (np.tanh, "all", 2),
    "sigmoid": (sigmoid, "all", 2),
    "softplus": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))), "all", 2),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), "all", 2),
    "gelu": (gelu, "all", 4),
}


@cache
def arguments(dtype, which):
    """Numbers of every size, more of those where something happens, and all the special ones."""
    rng = np.random.default_rng(5)
    if dtype is np.float32:
        bits = np.arange(0, 2**32, 2503, dtype=np.int64).astype(np.uint32)
        n = 200_000
    else:
        bits = rng.integers(0, 2**64, 60_000, dtype=np.uint64)
        n = 30_000
    info = np.finfo(dtype)
    special = [0, info.smallest_subnormal, info.tiny, info.eps, 1, np.log(2) / 2, 0.625, info.max]
    special = [*special, np.inf, np.log(info.max), -np.log(info.tiny), -np.log(1e-45)]
    special = np.array([*special, np.nan], dtype)
    near = [np.nextafter(special, dtype(np.inf)), np.nextafter(special, dtype(-np.inf))]
    ends = 110 if dtype is np.float32 else 760
    x = np.concatenate(
        [bits.view(dtype), special, -special, *near, -near[0], -near[1]]
        + [rng.uniform(-ends, ends, n).astype(dtype), rng.uniform(-1, 1, n).astype(dtype)]
        + [rng.standard_normal(n).astype(dtype) * dtype(scale) for scale in (1, 4)]
    )
    if which == "positive":
        x = x[np.isnan(x) | ((x >= info.tiny) & (x < np.inf))]
    if which == "(-1, 1]":
        x = x[np.isnan(x) | ((x > -1) & (x <= 1))]
    return x


@cache
def expected(dtype, name):
    function, which, _ = FUNCTIONS[name]
    with np.errstate(all="ignore"):
        return function(arguments(dtype, which).astype(WIDER[dtype])).astype(dtype)


def computed(dtype, name):
    x = arguments(dtype, FUNCTIONS[name][1])
    if name in kernels.elementary_codes:
        return kernels.elementary(x, kernels.elementary_codes[name])
    return kernels.activation_forward(x, kernels.activation_codes[name], 1.0)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_exact_to_the_last_places_over_the_whole_range(name, dtype, isa):
    if np.finfo(WIDER[dtype]).nmant <= np.finfo(dtype).nmant:
        pytest.skip("no wider type to compare with")
    kernels._use_isa(isa)
    distance = ulps(computed(dtype, name), expected(dtype, name))
    worst = int(distance.argmax())
    x = arguments(dtype, FUNCTIONS[name][1])[worst]
    assert distance[worst] <= FUNCTIONS[name][2], f"{name}({x!r}) is off by {distance[worst]}"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_functions_keep_the_sign_of_zero(dtype, isa):
    kernels._use_isa(isa)
    zeros = np.array([0.0, -0.0], dtype)
    for name in ("tanh", "gelu"):
        y = _fast[f"{name}_forward"](zeros)[0]
        assert (y == 0).all() and np.signbit(y).tolist() == [False, True]


def test_the_distance_sees_what_it_should():
    one = np.ones(1, np.float32)
    assert ulps(one, np.nextafter(one, np.float32(2)))[0] == 1
    smallest = np.full(1, np.finfo(np.float32).smallest_subnormal)
    assert ulps(smallest, -smallest)[0] == 2
    assert ulps(one, one * np.float32(np.nan))[0] > 1e6
    x = arguments(np.float32, "all")
    with np.errstate(all="ignore"):  # 1/2 (1 + tanh(x/2)), whose digits are gone far to the left
        careless = np.float32(0.5) * (1 + np.tanh(x / 2))
    assert ulps(careless, expected(np.float32, "sigmoid")).max() > 1000


# ------------------------------------------------------------------------ equal to the definitions

TOLERANCE = {np.float32: 4e-6, np.float64: 1e-14}  # of the array's largest number, and of each
OPTIONS = {"leaky_relu": {"negative_slope": 0.05}, "elu": {"alpha": 1.7}}
ACTIVATIONS = ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "softmax"]


def random_shape(rng, most=70):
    axes = int(rng.integers(1, 4))
    return tuple(int(n) for n in rng.integers(1, most if axes < 3 else 12, axes))


def assert_close(actual, right, dtype, scale=0.0):
    assert type(actual) is type(right)
    assert actual.dtype == right.dtype == dtype and actual.shape == right.shape
    scale = max(scale, min(1.0, float(np.abs(right).max(initial=0.0))))
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(actual, right, rtol=tolerance, atol=tolerance * scale)


def assert_same_cache(one, two, dtype, scale):
    assert isinstance(one, type(two))  # it may carry more
    for a, b in zip(one, two, strict=True):
        if isinstance(a, (np.ndarray, np.generic)) and a.dtype.kind == "f":
            assert_close(a, b, dtype, scale)
        else:
            same = np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
            assert same and type(a) is type(b)


def assert_pair_is_its_definition(name, dtype, rng, *arguments, **options):
    """Forward and backward, and each backward with the other's cache; nothing is written to."""
    forward, backward = REGISTRY[f"{name}_forward"], REGISTRY[f"{name}_backward"]
    scale = 10.0 if name == "gelu" else 0.0  # x (1 + tanh(u)) of the definition has cancelled
    for a in arguments:
        if isinstance(a, np.ndarray):
            a.flags.writeable = False
    result = _fast[f"{name}_forward"](*arguments, **options)
    assert result is not NotImplemented
    y, cache = result
    right, right_cache = forward.definition(*arguments, **options)
    assert_close(y, right, dtype, scale)
    assert_same_cache(cache, right_cache, dtype, scale)
    if getattr(cache, "dy", None) is not None:  # the gradient that was made with the loss
        assert_close(cache.dy, backward.definition(1.0, right_cache), dtype, scale)
    dy = rng.standard_normal(right.shape).astype(dtype)
    dy = dy if right.ndim else dtype(dy)
    right_dx = backward.definition(dy, right_cache)
    assert_close(_fast[f"{name}_backward"](dy, right_cache), right_dx, dtype, scale)
    assert_close(_fast[f"{name}_backward"](dy, cache), right_dx, dtype, scale)
    assert_close(backward.definition(dy, cache), right_dx, dtype, scale)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_definition(name, dtype, isa):
    kernels._use_isa(isa)
    rng = np.random.default_rng(1)
    for i in range(40):
        x = (rng.standard_normal(random_shape(rng)) * 3).astype(dtype)
        options = OPTIONS.get(name, {}) if i % 2 else {}
        assert_pair_is_its_definition(name, dtype, rng, x, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_infinities_and_nan_are_the_definitions(name, dtype):
    special = [-np.inf, -1e30, -1, -0.0, 0.0, 1, 1e30, np.inf, np.nan]
    x, dy = (a.ravel().astype(dtype) for a in np.meshgrid(special, special))
    if name == "softmax":
        x, dy = x.reshape(-1, 3), dy.reshape(-1, 3)
    right, cache = REGISTRY[f"{name}_forward"].definition(x)
    np.testing.assert_allclose(_fast[f"{name}_forward"](x)[0], right, rtol=1e-6)
    right_dx = REGISTRY[f"{name}_backward"].definition(dy, cache)
    dx = _fast[f"{name}_backward"](dy, cache)
    np.testing.assert_allclose(dx, right_dx, rtol=1e-5, atol=1e-30)


LOSSES = {  # name -> (y, target, option)
    "mean_squared_error": ("numbers", "numbers", {}),
    "binary_crossentropy": ("probabilities", "probabilities", {}),
    "binary_crossentropy of logits": ("numbers", "probabilities", {"from_logits": True}),
    "categorical_crossentropy": ("probabilities", "probabilities", {}),
    "categorical_crossentropy of logits": ("numbers", "probabilities", {"from_logits": True}),
    "sparse_categorical_crossentropy": ("probabilities", "labels", {}),
    "sparse_categorical_crossentropy of logits": ("numbers", "labels", {"from_logits": True}),
    "sparse_categorical_crossentropy with padding": ("probabilities", "labels", {"ignore_class": 1}),
    "sparse_categorical_crossentropy smoothed": (
        *("numbers", "labels"),
        {"from_logits": True, "label_smoothing": 0.2},
    ),
    "sparse_categorical_crossentropy smoothed, with padding": (
        *("numbers", "labels"),
        {"from_logits": True, "label_smoothing": 0.1, "ignore_class": 1},
    ),
}


def draw(kind, rng, shape, dtype):
    if kind == "numbers":
        return (rng.standard_normal(shape) * 3).astype(dtype)
    if kind == "labels":
        integer = rng.choice(["i8", "i4", "u1"])
        return rng.integers(0, min(shape[-1], 200), shape[:-1]).astype(integer)
    p = rng.uniform(0.01, 0.99, shape)
    p[rng.random(shape) < 0.05] = 0  # held at 1e-7, where the gradient is 0
    p[rng.random(shape) < 0.05] = 1
    return p.astype(dtype)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_definition(name, dtype, isa):
    kernels._use_isa(isa)
    rng = np.random.default_rng(2)
    y_kind, target_kind, options = LOSSES[name]
    for i in range(40):
        shape = random_shape(rng)
        if "categorical" in name and len(shape) < 2:
            shape = (3, *shape)
        y, target = draw(y_kind, rng, shape, dtype), draw(target_kind, rng, shape, dtype)
        l_shape = shape if len(shape) == 1 else shape[:-1]
        weight = rng.uniform(0, 2, l_shape[: rng.integers(1, len(l_shape) + 1)]).astype(dtype)
        options = {**options, "reduction": ("mean", "sum", "none")[i % 3]}
        options["sample_weight"] = weight if rng.random() < 0.3 else None
        assert_pair_is_its_definition(name.split()[0], dtype, rng, y, target, **options)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_nan_is_nan(name):
    y_kind, target_kind, options = LOSSES[name]
    rng = np.random.default_rng(3)
    y = draw(y_kind, rng, (4, 21), np.float32)
    target = draw(target_kind, rng, (4, 21), np.float32)
    if target_kind == "labels":
        target[:] = 20
    name = name.split()[0]
    for bad in (np.nan, np.inf, -np.inf):
        y[2, 20] = bad
        right, cache = REGISTRY[f"{name}_forward"].definition(
            y, target, reduction="none", **options
        )
        loss = _fast[f"{name}_forward"](y, target, reduction="none", **options)[0]
        np.testing.assert_allclose(loss, right, rtol=1e-5)
        dloss = np.ones_like(loss)
        right_dy = REGISTRY[f"{name}_backward"].definition(dloss, cache)
        dy = _fast[f"{name}_backward"](dloss, cache)
        np.testing.assert_allclose(dy, right_dy, rtol=1e-4, atol=1e-6)
        with_it = _fast[f"{name}_forward"](y, target, reduction="sum", **options)[1]
        dy = _fast[f"{name}_backward"](1.0, with_it)
        np.testing.assert_allclose(dy, right_dy, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_logits_is_made_with_the_loss_and_handed_out_anew():
    rng = np.random.default_rng(5)
    y, target = draw("numbers", rng, (5, 9), np.float32), draw("probabilities", rng, (5, 9), "f4")
    for name in ("binary_crossentropy", "categorical_crossentropy"):
        forward, backward = REGISTRY[f"{name}_forward"], REGISTRY[f"{name}_backward"]
        _, cache = forward(y, target, from_logits=True)
        once = backward(1.0, cache)
        once[:] = 7  # whoever receives a gradient may write to it
        np.testing.assert_array_equal(backward(1.0, cache), cache.dy)
        np.testing.assert_array_equal(backward(np.float32(2), cache), 2 * cache.dy)
        assert forward(y, target, from_logits=True, reduction="none")[1].dy is None
        assert forward(y, target)[1].dy is None  # of probabilities


def test_a_long_row_is_summed_at_least_as_exactly_as_numpy_does():
    rng = np.random.default_rng(4)
    for name, p in (("mean_squared_error", None), ("binary_crossentropy", 0.3)):
        ours = numpys = 0.0
        for _ in range(20):
            y = rng.uniform(0.2, 0.8, (1, 30_011)).astype(np.float32)
            t = np.full_like(y, p) if p else rng.standard_normal(y.shape).astype(np.float32)
            forward = REGISTRY[f"{name}_forward"].definition
            right = float(forward(y.astype(float), t.astype(float))[0])
            ours = max(ours, abs(float(_fast[f"{name}_forward"](y, t)[0]) / right - 1))
            numpys = max(numpys, abs(float(forward(y, t)[0]) / right - 1))
        assert ours <= max(numpys, 1.2e-7)


# --------------------------------------------------------------------------------- optimiser steps

STEPS = {  # name -> (how many remembered vectors, the other arguments)
    "sgd_step": (0, {"learning_rate": 0.1}),
    "sgd_step with momentum": (1, {"learning_rate": 0.1, "momentum": 0.9}),
    "sgd_step of Nesterov": (1, {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "rmsprop_step": (1, {"learning_rate": 0.01, "rho": 0.8}),
    "adagrad_step": (1, {"learning_rate": 0.01}),
    "adam_step": (2, {"learning_rate": 0.01, "beta_2": 0.99}),
    "adamw_step": (2, {"learning_rate": 0.01, "weight_decay": 0.3}),
}
# and each once more with a clipped gradient
STEPS |= {f"{name}, scaled": (n, {**o, "scale": 0.25}) for name, (n, o) in STEPS.items()}


def steps(function, name, w, gradients):
    """Some steps; returns w and what the optimiser remembers."""
    n_remembered, options = STEPS[name]
    w, remembered = w.copy(), [np.zeros_like(w) for _ in range(n_remembered)]
    for t, g in enumerate(gradients, 1):
        arguments = list(remembered) or [None]
        if name.startswith("rmsprop_step"):
            arguments.append(None)  # no momentum, no velocity
        if name.startswith("adam"):
            arguments.append(t)
        assert function(w, g, *arguments, **options) is None
    return w, *remembered


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_its_definition(name, dtype, isa):
    kernels._use_isa(isa)
    rng = np.random.default_rng(6)
    primitive = name.split()[0].rstrip(",")
    for n in [1, 7, 16, 33, *rng.integers(1, 3000, 15), 70_001]:
        w = rng.standard_normal(n).astype(dtype)
        gradients = rng.standard_normal((3, n)).astype(dtype)
        gradients.flags.writeable = False
        ours = steps(_fast[primitive], name, w, gradients)
        right = steps(REGISTRY[primitive].definition, name, w, gradients)
        for a, b in zip(ours, right, strict=True):
            assert_close(a, b, dtype)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_of_squares(dtype, isa):
    kernels._use_isa(isa)
    rng = np.random.default_rng(7)
    for n in [0, 1, 15, 16, 17, 16_383, 16_384, 16_385, 200_003]:
        g = rng.standard_normal(n).astype(dtype)
        exact = math.fsum(float(x) ** 2 for x in g)
        totals = set()
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            totals.add(_fast["sum_of_squares"](g))
        (total,) = totals
        assert total == pytest.approx(exact, rel=1e-6 if dtype == np.float32 else 1e-14)
    assert _fast["sum_of_squares"](g[::2]) is NotImplemented


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_may_take_subnormal_numbers_for_zero_but_nobody_else_does(dtype):
    tiny = np.finfo(dtype).tiny
    w, g = np.ones(40, dtype), np.zeros(40, dtype)
    m, v = np.full(40, tiny), np.full(40, tiny)
    for name in ("adam_step", "adamw_step"):
        _fast[name](w, g, m, v, 9, 0.1)
        assert (m <= tiny).all() and (v <= tiny).all() and (np.abs(w) <= 1).all()
    kernels.set_num_threads(2)
    large = np.full((4, 70_000), tiny)
    _fast["adam_step"](*large, 1, 0.1)
    assert (large[2:] == 0).all()  # they stay no longer than one step
    assert (np.full(70_000, tiny) * dtype(0.5) > 0).all()  # here they are numbers still
    y = kernels.elementary(
        np.full(70_000, np.log(tiny) - 1, dtype), kernels.elementary_codes["exp"]
    )
    assert (y > 0).all()  # and in the pool's threads


def test_a_step_declines_where_an_array_is_missing():
    w = np.ones(5, np.float32)
    for name, arguments in {
        "sgd_step": (w, None, None, 0.1),
        "rmsprop_step": (w, w.copy(), None, None, 0.1),
        "adagrad_step": (w, w.copy(), None, 0.1),
        "adam_step": (w, w.copy(), w.copy(), None, 1, 0.1),
    }.items():
        assert _fast[name](*arguments) is NotImplemented
    assert _fast["sgd_step"](w, w.copy(), None, 0.1, 0.9) is NotImplemented


def test_a_step_refuses_what_it_cannot_do_and_changes_nothing():
    w, g, m, v = np.random.default_rng(7).uniform(1, 2, (4, 40)).astype(np.float32)
    adam = _fast["adam_step"]
    read_only = m.copy()
    read_only.flags.writeable = False
    for arguments in [
        (w[::2], g[::2], m[::2], v[::2]),  # not side by side
        (w, g.astype(np.float64), m, v),
        (w, g[:39], m, v),
        (w, g, read_only, v),
        (w, g, m, m),  # the same memory twice
        (w[:39], w[1:], m[:39], v[:39]),
    ]:
        before = [a.copy() for a in arguments]
        assert adam(*arguments, 1, 0.1) is NotImplemented
        for a, b in zip(arguments, before, strict=True):
            np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------ threads and layouts


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bits_do_not_depend_on_the_number_of_threads(dtype):
    rng = np.random.default_rng(8)
    y, t = rng.uniform(0.01, 0.99, (2, 401, 333)).astype(dtype)

    def everything():
        for name in ACTIVATIONS:
            out, cache = REGISTRY[f"{name}_forward"](y)
            yield from (out, REGISTRY[f"{name}_backward"](t, cache))
        for name in ("mean_squared_error", "binary_crossentropy", "categorical_crossentropy"):
            loss, cache = REGISTRY[f"{name}_forward"](y, t)
            yield from (loss, REGISTRY[f"{name}_backward"](1.0, cache))
        yield from steps(_fast["adam_step"], "adam_step", y, [t, t])

    results = []
    for n in (1, 2, 5):
        kernels.set_num_threads(n)
        results.append([np.array(a) for a in everything()])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


UNUSUAL = {
    "transposed": lambda a: np.asfortranarray(a),
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1, ::-1],
    "of a subclass": lambda a: a.view(np.memmap),
    "in the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "in half precision": lambda a: a.astype(np.float16),
}


@pytest.mark.parametrize("how", UNUSUAL)
def test_what_lies_unusually_is_left_to_the_definition(how):
    rng = np.random.default_rng(9)
    y, t = (UNUSUAL[how](rng.uniform(0.1, 0.9, (6, 5)).astype(np.float32)) for _ in range(2))
    for name in ACTIVATIONS:
        assert _fast[f"{name}_forward"](y) is NotImplemented
        forward = REGISTRY[f"{name}_forward"]
        np.testing.assert_array_equal(forward(y)[0], forward.definition(y)[0])
    for name in ("mean_squared_error", "binary_crossentropy", "categorical_crossentropy"):
        assert _fast[f"{name}_forward"](y, t) is NotImplemented
        forward = REGISTRY[f"{name}_forward"]
        np.testing.assert_array_equal(forward(y, t)[0], forward.definition(y, t)[0])


def test_the_definition_says_what_is_wrong():
    y, labels = np.full((2, 3), 0.5, np.float32), np.array([0, 3])
    with pytest.raises(ValueError, match=r"labels\[1\] is 3, expected 0 to 2"):
        REGISTRY["sparse_categorical_crossentropy_forward"](y, labels)
    with pytest.raises(ValueError, match="target is"):
        REGISTRY["mean_squared_error_forward"](y, y[:1])
    with pytest.raises(ValueError, match=r"target is \(2,\), expected \(\.\.\., K\)"):
        REGISTRY["categorical_crossentropy_forward"](y, labels)
    with pytest.raises(ValueError, match="reduction is 'half'"):
        REGISTRY["mean_squared_error_forward"](y, y, reduction="half")
    _, cache = REGISTRY["mean_squared_error_forward"](y, y)
    with pytest.raises(ValueError, match="dloss is"):
        REGISTRY["mean_squared_error_backward"](np.ones(2, np.float32), cache)
    _, cache = REGISTRY["tanh_forward"](y)
    with pytest.raises(ValueError, match="dy is"):
        REGISTRY["tanh_backward"](y[:1], cache)
    with pytest.raises(ValueError, match="negative_slope is -1"):
        REGISTRY["leaky_relu_forward"](y, -1)
