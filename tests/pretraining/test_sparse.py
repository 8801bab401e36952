"""The sparse autoencoder: under each penalty units do speak as seldom as they were told."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.functions import k_sparse_forward, kl_sparsity_backward, kl_sparsity_forward
from minienc.pretraining import METHODS
from minienc.verify import gradcheck

Sparse = METHODS["sparse"]
RNG = np.random.default_rng(0)


def trained(**params):
    digits = load_digits()
    settings = {"hidden": (100,), "epochs": 30, "batch_size": 32, "random_state": 0}
    method = Sparse(**{**settings, **params}).fit(digits.x)
    return method, np.asarray(method.transform(digits.test_x))


def test_kl_pulls_the_mean_activity_to_what_was_asked():
    for target in (0.05, 0.2):
        _, H = trained(penalty="kl", sparsity=target, strength=0.05)
        assert abs(H.mean(axis=0) - target).max() < 0.06
    _, free = trained(penalty="kl", sparsity=0.05, strength=0.0)
    assert free.mean() > 0.2


def test_l1_silences_units_and_k_leaves_k():
    busy, calm = (
        (trained(penalty="l1", strength=s)[1] > 0).sum(axis=1).mean() for s in (0.0, 1e-3)
    )
    assert calm < 0.5 * busy
    method, H = trained(penalty="k", k=7)
    assert ((H != 0).sum(axis=1) == 7).all()
    full = method.encoder_.layers[-1]
    assert full.k == 7


def test_kl_is_that_of_two_coins_and_nothing_where_the_mean_is_right():
    h = np.array([[0.1, 0.5], [0.3, 0.5]])
    value, cache = kl_sparsity_forward(h, 0.2, 3.0)
    entropy = pytest.importorskip("scipy.stats").entropy
    expected = 3 * sum(entropy([0.2, 0.8], [m, 1 - m]) for m in (0.2, 0.5))
    assert value == pytest.approx(expected, rel=1e-12)
    gradient = kl_sparsity_backward(1.0, cache)
    np.testing.assert_allclose(gradient[:, 0], 0, atol=1e-12)
    assert (gradient[:, 1] > 0).all(), "too busy: it shall work less"


def test_a_dead_unit_is_pulled_up_and_not_to_infinity():
    value, cache = kl_sparsity_forward(np.zeros((4, 1), "float32"), 0.1, 1.0)
    gradient = kl_sparsity_backward(np.float32(1), cache)
    assert np.isfinite(value) and np.isfinite(gradient).all() and (gradient < 0).all()


def test_of_level_numbers_the_first_are_kept():
    y, _ = k_sparse_forward(np.array([[1.0, 2.0, 2.0, 2.0], [0.0, -1.0, -2.0, -1.0]]), 2)
    np.testing.assert_array_equal(y, [[0, 2, 2, 0], [0, -1, 0, 0]])
    x = RNG.standard_normal((50, 9))
    y, _ = k_sparse_forward(x, 4)
    for row, kept in zip(x, y, strict=True):
        np.testing.assert_array_equal(np.sort(kept[kept != 0]), np.sort(row)[-4:])


@pytest.mark.parametrize("penalty", ["kl", "l1", "k"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_gradient_of_the_whole_loss(penalty, tied):
    """Restoration, sparsity and decay, of two layers, by the checker."""
    method = Sparse(
        hidden=(7, 5),
        penalty=penalty,
        k=2,
        weight_decay=0.01,
        strength=0.1,
        tied=tied,
        dtype="float64",
        random_state=0,
        loss="mean_squared_error",
        activation="sigmoid",
        code_activation="sigmoid",
    )
    method.check_params((6,))
    method.build((6,), np.random.default_rng(0))
    method.model_.compile("sgd", method.loss)
    x = RNG.random((4, 6))
    report = gradcheck(method.model_, x, x)
    assert report, report


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"penalty": "l2"}, "penalty is 'l2', expected one of kl, l1, k"),
        ({"penalty": "k", "k": 9, "hidden": (8,)}, "k is 9 of a code of 8 units"),
        ({"penalty": "kl", "activation": "relu", "hidden": (8, 8)}, "choose the activation sigm"),
        ({"sparsity": 1.0}, r"target is 1\.0, expected a number in"),
        ({"strength": -1.0}, r"strength is -1\.0, expected a number >= 0"),
        ({"k": 0}, "k is 0, expected a whole number"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        Sparse(**params).check_params((16,))
