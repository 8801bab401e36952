"""Losses: independent references, stability at saturation, weights and reductions, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    binary_crossentropy_backward,
    binary_crossentropy_forward,
    categorical_crossentropy_backward,
    categorical_crossentropy_forward,
    kl_divergence_backward,
    kl_divergence_forward,
    l1_penalty_backward,
    l1_penalty_forward,
    l2_penalty_backward,
    l2_penalty_forward,
    mean_absolute_error_forward,
    mean_squared_error_backward,
    mean_squared_error_forward,
    sigmoid_forward,
    softmax_forward,
    sparse_categorical_crossentropy_backward,
    sparse_categorical_crossentropy_forward,
)
from minienc.primitive import REGISTRY
from tests.cases import all_cases, call

DTYPES = ["float32", "float64"]
LOSSES = sorted(
    name
    for name, f in REGISTRY.items()
    if name.endswith("_forward") and "sample_weight" in f.constants
)
seeds = st.integers(0, 999)


def probabilities(rng, *shape):
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


# -------------------------------------------------------------------------------- worked by hand


def test_worked_by_hand():
    """Errors (1, -2) and (0, 4): l = (1 + 4)/2 and 16/2, so the mean is 5.25; of |e|, 1.75."""
    y, target = np.array([[2.0, 1], [3, 4]]), np.array([[1.0, 3], [3, 0]])
    loss, cache = mean_squared_error_forward(y, target)
    assert loss == 5.25
    # dy = 2 e / (D N) = e / 2
    np.testing.assert_array_equal(mean_squared_error_backward(1.0, cache), [[0.5, -1], [0, 2]])
    assert mean_absolute_error_forward(y, target)[0] == 1.75


def test_numbers_without_an_axis_are_samples_of_one_number():
    y, target = np.array([1.0, 2, 3]), np.array([0.0, 2, 5])
    for forward in (mean_squared_error_forward, mean_absolute_error_forward):
        loss, cache = forward(y, target)
        column, columns = forward(y[:, None], target[:, None])
        assert loss == column
        dy = forward.backward(1.0, cache)
        np.testing.assert_array_equal(dy, forward.backward(1.0, columns)[:, 0])
    each, _ = mean_squared_error_forward(y, target, reduction="none")
    np.testing.assert_array_equal(each, [1, 0, 4])


# ------------------------------------------------------------------------- independent references


@given(seed=seeds)
def test_scipy_agrees(seed):
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(seed)
    z, t = 5 * rng.standard_normal((4, 3)), probabilities(rng, 4, 3)
    labels = rng.integers(0, 3, 4)
    log_p = special.log_softmax(z, axis=-1)
    log_s, log_not_s = special.log_expit(z), special.log_expit(-z)
    expected = {
        categorical_crossentropy_forward: (t, -(t * log_p).sum(axis=-1).mean()),
        sparse_categorical_crossentropy_forward: (labels, -log_p[range(4), labels].mean()),
        binary_crossentropy_forward: (t, -(t * log_s + (1 - t) * log_not_s).mean()),
    }
    for forward, (target, value) in expected.items():
        loss, _ = forward(z, target, from_logits=True)
        np.testing.assert_allclose(loss, value, rtol=1e-12)
    q = probabilities(rng, 4, 3) * 0.9 + 0.1 / 3
    divergence, _ = kl_divergence_forward(q, t)
    np.testing.assert_allclose(divergence, special.rel_entr(t, q).sum(axis=-1).mean(), atol=1e-5)


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    rng = np.random.default_rng(0)
    z, t, labels = rng.standard_normal((5, 3)), probabilities(rng, 5, 3), rng.integers(0, 3, 5)
    theirs = [
        (mean_squared_error_forward, t, {}, f.mse_loss),
        (mean_absolute_error_forward, t, {}, f.l1_loss),
        (binary_crossentropy_forward, t, {"from_logits": True}, f.binary_cross_entropy_with_logits),
        (categorical_crossentropy_forward, t, {"from_logits": True}, f.cross_entropy),
        (sparse_categorical_crossentropy_forward, labels, {"from_logits": True}, f.cross_entropy),
    ]
    for forward, target, options, function in theirs:
        leaf = torch.tensor(z, requires_grad=True)
        out = function(leaf, torch.tensor(target))
        out.backward()
        loss, cache = forward(z, target, **options)
        np.testing.assert_allclose(loss, out.item(), rtol=1e-12)
        np.testing.assert_allclose(forward.backward(1.0, cache), leaf.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_torch_agrees_on_labels_that_do_not_count_and_smoothed_ones(smoothing, reduction):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    z, labels = rng.standard_normal((4, 6, 3)), rng.integers(-1, 3, (4, 6))
    leaf = torch.tensor(z, requires_grad=True)
    out = torch.nn.functional.cross_entropy(
        leaf.reshape(-1, 3),
        torch.tensor(labels.ravel()),
        ignore_index=-1,
        label_smoothing=smoothing,
        reduction=reduction,
    )
    out.backward()
    loss, cache = sparse_categorical_crossentropy_forward(
        z, labels, None, True, reduction, ignore_class=-1, label_smoothing=smoothing
    )
    np.testing.assert_allclose(loss, out.item(), rtol=1e-12)
    dz = sparse_categorical_crossentropy_backward(1.0, cache)
    np.testing.assert_allclose(dz, leaf.grad.numpy(), atol=1e-12)


@given(cut=st.integers(1, 7), seed=seeds)
def test_words_that_count_count_alike_however_they_are_cut_into_batches(cut, seed):
    rng = np.random.default_rng(seed)
    z, labels = rng.standard_normal((8, 5, 3)), rng.integers(-1, 3, (8, 5))
    whole, _ = sparse_categorical_crossentropy_forward(z, labels, None, True, "mean", -1)
    n = max(int((labels >= 0).sum()), 1)
    parts = [
        sparse_categorical_crossentropy_forward(z[i], labels[i], None, True, "mean", -1)[0]
        * max(int((labels[i] >= 0).sum()), 1)
        for i in (slice(cut), slice(cut, None))
    ]
    np.testing.assert_allclose(sum(parts) / n, whole, rtol=1e-12)


def test_nothing_that_counts_loses_nothing():
    z, labels = np.ones((2, 3)), np.array([-1, -1])
    loss, cache = sparse_categorical_crossentropy_forward(z, labels, None, True, ignore_class=-1)
    assert loss == 0 and not sparse_categorical_crossentropy_backward(1.0, cache).any()
    with pytest.raises(ValueError, match="label_smoothing is 1, expected in"):
        sparse_categorical_crossentropy_forward(z, np.array([0, 1]), label_smoothing=1)


@given(seed=seeds)
def test_logits_and_probabilities_are_one_loss(seed):
    rng = np.random.default_rng(seed)
    z, t = rng.standard_normal((4, 3)), probabilities(rng, 4, 3)
    for forward, activation in (
        (binary_crossentropy_forward, sigmoid_forward),
        (categorical_crossentropy_forward, softmax_forward),
    ):
        y, a = activation(z)
        of_y, cache = forward(y, t)
        of_z, logits_cache = forward(z, t, from_logits=True)
        np.testing.assert_allclose(of_y, of_z, rtol=1e-10)
        dz = activation.backward(forward.backward(1.0, cache), a)
        np.testing.assert_allclose(forward.backward(1.0, logits_cache), dz, atol=1e-12)


@given(seed=seeds, from_logits=st.booleans(), reduction=st.sampled_from(["mean", "sum", "none"]))
def test_sparse_is_categorical_on_one_hot_rows(seed, from_logits, reduction):
    rng = np.random.default_rng(seed)
    y, labels = probabilities(rng, 2, 3, 4), rng.integers(0, 4, (2, 3))
    options = {"from_logits": from_logits, "reduction": reduction}
    sparse, sparse_cache = sparse_categorical_crossentropy_forward(y, labels, **options)
    dense, dense_cache = categorical_crossentropy_forward(y, np.eye(4)[labels], **options)
    np.testing.assert_allclose(sparse, dense, rtol=1e-13)
    dloss = rng.standard_normal(np.shape(sparse))
    np.testing.assert_allclose(
        sparse_categorical_crossentropy_backward(dloss, sparse_cache),
        categorical_crossentropy_backward(dloss, dense_cache),
        atol=1e-14,
    )


# -------------------------------------------------------------------------------------- stability


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_logits_of_binary_crossentropy(dtype):
    z = np.array([[1e4], [-1e4], [1e4], [-1e4], [0]], dtype)
    t = np.array([[1], [0], [0], [1], [0.5]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        l, cache = binary_crossentropy_forward(z, t, from_logits=True, reduction="none")  # noqa: E741
        dz = binary_crossentropy_backward(1.0, cache)
    np.testing.assert_allclose(
        l, np.array([0, 0, 1e4, 1e4, np.log(2)], dtype), rtol=2 * np.finfo(dtype).eps
    )
    np.testing.assert_array_equal(dz, [[0], [0], [1], [-1], [0]])  # sigmoid(z) - t


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_logits_of_categorical_crossentropy(dtype):
    z = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype)
    labels = np.array([0, 1, 2])
    t = np.eye(3, dtype=dtype)[labels]
    expected = np.array([[0, 0, 0], [1, -1, 0], [1 / 3, 1 / 3, -2 / 3]], dtype)
    for forward, target in (
        (categorical_crossentropy_forward, t),
        (sparse_categorical_crossentropy_forward, labels),
    ):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            l, cache = forward(z, target, from_logits=True, reduction="none")  # noqa: E741
            dz = forward.backward(1.0, cache)
        np.testing.assert_allclose(l, np.array([0, 2e4, np.log(3)], dtype), rtol=1e-6)
        np.testing.assert_allclose(dz, expected, rtol=1e-6, atol=0)  # softmax(z) - t


def test_targets_that_do_not_sum_to_one():
    """The gradient of the logits is softmax(z) sum(t) - t, not softmax(z) - t."""
    z, t = np.array([[0.3, -1.0, 2.0]]), np.array([[2.0, 0.5, 1.0]])
    _, cache = categorical_crossentropy_forward(z, t, from_logits=True)
    expected = softmax_forward(z)[0] * 3.5 - t
    np.testing.assert_allclose(categorical_crossentropy_backward(1.0, cache), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_certain_probabilities_are_held_and_have_no_slope(dtype):
    y, t = np.array([[0.0, 1.0]], dtype), np.array([[1.0, 0.0]], dtype)
    for forward in (binary_crossentropy_forward, categorical_crossentropy_forward):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            loss, cache = forward(y, t)
            dy = forward.backward(1.0, cache)
        np.testing.assert_allclose(loss, -np.log(1e-7), rtol=0.02)  # float32 near 1 is that coarse
        np.testing.assert_array_equal(dy, [[0, 0]])
    loss, cache = kl_divergence_forward(y, t)
    np.testing.assert_allclose(loss, -np.log(1e-7), rtol=1e-5)
    dy = kl_divergence_backward(1.0, cache)
    assert dy[0, 0] == 0  # held at 1e-7


@given(seed=seeds)
def test_kl_divergence_is_nonnegative_and_zero_only_for_the_same_distribution(seed):
    rng = np.random.default_rng(seed)
    p, q = probabilities(rng, 3, 4), probabilities(rng, 3, 4)
    apart, _ = kl_divergence_forward(q, p, reduction="none")
    assert (apart > -1e-6).all()
    assert kl_divergence_forward(p, p)[0] == 0


# ----------------------------------------------------------------------------- weights, reductions


@pytest.mark.parametrize("name", LOSSES)
def test_reductions_are_sums_of_the_samples_losses(name):
    forward = REGISTRY[name]
    for (y, target, weight), options in all_cases(name):
        if options.get("reduction") != "none":
            continue
        each, cache = call(forward, (y, target, weight), options)
        total, _ = call(forward, (y, target, weight), {**options, "reduction": "sum"})
        mean, _ = call(forward, (y, target, weight), {**options, "reduction": "mean"})
        np.testing.assert_allclose(total, each.sum(), rtol=1e-12)
        np.testing.assert_allclose(mean, each.sum() / each.size, rtol=1e-12)
        plain, _ = call(forward, (y, target, None), options)
        assert each.shape == plain.shape == y.shape[: each.ndim]
        if weight is not None:
            spread = weight.reshape(weight.shape + (1,) * (each.ndim - weight.ndim))
            np.testing.assert_allclose(each, plain * spread, rtol=1e-12)
        one = forward.backward(1.0, cache)  # a number for every l: as an array of it
        np.testing.assert_array_equal(one, forward.backward(np.ones(each.shape), cache))


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_of_zero_is_as_if_the_sample_were_absent(name):
    forward = REGISTRY[name]
    y, target, _ = next(a for a, _ in all_cases(name) if a[0].shape == (4, 3))[:3]
    weight = np.array([1.0, 0, 2, 0])
    kept = weight > 0
    loss, cache = forward(y, target, weight, reduction="sum")
    fewer, fewer_cache = forward(y[kept], target[kept], weight[kept], reduction="sum")
    np.testing.assert_allclose(loss, fewer, rtol=1e-13)
    dy, fewer_dy = forward.backward(1.0, cache), forward.backward(1.0, fewer_cache)
    np.testing.assert_array_equal(dy[~kept], np.zeros((2, 3)))
    np.testing.assert_allclose(dy[kept], fewer_dy, rtol=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_no_samples_cost_nothing(name):
    forward = REGISTRY[name]
    target = np.zeros(0, int) if "sparse" in name else np.zeros((0, 3))
    loss, cache = forward(np.zeros((0, 3)), target)
    assert loss == 0
    assert forward.backward(1.0, cache).shape == (0, 3)


# --------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", LOSSES)
def test_what_every_loss_refuses(name):
    forward, sparse = REGISTRY[name], "sparse" in name
    y = np.full((4, 3), 0.3)
    target = np.zeros(4, int) if sparse else np.full((4, 3), 0.3)
    which = "labels" if sparse else "target"
    with pytest.raises(ValueError, match=f"{name}: {which} is .*, expected"):
        forward(y, target[:3])
    with pytest.raises(TypeError, match=f"{name}: {which} is "):
        forward(y, target.astype("float32"))
    with pytest.raises(
        ValueError, match=f"{name}: reduction is 'average', expected one of mean, sum"
    ):
        forward(y, target, reduction="average")
    with pytest.raises(ValueError) as caught:
        forward(y, target, np.ones(3))
    assert str(caught.value) == (
        f"{name}: sample_weight is (3,), expected the leading part of (4,), the shape of the "
        f"samples' losses"
    )
    with pytest.raises(ValueError, match=r"sample_weight is \(4, 3\), expected the leading part"):
        forward(y, target, np.ones((4, 3)))
    with pytest.raises(TypeError, match=f"{name}: sample_weight is float32 but y is float64"):
        forward(y, target, np.ones(4, "float32"))
    with pytest.raises(TypeError, match=f"{name}: sample_weight is a list, expected an array"):
        forward(y, target, [1.0, 1, 1, 1])


@pytest.mark.parametrize("name", [*LOSSES, "l1_penalty_forward", "l2_penalty_forward"])
def test_a_dloss_of_another_shape_or_dtype_is_refused(name):
    """A dloss (N,) for a mean would broadcast, and be silently wrong."""
    forward = REGISTRY[name]
    arguments, options = all_cases(name)[0]
    _, cache = call(forward, arguments, options)
    with pytest.raises(ValueError, match=r"_backward: dloss is \(4,\), expected \(\)"):
        forward.backward(np.ones(4), cache)
    with pytest.raises(TypeError, match="_backward: dloss is float32 but loss is float64"):
        forward.backward(np.float32(1), cache)
    with pytest.raises(TypeError, match="_backward: dloss is a list, expected an array"):
        forward.backward([1.0], cache)


def test_the_first_label_out_of_range_is_named():
    y = np.full((2, 3, 4), 0.25)
    labels = np.zeros((2, 3), int)
    labels[1, 0], labels[1, 2] = 4, -1
    with pytest.raises(ValueError) as caught:
        sparse_categorical_crossentropy_forward(y, labels)
    assert str(caught.value) == (
        "sparse_categorical_crossentropy_forward: labels[1, 0] is 4, expected 0 to 3 because y "
        "is (2, 3, 4)"
    )
    labels[1, 0] = 0
    with pytest.raises(ValueError, match=r"labels\[1, 2\] is -1, expected 0 to 3"):
        sparse_categorical_crossentropy_forward(y, labels)


# -------------------------------------------------------------------------------------- penalties


@pytest.mark.parametrize("dtype", DTYPES)
def test_penalties_worked_by_hand(dtype):
    w = np.array([[1.0, -2], [0, 3]], dtype)
    loss, cache = l1_penalty_forward(w, 0.5)
    assert loss == 3 and loss.dtype == dtype
    np.testing.assert_array_equal(l1_penalty_backward(1.0, cache), [[0.5, -0.5], [0, 0.5]])
    loss, cache = l2_penalty_forward(w, 0.5)
    assert loss == 7 and loss.dtype == dtype
    np.testing.assert_array_equal(l2_penalty_backward(1.0, cache), w)
    assert l2_penalty_forward(w, np.float64(0.5))[0].dtype == dtype
    assert l1_penalty_backward(1.0, l1_penalty_forward(w, np.float64(0.5))[1]).dtype == dtype
