"""What every method has to beat: the mean sample, and principal components.

An autoencoder that restores no better than the mean has learned nothing; one that restores no
better than as many principal components has learned nothing that a linear map does not know.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minienc.arrays import to_numpy
from minienc.data.plain import DataLike, Samples
from minienc.pretraining.base import as_samples, iterate_samples
from minienc.pretraining.estimator import not_fitted


class _Baseline:
    """What both are asked."""

    mean_: np.ndarray

    def reconstruction_error(self, X: DataLike) -> float:
        """Squared error per sample, summed over the features."""
        raise NotImplementedError

    def score(self, X: DataLike, y: object = None) -> float:
        """Minus the reconstruction error, as the methods have it: greater is better."""
        return -self.reconstruction_error(X)

    def _samples(self, X: DataLike) -> Samples:
        """X as rows, of as many features as ``fit`` saw."""
        name = type(self).__name__
        if not hasattr(self, "mean_"):
            raise not_fitted(f"{name} is not fitted yet: call fit(X) first")
        X = as_samples(X)
        if X.shape[1] != len(self.mean_):
            raise ValueError(
                f"X has {X.shape[1]} features, but {name} is expecting {len(self.mean_)} features "
                f"as input"
            )
        return X


class MeanSample(_Baseline):
    """Answer every sample with the mean of the training samples.

    Examples
    --------
    >>> X = np.array([[0.0, 2.0], [2.0, 4.0]])
    >>> float(MeanSample().fit(X).reconstruction_error(X))  # summed over the features
    2.0
    """

    def fit(self, X: DataLike) -> MeanSample:
        X = as_samples(X)
        self.mean_ = sum(batch.sum(axis=0) for batch in iterate_samples(X)) / len(X)
        return self

    def reconstruction_error(self, X: DataLike) -> float:
        """Squared error per sample, summed over the features."""
        X = self._samples(X)
        return sum(float(((b - self.mean_) ** 2).sum()) for b in iterate_samples(X)) / len(X)


EXACT = 2048  # up to so many rows or columns a matrix is decomposed exactly
_SPARE, _ROUNDS = 10, 7  # directions more than asked for, and passes, of a randomised search


class PCA(_Baseline):
    """Principal components: the eigenvectors of the covariance matrix.

    Of all linear codes of this width, this one restores the training samples with the smallest
    squared error (Pearson 1901; Eckart and Young 1936). How they are found depends on what is
    smaller: X'X (D, D) for many samples; X X' (N, N) for few wide ones, which has the same
    eigenvalues (Turk and Pentland 1991); and where both are large, a subspace of random directions
    that is turned towards X'X until it holds the greatest (Halko, Martinsson and Tropp 2011,
    algorithm 4.4), which is near enough for a comparison. The samples are read in batches.

    Parameters
    ----------
    n_components : int
        The code's width. There are never more components than features, nor than samples less one
        where there are fewer samples than features.

    Attributes
    ----------
    mean_ : array (D,)
    components_ : array (K, D)
        Orthonormal rows, the direction of the greatest variance first.
    explained_variance_ : array (K,)

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> pca = PCA(2).fit(X)
    >>> pca.transform(X).shape, pca.inverse_transform(pca.transform(X)).shape
    ((64, 2), (64, 16))
    """

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, X: DataLike) -> PCA:
        X = as_samples(X)
        n, d = X.shape
        self.mean_ = sum(batch.sum(axis=0) for batch in iterate_samples(X)) / n
        k = min(self.n_components, d)
        if not _is_exact(n, d, k):
            variance, directions = self._by_random_directions(X, k)
        elif n < d:
            variance, directions = self._by_samples(X, min(k, n - 1))
        else:
            variance, directions = self._by_features(X, k)
        self.components_, self.explained_variance_ = directions, variance
        return self

    @staticmethod
    def memory(n: int, d: int, k: int) -> int:
        """Bytes that ``fit`` takes beside N samples of D features, for K components."""
        k = min(k, d)
        if not _is_exact(n, d, k):
            return 8 * 3 * d * (k + _SPARE)
        return 8 * (2 * n * n + 2 * k * d) if n < d else 8 * 3 * d * d

    def _centred(self, X: Samples) -> Iterator[np.ndarray]:
        """Batches less the mean: E[x x'] - mean mean' would cancel."""
        return (batch - self.mean_ for batch in iterate_samples(X))

    def _by_features(self, X: Samples, k: int) -> tuple[np.ndarray, np.ndarray]:
        covariance = np.zeros((X.shape[1], X.shape[1]))
        for batch in self._centred(X):
            covariance += batch.T @ batch
        variance, directions = np.linalg.eigh(covariance / len(X))  # ascending
        return variance[::-1][:k], directions[:, ::-1][:, :k].T.copy()

    def _by_samples(self, X: Samples, k: int) -> tuple[np.ndarray, np.ndarray]:
        """X X' u = s u, and so X'X (X'u) = s (X'u)."""
        n, d = X.shape
        gram, columns = np.zeros((n, n)), max(1, (1 << 23) // n)
        for start in range(0, d, columns):
            part = slice(start, start + columns)
            block = to_numpy(X[:, part]).astype(float) - self.mean_[part]
            gram += block @ block.T
        variance, u = np.linalg.eigh(gram / n)
        variance, u = variance[::-1][:k], u[:, ::-1][:, :k]
        u = u[:, variance > n * np.finfo(float).eps * variance.max(initial=0)]
        directions, start = np.zeros((u.shape[1], d)), 0
        for batch in self._centred(X):
            directions += u[start : start + len(batch)].T @ batch
            start += len(batch)
        return variance[: len(directions)], np.linalg.qr(directions.T)[0].T.copy()

    def _by_random_directions(self, X: Samples, k: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        found = rng.standard_normal((X.shape[1], min(k + _SPARE, X.shape[1])))
        for _ in range(_ROUNDS):
            found = np.linalg.qr(found)[0]
            found = sum(batch.T @ (batch @ found) for batch in self._centred(X))  # type: ignore[assignment]
        found = np.linalg.qr(found)[0]
        inside = sum((z := batch @ found).T @ z for batch in self._centred(X))
        variance, turned = np.linalg.eigh(inside / len(X))
        return variance[::-1][:k], (found @ turned[:, ::-1][:, :k]).T.copy()

    def transform(self, X: DataLike) -> np.ndarray:
        """Codes (N, K)."""
        X = self._samples(X)
        return np.concatenate(
            [(batch - self.mean_) @ self.components_.T for batch in iterate_samples(X)]
        )

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Samples (N, D)."""
        return Z @ self.components_ + self.mean_

    def reconstruction_error(self, X: DataLike) -> float:
        """Squared error per sample, summed over the features."""
        X = self._samples(X)
        total = 0.0
        for batch in iterate_samples(X):
            difference = batch - self.inverse_transform((batch - self.mean_) @ self.components_.T)
            total += float((difference * difference).sum())
        return total / len(X)


def _is_exact(n: int, d: int, k: int) -> bool:
    """Whether the smaller of the two matrices is decomposed: it is small, or K is near its size."""
    return min(n, d) <= max(EXACT, 2 * k)
