"""A classifier that learned from samples without labels first, as scikit-learn has classifiers."""

from __future__ import annotations

import copy
import sys
import warnings
from typing import Any, Self

import numpy as np

from minienc.data.plain import DataLike, plain_array
from minienc.finetuning.classifier import MODES, finetune
from minienc.models import Model
from minienc.pretraining import Pretrainer
from minienc.pretraining.autoencoder import Autoencoder
from minienc.pretraining.base import samples_for
from minienc.pretraining.estimator import Estimator, not_fitted
from minienc.shapes import kind_of
from minienc.training.fit import check_batch_size, check_counts
from minienc.training.optimizers import get_optimizer

__all__ = ["PretrainedClassifier"]

OWN = ("pretrainer", "mode", "epochs", "batch_size", "learning_rate", "random_state")


class PretrainedClassifier(Estimator):
    """Pretrain a method, then fine-tune it with labels.

    Parameters
    ----------
    pretrainer : Pretrainer or None
        A method; ``fit`` trains a copy of it. None is an ``Autoencoder`` with the squared error,
        which takes any numbers. Its parameters go by ``pretrainer__hidden`` and so on.
    mode : {"full", "frozen", "gradual"}
        As of ``finetune``.
    epochs, batch_size : int
    learning_rate : float
        Of the fine-tuning.
    random_state : int or None

    Attributes
    ----------
    classes_ : array (K,)
        The labels, of any kind, in order.
    pretrainer_ : Pretrainer
        The copy, fitted.
    model_ : Model
        The classifier: samples to the probabilities of the K classes.
    n_features_in_, feature_names_in_
        Of X.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((40, 5))
    >>> y = np.where(X[:, 0] > 0.5, "large", "small")
    >>> classifier = PretrainedClassifier(epochs=5, random_state=0).fit(X, y)
    >>> classifier.classes_.tolist()
    ['large', 'small']
    >>> classifier.predict_proba(X).shape
    (40, 2)
    """

    def __init__(
        self,
        pretrainer: Pretrainer | None = None,
        mode: str = "full",
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        random_state: int | None = None,
    ) -> None:
        self.pretrainer, self.mode = pretrainer, mode
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.random_state = random_state

    # -- parameters

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        return dict(zip(OWN, (None, "full", 20, 32, 1e-3, None), strict=True))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments; with ``deep``, those of the method, too."""
        found = super().get_params()
        if deep and self.pretrainer is not None:
            of_method = self.pretrainer.get_params()
            found |= {f"pretrainer__{name}": value for name, value in of_method.items()}
        return found

    def set_params(self, **params: object) -> Self:
        """Change arguments before ``fit``; ``pretrainer__hidden=(8,)`` is the method's own."""
        nested = {k: params.pop(k) for k in list(params) if k.startswith("pretrainer__")}
        super().set_params(**params)
        if nested:
            if self.pretrainer is None:
                raise ValueError(
                    f"PretrainedClassifier has no pretrainer, and was given {', '.join(nested)}; "
                    f"give it one: pretrainer=Autoencoder()"
                )
            names = {k.removeprefix("pretrainer__"): value for k, value in nested.items()}
            self.pretrainer.set_params(**names)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> object:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        takes = self.pretrainer or Autoencoder
        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            non_deterministic=self.random_state is None,
            input_tags=InputTags(two_d_array=takes.takes_rows, three_d_array=takes.takes_shape),
        )

    # -- the protocol

    def fit(self, X: DataLike, y: DataLike, unlabelled: DataLike | None = None) -> Self:
        """Learn from ``X`` and more samples without labels, then from ``X`` with its labels.

        Parameters
        ----------
        X : array-like (N, D) or (N, H, W[, C])
        y : array-like (N,)
            Labels of any kind: numbers or words.
        unlabelled : array-like (M, D) or (M, H, W[, C]), optional
            Samples to pretrain on; without them, those of X are.

        Raises
        ------
        ValueError
            If y is missing, has another number of labels than there are samples, or holds
            quantities in the place of classes; if the samples without labels have other features.
        TypeError
            If ``pretrainer`` is no method.
        """
        self._check_settings()
        method = self.pretrainer
        if method is None:
            method = Autoencoder(loss="mean_squared_error")
        samples = samples_for(method, X, "X", 1)
        self.note_features(X, samples.shape[1:])
        labels = _labels(y, len(samples))
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        method = copy.deepcopy(method)
        if self.random_state is not None:
            method.set_params(random_state=self.random_state)
        more = np.concatenate([samples, samples]) if len(samples) == 1 else samples
        if unlabelled is not None:
            more = samples_for(method, unlabelled, "unlabelled", 2)
            self.check_features(unlabelled, "unlabelled", more.shape[1:])
        self.pretrainer_ = method.fit(more)
        self.model_ = finetune(
            self.pretrainer_,
            samples,
            numbers.astype(int),
            n_classes=max(2, len(self.classes_)),
            mode=self.mode,
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(samples)),
            learning_rate=self.learning_rate,
            random_state=self.random_state,
        )
        return self

    def predict_proba(self, X: DataLike) -> np.ndarray:
        """Probabilities (N, K), in the order of ``classes_``."""
        if not hasattr(self, "model_"):
            raise not_fitted("PretrainedClassifier is not fitted yet: call fit(X, y) first")
        samples = samples_for(self.pretrainer_, X, "X")
        self.check_features(X, "X", samples.shape[1:])
        model: Model = self.model_
        p = model.predict(samples)
        return np.ones_like(p[:, :1]) if len(self.classes_) == 1 else p

    def predict(self, X: DataLike) -> np.ndarray:
        """The likeliest label of each sample (N,)."""
        p = self.predict_proba(X)
        return self.classes_[p.argmax(axis=1)]

    def score(self, X: DataLike, y: DataLike, sample_weight: DataLike | None = None) -> float:
        """The part of the samples (weighed, if so) whose label is predicted right."""
        predicted = self.predict(X)
        right = predicted == _labels(y, len(predicted))
        if sample_weight is None:
            return float(np.mean(right))
        weights = np.asarray(plain_array(sample_weight, "sample_weight"))
        if weights.shape != right.shape:
            raise ValueError(
                f"sample_weight is {weights.shape}, expected ({len(right)},), a weight for each "
                f"sample"
            )
        return float(np.average(right, weights=weights))

    def _check_settings(self) -> None:
        """Before the pretraining, which may take hours."""
        if self.pretrainer is not None and not isinstance(self.pretrainer, Pretrainer):
            raise TypeError(
                f"pretrainer is {kind_of(self.pretrainer)}, expected a method of "
                f"minienc.pretraining, such as Autoencoder(hidden=(64, 16)), or None"
            )
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, expected one of {', '.join(MODES)}")
        check_counts(epochs=self.epochs)
        check_batch_size(self.batch_size)
        get_optimizer("adam").learning_rate = self.learning_rate


def _labels(y: object, n: int) -> np.ndarray:
    """y as an array (n,) of classes."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    if hasattr(y, "columns") and hasattr(y, "to_numpy"):  # a frame, of words as well
        y = y.to_numpy()
    labels = np.asarray(plain_array(y, "y"))
    if labels.ndim == 2 and labels.shape[1] == 1:
        known = sys.modules.get("sklearn.exceptions")
        kind = UserWarning if known is None else known.DataConversionWarning
        says = "A column-vector y was passed when a 1d array was expected; use y.ravel()"
        warnings.warn(says, kind, stacklevel=3)
        labels = labels[:, 0]
    if labels.ndim == 2 and len(labels) == n:
        raise ValueError(
            f"y is {labels.shape}, expected ({n},), a label for each sample; of rows with a one "
            f"for the class, give y.argmax(axis=1)"
        )
    if labels.ndim != 1 or len(labels) != n:
        raise ValueError(
            f"y is {labels.shape}, and X has {n} samples: inconsistent numbers of samples; "
            f"expected ({n},), a label for each"
        )
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise ValueError("Input y contains NaN or infinity, expected labels")
        if (labels != np.floor(labels)).any():
            raise ValueError(
                "Unknown label type: continuous. y holds quantities, expected classes: numbers "
                "or words of which some occur again"
            )
    if labels.dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
        labels = np.array(labels.tolist())
        if labels.dtype.kind == "O":
            raise ValueError("Unknown label type: unknown. y holds labels of several kinds")
    return labels
