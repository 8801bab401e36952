"""Losses as ``compile(loss=...)`` takes them: a pair of ``minienc.functions`` with its options.

The mathematics stands in ``functions/losses.py``; here are
the names, Keras's, and what each asks of its targets.
"""

from __future__ import annotations

import inspect
from typing import Any

from minienc.arrays import Array, Cache, Scalar
from minienc.data.checks import check_data
from minienc.data.labels import label_advice
from minienc.functions import losses
from minienc.primitive import Primitive


class Loss:
    """A loss and its options; a class of its own says which pair it is.

    Parameters
    ----------
    pair : primitive, where the class names none
        The forward, ``(y, target, sample_weight=None, **options) -> loss, cache``; its backward
        is found by its name.
    **options
        Passed to the forward.

    Attributes
    ----------
    logits_activation : str or None
        The activation that this loss can take over: ``from_logits=True`` computes both as one
        function, exact where the activation saturates. A model whose output layer has this
        activation is trained that way.
    """

    pair: Primitive = None  # type: ignore[assignment]  # said by each class, or given
    logits_activation: str | None = None

    def __init__(self, pair: Primitive | None = None, **options: Any) -> None:
        if pair is not None:
            if not isinstance(pair, Primitive):
                raise TypeError(f"{type(self).__name__}: {pair!r} is no pair; options go by name")
            self.pair = pair
        known = inspect.signature(self.pair.definition).parameters
        for name in options:
            if name not in known:
                raise TypeError(f"{type(self).__name__} has no option {name!r}")
        self.options = options
        if options.get("from_logits"):
            self.logits_activation = None

    @property
    def name(self) -> str:
        return self.pair.__name__.removesuffix("_forward")

    @property
    def takes_labels(self) -> bool:
        """Targets are integer classes instead of arrays of y's shape."""
        return self.pair is losses.sparse_categorical_crossentropy_forward

    def forward(
        self, y: Array, target: Array, sample_weight: Array | None = None
    ) -> tuple[Array, Cache]:
        return self.pair(y, target, sample_weight, **self.options)

    def backward(self, dloss: Scalar, cache: Cache) -> Array:
        return self.pair.backward(dloss, cache)

    def on_logits(self) -> Loss:
        """The same loss of z instead of y = activation(z)."""
        return Loss(self.pair, **{**self.options, "from_logits": True})

    def check_targets(self, target: Array, name: str, output_shape: tuple[int, ...]) -> None:
        """Refuse targets that this loss is not defined for.

        Raises
        ------
        ValueError, TypeError
            Saying what came, what was expected, and the likely mend.
        """
        if self.takes_labels:
            self._check_labels(target, name, output_shape)
            return
        if tuple(target.shape[1:]) != output_shape:
            hint = ""
            if len(target.shape) == 1 and self.name == "categorical_crossentropy":
                hint = '; for integer labels use loss="sparse_categorical_crossentropy"'
            raise ValueError(
                f"{self.name}: {name} has samples of shape {tuple(target.shape[1:])}, the model's "
                f"output has {output_shape}{hint}"
            )
        if self.name == "binary_crossentropy":
            check_data(target, name, domain=(0, 1), minimum=1)

    def _check_labels(self, target: Array, name: str, output_shape: tuple[int, ...]) -> None:
        n_classes = output_shape[-1]
        if target.dtype.kind not in "iu":
            raise TypeError(
                f"sparse_categorical_crossentropy: {name} is {target.dtype}, expected integer "
                f"labels; {label_advice(target, name)}"
            )
        if tuple(target.shape[1:]) != output_shape[:-1]:
            raise ValueError(
                f"sparse_categorical_crossentropy: {name} is {tuple(target.shape)}, expected "
                f"{(len(target), *output_shape[:-1])}, a label for each sample; rows with one "
                f'number for each class are for "categorical_crossentropy"'
            )
        ignored = self.options.get("ignore_class")
        target = target if ignored is None else target[:][target[:] != ignored]
        if target.size and (target.min() < 0 or target.max() >= n_classes):
            raise ValueError(
                f"sparse_categorical_crossentropy: {name} has labels from {target.min()} to "
                f"{target.max()}, the model's output has {n_classes} classes, 0 to "
                f"{n_classes - 1}"
            )


class MeanSquaredError(Loss):
    """(y - t)^2, averaged."""

    pair = losses.mean_squared_error_forward


class MeanAbsoluteError(Loss):
    """|y - t|, averaged."""

    pair = losses.mean_absolute_error_forward


class KLDivergence(Loss):
    """sum t log(t / y), averaged over the samples."""

    pair = losses.kl_divergence_forward


class BinaryCrossentropy(Loss):
    """-(t log y + (1 - t) log(1 - y)), averaged; with ``from_logits=True`` of y = sigmoid(z)."""

    pair = losses.binary_crossentropy_forward
    logits_activation = "sigmoid"


class CategoricalCrossentropy(Loss):
    """-sum_k t_k log y_k, averaged over the samples; targets are rows of probabilities."""

    pair = losses.categorical_crossentropy_forward
    logits_activation = "softmax"


class SparseCategoricalCrossentropy(Loss):
    """-log y_label, averaged over the samples; targets are integer labels."""

    pair = losses.sparse_categorical_crossentropy_forward
    logits_activation = "softmax"


LOSSES = {
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "kl_divergence": KLDivergence,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


LossLike = str | Loss | Primitive  # its name, itself, or the forward of a pair of one's own


def get_loss(loss: LossLike) -> Loss:
    """Return the loss of this name, or of a primitive of one's own, or the loss itself.

    Examples
    --------
    >>> type(get_loss("mse")).__name__
    'MeanSquaredError'
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, Primitive):
        return Loss(loss)
    if isinstance(loss, str) and loss.lower() in LOSSES:
        return LOSSES[loss.lower()]()
    raise ValueError(
        f"loss is {loss!r}, expected one of {', '.join(sorted(LOSSES))}, a Loss, or a "
        f"@primitive forward (y, target, sample_weight=None) -> loss, cache"
    )
