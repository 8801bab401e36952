"""The deep belief network: restricted Boltzmann machines, each on the codes of the one below.

    1. greedy     RBM_1 on x, RBM_2 on E[h_1 | x], ..., the last with Gaussian units as the code
    2. unrolled   x -> W_1 -> W_2 -> code -> W_2' -> W_1' -> x_hat, an autoencoder
    3. fine-tuned by its gradient, in which up and down have weights of their own

From small random weights the gradient of such a depth finds little; from large ones a poor place
to rest. The machines find weights that restore their layer's input already, and the gradient makes
what they found fit together. With a binary code and a softmax layer behind it, the same stack is a
classifier that is fine-tuned with labels.

Sources: Hinton, Osindero and Teh 2006, "A fast learning algorithm for deep belief nets"; Hinton and
Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks" (unrolling).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc.arrays import to_device_of, to_numpy
from minienc.data.pixels import Samples
from minienc.models import clone_model
from minienc.pretraining.autoencoder import Autoencoder, Reconstruction
from minienc.pretraining.base import check_counts
from minienc.pretraining.networks import as_widths
from minienc.pretraining.rbm import RBM


class DBN(Reconstruction):
    """A stack of ``RBM`` that is unrolled into an autoencoder and fine-tuned.

    Parameters
    ----------
    hidden : sequence of int
        Units of each machine; the last is the code's.
    code_units : {"gaussian", "binary"}
        Gaussian lets the code be any number; binary is for a classifier.
    visible : {"binary", "gaussian"}
        Of the samples: in [0, 1], or any, best with variances of 1.
    epochs_per_layer : int
        Of each machine; ``epochs`` is for the fine-tuning.
    rbm_learning_rate : float
        Of the machines; machines with Gaussian units learn at a twentieth of it.
    k : int
        Steps of contrastive divergence.
    weight_decay : float
        Of the machines.
    tied : bool
        Fine-tune with the same weights up and down.
    **params
        As of ``Reconstruction`` and ``Pretrainer``, for the fine-tuning.

    Attributes
    ----------
    rbms_ : list of RBM
    unrolled_ : Model
        The autoencoder before it was fine-tuned.
    stack_ : Model
        Its encoder, as the machines left it: where a classifier begins.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = DBN(hidden=(8, 2), epochs_per_layer=1, epochs=1, random_state=0).fit(X)
    >>> method.transform(X).shape
    (64, 2)
    """

    method = "dbn"
    hidden: Sequence[int] = (500, 250, 30)
    code_units: str = "gaussian"
    visible: str = "binary"
    epochs_per_layer: int = 10
    rbm_learning_rate: float = 0.1
    k: int = 1
    weight_decay: float = 2e-4
    tied: bool = False

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        check_counts("DBN", epochs_per_layer=self.epochs_per_layer)
        for rbm in self._machines():
            rbm.check_params(sample_shape)

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        autoencoder = Autoencoder(
            hidden=self.hidden,
            activation="sigmoid",
            code_activation="linear" if self.code_units == "gaussian" else "sigmoid",
            tied=self.tied,
            loss=self.loss,
            dtype=self.dtype,
        )
        autoencoder.build(sample_shape, rng)
        self.model_, self.encoder_ = autoencoder.model_, autoencoder.encoder_
        self.decoder_ = autoencoder.decoder_

    def _machines(self) -> list[RBM]:
        widths = as_widths("DBN", self.hidden)
        found = []
        for i, units in enumerate(widths):
            visible = self.visible if i == 0 else "binary"
            hidden_units = self.code_units if i == len(widths) - 1 else "binary"
            calm = 0.05 if "gaussian" in (visible, hidden_units) else 1.0
            found.append(
                RBM(
                    units,
                    k=self.k,
                    visible=visible,
                    hidden_units=hidden_units,
                    weight_decay=self.weight_decay,
                    learning_rate=calm * self.rbm_learning_rate,
                    epochs=self.epochs_per_layer,
                    batch_size=min(self.batch_size, 100),
                    dtype=self.dtype,
                    device=self.device,
                    random_state=getattr(self, "random_state_", 0) + i,
                    verbose=self.verbose,
                )
            )
        return found

    def _fit(self, X: Samples) -> None:
        self.build(X.shape[1:], np.random.default_rng(self.random_state_))
        self.model_.to(self._device(X))
        self.rbms_ = self._machines()
        run = self._run
        h, h_validation = X, run.validation
        for i, rbm in enumerate(self.rbms_, 1):
            folder = None if run.folder is None else run.folder / f"rbm_{i}"
            rbm.fit(
                h,
                validation_data=h_validation,
                callbacks=run.callbacks,
                checkpoint_dir=folder,
                resume=run.resume,
            )
            h = rbm.transform(h)
            if h_validation is not None:
                h_validation = rbm.transform(h_validation)
            self._unroll(i, rbm)
        self.unrolled_, self.stack_ = clone_model(self.model_), clone_model(self.encoder_)
        self.model_.compile(self._new_optimizer(), self.loss)
        self.history_ = self._train(
            self.model_,
            X,
            run.validation,
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(X)),
            stage="checkpoint",
        )

    def _unroll(self, i: int, rbm: RBM) -> None:
        """The machine's weights become those of the i-th layer up and, transposed, down."""
        W, b, c = (to_numpy(p.value) for p in rbm.machine_.parameters())
        up: Any = self.model_.get_layer(f"encoder_{i}")
        down: Any = self.model_.get_layer(f"decoder_{i}")
        pairs = [(up.W, W), (up.b, c), (down.b, b)]
        if not self.tied:
            pairs.append((down.W, W.T))
        for parameter, values in pairs:
            parameter.value = to_device_of(np.ascontiguousarray(values), parameter.value)
