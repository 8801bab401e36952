"""Deep embedded clustering: its gradient as the paper writes it, and clusters that get clearer."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import gallery
from minienc.data import load_digits
from minienc.functions import (
    kl_divergence_backward,
    kl_divergence_forward,
    squared_distances_backward,
    squared_distances_forward,
    student_t_backward,
    student_t_forward,
)
from minienc.pretraining import METHODS
from minienc.primitive import recording
from minienc.training.clustering_metrics import clustering_accuracy

DEC = METHODS["dec"]
RNG = np.random.default_rng(0)


def test_three_pairs_make_the_gradients_of_the_paper():
    """Equations 4 and 5, with the mean over samples in place of the sum."""
    z, C = RNG.standard_normal((6, 3)), RNG.standard_normal((4, 3))
    d, d_cache = squared_distances_forward(z, C)
    q, q_cache = student_t_forward(d)
    p = q**2 / q.sum(axis=0)
    p /= p.sum(axis=1, keepdims=True)
    _, cache = kl_divergence_forward(q, p)
    dz, dC = squared_distances_backward(
        student_t_backward(kl_divergence_backward(1.0, cache), q_cache), d_cache
    )
    for n in range(6):
        pull = sum((p[n, k] - q[n, k]) / (1 + d[n, k]) * (z[n] - C[k]) for k in range(4))
        np.testing.assert_allclose(dz[n], 2 / 6 * pull, rtol=1e-9, atol=1e-12)
    for k in range(4):
        push = sum((p[n, k] - q[n, k]) / (1 + d[n, k]) * (z[n] - C[k]) for n in range(6))
        np.testing.assert_allclose(dC[k], -2 / 6 * push, rtol=1e-9, atol=1e-12)


def test_memberships_of_far_and_near():
    q, _ = student_t_forward(np.array([[0.0, 100.0], [1.0, 1.0]]))
    np.testing.assert_allclose(q, [[101 / 102, 1 / 102], [0.5, 0.5]])


@pytest.fixture(scope="module")
def fitted():
    digits = load_digits()
    method = DEC(
        hidden=(128, 10),
        loss="binary_crossentropy",
        epochs_per_layer=20,
        pretraining_epochs=60,
        epochs=40,
        batch_size=128,
        update_every=12,
        learning_rate=1e-3,
        random_state=0,
    )
    return method.fit(digits.x), digits


def test_clusters_become_clearer_and_agree_with_the_labels(fitted):
    method, digits = fitted
    q = method.memberships(digits.x)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-5)
    assert q.max(axis=1).mean() > 0.5
    assert method.history_["changed"][-1] < 0.01
    accuracy = clustering_accuracy(digits.y, method.predict(digits.x))
    measures = gallery.measures(method, digits.test_x, digits.test_y)
    assert accuracy > 0.75 and measures["clustering accuracy (one cluster a class)"] > 0.75
    assert set(measures) == {
        "clustering accuracy (one cluster a class)",
        "purity (one class a cluster)",
        "normalised mutual information",
        "adjusted Rand index",
    }
    assert gallery.measures(method, digits.test_x, None) == {}


def test_p_is_made_of_the_sizes_of_all_clusters(fitted):
    method, digits = fitted
    method._X = np.asarray(digits.x).reshape(-1, 64)
    method._sharpen()
    q = method.memberships(digits.x)
    sizes = method.learners_["clusters"].arrays["sizes"]
    np.testing.assert_allclose(sizes, q.sum(axis=0), rtol=1e-4)
    assert sizes.sum() == pytest.approx(len(digits.x), rel=1e-4)
    p = q**2 / q.sum(axis=0)
    held = method.learners_["clusters"].arrays["p"]
    np.testing.assert_allclose(held, p / p.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-6)


def held_targets(update_every):
    """The p of each step of four epochs of one batch, sample by sample."""
    X = np.random.default_rng(5).random((30, 6))
    method = DEC(
        n_clusters=3,
        hidden=(5, 2),
        epochs_per_layer=1,
        pretraining_epochs=1,
        update_every=update_every,
        epochs=4,
        batch_size=30,
        learning_rate=0.05,
        random_state=0,
        dtype="float64",
    )
    targets = []

    def listen(call):
        if call.event == "enter" and call.primitive is kl_divergence_forward:
            q, p = call.args[:2]
            sharper = q**2 / q.sum(axis=0)
            targets.append((np.sort(p, axis=0), np.sort(sharper / sharper.sum(axis=1)[:, None], 0)))

    with recording(listen):
        method.fit(X)
    assert not hasattr(method, "_X")  # the samples are not kept
    return targets


def test_p_is_held_for_so_many_steps_and_then_made_anew():
    """Whatever the order of the samples in a batch: the columns are compared sorted."""
    targets = held_targets(update_every=2)
    for step, (p, anew) in enumerate(targets):
        held, _ = targets[step // 2 * 2]
        np.testing.assert_allclose(p, held, rtol=1e-12)
        assert np.allclose(p, anew, rtol=1e-6) == (step % 2 == 0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"update_every": 0}, "update_every is 0"),
        ({"hidden": ()}, "hidden is"),
        ({"noise_level": 2.0}, "2.0"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        DEC(**params).check_params((16,))
