"""k-means against scikit-learn from the same beginning, and what its definition promises."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.data import load_digits
from minienc.finetuning import knn_probe
from minienc.pretraining import METHODS
from minienc.pretraining.gan import nearest
from minienc.pretraining.seeding import plus_plus

KMeans = METHODS["kmeans"]
RNG = np.random.default_rng(0)
DIGITS = np.asarray(load_digits().x).reshape(-1, 64).astype(float)


def blobs(n=300, seed=0):
    centres, rng = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return centres[y] + rng.standard_normal((n, 2)), y, centres


def test_lloyd_is_scikit_learns_from_the_same_beginning():
    cluster = pytest.importorskip("sklearn.cluster")
    method = KMeans(20, epochs=60, n_init=1, dtype="float64", random_state=0, batch_size=700)
    begun = KMeans(20, n_init=1, dtype="float64")
    begun.random_state_ = 0
    begun.build((64,), np.random.default_rng(0))
    begun._start(DIGITS)
    theirs = cluster.KMeans(20, init=begun._C, n_init=1, max_iter=60, tol=0).fit(DIGITS)
    method.fit(DIGITS)
    np.testing.assert_allclose(method.centroids_, theirs.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(method.predict(DIGITS), theirs.labels_)
    assert method.history_["loss"][-1] == pytest.approx(theirs.inertia_ / len(DIGITS), rel=1e-9)


def test_inertia_never_rises_whatever_the_batches():
    losses = [
        KMeans(15, epochs=12, batch_size=size, dtype="float64", random_state=1)
        .fit(DIGITS)
        .history_["loss"]
        for size in (200, 1437)
    ]
    assert (np.diff(losses[0]) <= 1e-12).all()
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


def test_with_several_beginnings_the_seed_matters_little():
    inertia = [
        KMeans(10, n_init=20, epochs=30, dtype="float64", random_state=seed)
        .fit(DIGITS)
        .history_["loss"][-1]
        for seed in range(4)
    ]
    assert max(inertia) < 1.001 * min(inertia), "one of the beginnings was given up too early"


@pytest.mark.parametrize("algorithm", ["lloyd", "minibatch"])
def test_separate_blobs_are_found(algorithm):
    x, y, centres = blobs()
    method = KMeans(3, algorithm=algorithm, epochs=10, batch_size=50, random_state=0).fit(x)
    clusters = method.predict(x)
    assert all(len(np.unique(clusters[y == k])) == 1 for k in range(3))
    for c in method.centroids_:
        assert np.linalg.norm(centres - c, axis=1).min() < 0.4


def test_a_centroid_of_nobody_is_given_samples():
    sizes = []
    for seed in range(20):
        x, _, _ = blobs(seed=seed)
        method = KMeans(3, epochs=8, batch_size=100, random_state=0)
        start = method._start

        def lost(X, method=method, start=start):
            start(X)
            method._place(np.array([[0, 0], [500, 500], [900, 900]], "float32"))

        method._start = lost
        method.fit(x)
        sizes.append(np.bincount(method.predict(x), minlength=3).min())
    assert min(sizes) > 10, "none is left alone"
    assert np.mean(np.array(sizes) > 50) > 0.3, "mostly each to a blob of its own"


def test_beginnings_lie_far_from_each_other():
    x, y, _ = blobs(600)
    found = [
        len({int(y[np.flatnonzero((x == c).all(axis=1))[0]]) for c in plus_plus(x, 3, RNG)})
        for _ in range(40)
    ]
    assert np.mean(found) > 2.8, "three samples at random are of three blobs in 2 of 9 draws"
    assert plus_plus(np.ones((4, 2)), 3, RNG).shape == (3, 2), "samples that are all the same"


def test_codes_say_the_nearest_and_restore_it():
    method = KMeans(30, random_state=0, epochs=5).fit(DIGITS)
    Z = method.transform(DIGITS)
    assert (Z >= 0).all() and 0.3 < (Z > 0).mean() < 0.7
    np.testing.assert_array_equal(Z.argmax(axis=1), method.predict(DIGITS))
    restored = method.inverse_transform(Z)
    np.testing.assert_array_equal(restored, method.centroids_[method.predict(DIGITS)])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_clusters": 0}, "n_clusters is 0, expected a whole number"),
        ({"n_init": 0}, "n_init is 0"),
        ({"algorithm": "elkan"}, "algorithm is 'elkan', expected lloyd or minibatch"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        KMeans(**params).check_params((4,))
    with pytest.raises(ValueError, match="n_clusters is 9, and there are 5 samples"):
        KMeans(9).fit(RNG.random((5, 2)))


@pytest.mark.parametrize("algorithm", ["lloyd", "minibatch"])
@pytest.mark.parametrize("offset", [0, 3000, 30_000])
def test_clusters_far_from_the_origin_are_the_same_clusters(offset, algorithm):
    """Shifting all samples changes nothing but float32's own rounding of them."""
    rng, label = np.random.default_rng(0), np.repeat([0, 1, 2], 60)
    middles = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    X = (middles[label] + 0.04 * rng.standard_normal((180, 2)) + offset).astype("float32")
    method = KMeans(3, algorithm=algorithm, batch_size=50, random_state=0).fit(X)
    assert len({*zip(label, method.predict(X), strict=True)}) == 3
    error = X.astype(float) - method.centroids_.astype(float)[method.predict(X)]
    assert -method.score(X) == pytest.approx((error**2).sum(axis=1).mean(), rel=1e-3)


def test_centroids_are_the_means_of_many_samples():
    """Of half a million years near 2000 in float32, to a hundredth of their spread."""
    rng = np.random.default_rng(1)
    X = (2000 + rng.normal(0, 5, (300_000, 1)) + [[0.0]]).astype("float32")
    method = KMeans(1, n_init=1, epochs=2, random_state=0).fit(X)
    assert method.centroids_[0, 0] == pytest.approx(X.mean(dtype=float), abs=1e-3)


def test_a_cluster_far_away_does_not_blur_the_others():
    label = np.repeat([0, 1, 2], 40)
    X = np.array([[0.0], [1.0], [50_000.0]])[label]
    X = (X + 0.05 * np.random.default_rng(0).standard_normal((120, 1))).astype("float32")
    method = KMeans(3, random_state=0).fit(X)
    assert len({*zip(label, method.predict(X), strict=True)}) == 3
    assert knn_probe(None, X[::2], label[::2], X[1::2], label[1::2], k=1) == 1
    assert nearest(X[:80], X)[1].max() < 1e-3
