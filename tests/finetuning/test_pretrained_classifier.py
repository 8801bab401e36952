"""``PretrainedClassifier``, as strangers call it: labels of any form, wrong settings, one class."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.finetuning import PretrainedClassifier
from minienc.pretraining import Autoencoder
from minienc.pretraining.base import Pretrainer

RNG = np.random.default_rng(0)
X = RNG.random((30, 4), "float32")
Y = np.where(X[:, 0] > 0.5, "large", "small")


def small(**options):
    method = Autoencoder(hidden=(3,), epochs=1)
    return PretrainedClassifier(method, **{"epochs": 2, "random_state": 0} | options)


def test_labels_in_a_column_are_scored_as_labels():
    """Compared as they come, (30,) == (30, 1) would be a table of all pairs."""
    fitted = small(epochs=40, learning_rate=0.05).fit(X, Y)
    right = np.mean(fitted.predict(X) == Y)
    assert right > 0.8 and fitted.score(X, Y) == right
    with pytest.warns(UserWarning, match="column-vector"):
        assert fitted.score(X, Y[:, None]) == right
    weights = np.arange(30.0)
    expected = weights[fitted.predict(X) == Y].sum() / weights.sum()
    assert fitted.score(X, Y, weights.tolist()) == pytest.approx(expected)


def test_a_frame_of_one_column_of_words():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": Y})
    with pytest.warns(UserWarning, match="column-vector"):
        fitted = small().fit(X, frame)
    assert fitted.classes_.tolist() == ["large", "small"]
    np.testing.assert_array_equal(fitted.predict_proba(X), small().fit(X, Y).predict_proba(X))


def test_of_one_class_all_are_certain():
    fitted = small().fit(X, ["same"] * 30)
    assert fitted.predict_proba(X).tolist() == [[1.0]] * 30
    assert set(fitted.predict(X)) == {"same"}


def test_probabilities_sum_to_one():
    for y in (Y, np.arange(30) % 3, np.arange(30) % 5):
        p = small().fit(X, y).predict_proba(X)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"pretrainer": "autoencoder"}, TypeError, "pretrainer is a str, expected a method"),
        ({"pretrainer": Autoencoder}, TypeError, "pretrainer is .*, expected a method"),
        ({"mode": "ful"}, ValueError, "mode is 'ful', expected one of full, frozen, gradual"),
        ({"epochs": 2.5}, ValueError, "epochs is 2.5"),
        ({"batch_size": 0}, ValueError, "batch_size is 0, expected a whole number >= 1"),
        ({"learning_rate": "fast"}, ValueError, "learning_rate is 'fast', expected a number"),
    ],
)
def test_what_is_wrong_is_said_before_the_pretraining(options, kind, says, monkeypatch):
    monkeypatch.setattr(Pretrainer, "fit", lambda *_: pytest.fail("it was pretrained first"))
    wrong = small().set_params(**options)
    with pytest.raises(kind, match=says):
        wrong.fit(X, Y)


def test_what_does_not_fit_together_is_refused():
    fitted = small().fit(X, Y)
    with pytest.raises(ValueError, match=r"unlabelled has 3 features.*expecting 4"):
        small().fit(X, Y, unlabelled=X[:, :3])
    with pytest.raises(ValueError, match=r"y is \(29,\), and X has 30 samples"):
        fitted.score(X, Y[:29])
    with pytest.raises(ValueError, match=r"sample_weight is \(29,\), expected \(30,\)"):
        fitted.score(X, Y, np.ones(29))
    with pytest.raises(ValueError, match=r"y is \(30, 2\).*y\.argmax\(axis=1\)"):
        small().fit(X, np.eye(2)[(Y == "large").astype(int)])


def test_unlabelled_columns_are_in_the_same_order():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    with pytest.raises(ValueError, match="must be in the same order"):
        small().fit(frame, Y, unlabelled=frame[list("bacd")])
