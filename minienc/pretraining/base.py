"""The one protocol of every method: fit without labels, then encode.

    method = Autoencoder(hidden=(512, 128, 30), epochs=20, random_state=0).fit(X)
    Z = method.transform(X)          # codes (N, K)
    X_hat = method.inverse_transform(Z)
    method.encoder_                  # a Model, to be fine-tuned
    method.history_                  # the losses of each epoch

As in scikit-learn, the constructor only stores its parameters; what ``fit`` learns ends in "_".
"""

from __future__ import annotations

import inspect
import math
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from minienc.arrays import Array, DTypeLike, check_device, device_of, is_array, to_numpy
from minienc.data.checks import check_data, numbers_of
from minienc.data.plain import DataLike, Samples, plain_array
from minienc.functions.activations import activation_name
from minienc.models import Model
from minienc.pretraining.estimator import Estimator, not_fitted
from minienc.shapes import did_you_mean, is_whole
from minienc.training.callbacks import Callback, CSVLogger, ModelCheckpoint, as_callbacks
from minienc.training.optimizers import Optimizer, get_optimizer
from minienc.training.ranks import refuse_coupled
from minienc.training.schedules import LearningRate

BATCHES_KEPT = 500  # of shards: fewer than so many batches are not worth a file


def as_samples(
    X: DataLike, name: str = "X", minimum: int = 1, keep_shape: bool = False, dtype: Any = None
) -> Samples:
    """Return ``X`` as (N, D): images are laid out as rows, uint8 pixels stay uint8.

    With ``keep_shape`` samples stay as they came, (N, ...). ``dtype`` is what they will become.

    Raises
    ------
    ValueError, TypeError
        For fewer than ``minimum`` samples, NaN or infinity (it says which rows), or no numbers.
    """
    given, X = X, numbers_of(plain_array(X, name), name)
    if len(X.shape) == 1 and len(X):
        array = name if is_array(given) else f"np.asarray({name})"
        raise ValueError(
            f"{name} is {tuple(X.shape)}, expected samples in rows. Reshape your data: use {array}"
            f".reshape(1, -1) for one sample of {len(X)} numbers, {array}.reshape(-1, 1) for "
            f"{len(X)} of one number"
        )
    if hasattr(X, "flatten_samples") and not keep_shape:
        X = X.flatten_samples()
    check_data(X, name=name, minimum=minimum, dtype=dtype)
    if math.prod(X.shape[1:]) == 0:
        raise ValueError(
            f"{name} has 0 feature(s) (shape={tuple(X.shape)}) while a minimum of 1 is required."
        )
    return as_rows(X) if is_array(X) and not keep_shape else X


def samples_for(encoder: object, X: DataLike, name: str = "X", minimum: int = 1) -> Samples:
    """``X`` as a model or a method takes it: samples in their shape, or rows; rows for None."""
    inputs = getattr(encoder, "inputs", None)  # of a model
    keep = len(inputs[0].sample_shape) > 1 if inputs else getattr(encoder, "takes_shape", False)
    return as_samples(X, name, minimum, keep, getattr(encoder, "dtype", np.float32))


def as_rows(x: Any) -> Array:
    """x (N, ...) laid out as (N, D)."""
    return x.reshape(len(x), -1)


def iterate_samples(X: Samples, batch_size: int = 1000, dtype: DTypeLike = np.float64) -> Iterator:
    """Yield ``X`` in batches of floats, so that no whole copy is ever made; of wide samples in
    smaller ones, of 64 MB at most."""
    batch_size = max(1, min(batch_size, (1 << 23) // max(1, math.prod(X.shape[1:]))))
    for start in range(0, len(X), batch_size):
        yield to_numpy(X[start : start + batch_size]).astype(dtype, copy=False)


class Pretrainer(Estimator):
    """What the methods share; a subclass gives ``method``, its name, ``_fit``, and ``encoder_``.

    What its constructor takes is declared as attributes with a default, ``hidden: int = 64``, and
    changed by another default, ``epochs = 5``.

    Parameters
    ----------
    optimizer : str
        Of ``minienc.training.optimizers``.
    learning_rate : float, or a schedule
    epochs, batch_size : int
    dtype : {"float32", "float64"}
    device : str or None
        Where to train: "cpu", "cuda", "cuda:1", "jax"; None is where ``X`` lives.
    random_state : int or None
        The seed of everything that is drawn; None draws one.
    verbose : int
        As in ``Model.fit``.

    Attributes
    ----------
    model_ : Model
        The whole that was trained.
    encoder_ : Model
    decoder_ : Model or None
    history_ : dict of lists
        The losses of each epoch.
    random_state_ : int
        The seed that fixed everything: ``random_state``, or the one drawn for None.
    """

    method: ClassVar[str]  # the name on the command line
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}  # the words that a parameter may be
    without: ClassVar[tuple[str, ...]] = ()  # the parameters of classes above that have no use here
    takes_shape: ClassVar[bool] = False  # samples reach _fit and the encoder as they come
    model_: Model
    encoder_: Model
    decoder_: Model | None = None
    history_: dict[str, list[float]]

    optimizer: str = "adam"
    learning_rate: LearningRate = 1e-3
    epochs: int = 20
    batch_size: int = 128
    dtype: str = "float32"
    device: str | None = None
    random_state: int | None = None
    verbose: int = 0

    def __init__(self, *args: Any, **params: Any) -> None:
        try:
            given = inspect.signature(type(self)).bind(*args, **params)
        except TypeError as error:
            mend = did_you_mean(params, self._parameters())
            raise TypeError(f"{type(self).__name__}: {error}{mend}") from None
        given.apply_defaults()
        vars(self).update(given.arguments)

    def __init_subclass__(cls) -> None:
        if "__init__" in vars(cls):
            raise TypeError(
                f"{cls.__name__}: parameters are attributes with a default, as epochs is"
            )
        super().__init_subclass__()
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [
            inspect.Parameter(name, kind, default=default)
            for name, default in cls._parameters().items()
        ]
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]

    @classmethod
    def kinds(cls) -> list[str]:
        """The method's name, then those of the methods that it is a kind of."""
        return [vars(owner)["method"] for owner in cls.__mro__ if "method" in vars(owner)]

    # -- the protocol

    def fit(
        self,
        X: DataLike,
        y: object = None,
        *,
        validation_data: DataLike | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn from ``X``, without labels.

        Parameters
        ----------
        X : array-like (N, D) or (N, H, W[, C])
        y : ignored
            There for scikit-learn's pipelines; labels are never looked at.
        validation_data : array-like, optional
            Samples whose loss is logged after each epoch as "val_loss".
        callbacks : list of Callback
        checkpoint_dir : path, optional
            Keep the state of training there, after each epoch and on Ctrl-C, and the history
            as CSV.
        resume : bool
            Go on from ``checkpoint_dir`` where it holds a state; the end has the same bits.
        """
        given = X
        X, callbacks = samples_for(self, X, "X", 2), as_callbacks(callbacks)
        if validation_data is not None:
            validation_data = self.samples(validation_data, "validation_data")
            if validation_data.shape[1:] != X.shape[1:]:
                raise ValueError(
                    f"validation_data has samples of {tuple(validation_data.shape[1:])}, expected "
                    f"{tuple(X.shape[1:])} as those of X"
                )
        self.check_params(X.shape[1:])
        seed = self.random_state
        self.random_state_ = secrets.randbits(63) if seed is None else int(seed)
        self.note_features(given, X.shape[1:])
        if self.takes_probabilities():
            check_data(X, domain=(0, 1))
        self._run = _Run(validation_data, callbacks, checkpoint_dir, resume)
        try:
            self._fit(X)
        finally:
            del self._run
        return self

    def _fit(self, X: Samples) -> None:
        raise NotImplementedError

    def samples(self, X: DataLike, name: str = "X", minimum: int = 1) -> Samples:
        """``X`` as this method takes it: rows (N, D), or with ``takes_shape`` as it came."""
        samples = samples_for(self, X, name, minimum)
        self.check_features(X, name, samples.shape[1:])
        return samples

    # -- what a method gives beside ``_fit``

    def check_params(self, sample_shape: Sequence[int]) -> None:
        """Refuse values that ``fit`` would refuse for such samples. Nothing is built for it."""
        name = type(self).__name__
        refuse_coupled(self)
        check_device(self.device or "cpu")
        check_counts(name, epochs=self.epochs, batch_size=self.batch_size)
        if self.random_state is not None and not is_whole(self.random_state, 0):
            came = f"random_state is {self.random_state!r}"
            raise ValueError(f"{name}: {came}, expected a whole number from 0, or None")
        self._new_optimizer()
        for option in ("activation", "code_activation", "output_activation"):
            activation_name(getattr(self, option, None))
        for option, choices in self.choices.items():
            value = getattr(self, option)
            if value not in choices:
                expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
                raise ValueError(f"{name}: {option} is {value!r}, expected {expected}")

    def build(self, sample_shape: Sequence[int], rng: np.random.Generator) -> None:
        """Make what learns, all drawn from ``rng``: ``model_``, ``encoder_``, ``decoder_``."""
        raise NotImplementedError

    def targets(self, X: Samples) -> Samples:
        """What is to be made of samples: themselves, unless a method says otherwise."""
        return X

    def takes_probabilities(self) -> bool:
        """Whether samples must lie in [0, 1]."""
        return getattr(self, "loss", None) == "binary_crossentropy"

    def check(self, sample_shape: Sequence[int]) -> Self:
        """Refuse what ``fit`` would refuse for such samples, by building what it would train, which
        is returned: for a caller who wants to know before anything is written."""
        self.check_params(sample_shape)
        trial = type(self)(**self.get_params())
        trial.build(sample_shape, np.random.default_rng(0))
        return trial

    def _device(self, X: Samples) -> str:
        """Where to train: what was said, or where the samples live."""
        return device_of(X) if self.device is None else self.device

    def _new_optimizer(self) -> Optimizer:
        optimizer = get_optimizer(self.optimizer)
        optimizer.learning_rate = self.learning_rate
        return optimizer

    @property
    def restores(self) -> bool:
        """Whether there is a way back from codes to samples."""
        return self.decoder_ is not None

    def _train(
        self, model: Model, X: Samples, validation: Any, *, epochs: int, batch_size: int, stage: str
    ) -> dict[str, list[float]]:
        """Train ``model`` to make ``targets(X)`` of X: one stage, with a checkpoint of its own."""
        run = self._run
        callbacks = list(run.callbacks)
        resume_from = None
        if run.folder is not None:
            state = run.folder / f"{stage}.npz"
            often = save_freq(X, batch_size)
            callbacks += [CSVLogger(run.folder / f"{stage}.csv"), ModelCheckpoint(state, often)]
            resume_from = state if run.resume and state.exists() else None
        held_out = None if validation is None else (validation, self.targets(validation))
        try:
            model.fit(
                X,
                self.targets(X),
                epochs=epochs,
                batch_size=batch_size,
                validation_data=held_out,
                callbacks=callbacks,
                verbose=self.verbose,
                seed=self.random_state_,
                resume_from=resume_from,
            )
        finally:  # of a run that was interrupted, too
            self.history_ = {} if model.history is None else model.history.history
        return self.history_

    def check_fitted(self) -> None:
        if not hasattr(self, "encoder_"):
            raise not_fitted(f"{type(self).__name__} is not fitted yet: call fit(X) first")

    def transform(self, X: DataLike) -> np.ndarray:
        """Return the codes (N, K) of samples (N, D)."""
        self.check_fitted()
        return self.encoder_.predict(self.samples(X), batch_size=1000)

    def fit_transform(self, X: DataLike, y: object = None, **fit_params: Any) -> np.ndarray:
        """``fit(X).transform(X)``; what ``fit`` takes beside goes by its name."""
        return self.fit(X, **fit_params).transform(X)

    def inverse_transform(self, Z: DataLike) -> np.ndarray:
        """Return what the decoder makes of codes (N, K)."""
        self.check_fitted()
        if self.decoder_ is None:
            raise TypeError(f"{type(self).__name__} has no decoder")
        return self.decoder_.predict(Z, batch_size=1000)

    def reconstruct(self, X: DataLike) -> np.ndarray:
        """``inverse_transform(transform(X))``."""
        return self.inverse_transform(self.transform(X))

    def reconstruction_error(self, X: DataLike) -> float:
        """Squared error per sample, summed over the features, averaged over the samples."""
        X = self.samples(X)
        total = 0.0
        for batch in iterate_samples(X):
            difference = batch - self.reconstruct(batch)
            total += float((difference * difference).sum())
        return total / len(X)

    def score(self, X: DataLike, y: object = None) -> float:
        """Minus the reconstruction error: greater is better."""
        return -self.reconstruction_error(X)


class _Run:
    """What one call of ``fit`` was asked for beside the data."""

    def __init__(
        self, validation: Any, callbacks: Sequence[Callback], folder: Any, resume: bool
    ) -> None:
        self.validation = validation  # samples, or None
        self.callbacks = callbacks
        self.folder = None if folder is None else Path(folder)
        self.resume = resume
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)


def save_freq(X: Samples, batch_size: int) -> str | int:
    """How often a run keeps its state: after each epoch; of shards, whose epochs may take hours,
    some times within one."""
    if not hasattr(X, "epoch"):
        return "epoch"
    return max(BATCHES_KEPT, len(X) // batch_size // 10)


def check_counts(owner: str, **counts: object) -> None:
    """Refuse hyper-parameters that are not whole numbers from 1."""
    for name, value in counts.items():
        if not is_whole(value, 1):
            raise ValueError(f"{owner}: {name} is {value!r}, expected a whole number from 1")
