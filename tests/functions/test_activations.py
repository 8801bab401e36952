"""Activations: against independent references, and where naive formulas break."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minienc.functions import (
    ACTIVATIONS,
    get_activation,
    sigmoid_forward,
    softmax_backward,
    softmax_forward,
    softplus_forward,
)
from minienc.primitive import REGISTRY

DTYPES = ["float32", "float64"]
EXTREMES = [-np.inf, -1e30, -1e4, -700, -88, -20, -1e-30, -1e-310, 0, 1e-310, 1e-30, 20, 88, 1e4]
ELEMENTWISE = sorted({f.__name__ for f in ACTIVATIONS.values()} - {"softmax_forward"})


# ------------------------------------------------------------------------- independent references


def test_scipy_agrees():
    special = pytest.importorskip("scipy.special")
    x = np.concatenate([np.linspace(-40, 40, 801), [-1e4, -745.0, 745.0, 1e4]])
    pairs = {
        "sigmoid_forward": special.expit(x),
        "softplus_forward": -special.log_expit(-x),
        "elu_forward": np.where(x > 0, x, special.expm1(np.minimum(x, 0))),
    }
    for name, expected in pairs.items():
        y, _ = REGISTRY[name](x)
        np.testing.assert_allclose(y, expected, rtol=1e-14, atol=5e-324, err_msg=name)
    rows = 10 * np.random.default_rng(0).standard_normal((50, 7))
    np.testing.assert_allclose(softmax_forward(rows)[0], special.softmax(rows, axis=-1), rtol=1e-13)


def test_gelu_is_near_x_times_the_normal_distribution_function():
    special = pytest.importorskip("scipy.special")
    x = np.linspace(-6, 6, 1001)
    y, _ = REGISTRY["gelu_forward"](x)
    assert np.abs(y - x * special.ndtr(x)).max() < 5e-4  # the approximation's own error


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    theirs = {
        "relu_forward": f.relu,
        "leaky_relu_forward": lambda x: f.leaky_relu(x, 0.2),
        "elu_forward": f.elu,
        "sigmoid_forward": torch.sigmoid,
        "tanh_forward": torch.tanh,
        "softplus_forward": lambda x: f.softplus(x, threshold=100),
        "gelu_forward": lambda x: f.gelu(x, approximate="tanh"),
        "softmax_forward": lambda x: f.softmax(x, dim=-1),
    }
    rng = np.random.default_rng(0)
    x, dy = 3 * rng.standard_normal((6, 5)), rng.standard_normal((6, 5))
    for name, function in theirs.items():
        t = torch.tensor(x, requires_grad=True)
        out = function(t)
        out.backward(torch.tensor(dy))
        y, cache = REGISTRY[name](x)
        np.testing.assert_allclose(y, out.detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=name)
        dx = REGISTRY[name].backward(dy, cache)
        np.testing.assert_allclose(dx, t.grad.numpy(), rtol=1e-11, atol=1e-13, err_msg=name)


# ------------------------------------------------------------------------------------- saturation


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted({*ELEMENTWISE} - {"gelu_forward", "relu_squared_forward"}))
def test_saturated_units_are_finite_and_silent(name, dtype):
    """Also among subnormal numbers. NumPy's overflow warnings are errors here."""
    x = np.array([e for e in EXTREMES if np.isfinite(e)], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y, cache = REGISTRY[name](x)
        dx = REGISTRY[name].backward(np.ones_like(y), cache)
    assert np.isfinite(y).all() and np.isfinite(dx).all()
    assert (dx >= 0).all() and (dx <= 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_saturates_too(dtype):
    x = np.array([-1e4, -20, -1e-30, 0, 1e-30, 20, 1e4], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y, cache = REGISTRY["gelu_forward"](x)
        dx = REGISTRY["gelu_forward"].backward(np.ones_like(y), cache)
    # at -20 the true values are -3e-261 and -3e-259; the sum 1 + tanh(u) has no digit of them
    np.testing.assert_allclose(y[[0, 1, 3, 5, 6]], [0, 0, 0, 20, 1e4], rtol=0, atol=1e-99)
    np.testing.assert_allclose(dx[[0, 1, 3, 5, 6]], [0, 0, 0.5, 1, 1], rtol=0, atol=1e-99)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_keeps_its_digits_far_to_the_left(dtype):
    """1 / (1 + exp(-x)) would overflow there, and 1 - sigmoid(-x) would be 0."""
    x = np.array([-80, -50, -30], dtype)
    np.testing.assert_allclose(sigmoid_forward(x)[0], np.exp(x), rtol=1e-6)
    np.testing.assert_allclose(softplus_forward(x)[0], np.exp(x), rtol=1e-6)


def test_nan_is_passed_on():
    x = np.array([np.nan, 1.0])
    for name in ELEMENTWISE:
        y, _ = REGISTRY[name](x)
        assert np.isnan(y[0]) and np.isfinite(y[1]), name


# ---------------------------------------------------------------------------------------- softmax

rows = hnp.arrays(
    "float64",
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    elements=st.floats(-1e4, 1e4),
)


@given(x=rows)
def test_softmax_rows_are_distributions(x):
    y, _ = softmax_forward(x)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-12)


@given(x=rows, shift=st.floats(-1e4, 1e4))
def test_softmax_does_not_see_a_shift(x, shift):
    np.testing.assert_allclose(softmax_forward(x + shift)[0], softmax_forward(x)[0], atol=1e-10)


@given(x=rows)
def test_softmax_gradients_sum_to_zero_along_a_row(x):
    """The same statement about the slope: no change of x moves the sum of y."""
    _, cache = softmax_forward(x)
    dy = np.random.default_rng(0).standard_normal(x.shape)
    np.testing.assert_allclose(softmax_backward(dy, cache).sum(axis=-1), 0, atol=1e-12)


# -------------------------------------------------------------------------------------- the doors


def test_names():
    assert get_activation(None) is get_activation("identity") is get_activation("linear")
    with pytest.raises(ValueError, match="activation is 'rely', expected one of elu, gelu"):
        get_activation("rely")
    with pytest.raises(ValueError, match=r"activation is \['relu'\], expected one of"):
        get_activation(["relu"])


@pytest.mark.parametrize("wrong", [0, -0.1, float("nan")])
def test_options_out_of_range(wrong):
    x = np.ones(2)
    with pytest.raises(ValueError, match=r"leaky_relu_forward: negative_slope is .*, expected > 0"):
        REGISTRY["leaky_relu_forward"](x, negative_slope=wrong)
    with pytest.raises(ValueError, match=r"elu_forward: alpha is .*, expected > 0"):
        REGISTRY["elu_forward"](x, alpha=wrong)


def test_an_option_from_numpy_does_not_upcast():
    x = np.ones(3, "float32")
    assert REGISTRY["leaky_relu_forward"](x, negative_slope=np.float64(0.1))[0].dtype == "float32"
    assert REGISTRY["elu_forward"](x, alpha=np.float64(0.5))[0].dtype == "float32"


@pytest.mark.parametrize("name", sorted({f.__name__ for f in ACTIVATIONS.values()}))
def test_a_foreign_dy_is_refused(name):
    _, cache = REGISTRY[name](np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"_backward: dy is \(3, 2\), expected"):
        REGISTRY[name].backward(np.ones((3, 2)), cache)
    with pytest.raises(TypeError, match="dy is float32 but y is float64"):
        REGISTRY[name].backward(np.ones((2, 3), "float32"), cache)
