"""The deep belief network: what the machines found is where the autoencoder begins."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.finetuning import finetune
from minienc.pretraining import METHODS, MeanSample

DBN = METHODS["dbn"]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def fitted():
    digits = load_digits()
    method = DBN(hidden=(64, 10), epochs_per_layer=60, epochs=20, batch_size=32, random_state=0)
    return method.fit(digits.x), digits


@pytest.mark.parametrize("tied", [False, True])
def test_the_unrolled_network_is_the_machines_one_behind_the_other(tied):
    X = RNG.random((40, 6))
    method = DBN(
        hidden=(5, 4, 2), tied=tied, epochs=1, epochs_per_layer=2, dtype="float64", random_state=0
    ).fit(X)
    h = X
    for rbm in method.rbms_:
        h = rbm.transform(h)
    for rbm in reversed(method.rbms_):
        h = rbm.inverse_transform(h)
    np.testing.assert_allclose(method.unrolled_.predict(X), h, rtol=1e-10)
    assert [r.hidden_units for r in method.rbms_] == ["binary", "binary", "gaussian"]


def test_the_machines_restore_and_fine_tuning_restores_better(fitted):
    method, digits = fitted
    x = np.asarray(digits.test_x).reshape(-1, 64)
    mean = MeanSample().fit(digits.x).reconstruction_error(digits.test_x)
    unrolled = ((method.unrolled_.predict(x) - x) ** 2).sum(axis=1).mean()
    assert unrolled < 0.9 * mean
    assert method.reconstruction_error(digits.test_x) < 0.6 * unrolled


def test_a_binary_stack_becomes_a_classifier():
    digits = load_digits()
    method = DBN(
        hidden=(64, 64), code_units="binary", epochs_per_layer=20, epochs=1, random_state=0
    ).fit(digits.x)
    x, test = (np.asarray(a).reshape(-1, 64) for a in (digits.x, digits.test_x))
    codes = method.rbms_[1].transform(method.rbms_[0].transform(x))
    assert codes.min() >= 0 and codes.max() <= 1
    np.testing.assert_allclose(method.stack_.predict(x), codes, rtol=1e-5, atol=1e-6)
    assert not np.allclose(method.transform(x), codes), "that one has been fine-tuned"
    model = finetune(method.stack_, x, digits.y, epochs=80, random_state=0)
    assert (model.predict(test).argmax(axis=1) == digits.test_y).mean() > 0.85


def test_refusals():
    with pytest.raises(ValueError, match="hidden is"):
        DBN(hidden=()).check_params((4,))
    with pytest.raises(ValueError, match="hidden_units is 'relu', expected binary or gaussian"):
        DBN(code_units="relu").check_params((4,))
    with pytest.raises(ValueError, match="epochs_per_layer is 0"):
        DBN(epochs_per_layer=0).check_params((4,))
