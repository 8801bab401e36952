"""Fine-tuning: a pretrained encoder, a softmax layer on its codes, a few labels.

Three ways, in ``mode``: train everything ("full"); leave the encoder as it is and train the new
layer alone ("frozen"); or begin so and free one layer after another, from the last to the first
("gradual"). With ``layer_decay`` below 1, each layer further from the new one learns slower:
early layers hold what many tasks have in common, late ones what is particular to one.

The new layer begins at zero: its first steps find weights that fit the codes as they are, and only
then do gradients reach the encoder. Through random weights, meaningless gradients would reach it at
once. (A network of random weights has nothing to protect; it begins as usual, with
``head_initializer="glorot_uniform"``.)

Sources: Hinton and Salakhutdinov 2006 (full); Howard and Ruder 2018, "Universal language model
fine-tuning for text classification", sections 3.2 and 3.3 (gradual, rates by depth).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minienc.arrays import to_device_of, to_numpy
from minienc.data.labels import as_labels
from minienc.data.plain import DataLike
from minienc.layers import BatchNormalization, Dense, Dropout, Flatten, Input
from minienc.layers.base import Layer
from minienc.models import Model, clone_model
from minienc.pretraining.base import Pretrainer, samples_for
from minienc.shapes import kind_of
from minienc.training.batches import ClassWeight
from minienc.training.callbacks import Callback, History
from minienc.training.fit import check_batch_size
from minienc.training.losses import SparseCategoricalCrossentropy
from minienc.training.optimizers import OptimizerLike, get_optimizer
from minienc.training.schedules import CosineDecay, LearningRate

MODES = ("full", "frozen", "gradual")
SCHEDULES = ("constant", "cosine")
STANDARDIZE = "standardize"  # the layer's name


def finetune(
    encoder: Model | Pretrainer,
    X: DataLike,
    y: DataLike,
    *,
    n_classes: int | None = None,
    mode: str = "full",
    layer_decay: float = 1.0,
    head_initializer: str = "zeros",
    epochs: int = 20,
    batch_size: int = 32,
    optimizer: OptimizerLike = "adam",
    learning_rate: LearningRate = 1e-3,
    validation_data: tuple | None = None,
    callbacks: Sequence[Callback] = (),
    sample_weight: DataLike | None = None,
    class_weight: ClassWeight | None = None,
    schedule: str = "constant",
    weight_decay: float = 0.0,
    dropout: float = 0.0,
    label_smoothing: float = 0.0,
    augment: Sequence[Layer] = (),
    standardize: bool = False,
    copy: bool = True,
    random_state: int | None = None,
    verbose: int = 0,
) -> Model:
    """Train a classifier on top of ``encoder``.

    Parameters
    ----------
    encoder : Model, or a fitted method
        For example ``Autoencoder(...).fit(X).encoder_``, which is what a method stands for.
    X : array-like (N, D), or images, which are laid out as rows where the encoder takes rows
    y : integer array (N,)
        Classes 0 to K - 1.
    n_classes : int, optional
        K; needed if some classes do not occur in ``y``.
    mode : {"full", "frozen", "gradual"}
    layer_decay : float
        Each layer further down learns at this multiple of the rate of the one above.
    head_initializer : str
        How the new layer's weights begin.
    schedule : {"constant", "cosine"}
        "cosine": the learning rate rises over the first tenth of the steps and then falls to 0.
    weight_decay : float
        Of all weights; then the optimiser is "adamw" in the place of "adam".
    dropout : float
        The part of a code's numbers that is hidden from the new layer in each step.
    label_smoothing : float
        The part of the targets that goes to all classes alike.
    augment : layers
        Put before the encoder: what disturbs samples in training alone, such as
        ``RandomEqualizer``. They stay in the classifier, where they pass samples on unchanged.
    standardize : bool
        Whether each number of a code is brought to mean 0 and deviation 1 before the new layer, by
        what the encoder that was given makes of ``X``. Where codes differ little from sample to
        sample, as the mean states of a language model do, it is learned from much sooner.
    copy : bool
        False trains the encoder that was given, instead of a copy.
    epochs, batch_size, optimizer, learning_rate, validation_data, callbacks, verbose,
    sample_weight, class_weight
        As in ``Model.fit``. "gradual" divides the epochs among its stages: each begins with this
        learning rate, and with callbacks that have forgotten the stage before. The history of all
        of them is the model's.
    random_state : int, optional

    Returns
    -------
    Model
        Compiled, with the metric "accuracy"; its layers "encoder/..." and "classes".

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import Autoencoder
    >>> digits = load_digits()
    >>> method = Autoencoder(hidden=(64, 16), epochs=2, random_state=0).fit(digits.x)
    >>> classifier = finetune(method, digits.x[:200], digits.y[:200], epochs=5, random_state=0)
    >>> classifier.predict(np.asarray(digits.test_x).reshape(-1, 64)).shape
    (360, 10)
    """
    encoder = encoder_of(encoder)
    X = samples_for(encoder, X)
    y = as_labels(y, len(X))
    if isinstance(validation_data, (list, tuple)) and len(validation_data) > 1:
        x_val, *rest = validation_data
        validation_data = (samples_for(encoder, x_val, "validation_data"), *rest)
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay is {layer_decay}, expected a number in (0, 1]")
    check_batch_size(batch_size)
    n_classes = int(y.max()) + 1 if n_classes is None else n_classes
    rng = np.random.default_rng(random_state)
    encoder = clone_model(encoder) if copy else encoder
    model = classifier(encoder, n_classes, head_initializer, rng, augment, dropout, standardize)
    if standardize:
        _standardize(model, to_numpy(encoder.predict(X)).reshape(len(X), -1))
    _set_rates(model, layer_decay)
    settings: dict[str, Any] = dict(
        batch_size=min(batch_size, len(X)),
        validation_data=validation_data,
        callbacks=callbacks,
        sample_weight=sample_weight,
        class_weight=class_weight,
        verbose=verbose,
        seed=int(rng.integers(2**63)),
    )
    opt = optimizer_with_decay(optimizer, weight_decay)
    rate = rate_of_schedule(learning_rate, schedule, epochs * -(-len(X) // settings["batch_size"]))
    loss: Any = "sparse_categorical_crossentropy"
    if label_smoothing:
        loss = SparseCategoricalCrossentropy(label_smoothing=label_smoothing)
    model.compile(opt, loss, metrics=["accuracy"])
    done, whole = 0, History()
    for layers, until in _stages(model, mode, epochs):
        for layer in model.layers:
            layer.trainable = layer in layers
        opt.learning_rate = rate
        history = model.fit(X, y, initial_epoch=done, epochs=until, **settings)
        whole.epoch += history.epoch
        for name, values in history.history.items():
            whole.history.setdefault(name, []).extend(values)
        done = until
    model.history = whole
    return model


def optimizer_with_decay(name: Any, weight_decay: float) -> Any:
    if weight_decay == 0:
        return get_optimizer(name)
    optimizer = get_optimizer("adamw" if name == "adam" else name)
    if not hasattr(optimizer, "weight_decay") or not weight_decay > 0:
        raise ValueError(
            f"weight_decay is {weight_decay}, expected a number from 0, and an optimizer that has "
            f"it: adamw, lion or muon"
        )
    optimizer.weight_decay = float(weight_decay)
    return optimizer


def rate_of_schedule(learning_rate: Any, schedule: str, n_steps: int) -> Any:
    """The learning rate of so many steps."""
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}, expected one of {', '.join(SCHEDULES)}")
    if schedule == "constant" or callable(learning_rate):
        return learning_rate
    warmup = n_steps // 10
    return CosineDecay(0.0, max(n_steps - warmup, 1), 0.0, learning_rate, warmup)


def encoder_of(given: Any) -> Model:
    """The model that encodes: one, or what a method has learned."""
    if isinstance(given, Model):
        return given
    if hasattr(given, "check_fitted"):
        given.check_fitted()
    if not isinstance(getattr(given, "encoder_", None), Model):
        raise TypeError(f"encoder is {kind_of(given)}, expected a Model or a fitted method")
    return given.encoder_


def classifier(
    encoder: Model,
    n_classes: int,
    head_initializer: str,
    rng: np.random.Generator,
    augment: Sequence[Layer] = (),
    dropout: float = 0.0,
    standardize: bool = False,
) -> Model:
    """The encoder with a softmax layer behind it, and what disturbs samples before it."""
    x = disturbed = Input(encoder.inputs[0].sample_shape, dtype=encoder.inputs[0].dtype)
    for layer in augment:
        disturbed = layer(disturbed)
    code = encoder(disturbed)
    if len(code.sample_shape) > 1:
        code = Flatten()(code)
    if standardize:
        code = BatchNormalization(epsilon=1e-12, trainable=False, name=STANDARDIZE)(code)
    code = Dropout(dropout)(code) if dropout else code
    head = Dense(n_classes, "softmax", kernel_initializer=head_initializer, name="classes")
    model = Model(x, head(code), name="classifier")
    head.initialize(rng)
    return model.to(encoder.device)


def _standardize(model: Model, codes: np.ndarray) -> None:
    """Let the layer take off these codes' mean and deviation. It is frozen, so they stay; a number
    that never changes is left at its mean."""
    layer = model.get_layer(STANDARDIZE)
    assert isinstance(layer, BatchNormalization)
    mean, variance = (f(codes, axis=0, dtype=np.float64) for f in (np.mean, np.var))
    still = variance <= 1e-12 * max(float(variance.max()), 1e-30)
    for state, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, np.where(still, 1.0, variance)),
    ):
        state.value = to_device_of(value.astype(state.value.dtype), state.value)


def _owners(model: Model) -> list[Layer]:
    """The layers that have weights to learn, the new one first, then downwards."""
    layers = [layer for layer in reversed(model.layers) if layer.name != STANDARDIZE]
    return [layer for layer in layers if layer.named_parameters()]


def _set_rates(model: Model, layer_decay: float) -> None:
    for depth, layer in enumerate(_owners(model)):
        for p in layer.parameters_used():
            p.learning_rate_multiplier = layer_decay**depth


def _stages(model: Model, mode: str, epochs: int) -> list[tuple[list[Layer], int]]:
    """Of each stage: the layers that may learn, and the epoch at which it ends."""
    owners = _owners(model)
    if mode == "full":
        return [(owners, epochs)]
    if mode == "frozen":
        return [(owners[:1], epochs)]
    n = len(owners)
    return [(owners[: i + 1], round(epochs * (i + 1) / n)) for i in range(n)]
