"""The checker itself: right gradients are not failed, wrong ones are not passed, and mistakes that
other checkers have made are not made again."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil

import numpy as np
import pytest

import minienc.functions
from minienc.functions import (
    dense_backward,
    dense_forward,
    dropout_backward,
    dropout_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    softmax_backward,
    softmax_forward,
)
from minienc.layers import Dense, DenseTranspose, Dropout, Input
from minienc.models import Model
from minienc.primitive import REGISTRY
from minienc.verify import SubjectError, assert_gradients, gradcheck
from tests.cases import CASES, FORWARDS, all_cases

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape)


X, W, B = normal(5, 3), normal(3, 4), normal(4)


def tanh_layer(x, W, b):
    y = np.tanh(x @ W + b)
    return y, (x, W, y)


def tanh_backward(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y * y)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


# ------------------------------------------------------------------------------------- ways in


def test_a_pair_passes_and_says_what_it_covered():
    report = gradcheck(tanh_layer, tanh_backward, X, W, B)
    assert report.verdict == "pass" and report
    assert [(t.name, t.checked) for t in report.tensors] == [("x", 15), ("W", 12), ("b", 4)]
    assert report.mutants_caught == report.mutants > 20
    assert "PASS" in str(report)
    assert json.loads(report.to_json())["verdict"] == "pass"


def test_a_function_that_returns_its_backward():
    def f(x, W):
        y = x @ W
        return y, lambda dy: (dy @ W.T, x.T @ dy)

    assert gradcheck(f, X, W)
    assert not gradcheck(lambda x, W: (x @ W, lambda dy: (dy @ W.T, 2 * (x.T @ dy))), X, W)


def test_a_claimed_gradient():
    assert gradcheck(lambda x: np.sum(x**3), X, gradient=lambda x: 3 * x**2)
    assert gradcheck(lambda x: np.sum(x**3), X, gradient=3 * X**2)
    assert gradcheck(lambda x: np.sum(x**3), X, gradient=lambda x: x**2).verdict == "fail"


def test_layers_models_and_a_model_with_its_loss():
    assert gradcheck(Dense(4, "gelu", seed=0), X)
    x = Input((3,), dtype="float64")
    dense = Dense(4, "tanh", seed=0, kernel_regularizer="l2", activity_regularizer="l1")
    model = Model(x, DenseTranspose(dense, "sigmoid")(Dropout(0.3)(dense(x))))
    assert gradcheck(model, X)
    model.compile("sgd", "binary_crossentropy")
    report = gradcheck(model, X, RNG.random((5, 3)))
    assert report
    assert [t.name for t in report.tensors] == [
        "x",
        "dense_1/W",
        "dense_1/b",
        "dense_transpose_1/b",
    ]


def test_assert_gradients_raises_with_the_report():
    assert_gradients(tanh_layer, tanh_backward, X, W, B)
    with pytest.raises(AssertionError, match="the activation's derivative is missing"):
        assert_gradients(
            tanh_layer,
            lambda dy, c: (tanh_backward(dy, c)[0], c[0].T @ dy, tanh_backward(dy, c)[2]),
            X,
            W,
            B,
        )


@pytest.mark.parametrize("name", FORWARDS)
def test_every_pair_of_the_project(name):
    """None is failed; and each passes, but where a case has nothing in it to check (no samples, a
    softmax of one number, a unit that is cut off)."""
    forward, verdicts = REGISTRY[name], []
    for arguments, options in all_cases(name):
        if "rng" in options:
            options = {**options, "rng": np.random.default_rng(options["rng"])}
        report = gradcheck(forward, forward.backward, *arguments, **options)
        assert report.verdict != "fail", str(report)
        verdicts.append(report.verdict)
        if report.verdict == "inconclusive":
            assert all(
                t.verdict == "pass" or "proves nothing" in t.reason or t.n_below_floor
                for t in report.tensors
            )
    assert "pass" in verdicts


def test_every_function_is_registered_with_a_case():
    """What is called X_forward in functions/ is a primitive, has its backward, and has a case."""
    for module in pkgutil.iter_modules(minienc.functions.__path__, "minienc.functions."):
        for name, function in vars(importlib.import_module(module.name)).items():
            if name.endswith(("_forward", "_backward")) and not name.startswith("_"):
                assert REGISTRY.get(name) is function, f"{module.name}.{name} is no @primitive"
    assert set(FORWARDS) == set(CASES)
    assert {name.replace("_forward", "_backward") for name in FORWARDS} <= set(REGISTRY)


# --------------------------------------------------------------------- right ones are not failed


def test_float32_is_compared_in_its_shadow():
    x, w, b = (a.astype("float32") for a in (X, W, B))
    report = gradcheck(tanh_layer, tanh_backward, x, w, b)
    assert report
    assert all(0 < t.precision_error < 1e-5 for t in report.tensors)


def test_a_kink_is_a_kink():
    report = gradcheck(relu_forward, relu_backward, np.array([0.0, 1.0, -1.0, 1e-9]))
    assert report
    assert report.tensors[0].n_kinks == 1  # at 0; beside it the step shrinks


def test_a_wrong_value_at_a_kink_is_not_a_subgradient():
    def backward(dy, cache):
        return np.where(cache.y > 0, dy, np.where(cache.y == 0, 7 * dy, 0))

    x = np.array([0.0, 1.0, 2.0])
    assert gradcheck(relu_forward, backward, x).verdict == "fail"


def test_noise_is_replayed():
    x = normal(6, 5)
    assert gradcheck(dropout_forward, dropout_backward, x, 0.4, rng=np.random.default_rng(0))
    assert gradcheck(Dropout(0.4), x).verdict == "pass"


def test_a_saturated_unit_is_not_failed():
    x = np.array([0.5, 30.0, -700.0, 800.0])
    assert gradcheck(sigmoid_forward, sigmoid_backward, x).verdict != "fail"


def test_batch_coupled_broadcast_and_repeated_indices():
    def normalise(x):
        c = x - x.mean(axis=0)
        s = np.sqrt((c * c).mean(axis=0) + 1e-5)
        return c / s, (c, s)

    def normalise_backward(dy, cache):
        c, s = cache
        n = len(c)
        return (dy - dy.mean(axis=0)) / s - c * (dy * c).sum(axis=0) / (n * s**3)

    assert gradcheck(normalise, normalise_backward, normal(7, 3))
    assert gradcheck(normalise, normalise_backward, normal(7, 3) + 1e4)

    def pick(table, ids):
        return table[ids], (table.shape, ids)

    def pick_backward(dy, cache):
        shape, ids = cache
        dtable = np.zeros(shape)
        np.add.at(dtable, ids, dy)
        return dtable

    assert gradcheck(pick, pick_backward, normal(5, 2), np.array([1, 3, 3, 0, 3, 4, 2]))


def test_views_strides_and_read_only_inputs():
    x = np.broadcast_to(normal(1, 3), (5, 3))
    assert gradcheck(tanh_layer, tanh_backward, x, np.asfortranarray(W), B[::-1])
    frozen = X.copy()
    frozen.flags.writeable = False
    assert gradcheck(tanh_layer, tanh_backward, frozen, W, B)


def test_the_callers_arrays_are_what_they_were_even_after_an_exception():
    x = X.copy()
    calls = iter(range(100))

    def f(x):
        if next(calls) > 10:
            raise RuntimeError("tired")
        return (x**2).sum(), x

    with pytest.raises(RuntimeError, match="tired"):
        gradcheck(f, lambda dy, x: 2 * x * dy, x)
    np.testing.assert_array_equal(x, X)


# -------------------------------------------------------------------- wrong ones are not passed

SPOILS = {
    "sign": lambda g: -g,
    "half": lambda g: 0.5 * g,
    "one per cent": lambda g: 1.01 * g,
    "zero": lambda g: 0 * g,
    "an element": lambda g: np.where(np.arange(g.size).reshape(g.shape) == g.size // 2, 0, g),
    "a row": lambda g: g * (np.arange(len(g)) != 1).reshape(-1, *[1] * (g.ndim - 1)),
    "rolled": lambda g: np.roll(g, 1, axis=0),
}


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("large", [False, True])
def test_one_wrong_gradient_is_found_whichever_it_is(spoil, which, large):
    x, w, b = (normal(30, 40), normal(40, 50), normal(50)) if large else (X, W, B)

    def backward(dy, cache):
        grads = list(tanh_backward(dy, cache))
        grads[which] = SPOILS[spoil](grads[which])
        return tuple(grads)

    report = gradcheck(tanh_layer, backward, x, w, b)
    assert report.verdict == "fail"
    assert [t.verdict for t in report.tensors].count("fail") == 1
    assert report.tensors[which].verdict == "fail"


def test_the_wrong_element_of_a_large_tensor_is_named():
    w = normal(100, 80)

    def backward(dy, cache):
        dx, dW, db = tanh_backward(dy, cache)
        dW[17, 5] += 0.3
        return dx, dW, db

    report = gradcheck(tanh_layer, backward, normal(4, 100), w * 0.1, normal(80))
    assert (17, 5) in [e.index for e in report.tensors[1].wrong]


def test_a_small_wrong_gradient_is_not_hidden_by_a_large_one():
    """A tolerance scaled by the size of all gradients would pass this."""

    def f(a, b):
        return 1e6 * np.sum(a**2) + 1e-3 * np.sum(b**2), (a, b)

    def backward(dy, cache):
        a, b = cache
        return 2e6 * a * dy, 1e-3 * b * dy

    report = gradcheck(f, backward, normal(3), normal(3))
    assert [t.verdict for t in report.tensors] == ["pass", "fail"]


def test_softmax_with_a_zero_backward_is_found():
    assert gradcheck(softmax_forward, softmax_backward, normal(3, 4))
    assert gradcheck(softmax_forward, lambda dy, c: 0 * dy, normal(3, 4)).verdict == "fail"


def test_a_lost_repeated_index_is_named():
    def pick(table, ids):
        return table[ids], (table.shape, ids)

    def backward(dy, cache):
        shape, ids = cache
        dtable = np.zeros(shape)
        dtable[ids] += dy
        return dtable

    report = gradcheck(pick, backward, normal(8, 2), np.array([1, 7, 7, 0]))
    assert report.verdict == "fail"
    assert "index 7's, which occurs 2 times in ids: was `+=` used" in str(report)


DIAGNOSES = {
    "wrong sign": lambda dy, c: (lambda g: (g[0], -g[1], g[2]))(tanh_backward(dy, c)),
    "5 times too large: 5 is the batch size": lambda dy, c: (lambda g: (g[0], 5 * g[1], g[2]))(
        tanh_backward(dy, c)
    ),
    "summed over axis 1": lambda dy, c: (*tanh_backward(dy, c)[:2], dy.sum(axis=1)),
    "is not summed": lambda dy, c: (*tanh_backward(dy, c)[:2], dy),
    "your dW is transposed": lambda dy, c: (lambda g: (g[0], g[1].T, g[2]))(tanh_backward(dy, c)),
    "your dx: the activation's derivative is missing": lambda dy, c: (
        dy @ c[1].T,
        *tanh_backward(dy, c)[1:],
    ),
    "is zero everywhere": lambda dy, c: (lambda g: (g[0], 0 * g[1], g[2]))(tanh_backward(dy, c)),
}


@pytest.mark.parametrize("sentence", DIAGNOSES)
def test_the_likely_cause_is_told(sentence):
    report = gradcheck(tanh_layer, DIAGNOSES[sentence], X, W, B)
    assert report.verdict == "fail"
    assert sentence in str(report)


# ------------------------------------------------------------------------------- never for nothing


def test_nothing_to_check_is_never_a_pass():
    with pytest.raises(SubjectError, match="no floating array"):
        gradcheck(lambda ids: (ids, ids), lambda dy, c: dy, np.arange(3))
    with pytest.raises(SubjectError, match="no outputs"):
        gradcheck(lambda x: ((), x), lambda dy, c: dy, X)
    with pytest.raises(SubjectError, match=r"expected \(y, cache\)"):
        gradcheck(lambda x: x, lambda dy, c, k: dy, X)
    with pytest.raises(SubjectError, match=r"returned 2 gradient\(s\), expected 3"):
        gradcheck(tanh_layer, lambda dy, c: tanh_backward(dy, c)[:2], X, W, B)


def test_a_zero_gradient_that_proves_nothing_is_inconclusive():
    report = gradcheck(relu_forward, relu_backward, -1 - RNG.random(4))
    assert report.verdict == "inconclusive" and not report
    assert "proves nothing" in report.tensors[0].reason


def test_a_gradient_for_what_has_no_influence_is_wrong():
    report = gradcheck(lambda x, z: (x * 2, z), lambda dy, z: (2 * dy, z), X, normal(2))
    assert [t.verdict for t in report.tensors] == ["pass", "fail"]
    report = gradcheck(lambda x, z: (x * 2, z), lambda dy, z: (2 * dy, 0 * z), X, normal(2))
    assert report.tensors[1].verdict == "inconclusive"


def test_a_missing_gradient_is_right_only_without_influence():
    assert gradcheck(lambda x, z: (x * 2, z), lambda dy, z: (2 * dy, None), X, normal(2))
    report = gradcheck(tanh_layer, lambda dy, c: (*tanh_backward(dy, c)[:2], None), X, W, B)
    assert report.tensors[2].verdict == "fail"


def test_empty_tensors():
    report = gradcheck(tanh_layer, tanh_backward, np.zeros((0, 3)), W, B)
    assert report.verdict == "inconclusive"  # with no samples, W and b have no influence
    assert report.tensors[0].verdict == "pass"


def test_parameters_are_what_they_were():
    layer = Dense(3, "relu", seed=0)
    layer.build((3,), "float32")
    home, before = layer.W.value, layer.W.value.copy()
    gradcheck(layer, X.astype("float32"))
    assert layer.W.value is home
    np.testing.assert_array_equal(layer.W.value, before)


def test_the_dense_pair_with_every_activation_in_float32():
    x, w, b = (a.astype("float32") for a in (X, W, B))
    for activation in ("relu", "sigmoid", "softmax", "gelu", "elu"):
        assert gradcheck(dense_forward, dense_backward, x, w, b, activation=activation)


# ------------------------------------------------------------------------------------- tolerance


def rounded_pi(dy, x):
    return dy * 3.14159 * np.cos(np.pi * x)


def test_the_tolerance_can_be_set():
    """3.14159 is off by 8e-7: within the default of 1e-6."""

    def f(x):
        return np.sin(np.pi * x), x

    assert gradcheck(f, rounded_pi, X)
    assert gradcheck(f, rounded_pi, X, rtol=1e-8).verdict == "fail"
    half_a_per_cent = lambda dy, x: 1.005 * rounded_pi(dy, x)  # noqa: E731
    assert gradcheck(f, half_a_per_cent, X).verdict == "fail"
    loose = gradcheck(f, half_a_per_cent, X, rtol=0.01)
    assert loose.tensors[0].n_wrong == 0 and loose.mutants_caught <= loose.mutants
    for rtol in (0, 1, -1e-6):
        with pytest.raises(SubjectError, match="expected a number between 0 and 1"):
            gradcheck(f, rounded_pi, X, rtol=rtol)


def test_the_tolerance_is_stated():
    """The default that the docstring states is the one that judges."""
    default = inspect.signature(gradcheck).parameters["rtol"].default
    assert f"{default:.0e}".replace("e-0", "e-") in gradcheck.__doc__
    inside, outside = 1 + 0.9 * default, 1 + 1.1 * default
    x = np.array([3.0])
    assert gradcheck(lambda x: (x**2, x), lambda dy, x: inside * 2 * x * dy, x)
    wrong = gradcheck(lambda x: (x**2, x), lambda dy, x: outside * 2 * x * dy, x)
    assert wrong.verdict == "fail"


def test_what_an_exact_oracle_sees_below_the_tolerance_is_said():
    report = gradcheck(lambda x: (np.sin(np.pi * x), x), rounded_pi, X)
    assert "complex step is exact to rounding and finds it off by 8e-07" in str(report)
    exact = gradcheck(lambda x: (np.sin(x), x), lambda dy, x: dy * np.cos(x), X)
    assert "exact to rounding" not in str(exact)
    float32 = gradcheck(
        lambda x: (np.sin(x), x), lambda dy, x: (dy * np.cos(x)).astype("float32"), X
    )
    assert "exact to rounding" not in str(float32)  # it is the backward's own rounding
