"""Layers that a plan holds, each in a model of its own: the bits of steps as they are written."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.devices import has_plans
from minienc.layers import (
    GRU,
    LSTM,
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Input,
    LayerNormalization,
    MaxPool2D,
    MultiHeadAttention,
    PositionEmbedding,
    Reshape,
    RMSNormalization,
    SimpleRNN,
    TimeDistributed,
    TransformerBlock,
    UpSampling2D,
)
from minienc.models import Model
from minienc.pretraining import ConvolutionalAutoencoder
from minienc.training.callbacks import ModelCheckpoint
from tests.training.test_planned import (
    Stop,
    Watcher,
    changed_in_the_middle,
    same_as_written,
    trained,
    unplanned,  # noqa: F401
)

kernels = pytest.importorskip("minienc._kernels")
if not has_plans():
    pytest.skip("the kernel is switched off", allow_module_level=True)

X = np.random.default_rng(0).random((70, 8, 8, 2), dtype="float32")
ROWS = np.random.default_rng(0).random((70, 12), dtype="float32")

BETWEEN = {  # images (8, 8, 2) -> anything
    "batch norm": lambda x: BatchNormalization()(Conv2D(5, 3)(x)),
    "batch norm, bare": lambda x: BatchNormalization(center=False, scale=False)(Conv2D(3, 3)(x)),
    "batch norm, frozen": lambda x: BatchNormalization(trainable=False)(Conv2D(5, 3)(x)),
    "batch norm, penalised": lambda x: BatchNormalization(gamma_regularizer="l2")(
        Conv2D(5, 3, kernel_regularizer="l1")(x)
    ),
    "batch norm of rows": lambda x: BatchNormalization()(Dense(9)(Flatten()(x))),
    "layer norm": lambda x: LayerNormalization()(Conv2D(5, 3)(x)),
    "root mean square norm": lambda x: RMSNormalization()(Conv2D(5, 3)(x)),
    "max pool": lambda x: MaxPool2D()(Conv2D(5, 3)(x)),
    "max pool, overlapping": lambda x: MaxPool2D(3, 2, "same")(Conv2D(5, 3)(x)),
    "average pool": lambda x: AveragePooling2D(3, 2, "same")(Conv2D(5, 3)(x)),
    "global average": lambda x: GlobalAveragePooling2D()(Conv2D(5, 3)(x)),
    "upsampling": lambda x: Conv2D(2, 3)(UpSampling2D((2, 3))(Conv2D(3, 3)(x))),
    "transposed": lambda x: Conv2DTranspose(3, 3, 2, "same", activation="gelu")(Conv2D(3, 3)(x)),
    "transposed, linear": lambda x: Conv2DTranspose(3, 2, 2, use_bias=False)(Conv2D(3, 3)(x)),
    "activations": lambda x: Activation("relu")(Activation("linear")(Conv2D(3, 3)(x))),
}


def model_of(between, dtype="float32"):
    x = Input((8, 8, 2), dtype=dtype)
    model = Model(x, Dense(12, "sigmoid")(Flatten()(between(x))))
    model.initialize(np.random.default_rng(5))
    model.compile("adam", "binary_crossentropy")
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BETWEEN)
def test_it_is_planned_to_the_bit(name, dtype, unplanned):  # noqa: F811
    step = same_as_written(lambda: model_of(BETWEEN[name], dtype), unplanned, x=X, y=ROWS)
    assert step.declined is None


def state_of(model):
    return {name: p.value.copy() for name, p in model.named_parameters() if p.is_state}


def test_moving_averages_move_as_ever(unplanned):  # noqa: F811
    """They are in the vector that is compared; and they do move."""
    model = model_of(BETWEEN["batch norm"])
    before = state_of(model)
    trained(model, x=X, y=ROWS)
    assert len(before) == 2
    assert all((before[name] != value).any() for name, value in state_of(model).items())


def freeze(trainer):
    (norm,) = [p for p in trainer.model.layers if isinstance(p, BatchNormalization)]
    norm.trainable = False


def activate(trainer):
    next(p for p in trainer.model.layers if isinstance(p, Activation)).activation = "tanh"


@pytest.mark.parametrize(("name", "change"), [("batch norm", freeze), ("activations", activate)])
def test_what_a_callback_changes_is_obeyed_at_the_next_step(name, change, unplanned):  # noqa: F811
    changed_in_the_middle(change, unplanned, lambda: model_of(BETWEEN[name]), x=X, y=ROWS)


# -------------------------------------------------------------------------------- paths that meet


def residual(x):
    h = Dense(12, "relu")(x)
    h = Add()([Dense(12, "tanh")(h), h])
    return Add()([h, Dense(12, "relu")(h), Reshape((12,))(Reshape((3, 4))(h))])


def twice(x):
    """One layer in two places, whose gradients meet in its weights, too."""
    shared, norm = Dense(12, "relu"), LayerNormalization()
    return norm(shared(norm(shared(x))))


@pytest.mark.parametrize("between", [residual, twice])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_paths_that_meet_and_weights_that_are_used_twice(between, dtype, unplanned):  # noqa: F811
    def make():
        x = Input((12,), dtype=dtype)
        model = Model(x, Dense(12, "sigmoid")(between(x)))
        model.initialize(np.random.default_rng(5))
        model.compile("adam", "binary_crossentropy")
        return model

    assert same_as_written(make, unplanned, x=ROWS, y=ROWS).declined is None


# -------------------------------------------------------------------------------------- sequences

STEPS = np.random.default_rng(1).random((70, 6, 4), dtype="float32")
LENGTHS = np.random.default_rng(2).integers(0, 7, 70)
ALONG = {  # sequences (6, 4) and how many steps of each count -> anything
    "heads": lambda x, n: MultiHeadAttention(2, 3)(x),
    "heads, one frozen": lambda x, n: MultiHeadAttention(2, 3)(
        MultiHeadAttention(2, 2, trainable=False)(x)
    ),
    "context": lambda x, n: MultiHeadAttention(2, 3, value_dim=2)([x, Dense(5)(x)]),
    "lengths": lambda x, n: MultiHeadAttention(2, 3)([x, n]),
    "rotary": lambda x, n: MultiHeadAttention(2, 2, causal=True, rotary=True, qk_norm=True)(x),
    "a block": lambda x, n: TransformerBlock(2, dropout=0.2, activation="relu_squared")(x),
    "a block that is asked": lambda x, n: TransformerBlock(2)(x, Dense(3)(x), n),
    "places": lambda x, n: PositionEmbedding()(x),
    "convolution": lambda x, n: Conv1D(5, 3, activation="tanh")(x),
    "causal": lambda x, n: Conv1D(5, 3, padding="causal", activation="gelu")(x),
    "dilated": lambda x, n: Conv1D(5, 2, dilation_rate=2, padding="same", activation="relu")(x),
    "each step": lambda x, n: TimeDistributed(Dense(3, "tanh"))(x),
    "last of LSTM": lambda x, n: LSTM(5)(x),
    "last of GRU, of some": lambda x, n: GRU(5)(x, lengths=n),
    "both ways": lambda x, n: Bidirectional(SimpleRNN(3))(x, lengths=n),
    "both ways, each step": lambda x, n: Bidirectional(GRU(3, return_sequences=True))(x),
    "states": lambda x, n: LSTM(5, return_sequences=True)(
        x, initial_state=LSTM(5, return_sequences=True, return_state=True)(x, lengths=n)[1:]
    ),
    "mean of some": lambda x, n: GlobalAveragePooling1D()([Dense(3)(x), n]),
    "mean": lambda x, n: GlobalAveragePooling1D()(Dense(3)(x)),
    "side by side": lambda x, n: Concatenate()([Dense(3)(x), x, Dense(2)(x)]),
    "one behind the other": lambda x, n: Concatenate(axis=1)([Dense(4)(x), x]),
    "strides": lambda x, n: Conv1D(5, 3, strides=2, use_bias=False)(x),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALONG)
def test_layers_along_time_are_planned_to_the_bit(name, dtype, unplanned):  # noqa: F811
    def make():
        x, n = Input((6, 4), dtype=dtype), Input((), dtype="int64")
        h = ALONG[name](x, n)
        used = Dense(12, "sigmoid")(Flatten()(h))
        model = Model([x, n], used)
        model.initialize(np.random.default_rng(5))
        model.compile("adam", "binary_crossentropy")
        return model

    step = same_as_written(make, unplanned, x=[STEPS, LENGTHS], y=ROWS)
    assert step.declined is None


def test_a_length_that_is_none_is_refused_as_ever(unplanned):  # noqa: F811
    def make():
        x, n = Input((6, 4)), Input((), dtype="int64")
        model = Model([x, n], Dense(12, "sigmoid")(Flatten()(MultiHeadAttention(2, 3)([x, n]))))
        model.initialize(np.random.default_rng(5))
        model.compile("adam", "binary_crossentropy")
        return model

    def spoil(trainer):
        trainer.data.arrays[1][...] = 7

    said = []
    for _ in range(2):  # by a plan, and as it is written
        watcher = Watcher(8, spoil)
        with pytest.raises(ValueError, match="lengths") as error:
            trained(make(), x=[STEPS, LENGTHS.copy()], y=ROWS, callbacks=[watcher])
        said.append(str(error.value))
        unplanned()
    assert said[0] == said[1]


# ------------------------------------------------------------------ the autoencoder of pretraining


def autoencoder(**params):
    """The network of a ``ConvolutionalAutoencoder``, with its loss."""
    method = ConvolutionalAutoencoder(filters=(4, 6), code=5, **params)
    method.check_params((64,))
    method.build((64,), np.random.default_rng(1))
    method.model_.compile("adam", "binary_crossentropy")
    return method.model_


IMAGES = X[..., 0].reshape(70, 64).copy()


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5])
def test_the_convolutional_autoencoder_is_wholly_planned(threads, unplanned):  # noqa: F811
    before = kernels.get_num_threads()
    kernels.set_num_threads(threads)
    try:
        step = same_as_written(autoencoder, unplanned, x=IMAGES, y=IMAGES)
    finally:
        kernels.set_num_threads(before)
    assert step.declined is None
    assert step.n_planned == 3 * 5 - (2 + 2)


def test_large_images_on_several_threads(unplanned):  # noqa: F811
    """As many numbers as make the kernels share them."""
    images = np.random.default_rng(0).random((64, 32, 32, 1), dtype="float32")

    def make():
        x = Input((32, 32, 1))
        h = MaxPool2D()(BatchNormalization()(Conv2D(8, 3, padding="same", activation="relu")(x)))
        h = Conv2DTranspose(1, 3, 2, "same")(AveragePooling2D(3, 1, "same")(h))
        model = Model(x, h)
        model.initialize(np.random.default_rng(5))
        model.compile("adam", "mean_squared_error")
        return model

    found, before = [], kernels.get_num_threads()
    try:
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            step, weights, _ = trained(make(), x=images, y=images, epochs=8, batch_size=32)
            assert step.n_planned > 0, step.declined
            found.append(weights.tobytes())
        unplanned()
        found.append(trained(make(), x=images, y=images, epochs=8, batch_size=32)[1].tobytes())
    finally:
        kernels.set_num_threads(before)
    assert len(set(found)) == 1


@pytest.mark.parametrize("batches", [2, 4, 6, 8, 11])
def test_a_run_with_moving_averages_is_resumed_at_any_step(batches, tmp_path):
    def make():
        return model_of(BETWEEN["batch norm"])

    whole = trained(make(), x=X, y=ROWS)[1]
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        trained(make(), x=X, y=ROWS, callbacks=[Stop(batches), ModelCheckpoint(path, save_freq=1)])
    others = [Stop(-1), ModelCheckpoint(path, save_freq=1)]
    step, weights, _ = trained(make(), x=X, y=ROWS, callbacks=others, resume_from=path)
    assert step.n_planned > 0
    assert weights.tobytes() == whole.tobytes()
