"""The masked autoencoder: what is hidden, what is asked, and what is learned."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.pretraining import METHODS
from minienc.pretraining.masked import Restoration
from minienc.verify import numerical_gradient

Masked = METHODS["masked"]
RNG = np.random.default_rng(0)


def built(n_features, **params):
    method = Masked(hidden=(7, 3), dtype="float64", random_state=0, **params)
    method.check_params((n_features,))
    method.build((n_features,), np.random.default_rng(0))
    return method


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9])
def test_whole_patches_are_hidden_as_many_in_each_sample(ratio):
    method = built(48, image_shape=(4, 4, 3), patch_size=2, mask_ratio=ratio)
    m = method.draw_mask(np.zeros((200, 48)), RNG).reshape(200, 2, 2, 2, 2, 3)
    patches = m.transpose(0, 1, 3, 2, 4, 5).reshape(200, 4, 12)
    assert ((patches == 0) | (patches == 1)).all()
    assert (patches == patches[:, :, :1]).all()
    np.testing.assert_array_equal(patches[:, :, 0].sum(axis=1), {0.25: 1, 0.5: 2, 0.9: 3}[ratio])
    often = patches[:, :, 0].mean(axis=0)
    assert abs(often - often.mean()).max() < 0.15, "every patch as often as the others"


def test_patches_at_the_margin_are_smaller_and_rows_are_cut_into_runs():
    five = built(25, patch_size=2)._patch_of(25).reshape(5, 5)
    assert five.max() == 8 and (five[:2, :2] == 0).all() and (five[4, 4], five[4, 0]) == (8, 6)
    np.testing.assert_array_equal(built(7, patch_size=3)._patch_of(7), [0, 0, 0, 1, 1, 1, 2])


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error"])
def test_the_loss_is_the_mean_over_what_was_hidden_and_its_gradient_is_right(loss):
    method = built(16, loss=loss)
    x, x_hat = RNG.uniform(0.1, 0.9, (2, 5, 16))
    m = method.draw_mask(x, RNG)
    found = []

    class Network:
        """Restores what it is told to, and keeps the gradient by it."""

        def forward(self, x):
            return x_hat, None

        def backward(self, dx_hat, cache, grads, need_dx):
            found.append(dx_hat)

    objective = Restoration(Network(), loss, lambda x, rng: m)
    (value,), cache = objective.forward((x,))
    objective.backward(1.0, cache, None)
    (dx_hat,) = found
    if loss == "mean_squared_error":
        each = (x_hat - x) ** 2
    else:
        each = -(x * np.log(x_hat) + (1 - x) * np.log(1 - x_hat))
    assert value == pytest.approx(each[m == 1].mean(), rel=1e-12)
    assert (dx_hat[m == 0] == 0).all()

    def f(y):
        x_hat[...] = y
        return objective.forward((x,))[0][0]

    expected = numerical_gradient(f, x_hat.copy())
    np.testing.assert_allclose(dx_hat, expected, rtol=1e-7, atol=1e-10)


def test_a_step_follows_the_gradient_of_the_whole_and_never_sees_what_is_hidden():
    method = built(16, optimizer="sgd", learning_rate=1e-3)
    x = RNG.random((5, 16))
    m = method.draw_mask(x, np.random.default_rng(7))
    parameters = method.model_.parameters
    before = parameters.vector.copy()

    def loss_of(vector):
        parameters.vector[...] = vector
        p = method.model_((1 - m) * x)
        return -(x * np.log(p) + (1 - x) * np.log(1 - p))[m == 1].mean()

    gradient = numerical_gradient(loss_of, before.copy())
    loss_of(before)
    loss = method._step((x,), np.random.default_rng(7))["loss"]
    np.testing.assert_allclose(before - parameters.vector, 1e-3 * gradient, rtol=1e-5, atol=1e-11)
    assert loss == pytest.approx(loss_of(before))


def test_what_is_hidden_is_restored_better_than_by_the_mean():
    digits = load_digits()
    method = Masked(hidden=(128, 64), epochs=40, batch_size=32, patch_size=2, random_state=0)
    method.fit(digits.x)
    x = np.asarray(digits.test_x).reshape(-1, 64)
    m = method.draw_mask(x.astype("float32"), np.random.default_rng(1)) > 0
    restored = method.model_.predict(np.where(m, 0, x).astype("float32"))
    mean = np.broadcast_to(np.asarray(digits.x).reshape(-1, 64).mean(axis=0), x.shape)
    error, baseline = (((guess - x)[m] ** 2).mean() for guess in (restored, mean))
    assert error < 0.6 * baseline


@pytest.mark.parametrize(
    ("params", "n", "message"),
    [
        ({"mask_ratio": 1.0}, 16, "mask_ratio is 1.0, expected a part of the patches, between"),
        ({"patch_size": 0}, 16, "patch_size is 0, expected a whole number"),
        ({"patch_size": 9}, 16, r"samples of 16 feature\(s\) are one patch of 9"),
        ({"loss": "categorical_crossentropy"}, 16, "expected binary_crossentropy or mean_squ"),
        ({"image_shape": (3, 3)}, 16, "samples of 16 numbers with image_shape"),
        ({"hidden": ()}, 16, "hidden is"),
    ],
)
def test_refusals(params, n, message):
    with pytest.raises(ValueError, match=message):
        Masked(**params).check_params((n,))


def test_samples_that_are_no_probabilities_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Masked(hidden=(4,), epochs=1).fit(3 * RNG.random((20, 16)))
