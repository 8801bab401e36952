"""The one protocol, for every method, and its baselines."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from minienc.cli import main
from minienc.data import Pixels, load_digits
from minienc.finetuning import knn_probe, linear_probe
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.pretraining import METHODS, PCA, Autoencoder, MeanSample, baselines
from minienc.pretraining.autoencoder import Reconstruction
from minienc.training.callbacks import LambdaCallback

RNG = np.random.default_rng(0)
X = RNG.random((60, 8))
SMALL = {
    "patches": {"image_shape": (4, 2), "patch_size": 2, "n_centroids": 4},
    "aae": {"hidden": (6,), "code": 3, "discriminator": (4,)},
    "vq": {"hidden": (6,), "groups": 2, "dim": 2, "n_codes": 5, "patience": 2},
    "dec": {"n_clusters": 4, "epochs_per_layer": 1, "pretraining_epochs": 2, "update_every": 3},
    "contractive": {},
    "gan": {"noise": 4},
    "dbn": {"epochs_per_layer": 2},
    "rbm": {"n_components": 5, "persistent": True, "k": 2},
    "kmeans": {"n_clusters": 5},
    "variational": {"hidden": (6,), "code": 3},
    "sparse": {"hidden": (12,)},
    "masked": {"image_shape": (4, 2), "patch_size": 2},
    "convolutional": {"filters": (3,), "code": 3, "image_shape": (4, 2)},
    "autoencoder": {},
    "denoising": {"noise": "masking", "noise_level": 0.2},
    "stacked": {"noise": "gaussian", "noise_level": 0.1, "epochs_per_layer": 2},
}


def make(name, **more):
    """A small one; of what is given here, each takes the parameters that it has."""
    method = METHODS[name]
    given = dict(hidden=(6, 3), epochs=3, batch_size=16, random_state=0)
    given = {k: v for k, v in given.items() if k in method._parameters()}
    return method(**{**given, **SMALL.get(name, {}), **more})


@pytest.mark.parametrize("name", METHODS)
def test_the_protocol(name):
    method = make(name)
    assert method.fit(X) is method
    Z = method.transform(X)
    assert Z.shape == (60, method.encoder_.outputs[0].sample_shape[0]) and Z.dtype == np.float32
    np.testing.assert_array_equal(Z, method.encoder_.predict(X, batch_size=1000))
    np.testing.assert_array_equal(method.fit(X).transform(X), Z)
    assert all(len(values) == len(method.history_["loss"]) for values in method.history_.values())
    assert np.isfinite(method.score(X))
    assert method.transform(X[:1]).shape == (1, Z.shape[1])
    if method.restores:
        restored = method.inverse_transform(Z)
        assert restored.shape == X.shape
        error = ((X - restored) ** 2).sum(axis=1).mean()
        assert method.reconstruction_error(X) == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_the_method_says_what_it_is(name):
    method = METHODS[name]
    assert method.method == name and method.__doc__
    with pytest.raises(RuntimeError, match="is not fitted yet"):
        make(name).transform(X)


@pytest.mark.parametrize("name", ["autoencoder", "denoising", "stacked"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_whole_is_its_two_halves(name, tied):
    method = make(name, tied=tied).fit(X)
    restored = method.inverse_transform(method.transform(X))
    np.testing.assert_allclose(restored, method.model_.predict(X), rtol=1e-5)
    assert method.score(X) == pytest.approx(-((X - restored) ** 2).sum(axis=1).mean(), rel=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_labels_are_never_looked_at(name):
    one = make(name).fit(X).transform(X)
    two = make(name).fit(X, RNG.integers(0, 9, 60)).transform(X)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", METHODS)
def test_images_bytes_and_rows_are_the_same_samples(name):
    images = RNG.integers(0, 256, (40, 4, 2), dtype=np.uint8)
    rows = Pixels(images)[:].reshape(40, 8)
    one = make(name).fit(Pixels(images)).transform(Pixels(images))
    np.testing.assert_array_equal(one, make(name).fit(rows).transform(rows))


@pytest.mark.parametrize("name", METHODS)
def test_a_stopped_fit_goes_on_to_the_same_bits(name, tmp_path):
    class Killed(Exception):
        pass

    whole = make(name).fit(X)
    for n in (0, 3, 8):
        folder = tmp_path / str(n)
        count = iter(range(n))

        def die(*_, count=count):
            if next(count, None) is None:
                raise Killed

        with pytest.raises(Killed):
            make(name).fit(
                X, checkpoint_dir=folder, callbacks=[LambdaCallback(on_train_batch_end=die)]
            )
        go_on = LambdaCallback()  # a callback in the place of the other
        method = make(name).fit(X, checkpoint_dir=folder, resume=True, callbacks=[go_on])
        for a, b in zip(whole.model_.get_weights(), method.model_.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert method.history_ == whole.history_


@pytest.mark.parametrize("name", METHODS)
def test_it_can_be_cloned_by_scikit_learn(name):
    base = pytest.importorskip("sklearn.base")
    method = make(name)
    assert base.clone(method).get_params() == method.get_params()
    assert repr(method).startswith(type(method).__name__ + "(")
    assert method.set_params(epochs=7).epochs == 7
    with pytest.raises(ValueError, match="has no parameter 'depth'"):
        method.set_params(depth=3)


def test_the_encoder_of_a_denoising_method_draws_no_noise():
    method = make("denoising", noise_level=0.9).fit(X)
    x = X.astype("float32")
    noisy = method.model_.forward(x, rng=np.random.default_rng(0))[0]
    assert not np.array_equal(noisy, method.model_(x))
    assert not method.encoder_.uses_rng


def test_learning_beats_the_mean_and_on_digits_principal_components():
    digits = load_digits()
    method = Autoencoder(hidden=(128, 64, 10), epochs=40, batch_size=32, random_state=0)
    error = method.fit(digits.x).reconstruction_error(digits.test_x)
    mean = MeanSample().fit(digits.x).reconstruction_error(digits.test_x)
    pca = PCA(10).fit(digits.x).reconstruction_error(digits.test_x)
    assert error < pca < mean / 3


class OfImages(Reconstruction):
    """Its networks take images as they are, and its code has a shape, too."""

    method = "of-images"
    takes_shape = True

    def build(self, sample_shape, rng):
        x = Input(sample_shape, dtype=self.dtype)
        code = Dense(2, "tanh")(x)
        self.model_ = Model(x, Dense(8, self._output_activation())(code))
        self.encoder_ = Model(x, code)
        self.decoder_ = Model(code, self.model_.outputs[0])
        self.model_.initialize(rng)


def test_samples_may_keep_their_shape():
    digits = load_digits()
    few, test = digits.x.take(np.arange(200)), digits.test_x.take(np.arange(50))
    method = OfImages(epochs=3, random_state=0).fit(few, validation_data=test)
    assert method.n_features_in_ == 64
    assert method.transform(test).shape == (50, 8, 2)
    restored = method.reconstruct(test)
    error = ((np.asarray(test) - restored) ** 2).sum(axis=(1, 2)).mean()
    assert method.reconstruction_error(test) == pytest.approx(error, rel=1e-5)
    labelled = (few, digits.y[:200], test, digits.test_y[:50])
    for probe in (linear_probe, knn_probe):
        assert probe(method, *labelled) == probe(method.encoder_, *labelled) > 0.5


def test_a_whole_run_keeps_the_shape_of_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(METHODS, "of-images", OfImages)
    words = ["--epochs", "2", "--labels", "10", "--seeds", "1", "--quiet", "--out", "run"]
    assert main(["pretrain", "digits", "--method", "of-images", *words]) == 0
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "what the model made of them" in page and "PCA, 16 components" in page
    assert main(["encode", "run", "digits", "--out", "codes.npy"]) == 0
    assert np.load("codes.npy").shape == (len(load_digits().x), 8, 2)
    assert main(["finetune", "run", "--labels", "20", "--epochs", "1", "--quiet"]) == 0


REFUSED = {
    "X has one sample, expected at least 2": lambda: make("autoencoder").fit(X[:1]),
    "X runs from": lambda: make("autoencoder").fit(X * 3),
    "rows (rows 4, 7": lambda: make("autoencoder").fit(
        np.where(np.isin(np.arange(60), (4, 7))[:, None], np.nan, X)
    ),
    "hidden is ()": lambda: make("autoencoder", hidden=()).fit(X),
    "epochs is 0": lambda: make("autoencoder", epochs=0).fit(X),
    "learning_rate is -1": lambda: make("autoencoder", learning_rate=-1).fit(X),
    "noise is 'salt'": lambda: make("denoising", noise="salt").fit(X),
    "noise is 'pepper'": lambda: make("stacked", noise="pepper").fit(X),
    "epochs_per_layer is 0": lambda: make("stacked", epochs_per_layer=0).fit(X),
    "is for labels": lambda: make("autoencoder", loss="sparse_categorical_crossentropy").fit(X),
    "is not fitted yet": lambda: make("autoencoder").transform(X),
    "X has 3 features, but Autoencoder is expecting 8 features": lambda: (
        make("autoencoder").fit(X).transform(X[:, :3])
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_learned_from_is_refused(sentence):
    with pytest.raises((ValueError, RuntimeError)) as refusal:
        REFUSED[sentence]()
    assert sentence in str(refusal.value)


# --------------------------------------------------------------------------------------- baselines


def test_principal_components_are_those_of_the_singular_value_decomposition():
    """At an offset of 1e4, where E[x x'] - mean mean' would lose its digits."""
    data = X + 1e4
    pca = PCA(3).fit(data)
    centred = data - data.mean(axis=0)
    _, s, vt = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs((pca.components_ * vt[:3]).sum(axis=1)), 1, rtol=1e-9)
    np.testing.assert_allclose(pca.explained_variance_, s[:3] ** 2 / 60, rtol=1e-9)
    restored = pca.inverse_transform(pca.transform(data))
    expected = (s[3:] ** 2).sum() / 60
    assert ((data - restored) ** 2).sum(axis=1).mean() == pytest.approx(expected, rel=1e-7)
    assert pca.reconstruction_error(data) == pytest.approx(expected, rel=1e-7)


WAYS = {"features": (400, 12), "samples": (30, 500), "random directions": (210, 220)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("as_pixels", [False, True])
def test_principal_components_are_the_same_however_they_are_found(way, as_pixels, monkeypatch):
    """For many samples, for few wide ones, and where both are many: against an SVD by NumPy."""
    monkeypatch.setattr(baselines, "EXACT", 50)
    n, d = WAYS[way]
    rng, k = np.random.default_rng(0), 5
    strength = np.concatenate([np.linspace(60, 30, k), np.full(5, 3.0)])  # the rest is noise
    directions = np.linalg.qr(rng.standard_normal((d, 10)))[0]
    X = 100 + rng.standard_normal((n, 10)) * strength @ directions.T
    X += 0.01 * rng.standard_normal((n, d))
    data = Pixels(np.clip(X, 0, 255).round().astype(np.uint8), "float64", 1.0) if as_pixels else X
    centred = np.asarray(data) - np.asarray(data).mean(axis=0)
    variance = np.linalg.svd(centred, compute_uv=False)[:k] ** 2 / n
    pca = PCA(k).fit(data)
    np.testing.assert_allclose(pca.explained_variance_, variance, rtol=1e-6)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(k), atol=1e-9)
    left = (centred**2).sum() / n - variance.sum()
    assert pca.reconstruction_error(data) == pytest.approx(left, rel=1e-6)


def test_few_samples_have_no_more_components_than_differences(tmp_path):
    X = np.random.default_rng(0).random((4, 50))
    pca = PCA(30).fit(X)
    assert pca.components_.shape == (3, 50)
    assert pca.reconstruction_error(X) == pytest.approx(0, abs=1e-20)
    same = PCA(2).fit(np.ones((4, 50)))
    assert same.components_.shape == (0, 50) and same.transform(np.ones((3, 50))).shape == (3, 0)


def test_wide_samples_need_no_matrix_as_wide_as_they_are():
    X = np.random.default_rng(0).random((20, 40_000), "f4")
    tracemalloc.start()
    PCA(16).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert PCA.memory(60_000, 150_000, 30) < 200e6


def test_as_many_components_as_features_restore_everything():
    assert PCA(50).fit(X).reconstruction_error(X) == pytest.approx(0, abs=1e-20)


def test_the_mean_sample():
    error = MeanSample().fit(X).reconstruction_error(X)
    assert error == pytest.approx(X.var(axis=0).sum())


def test_baselines_have_a_score_and_are_as_clear_as_methods():
    for baseline in (MeanSample(), PCA(3)):
        with pytest.raises(RuntimeError, match=rf"{type(baseline).__name__} is not fitted yet"):
            baseline.score(X)
        assert baseline.fit(X).score(X[:9]) == -baseline.reconstruction_error(X[:9]) < 0
        with pytest.raises(ValueError, match=r"X has 7 features, but .* is expecting 8"):
            baseline.score(X[:, :7])
    assert PCA(3).fit(X).score(X) > PCA(2).fit(X).score(X) > MeanSample().fit(X).score(X)


def test_a_method_may_make_something_else_of_samples_than_themselves():
    """Here: the samples of a half, where both halves are given."""

    class Doubled(Autoencoder):
        def targets(self, X):
            return 0.5 * X

    X = np.random.default_rng(0).random((60, 5)).astype("float32")
    how = dict(hidden=(8,), loss="mean_squared_error", epochs=150, batch_size=20, random_state=0)
    method = Doubled(learning_rate=0.01, **how).fit(X, validation_data=X[:10])
    assert np.abs(method.reconstruct(X) - 0.5 * X).mean() < 0.05
    assert method.history_["val_loss"][-1] < 0.01
