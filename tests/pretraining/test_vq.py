"""The vector-quantised autoencoder: words out of a vocabulary that stays in use."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.layers import Input
from minienc.models import Model
from minienc.pretraining import METHODS, MeanSample
from minienc.verify import numerical_gradient

VQ = METHODS["vq"]
RNG = np.random.default_rng(0)


def built(n_features=6, **params):
    method = VQ(
        **{
            "hidden": (7,),
            "groups": 3,
            "n_codes": 5,
            "dim": 2,
            "dtype": "float64",
            "optimizer": "sgd",
            "learning_rate": 1e-6,
            **params,
        }
    )
    method.random_state_ = 0
    method.check_params((n_features,))
    method.build((n_features,), np.random.default_rng(0))
    method._start(RNG.random((30, n_features)))
    return method


def test_each_part_follows_the_loss_that_is_its_own():
    """Decoder: restoring. Codebook: |stop(z) - q|^2. Encoder: restoring through q = z + (q - z),
    and beta |z - stop(q)|^2."""
    method, x = built(beta=0.7), RNG.random((4, 6))
    code = Input((6,), dtype="float64")
    networks = {
        "encoder": method.objective_.encoder,
        "decoder": method.objective_.decoder,
        "codebook": Model(code, method._layer(code)),
    }
    z0 = networks["encoder"](x)
    q0 = networks["codebook"](z0)
    before = {name: n.parameters.vector.copy() for name, n in networks.items()}

    def restoring(q):
        y = networks["decoder"](q)
        return -(x * np.log(y) + (1 - x) * np.log(1 - y)).mean()

    def of_encoder():
        z = networks["encoder"](x)
        held = ((z - q0).reshape(-1, 2) ** 2).sum(axis=1).mean()
        return restoring(z + (q0 - z0)) + 0.7 * held

    def of_codebook():
        return ((z0 - networks["codebook"](z0)).reshape(-1, 2) ** 2).sum(axis=1).mean()

    losses = {"encoder": of_encoder, "decoder": lambda: restoring(q0), "codebook": of_codebook}
    numeric = {}
    for name, loss in losses.items():
        parameters = networks[name].parameters

        def f(values, parameters=parameters, loss=loss):
            parameters.vector[...] = values
            parameters.touch()
            return loss()

        numeric[name] = numerical_gradient(f, before[name].copy())
        f(before[name])
    method._step((x,), RNG)
    for name, network in networks.items():
        moved = (before[name] - network.parameters.vector) / 1e-6
        np.testing.assert_allclose(moved, numeric[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_digits_are_restored_from_eight_words():
    digits = load_digits()
    method = VQ(hidden=(128,), groups=8, n_codes=32, epochs=40, batch_size=32, random_state=0).fit(
        digits.x
    )
    mean = MeanSample().fit(digits.x).reconstruction_error(digits.test_x)
    assert method.reconstruction_error(digits.test_x) < 0.5 * mean
    tokens = method.tokens(digits.test_x)
    assert tokens.shape == (360, 8) and tokens.min() >= 0 and tokens.max() < 32
    restored = method.reconstruct(digits.test_x)
    np.testing.assert_allclose(method.from_tokens(tokens), restored, atol=1e-5)
    assert len(np.unique(tokens)) > 24 and method.history_["perplexity"][-1] > 12


def test_a_code_that_nobody_chooses_is_put_on_a_z():
    method, x = built(patience=2), RNG.random((8, 6))
    C = method._layer.C.value.copy()
    C[3] = 1e3
    method._layer.C.value = C
    for _ in range(2):
        assert method._layer.C.value[3, 0] > 100
        method._step((x,), RNG)
    assert abs(method._layer.C.value[3]).max() < 100


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"groups": 0}, "groups is 0"),
        ({"n_codes": 0}, "n_codes is 0"),
        ({"beta": -1.0}, r"beta is -1\.0, expected a number >= 0"),
        ({"loss": "poisson"}, "expected binary_crossentropy or"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        VQ(**params).check_params((6,))
