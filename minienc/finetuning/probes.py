"""Probes: what do the codes know about the labels, if the encoder is left as it is?

A linear probe asks whether the classes can be told apart by planes (Alain and Bengio 2016,
"Understanding intermediate layers using linear classifier probes"); a nearest-neighbour probe
whether samples of one class lie together.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from minienc.arrays import Array, to_numpy
from minienc.data.labels import as_labels
from minienc.data.plain import DataLike, Samples
from minienc.functions.clustering import squared_distances_forward
from minienc.layers import Dense, Input
from minienc.layers.regularizers import L2
from minienc.models import Model
from minienc.pretraining.base import as_rows, iterate_samples, samples_for
from minienc.shapes import kind_of


class Encoder(Protocol):
    """A fitted method of ``minienc.pretraining``, or whatever else encodes samples."""

    def transform(self, X: DataLike, /) -> Array: ...


def linear_probe(
    encoder: Model | Encoder | None,
    X: DataLike,
    y: DataLike,
    X_test: DataLike,
    y_test: DataLike,
    *,
    l2: float = 1e-3,
    steps: int = 500,
    random_state: int | None = 0,
) -> float:
    """Accuracy of multinomial logistic regression on the codes.

    The codes are standardised; softmax regression with an L2 penalty is trained on them by Adam.

    Parameters
    ----------
    encoder : Model, fitted method, or None
        With None, X itself is probed.
    X, y, X_test, y_test : arrays
        Samples (N, D) and their integer labels (N,).
    l2 : float
        Strength of the penalty on the squared weights.
    steps : int
        Training steps, each on at most 512 samples.

    Returns
    -------
    float
        The fraction of test samples that are classified correctly.

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> digits = load_digits()
    >>> test = digits.test_x, digits.test_y
    >>> bool(linear_probe(None, digits.x, digits.y, *test, steps=50) > 0.8)  # None: the pixels
    True
    """
    X, X_test = samples_for(encoder, X), samples_for(encoder, X_test, "X_test")
    y, y_test = as_labels(y, len(X)), as_labels(y_test, len(X_test), "y_test")
    Z = as_rows(encode(encoder, X))
    mean, scale = (f(Z, axis=0, dtype=float).astype(Z.dtype) for f in (np.mean, np.std))
    scale[scale < 1e-6 * max(scale.max(), 1e-30)] = (
        1.0  # a feature that never changes is left as it is
    )
    z = Input((Z.shape[1],), dtype=Z.dtype)
    n_classes = int(max(y.max(), y_test.max())) + 1
    regression = Dense(n_classes, "softmax", kernel_initializer="zeros", kernel_regularizer=L2(l2))
    model = Model(z, regression(z))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.01
    batch_size = min(512, len(Z))
    epochs = max(1, round(steps * batch_size / len(Z)))
    standardised = (Z - mean) / scale
    model.fit(standardised, y, epochs=epochs, batch_size=batch_size, verbose=0, seed=random_state)
    right = 0
    for start in range(0, len(X_test), 1000):  # the test set may be large
        codes = as_rows(encode(encoder, X_test[start : start + 1000]))
        codes = (codes - mean) / scale
        right += int((model.predict(codes).argmax(axis=1) == y_test[start : start + 1000]).sum())
    return right / len(X_test)


def knn_probe(
    encoder: Model | Encoder | None,
    X: DataLike,
    y: DataLike,
    X_test: DataLike,
    y_test: DataLike,
    *,
    k: int = 5,
) -> float:
    """Accuracy of the majority among the k nearest training codes (Euclidean).

    Between classes with equal votes, the one whose nearest sample is nearer wins.

    Parameters
    ----------
    encoder, X, y, X_test, y_test
        As in ``linear_probe``.
    k : int
        At most the number of training samples.

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> digits = load_digits()
    >>> bool(knn_probe(None, digits.x, digits.y, digits.test_x, digits.test_y) > 0.9)
    True
    """
    Z = as_rows(encode(encoder, samples_for(encoder, X)))
    Z_test = as_rows(encode(encoder, samples_for(encoder, X_test, "X_test")))
    y, y_test = as_labels(y, len(Z)), as_labels(y_test, len(Z_test), "y_test")
    if not 1 <= k <= len(Z):
        raise ValueError(f"k is {k}, expected 1 to {len(Z)}, the number of training samples")
    n_classes = int(y.max()) + 1
    right = 0
    for start in range(0, len(Z_test), 500):
        z = Z_test[start : start + 500]
        distance, _ = squared_distances_forward(z.astype(float), Z.astype(float))
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
        votes, closest = np.zeros((2, len(z), n_classes))
        for rank in reversed(range(k)):  # the nearest comes last
            voted = np.arange(len(z)), y[nearest[:, rank]]
            votes[voted] += 1
            closest[voted] = (k - rank) / (k + 1)  # less than a vote: it decides between equals
        right += int(((votes + closest).argmax(axis=1) == y_test[start : start + 500]).sum())
    return right / len(Z_test)


def encode(encoder: Model | Encoder | None, X: Samples) -> np.ndarray:
    """The codes of X by a model or a fitted method; X itself, as floats, for None."""
    if encoder is None:
        return np.concatenate(list(iterate_samples(X, dtype=np.float32)))
    if not isinstance(encoder, Model) and not hasattr(encoder, "transform"):
        raise TypeError(f"encoder is {kind_of(encoder)}, expected a Model or a fitted method")
    return to_numpy(encoder.predict(X) if isinstance(encoder, Model) else encoder.transform(X))
