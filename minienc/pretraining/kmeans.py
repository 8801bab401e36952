"""k-means: K points, each the mean of the samples that are nearer to it than to any other.

    assign   k(n) = the k with the smallest |x_n - c_k|^2
    move     c_k  = the mean of the x_n with k(n) = k

Each half makes the inertia, 1/N sum_n |x_n - c_k(n)|^2, smaller or leaves it, so they come to rest.
Where depends on the beginning: the first centroids are samples drawn far from each other, several
times, and the best beginning goes on. A centroid that no sample is nearest to takes the place
of a sample that lies far from its own centroid.

Counts, and sums of samples, are all that a step makes of a batch: of one that several processes
share, they are summed over all of them.

The triangle code makes it an encoder: how much nearer than the average one each centroid is.

Sources: Lloyd 1982, "Least squares quantization in PCM"; Sculley 2010, "Web-scale k-means
clustering", algorithm 1 (mini-batches); Coates, Lee and Ng 2011 (the code). How the beginning is
found has a file of its own, ``seeding.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from minienc.arrays import Array, get_array_module, on_device, rows_at, to_device_of, to_numpy
from minienc.data.plain import DataLike, Samples, plain_array
from minienc.functions.clustering import squared_distances_forward
from minienc.layers import Centroids, Input
from minienc.models import Model
from minienc.pretraining.base import check_counts, iterate_samples
from minienc.pretraining.seeding import best_beginning
from minienc.pretraining.stepped import SteppedPretrainer
from minienc.training.ranks import joint_batch
from minienc.training.step import Learner, Scalar

N_SEEDING = 10_000  # samples at most that beginnings are tried on


class KMeans(SteppedPretrainer):
    """k-means clustering as an encoder.

    Parameters
    ----------
    n_clusters : int
        K.
    algorithm : {"lloyd", "minibatch"}
        Centroids move once an epoch, to their means; or a little at each batch.
    n_init : int
        Beginnings that are tried.
    epochs, batch_size, dtype, device, random_state, verbose
        As of ``Pretrainer``; ``batch_size`` is without effect on the result of "lloyd".

    Attributes
    ----------
    centroids_ : array (K, D)
    history_ : dict of lists
        "loss" is the inertia.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = KMeans(n_clusters=3, random_state=0).fit(X)
    >>> method.transform(X).shape
    (64, 3)
    """

    method = "kmeans"
    choices: ClassVar = {"algorithm": ("lloyd", "minibatch")}
    n_clusters: int = 100
    algorithm: str = "lloyd"
    n_init: int = 4
    batch_size = 1000
    without: ClassVar = ("optimizer", "learning_rate")

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("KMeans", n_clusters=self.n_clusters, n_init=self.n_init)

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        x = Input(sample_shape, dtype=self.dtype)
        self._layer = Centroids(self.n_clusters, name="centroids")
        self.model_ = self.encoder_ = Model(x, self._layer(x))
        self.decoder_ = None
        self.model_.initialize(rng)
        self.arrays_: dict[str, Array] = {}
        self.learners_ = {"centroids": Learner(self.model_, None, None, self.arrays_)}  # type: ignore[arg-type]

    def _start(self, X: Samples) -> None:
        if self.n_clusters > len(X):
            raise ValueError(
                f"KMeans: n_clusters is {self.n_clusters}, and there are {len(X)} samples"
            )
        rng = np.random.default_rng([self.random_state_, 1])
        chosen = rng.permutation(len(X))[:N_SEEDING]
        x = np.concatenate(list(iterate_samples(rows_at(X, np.sort(chosen)), dtype=self.dtype)))
        self._place(to_device_of(best_beginning(x, self.n_clusters, self.n_init, rng), self._C))
        self.n_samples_ = len(X)
        xp = get_array_module(self._C)
        for name, like in (("sums", self._C), ("counts", self._C[:, 0])):
            self.arrays_[name] = xp.zeros(like.shape)  # float64: of an epoch, or of all epochs
        self.arrays_["seen"] = np.zeros(1)

    # -- the two halves

    def _step(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        (x,), arrays = batch, self.arrays_
        xp = get_array_module(x)
        d = self._distances(x)
        nearest = d.argmin(axis=1)
        member = (nearest[:, None] == xp.arange(self.n_clusters)).astype(x.dtype)  # (N, K)
        counts = member.sum(axis=0)
        sums = member.T @ (x - self._C[nearest])  # of what is small, beside sums of x
        n, loss, ranks = len(x), d.min(axis=1).mean(), joint_batch()
        if ranks is not None:
            n, counts, sums = ranks.length(x), ranks.total(counts), ranks.total(sums)
            total, counted = ranks.summed([len(x) * float(loss), len(x)])
            loss = total / counted
        arrays["seen"] = arrays["seen"] + n
        arrays["counts"] = arrays["counts"] + counts
        if self.algorithm == "minibatch":  # the mean of all that it was ever given, one by one
            rate = 1 / xp.maximum(arrays["counts"], 1)
            self._place(self._C + (rate[:, None] * sums).astype(x.dtype))
        else:
            arrays["sums"] = arrays["sums"] + sums
        if arrays["seen"][0] >= self.n_samples_:
            self._end_epoch(x, d.min(axis=1))
        return {"loss": loss}

    def _end_epoch(self, x: Array, distance: Array) -> None:
        """Move centroids to their means; those of nobody to samples far from their own."""
        xp, arrays = get_array_module(x), self.arrays_
        counts = arrays["counts"]
        C = self._C
        if self.algorithm == "lloyd":
            C = C + (arrays["sums"] / xp.maximum(counts, 1)[:, None]).astype(C.dtype)
        empty, ranks = np.flatnonzero(to_numpy(counts) == 0), joint_batch()
        if len(empty):
            C = C.copy()
            distance = distance if ranks is None else ranks.whole(distance)
            empty = empty[: len(distance)]
            farthest = xp.argsort(-distance)[: len(empty)]
            far = x[farthest] if ranks is None else ranks.picked(x, to_numpy(farthest))
            C[to_device_of(empty, farthest)] = far
        self._place(C)
        arrays["seen"] = np.zeros(1)
        if self.algorithm == "lloyd":
            arrays["sums"], arrays["counts"] = xp.zeros(C.shape), xp.zeros_like(counts)

    def _numbers(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        return {"loss": self._distances(batch[0]).min(axis=1).mean()}

    def _distances(self, x: Array) -> Array:
        """(N, K), squared: in float64, however far apart the centroids lie."""
        return squared_distances_forward(x.astype("float64"), self._C.astype("float64"))[0]

    @property
    def _C(self) -> Array:
        return self._layer.C.value

    def _place(self, C: Array) -> None:
        self._layer.C.value = C

    # -- what it is for

    @property
    def centroids_(self) -> np.ndarray:
        self.check_fitted()
        return to_numpy(self._C)

    def predict(self, X: DataLike) -> np.ndarray:
        """The cluster of each sample (N,)."""
        self.check_fitted()
        with on_device(self.model_.device):
            found = [
                self._distances(to_device_of(x, self._C)).argmin(axis=1)
                for x in iterate_samples(self.samples(X), dtype=self.dtype)
            ]
            return np.concatenate([to_numpy(k) for k in found])

    @property
    def restores(self) -> bool:
        return True

    def reconstruct(self, X: DataLike) -> np.ndarray:
        """The centroid of each sample (N, D)."""
        return self.centroids_[self.predict(X)]

    def inverse_transform(self, Z: DataLike) -> np.ndarray:
        """The centroid that each code (N, K) puts first."""
        self.check_fitted()
        Z = to_numpy(plain_array(Z, "Z"))
        if Z.shape[1:] != (self.n_clusters,):
            raise ValueError(f"Z is {Z.shape}, expected (N, {self.n_clusters}), codes in rows")
        return self.centroids_[Z.argmax(axis=1)]
