"""The sparse autoencoder: many units, of which each sample uses few.

    "kl"   L = l(x_hat, x) + s sum_k KL(r || mean of h_k)      each unit works r of the time
    "l1"   L = l(x_hat, x) + s sum_k mean of |h_k|             a toll on all work
    "k"    x_hat = decoder(the k largest of h)                 a rule instead of a penalty

A code that is wider than x could copy it. If only a few of its units may speak for a sample, each
must stand for something that recurs: on images, strokes and edges.

Sources: Ng 2011, "Sparse autoencoder" (CS294A lecture notes), section 3 (kl); Olshausen and Field
1996, "Emergence of simple-cell receptive field properties" (l1); Makhzani and Frey 2014, "k-sparse
autoencoders", section 2.1 (k). The gradients stand in ``functions/sparsity.py`` and
``functions/penalties.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minienc.layers import Dense, DenseTranspose, KSparse, SymbolicTensor
from minienc.layers.base import Layer
from minienc.layers.regularizers import L1, L2, KLSparsity
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.base import check_counts
from minienc.pretraining.networks import as_widths

ACTIVATIONS = {"kl": "sigmoid", "l1": "relu", "k": "linear"}  # of the code, under each penalty


class SparseAutoencoder(Autoencoder):
    """An ``Autoencoder`` whose code is sparse.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the encoder's layers; the last is the code's, and may be wider than the samples.
    penalty : {"kl", "l1", "k"}
    sparsity : float
        r of "kl": the mean activity of each unit, in (0, 1).
    strength : float
        s of "kl" and "l1". ``loss`` is a mean over the features: papers that sum over D of them
        have D times as much.
    k : int
        How many units speak, for "k".
    weight_decay : float
        L2 penalty on all weights.
    activation, code_activation : str or None
        None: sigmoid for "kl", which needs activities in [0, 1]; relu for "l1"; for "k" a linear
        code behind layers of relu.
    **params
        As of ``Autoencoder``.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((64, 16))
    >>> method = SparseAutoencoder(hidden=(8,), sparsity=0.1, epochs=2, random_state=0).fit(X)
    >>> method.transform(X).shape
    (64, 8)
    """

    method = "sparse"
    hidden: Sequence[int] = (200,)
    penalty: str = "kl"
    sparsity: float = 0.1
    strength: float = 0.003
    k: int = 25
    weight_decay: float = 0.0
    activation: str | None = None  # type: ignore[assignment]
    code_activation: str | None = None  # type: ignore[assignment]

    def check_params(self, sample_shape: Sequence[int]) -> None:
        super().check_params(sample_shape)
        if self.penalty not in ACTIVATIONS:
            raise ValueError(
                f"SparseAutoencoder: penalty is {self.penalty!r}, expected one of "
                f"{', '.join(ACTIVATIONS)}"
            )
        self._penalty(), self._decay()
        check_counts("SparseAutoencoder", k=self.k)
        width = as_widths("SparseAutoencoder", self.hidden)[-1]
        if self.penalty == "k" and self.k > width:
            raise ValueError(f"SparseAutoencoder: k is {self.k} of a code of {width} units")
        used = {self._f(), self.code_activation or ACTIVATIONS[self.penalty]}
        if self.penalty == "kl" and used != {"sigmoid"}:
            raise ValueError(
                "SparseAutoencoder: the penalty kl is on activities in [0, 1]; choose the "
                "activation sigmoid, or the penalty l1 or k"
            )

    def _f(self) -> str:
        """The activation of the layers before the code."""
        return self.activation or {"kl": "sigmoid", "l1": "relu", "k": "relu"}[self.penalty]

    def _encoder_layer(self, units: int, f: str | None, name: str, is_code: bool) -> Dense:
        own = ACTIVATIONS[self.penalty] if is_code else self._f()
        return Dense(
            units,
            activation=f or own,
            kernel_regularizer=self._decay(),
            activity_regularizer=self._penalty(),
            name=name,
        )

    def _mirror(self, encoder: Dense, i: int, f: str, n_features: int, widths: list[int]) -> Layer:
        layer: Any = super()._mirror(encoder, i, f or self._f(), n_features, widths)
        if not isinstance(layer, DenseTranspose):  # tied weights are decayed once, as the encoder's
            layer.kernel_regularizer = self._decay()
        return layer

    def _penalty(self) -> KLSparsity | L1 | None:
        """On the code's activity; values that it would refuse are refused here."""
        penalties: dict[str, Any] = {
            "kl": KLSparsity(self.sparsity, self.strength),
            "l1": L1(self.strength),
        }
        return penalties.get(self.penalty)

    def _decay(self) -> L2 | None:
        return L2(self.weight_decay) if self.weight_decay else None

    def _restrain(self, code: SymbolicTensor) -> SymbolicTensor:
        return KSparse(self.k, name="largest")(code) if self.penalty == "k" else code
