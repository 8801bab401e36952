"""Methods as estimators of scikit-learn: searched over, cross-validated, in pipelines, copied."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.pretraining import METHODS, Autoencoder
from tests.pretraining.test_methods import X, make

sklearn = pytest.importorskip("sklearn")
Y = np.arange(60) % 2


@pytest.mark.parametrize("name", METHODS)
def test_it_is_an_estimator(name):
    from sklearn.base import clone, is_clusterer
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    method = make(name)
    with pytest.raises(NotFittedError):
        check_is_fitted(method)
    check_is_fitted(method.fit(X))
    assert is_clusterer(method) == hasattr(method, "predict")
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(method))


def test_it_is_searched_over_and_cross_validated():
    from sklearn.model_selection import GridSearchCV, cross_val_score

    method = Autoencoder((3,), epochs=2, random_state=0)
    search = GridSearchCV(method, {"hidden": [(1,), (3,)], "epochs": [1, 30]}, cv=2).fit(X)
    assert search.best_params_ == {"hidden": (3,), "epochs": 30}
    assert np.isfinite(cross_val_score(method, X, cv=3)).all()


def test_it_stands_in_a_pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    method = Autoencoder((4,), epochs=2, random_state=0)
    pipeline = make_pipeline(MinMaxScaler(clip=True), method, LogisticRegression())
    pipeline.set_params(autoencoder__epochs=3).fit(X, Y)
    assert len(method.history_["loss"]) == 3
    assert pipeline.predict(X).shape == (60,)


def test_workers_of_joblib_take_it():
    joblib = pytest.importorskip("joblib")
    method = Autoencoder((4,), epochs=1, random_state=0).fit(X)
    found = joblib.Parallel(n_jobs=2, max_nbytes=100)(
        joblib.delayed(_refitted)(method) for _ in range(2)
    )
    for codes, refitted in found:
        np.testing.assert_array_equal(codes, method.transform(X))
        np.testing.assert_array_equal(refitted, codes)


def _refitted(method):
    codes = method.transform(X)
    method.model_.fit(X, X, epochs=1, verbose=0)
    return codes, method.fit(X).transform(X)
