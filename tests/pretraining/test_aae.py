"""The adversarial autoencoder: the gradients of its turns, and codes that look like draws."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.pretraining import METHODS, MeanSample
from minienc.verify import numerical_gradient

AAE = METHODS["aae"]
RNG = np.random.default_rng(0)


def test_each_turn_follows_the_gradient_of_its_own_loss():
    method = AAE(hidden=(6,), code=2, discriminator=(5,), dtype="float64")
    method.random_state_ = 0
    method.check_params((4,))
    method.build((4,), np.random.default_rng(0))
    x = RNG.random((5, 4))
    for name, learner in method.learners_.items():
        objective, grads = learner.objective, learner.network.new_gradients()
        _, cache = objective.forward((x,), np.random.default_rng(3))
        objective.backward(1.0, cache, grads)
        parameters = learner.network.parameters

        def f(values, parameters=parameters, objective=objective):
            parameters.vector[...] = values
            parameters.touch()
            return objective.forward((x,), np.random.default_rng(3))[0][0]

        numeric = numerical_gradient(f, parameters.vector.copy())
        np.testing.assert_allclose(grads.vector, numeric, rtol=1e-5, atol=1e-8, err_msg=name)
        assert set(method._step((x,), RNG)) == {"loss", "discriminator", "encoder"}


def test_codes_of_digits_look_like_draws_and_are_restored():
    digits = load_digits()
    method = AAE(
        hidden=(128,), code=6, epochs=40, batch_size=64, learning_rate=2e-3, random_state=0
    ).fit(digits.x)
    mean = MeanSample().fit(digits.x).reconstruction_error(digits.test_x)
    assert method.reconstruction_error(digits.test_x) < 0.6 * mean
    codes = method.transform(digits.x)
    assert abs(codes.mean(axis=0)).max() < 0.5
    assert 0.6 < codes.std() < 1.5
    assert method.history_["discriminator"][-1] > 0.5 * 2 * np.log(2), "it is never quite sure"
    made = method.sample(50)
    assert made.shape == (50, 64) and made.min() >= 0 and made.max() <= 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"code": 0}, "code is 0"),
        ({"discriminator": ()}, "hidden is"),
        ({"loss": "poisson"}, "expected binary_crossentropy or"),
        ({"adversarial_rate": -1.0}, "learning_rate is -1"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        AAE(**params).check_params((6,))
