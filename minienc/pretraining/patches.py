"""Patch features: k-means on small patches of images, and a look at every place with what it found.

    learn    random patches -> contrast normalised -> whitened -> k-means: the centroids are strokes
    encode   every patch of an image -> the same -> triangle code -> mean over each quadrant

No gradient is taken. Contrast normalisation sets each patch to mean 0 and variance 1, so that dim
and bright ones count alike; whitening removes what neighbouring pixels share, which k-means would
spend its centroids on. For whitened patches p' = (p - m) U diag(1 / sqrt(s + eps)) U', where U and
s are the eigenvectors and eigenvalues of the patches' covariance: of all maps that whiten, the one
that changes patches least ("ZCA").

The encoder is a model of ordinary layers, so it can be fine-tuned like any other.

Source: Coates, Lee and Ng 2011, "An analysis of single-layer networks in unsupervised feature
learning", sections 3.1 to 3.3; Bell and Sejnowski 1997 (ZCA).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from minienc.arrays import to_device_of, to_numpy
from minienc.data.plain import DataLike, Samples
from minienc.layers import (
    AveragePooling2D,
    Centroids,
    Dense,
    Flatten,
    Input,
    LayerNormalization,
    Patches,
    Reshape,
)
from minienc.models import Model
from minienc.pretraining.base import Pretrainer, as_samples, check_counts
from minienc.pretraining.kmeans import KMeans
from minienc.pretraining.networks import as_image_shape

CONTRAST = 0.01  # what is added to a patch's variance before its root divides


class PatchFeatures(Pretrainer):
    """Patch k-means features with whitening, triangle code and pooling over quadrants.

    Parameters
    ----------
    n_centroids : int
        K; a code has 4 K numbers.
    patch_size : int
        Height and width of a patch.
    stride : int
        How far apart patches are looked at when encoding.
    n_patches : int
        Patches that are learned from, at most.
    whitening : float
        eps.
    image_shape : (H, W) or (H, W, C), or None
        Of a sample; None is a square grey image.
    epochs : int
        Rounds of k-means.
    batch_size, dtype, device, random_state, verbose
        As of ``Pretrainer``.

    Attributes
    ----------
    kmeans_ : KMeans
    history_ : dict of lists
        That of k-means: "loss" is the inertia of whitened patches.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = PatchFeatures(
    ...     n_centroids=4, patch_size=2, image_shape=(4, 4), epochs=2, random_state=0
    ... )
    >>> method = method.fit(X)
    >>> method.transform(X).shape
    (64, 16)
    """

    method = "patches"
    takes_rows = False
    n_centroids: int = 64
    patch_size: int = 4
    stride: int = 1
    n_patches: int = 50_000
    whitening: float = 0.1
    image_shape: Sequence[int] | None = None
    batch_size = 1000
    without: ClassVar = ("optimizer", "learning_rate")

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts(
            "PatchFeatures",
            n_centroids=self.n_centroids,
            patch_size=self.patch_size,
            stride=self.stride,
            n_patches=self.n_patches,
        )
        if not (math.isfinite(self.whitening) and self.whitening > 0):
            raise ValueError(f"PatchFeatures: whitening is {self.whitening!r}, expected above 0")
        height, width, _ = as_image_shape(self.image_shape, math.prod(sample_shape))
        if self.patch_size > min(height, width):
            raise ValueError(
                f"PatchFeatures: patch_size is {self.patch_size}, larger than an image of {height} "
                f"x {width}"
            )

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        height, width, channels = as_image_shape(self.image_shape, math.prod(sample_shape))
        size = self.patch_size**2 * channels
        x = Input(sample_shape, dtype=self.dtype)
        image = Reshape((height, width, channels))(x)
        patches = Patches(self.patch_size, self.stride, name="patches")(image)
        normal = LayerNormalization(epsilon=CONTRAST, name="contrast")(patches)
        self._whiten = Dense(size, name="whitening")
        self._layer = Centroids(self.n_centroids, name="centroids")
        code = self._layer(self._whiten(normal))
        rows, columns = code.sample_shape[:2]
        quadrant = (-(-rows // 2), -(-columns // 2))
        pooled = AveragePooling2D(quadrant, padding="same", name="quadrants")(code)
        self._normal = Model(x, normal, name="normalised_patches")
        self.model_ = self.encoder_ = Model(x, Flatten()(pooled), name="encoder")
        self.decoder_ = None
        self.encoder_.initialize(rng)

    def _fit(self, X: Samples) -> None:
        self.build(X.shape[1:], np.random.default_rng(self.random_state_))
        run, held_out = self._run, None
        patches = self._some_patches(X, np.random.default_rng([self.random_state_, 1]))
        W, b = whitening(patches, self.whitening)
        if run.validation is not None:
            rng = np.random.default_rng([self.random_state_, 2])
            held_out = self._some_patches(run.validation, rng) @ W + b
        self.kmeans_ = KMeans(
            self.n_centroids,
            epochs=self.epochs,
            batch_size=self.batch_size,
            dtype=self.dtype,
            random_state=self.random_state_,
            verbose=self.verbose,
        )
        self.kmeans_.fit(
            (patches @ W + b).astype(self.dtype),
            validation_data=held_out,
            callbacks=run.callbacks,
            checkpoint_dir=run.folder,
            resume=run.resume,
        )
        for parameter, values in (
            (self._whiten.W, W),
            (self._whiten.b, b),
            (self._layer.C, self.kmeans_.centroids_),
        ):
            assert parameter is not None
            parameter.value = to_device_of(values.astype(self.dtype), parameter.value)
        self.encoder_.to(self._device(X))
        self.history_ = self.kmeans_.history_

    def _some_patches(self, X: Samples, rng: np.random.Generator) -> np.ndarray:
        """(P, D) contrast-normalised patches, of samples and places at random."""
        rows, columns, size = self._normal.outputs[0].sample_shape
        each = max(1, -(-self.n_patches // len(X)))  # of one sample
        found = []
        for start in range(0, len(X), 500):
            x = to_numpy(X[start : start + 500]).astype(self.dtype)
            if self.n_patches < len(X):  # of some samples only
                x = x[rng.random(len(x)) < self.n_patches / len(X)]
            patches = self._normal.predict(x, batch_size=500).reshape(len(x), rows * columns, size)
            chosen = rng.integers(0, rows * columns, (len(x), each))
            found.append(np.take_along_axis(patches, chosen[:, :, None], axis=1).reshape(-1, size))
        return np.concatenate(found)[: max(self.n_patches, self.n_centroids)].astype(float)

    def score(self, X: DataLike, y: object = None) -> float:
        """Minus the mean squared distance of X's whitened patches from their centroids."""
        self.check_fitted()
        X = as_samples(X)
        patches = self._some_patches(X, np.random.default_rng(0))
        W, b = (to_numpy(p.value) for p in self._whiten.parameters_used())
        return self.kmeans_.score((patches @ W + b).astype(self.dtype))


def whitening(patches: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """(W, b) so that p W + b has mean 0 and, for epsilon 0, covariance 1."""
    mean = patches.mean(axis=0)
    centred = patches - mean
    s, U = np.linalg.eigh(centred.T @ centred / len(patches))
    W = (U / np.sqrt(np.maximum(s, 0) + epsilon)) @ U.T
    return W, -mean @ W
