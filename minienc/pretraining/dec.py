"""Deep embedded clustering: codes and centroids that make each other clearer.

    1. pretrain   a stacked denoising autoencoder; k-means on its codes gives the centroids mu
    2. q_nk       soft memberships of the codes z_n = f(x_n), by Student's t around mu_k
       p_nk       the same made sharper: q_nk^2 / sum_n q_nk, each row scaled to sum to 1
    3. L = KL(p || q) = 1/N sum_nk p_nk log(p_nk / q_nk), made small by moving mu and the encoder

p is what q would be if the clusters were as clear as the surest samples say; it is held while q
follows it, and then made anew. Dividing by the cluster's size keeps large clusters from taking all.

    dL/dz_n  = 2/N sum_k (1 + d_nk)^-1 (p_nk - q_nk) (z_n - mu_k)
    dL/dmu_k = -2/N sum_n (1 + d_nk)^-1 (p_nk - q_nk) (z_n - mu_k)

which is what three pairs give, one behind the other: squared distances, Student's t, divergence.

Source: Xie, Girshick and Farhadi 2016, "Unsupervised deep embedding for clustering analysis",
eq. 1 to 5 and section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from minienc.arrays import Array, Rng, rows_at, to_device_of, to_numpy
from minienc.data import pixels
from minienc.data.plain import DataLike
from minienc.functions.losses import kl_divergence_backward, kl_divergence_forward
from minienc.layers import Centroids
from minienc.layers.parameters import Gradients
from minienc.models import Model
from minienc.pretraining.base import check_counts
from minienc.pretraining.kmeans import KMeans
from minienc.pretraining.networks import as_widths
from minienc.pretraining.stacked import StackedAutoencoder
from minienc.pretraining.stepped import Samples, SteppedPretrainer
from minienc.training.ranks import of_all_rows
from minienc.training.step import Cache, Learner, Objective, Scalar


class Sharpening(Objective):
    """KL(p || q) of a batch (x, numbers of the samples): q its memberships, p sharper ones.

    ``arrays["p"]`` (N, K) holds those of all samples. A batch without numbers, of samples that are
    held out, has none: its p is made of its own q and the sizes of the clusters,
    ``arrays["sizes"]`` (K,), sum_n q_nk over all samples.
    """

    uses_rng = False
    greater_is_better = MappingProxyType({"changed": False})

    def __init__(self, network: Model, arrays: dict[str, Array]) -> None:
        self.network, self.arrays = network, arrays

    def forward(self, batch: tuple, rng: Rng = None) -> tuple[tuple[Scalar, ...], Cache]:
        q, cache = self.network.forward(batch[0])  # (1)
        if len(batch) > 1:
            p = rows_at(self.arrays["p"], batch[1])
        else:
            p = sharpened(q, to_device_of(self.arrays["sizes"], q))
        loss, loss_cache = kl_divergence_forward(q, p)  # (2)
        return (loss,), (cache, loss_cache)

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> None:
        cache, loss_cache = cache
        dq = kl_divergence_backward(dloss, loss_cache)  # (2)
        self.network.backward(dq, cache, grads, need_dx=False)  # (1)


def sharpened(q: Array, sizes: Array) -> Array:
    """p of memberships q (N, K), and of the sizes of the clusters (K,)."""
    p = q * q / sizes
    return p / p.sum(axis=1)[:, None]


class DEC(SteppedPretrainer):
    """Deep embedded clustering.

    Parameters
    ----------
    n_clusters : int
    hidden : sequence of int
        Widths of the encoder's layers; the last is the code's.
    loss : str
        Of the autoencoder.
    noise_level : float
        The part of each layer's input that is masked while it is pretrained.
    epochs_per_layer, pretraining_epochs : int
        Of the autoencoder: for each layer, then for the whole.
    update_every : int
        Steps after which p is made anew.
    learning_rate : float
        Of the clustering; ``pretraining_rate`` is the autoencoder's.
    **params
        As of ``Pretrainer``; ``epochs`` is of the clustering.

    Attributes
    ----------
    centroids_ : array (K, M), in the space of the codes
    history_ : dict of lists
        "loss", and "changed": the part of samples that changed clusters at the last making of p.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = DEC(
    ...     n_clusters=3, hidden=(8, 2), epochs_per_layer=1, pretraining_epochs=1, epochs=1
    ... )
    >>> set(method.fit(X).predict(X).tolist()) <= {0, 1, 2}
    True
    """

    method = "dec"
    n_clusters: int = 10
    hidden: Sequence[int] = (500, 500, 2000, 10)
    loss: str = "mean_squared_error"
    noise_level: float = 0.2
    epochs_per_layer: int = 20
    pretraining_epochs: int = 20
    pretraining_rate: float = 1e-3
    update_every: int = 140
    learning_rate = 1e-4
    epochs = 10
    batch_size = 256

    # -- the clusters, and how sharp they shall be

    def _step(self, batch: tuple, rng: np.random.Generator) -> dict[str, Scalar]:
        learner = self.learners_["clusters"]
        if learner.optimizer.iterations % self.update_every == 0:
            self._sharpen()
        changed = float(learner.arrays["changed"][0])
        return {**learner.step(batch, rng), "changed": changed}

    def _data(self, X: pixels.Samples) -> Samples:
        return Samples(X, self.dtype, numbered=True)

    def _sharpen(self) -> None:
        """Make p anew, of the memberships as they are now, of all samples."""
        arrays = self.learners_["clusters"].arrays
        q = to_numpy(of_all_rows(self._memberships_of, len(self._X)))
        clusters, before = q.argmax(axis=1), arrays["clusters"]
        arrays["changed"] = np.array([float((clusters != before).mean())])
        arrays["clusters"] = clusters
        arrays["sizes"] = q.sum(axis=0, dtype=float).astype(self.dtype)
        arrays["p"] = to_device_of(sharpened(q, arrays["sizes"]), self._layer.C.value)

    def _memberships_of(self, rows: slice) -> Array:
        return self.model_.predict(rows_at(self._X, rows), batch_size=1000)

    # -- what learns

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("DEC", n_clusters=self.n_clusters, update_every=self.update_every)
        self._autoencoder().check_params(sample_shape)

    def _autoencoder(self) -> StackedAutoencoder:
        return StackedAutoencoder(
            hidden=as_widths("DEC", self.hidden),
            noise="masking",
            noise_level=self.noise_level,
            epochs_per_layer=self.epochs_per_layer,
            epochs=self.pretraining_epochs,
            loss=self.loss,
            learning_rate=self.pretraining_rate,
            batch_size=self.batch_size,
            dtype=self.dtype,
            device=self.device,
            random_state=getattr(self, "random_state_", 0),
            verbose=self.verbose,
        )

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        self.autoencoder_ = self._autoencoder()
        self.autoencoder_.build(sample_shape, rng)
        self._join()

    def _join(self, device: str = "cpu") -> None:
        """The autoencoder's encoder, and behind it the centroids."""
        self.encoder_, self.decoder_ = self.autoencoder_.encoder_, self.autoencoder_.decoder_
        self._layer = Centroids(self.n_clusters, "student_t", name="centroids")
        code = self.encoder_.outputs[0]
        self.model_ = Model(self.encoder_.inputs[0], self._layer(code), name="clusters")
        self.model_.to(device)
        arrays: dict[str, Array] = {}
        loss = Sharpening(self.model_, arrays)
        learner = Learner(self.model_, loss, self._new_optimizer(), arrays)
        self.learners_ = {"clusters": learner}

    def _fit(self, X: pixels.Samples) -> None:
        """Pretrain the autoencoder; put the centroids where k-means finds them among the codes."""
        run = self._run
        folder = None if run.folder is None else run.folder / "autoencoder"
        self.autoencoder_ = self._autoencoder().fit(
            X,
            validation_data=run.validation,
            callbacks=run.callbacks,
            checkpoint_dir=folder,
            resume=run.resume,
        )
        self._join(self._device(X))
        codes = to_numpy(self.encoder_.predict(X, batch_size=1000))
        kmeans = KMeans(
            self.n_clusters, n_init=20, epochs=30, dtype=self.dtype, random_state=self.random_state_
        ).fit(codes)
        self._layer.C.value = to_device_of(kmeans.centroids_, self._layer.C.value)
        self._X = X
        self.learners_["clusters"].arrays.update(
            clusters=kmeans.predict(codes),
            changed=np.zeros(1),
            sizes=np.ones(self.n_clusters, self.dtype),
            p=to_device_of(np.zeros((len(X), self.n_clusters), self.dtype), self._layer.C.value),
        )
        self.history_ = self._run_steps(X, "checkpoint", self.epochs)
        del self._X

    # -- what it is for

    @property
    def centroids_(self) -> np.ndarray:
        self.check_fitted()
        return to_numpy(self._layer.C.value)

    def memberships(self, X: DataLike) -> np.ndarray:
        """q (N, K): the soft memberships of each sample."""
        self.check_fitted()
        return to_numpy(self.model_.predict(self.samples(X), batch_size=1000))

    def predict(self, X: DataLike) -> np.ndarray:
        """The cluster of each sample (N,)."""
        return self.memberships(X).argmax(axis=1)
