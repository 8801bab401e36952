"""What every method has to beat: the mean sample, and principal components.

An autoencoder that restores no better than the mean has learned nothing; one that restores no
better than as many principal components has learned nothing that a linear map does not know.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.pretraining.base import as_samples, iterate_samples


class MeanSample:
    """Answer every sample with the mean of the training samples."""

    def fit(self, X: Any) -> MeanSample:
        X = as_samples(X)
        self.mean_ = sum(batch.sum(axis=0) for batch in iterate_samples(X)) / len(X)
        return self

    def reconstruction_error(self, X: Any) -> float:
        """Squared error per sample, summed over the features."""
        X = as_samples(X)
        return sum(float(((b - self.mean_) ** 2).sum()) for b in iterate_samples(X)) / len(X)


class PCA:
    """Principal components, by the eigenvectors of the covariance matrix, batch by batch.

    Of all linear codes of this width, this one restores the training samples with the smallest
    squared error (Pearson 1901; Eckart and Young 1936).

    Parameters
    ----------
    n_components : int
        The code's width; at most the number of features.

    Attributes
    ----------
    mean_ : array (D,)
    components_ : array (K, D)
        Orthonormal rows, the direction of the greatest variance first.
    explained_variance_ : array (K,)
    """

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, X: Any) -> PCA:
        X = as_samples(X)
        n, d = X.shape
        k = min(self.n_components, d)
        self.mean_ = sum(batch.sum(axis=0) for batch in iterate_samples(X)) / n
        covariance = np.zeros((d, d))
        for batch in iterate_samples(X):  # centred first: E[x x'] - mean mean' would cancel
            centred = batch - self.mean_
            covariance += centred.T @ centred
        variance, directions = np.linalg.eigh(covariance / n)  # ascending
        self.components_ = directions[:, ::-1][:, :k].T.copy()
        self.explained_variance_ = variance[::-1][:k]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Codes (N, K)."""
        X = as_samples(X)
        return np.concatenate(
            [(batch - self.mean_) @ self.components_.T for batch in iterate_samples(X)]
        )

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Samples (N, D)."""
        return Z @ self.components_ + self.mean_

    def reconstruction_error(self, X: Any) -> float:
        """Squared error per sample, summed over the features."""
        X = as_samples(X)
        total = 0.0
        for batch in iterate_samples(X):
            difference = batch - self.inverse_transform((batch - self.mean_) @ self.components_.T)
            total += float((difference * difference).sum())
        return total / len(X)
