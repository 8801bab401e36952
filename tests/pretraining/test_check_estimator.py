"""At home in scikit-learn: its own checks of estimators, and what its users do with them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from minienc.audio import METHODS as SOUND_METHODS
from minienc.data import load_digits
from minienc.finetuning import PretrainedClassifier
from minienc.language import METHODS as TEXT_METHODS
from minienc.pretraining import METHODS, Autoencoder, DenoisingAutoencoder
from tests.audio.test_methods import make as make_sound
from tests.language.test_methods import make as make_text

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler  # noqa: E402
from sklearn.utils import estimator_checks, get_tags  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

DIGITS = load_digits()
X, Y = np.asarray(DIGITS.x, "float32").reshape(-1, 64)[:200], np.asarray(DIGITS.y)[:200]

# what makes them quick, and lets them take any numbers, as the checks bring them
SMALL = {
    "hidden": (3,), "code": 2, "n_clusters": 2, "n_codes": 2, "patch_size": 1, "epochs": 2,
    "batch_size": 8, "loss": "mean_squared_error", "likelihood": "gaussian", "visible": "gaussian",
    "random_state": 0,
}  # fmt: skip
OF = {
    "dbn": {"rbm_learning_rate": 1e-6},
    "rbm": {"learning_rate": 1e-5},
    "gan": {"loss": "wasserstein"},
}


def small(name):
    params = METHODS[name]().get_params()
    own = {k: v for k, v in SMALL.items() if k in params} | OF.get(name, {})
    return METHODS[name](**own)


def classifier():
    method = Autoencoder(hidden=(8, 4), loss="mean_squared_error", epochs=2)
    return PretrainedClassifier(method, epochs=60, learning_rate=0.02, random_state=0)


OF_TEXT_AND_SOUND = {
    **dict.fromkeys(TEXT_METHODS, make_text),
    **dict.fromkeys(SOUND_METHODS, make_sound),
}
ESTIMATORS = {name: small for name in METHODS} | {"classifier": lambda name: classifier()}
ESTIMATORS |= OF_TEXT_AND_SOUND
# take no rows, and say so: of what scikit-learn asks by itself, cloning is left
TAKES_NO_ROWS = {"convolutional", "patches", *OF_TEXT_AND_SOUND}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_check_estimator(name):
    """As ``check_estimator``, which would stop at the first of several failures."""
    failed, n = [], 0
    for estimator, check in estimator_checks_generator(ESTIMATORS[name](name)):
        n += 1
        try:
            check(estimator)
        except sklearn.utils._testing.SkipTest:
            continue
        except Exception as error:
            failed.append(f"{check.func.__name__}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)
    assert n > (0 if name in TAKES_NO_ROWS else 40)


WITHOUT_SAMPLES = (  # what else can be asked then
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(TAKES_NO_ROWS))
@pytest.mark.parametrize("check", WITHOUT_SAMPLES)
def test_what_needs_no_samples(name, check):
    asked = getattr(estimator_checks, check, None)  # of this scikit-learn
    estimator = ESTIMATORS[name](name)
    if asked is not None:
        asked(type(estimator).__name__, estimator)


@pytest.mark.parametrize("name", OF_TEXT_AND_SOUND)
def test_it_says_what_it_takes(name):
    of_text = name in TEXT_METHODS
    takes = get_tags(OF_TEXT_AND_SOUND[name](name)).input_tags
    assert not takes.two_d_array
    assert (takes.string, takes.one_d_array, takes.three_d_array) == (of_text, of_text, not of_text)


# -- what users do


def method(**params):
    return DenoisingAutoencoder(hidden=(8, 4), epochs=2, random_state=0, **params)


def test_a_pipeline_a_search_and_cross_validation():
    pipeline = make_pipeline(MinMaxScaler(), method(), LogisticRegression(max_iter=500))
    assert cross_val_score(pipeline, X, Y, cv=3).shape == (3,)
    grid = {"denoisingautoencoder__hidden": [(8, 2), (8, 6)]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, Y)
    assert search.best_params_.keys() == grid.keys()
    search = GridSearchCV(
        classifier(), {"pretrainer__hidden": [(2,), (6,)], "epochs": [2]}, cv=2
    ).fit(X, Y)
    assert search.best_estimator_.pretrainer_.hidden in ((2,), (6,))


def test_a_pipeline_of_texts():
    texts = ["the cat sat on the mat", "a big red bus", "the rat sat", "the bus is red"] * 9
    y = np.array([0, 1, 0, 1] * 9)
    vectors = make_text("word_vectors", context=3, epochs=3)
    pipeline = make_pipeline(vectors, LogisticRegression(max_iter=500))
    assert cross_val_score(pipeline, texts, y, cv=3).min() > 0.9
    grid = {"wordvectors__embedding": [2, 6]}
    assert GridSearchCV(pipeline, grid, cv=2).fit(texts, y).best_score_ > 0.9
    fresh = clone(vectors.fit(texts))
    assert fresh.get_params() == vectors.get_params() and not hasattr(fresh, "encoder_")
    with pytest.raises(sklearn.exceptions.NotFittedError, match="is not fitted yet"):
        fresh.transform(texts)


def test_a_column_of_texts():
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(["the cat sat", "a bus", "the rat"], index=[7, 8, 9])
    vectors = make_text("word_vectors", context=3).fit(column)
    codes = vectors.set_output(transform="pandas").transform(column)
    assert codes.shape == (3, 6) and codes.index.tolist() == column.index.tolist()
    assert codes.columns[0] == "wordvectors0"
    assert vectors.transform(list(column)).index.tolist() == [0, 1, 2]  # list.index is a method


def test_clone_copy_and_pickle_share_nothing():
    fitted = method().fit(X)
    codes = fitted.transform(X)
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.transform(X), codes)
        other.fit(X[:50])
        np.testing.assert_array_equal(fitted.transform(X), codes)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params() and not hasattr(fresh, "encoder_")
    ours = classifier()
    assert clone(ours).pretrainer is not ours.pretrainer
    assert clone(ours).get_params().keys() == ours.get_params().keys()


def test_a_frame_gives_names_and_they_are_asked_for():
    pandas = pytest.importorskip("pandas")
    names = [f"pixel_{i}" for i in range(64)]
    frame = pandas.DataFrame(X, columns=names, index=np.arange(200) + 7)
    fitted = method().fit(frame)
    assert fitted.feature_names_in_.tolist() == names and fitted.n_features_in_ == 64
    np.testing.assert_array_equal(fitted.transform(frame), fitted.transform(X))
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(frame[names[::-1]])
    with pytest.raises(ValueError, match="unseen at fit time:\n- other"):
        fitted.transform(frame.rename(columns={"pixel_3": "other"}))
    codes = fitted.set_output(transform="pandas").transform(frame)
    assert list(codes.columns) == [
        "denoisingautoencoder0",
        *(f"denoisingautoencoder{k}" for k in (1, 2, 3)),
    ]
    assert codes.index.tolist() == frame.index.tolist()
    assert fitted.fit(X).set_output(transform="default").transform(X).shape == (200, 4)
    assert not hasattr(fitted, "feature_names_in_")


def test_everybodys_container_is_ours():
    pandas = pytest.importorskip("pandas")
    fitted = method().fit(X)
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(fitted.transform(X), pandas.DataFrame)
    with pytest.raises(ValueError, match="expected one of default, pandas, polars"):
        fitted.set_output(transform="excel")


def test_other_features_and_kinds_are_refused():
    fitted = method().fit(X)
    with pytest.raises(
        ValueError, match="X has 63 features, but DenoisingAutoencoder is expecting 64"
    ):
        fitted.transform(X[:, :63])
    scipy = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"a sparse matrix, expected an array: X\.toarray\(\)"):
        fitted.fit(scipy.csr_matrix(X))
    with pytest.raises(ValueError, match="Complex data not supported"):
        fitted.fit(X.astype(complex))
    np.testing.assert_array_equal(fitted.transform(X.astype(object)), fitted.transform(X))
    np.testing.assert_array_equal(fitted.transform(X.tolist()), fitted.transform(X))


def test_a_classifier_of_words_with_more_samples_without_labels():
    names = np.array(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    few = PretrainedClassifier(method(), epochs=30, learning_rate=0.01, random_state=0)
    few.fit(X[:60], names[Y[:60]], unlabelled=X)
    assert few.classes_.tolist() == sorted(names)
    assert few.score(X[:60], names[Y[:60]]) > 0.8
    assert few.score(X[100:], names[Y[100:]]) > 0.4
    again = PretrainedClassifier(method(), epochs=30, learning_rate=0.01, random_state=0)
    again.fit(X[:60], names[Y[:60]], unlabelled=X)
    np.testing.assert_array_equal(again.predict_proba(X), few.predict_proba(X))
    with pytest.raises(ValueError, match=r"y is \(59,\), and X has 60 samples"):
        few.fit(X[:60], names[Y[:59]])
    with pytest.raises(ValueError, match="no pretrainer"):
        PretrainedClassifier().set_params(pretrainer__hidden=(3,))


def test_nothing_of_it_needs_scikit_learn():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import numpy as np\nfrom minienc.finetuning import PretrainedClassifier\n"
        "X = np.random.default_rng(0).random((30, 4)); y = X[:, 0] > 0.5\n"
        "c = PretrainedClassifier(epochs=2, random_state=0)\n"
        "try: c.predict(X)\nexcept RuntimeError as error: print(error)\n"
        "print(c.fit(X, y).predict(X).dtype, c.pretrainer_.get_feature_names_out()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n")[:2] == [
        "PretrainedClassifier is not fitted yet: call fit(X, y) first",
        "bool autoencoder0",
    ], done.stderr
