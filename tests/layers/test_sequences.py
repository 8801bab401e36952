"""Layers of sequences: padding, states, both directions, and what they make together."""

from __future__ import annotations

import numpy as np
import pytest

import minienc
from minienc.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    DenseTranspose,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    MultiHeadAttention,
    PositionEmbedding,
    SimpleRNN,
    SinusoidalPositions,
    TimeDistributed,
    TransformerBlock,
)
from minienc.models import Model
from minienc.training.callbacks import ModelCheckpoint
from minienc.training.losses import SparseCategoricalCrossentropy
from minienc.verify import gradcheck

RNG = np.random.default_rng(2)
T, D = 6, 4


def normal(*shape):
    return RNG.standard_normal(shape)


# -- padding, a test per layer

READERS = {
    "SimpleRNN": lambda x, n: SimpleRNN(3, seed=1)(x, lengths=n),
    "LSTM": lambda x, n: LSTM(3, seed=1)(x, lengths=n),
    "GRU": lambda x, n: GRU(3, seed=1)(x, lengths=n),
    "LSTM of a GRU": lambda x, n: LSTM(3, seed=1)(
        GRU(3, return_sequences=True, seed=2)(x, lengths=n), lengths=n
    ),
    "Bidirectional": lambda x, n: Bidirectional(LSTM(3, seed=1))(x, lengths=n),
    "Bidirectional all": lambda x, n: GlobalMaxPooling1D()(
        [Bidirectional(GRU(3, return_sequences=True, seed=1))(x, lengths=n), n]
    ),
    "mean": lambda x, n: GlobalAveragePooling1D()([x, n]),
    "MultiHeadAttention": lambda x, n: GlobalAveragePooling1D()(
        [MultiHeadAttention(2, 3, seed=1)([x, n]), n]
    ),
    "TransformerBlock": lambda x, n: GlobalAveragePooling1D()(
        [TransformerBlock(2, seed=1)(x, lengths=n), n]
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_stands_behind_a_sequence_changes_nothing(name):
    def model_of(steps):
        x, n = Input((steps, D), dtype="float64"), Input((), dtype="int32")
        return Model([x, n], Dense(2, seed=9)(READERS[name](x, n)))

    lengths = np.array([4, 2, 1], dtype="int32")
    x, dy = normal(3, 4, D), normal(3, 2)
    longer = np.concatenate([x, 100 * normal(3, 3, D)], axis=1)
    results = []
    for array, model in ((x, model_of(4)), (longer, model_of(7))):
        y, cache = model.forward((array, lengths))
        grads = model.new_gradients()
        dx, _ = model.backward(dy, cache, grads)
        results.append((y, grads.vector, dx[:, :4]))
        for i, length in enumerate(lengths):
            assert not dx[i, length:].any()
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-14)


def test_lengths_alike_are_none():
    layer, x = LSTM(3, seed=1), normal(2, T, D)
    np.testing.assert_array_equal(layer(x), layer(x, lengths=np.array([T, T])))


# -- states


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
def test_a_state_goes_in_and_comes_out(cls):
    layer, x = cls(3, return_state=True, return_sequences=True, seed=1), normal(5, T, D)
    whole, *last = layer(x)
    first, *state = layer(x[:, :2])
    second, *end = layer(x[:, 2:], initial_state=state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole)
    for one, two in zip(end, last, strict=True):
        np.testing.assert_allclose(one, two)
    np.testing.assert_allclose(layer(x[:1])[0], whole[:1])  # another batch size just works


def test_an_encoder_hands_its_state_to_a_decoder():
    """Sequence to sequence, as courses draw it; every gradient through the states."""
    source, target = Input((T, D), dtype="float64"), Input((3, 2), dtype="float64")
    _, h, c = LSTM(4, return_state=True, seed=1)(source)
    y = LSTM(4, return_sequences=True, seed=2)(target, initial_state=[h, c])
    model = Model([source, target], Dense(2, seed=3)(y))
    model.compile(loss="mse")
    x = (normal(3, T, D), normal(3, 3, 2))
    report = gradcheck(model, list(x), normal(3, 3, 2))
    assert report, report


def test_states_of_the_wrong_number_are_refused():
    with pytest.raises(ValueError, match="1 first states, expected 2, h0 and c0"):
        LSTM(3, seed=1)(normal(2, T, D), initial_state=normal(2, 3))


def test_a_layer_for_each_step_is_drawn_frozen_and_shared_as_it_is_alone():
    inner = Dense(2, seed=1)
    layer, x = TimeDistributed(inner), normal(2, T, D)
    layer(x)
    before = inner.W.value.copy()
    layer.initialize(np.random.default_rng(0))
    assert (inner.W.value != before).any()
    layer.trainable = False
    assert not inner.W.trainable and not layer.trainable
    W = inner.W
    TimeDistributed(inner)(x)  # used once more: the weights stay
    assert inner.W is W
    assert not TimeDistributed(Dense(2), trainable=False).trainable


# -- what they make together


def cnn_rnn():
    """Convolution over each image of a film, a recurrent network over the film."""
    x = Input((3, 6, 6, 1), dtype="float64")
    features = TimeDistributed(Conv2D(2, 3, 2, "same", "tanh", seed=1))(x)
    rows = TimeDistributed(Flatten())(features)
    return Model(x, Dense(2, "softmax", seed=3)(LSTM(4, seed=2)(rows)))


def words_through_convolution_and_recurrence():
    ids = Input((T,), dtype="int32")
    x = Conv1D(5, 3, padding="causal", activation="relu", seed=2)(
        Embedding(7, 4, dtype="float64", seed=1)(ids)
    )
    return Model(ids, Dense(7, "softmax", seed=4)(GRU(6, return_sequences=True, seed=3)(x)))


def stacked_bidirectional():
    x = Input((T, D), dtype="float64")
    h = Bidirectional(LSTM(3, return_sequences=True, seed=1))(x)
    return Model(x, Dense(2, "softmax", seed=5)(Bidirectional(LSTM(2, seed=3), "sum")(h)))


def tied_decoder():
    """A language model whose decoder is its embedding, turned round."""
    ids = Input((T,), dtype="int32")
    embedding = Embedding(7, 4, dtype="float64", seed=1)
    x = PositionEmbedding(seed=2)(embedding(ids))
    x = TransformerBlock(2, causal=True, rotary=True, norm="rms", seed=3)(x)
    return Model(ids, DenseTranspose(embedding, "softmax", seed=9)(x))


GRAPHS = {
    "cnn + rnn": (cnn_rnn, lambda: (normal(5, 3, 6, 6, 1), RNG.integers(0, 2, 5))),
    "conv1d + gru": (
        words_through_convolution_and_recurrence,
        lambda: (RNG.integers(0, 7, (5, T)), RNG.integers(0, 7, (5, T))),
    ),
    "stacked bidirectional": (
        stacked_bidirectional,
        lambda: (normal(5, T, D), RNG.integers(0, 2, 5)),
    ),
    "tied decoder": (
        tied_decoder,
        lambda: (RNG.integers(0, 7, (5, T)), RNG.integers(0, 7, (5, T))),
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_models_pass_the_checker(name):
    make, data = GRAPHS[name]
    model = make()
    model.compile(loss="sparse_categorical_crossentropy")
    report = gradcheck(model, *data())
    assert report, report


@pytest.mark.parametrize("name", GRAPHS)
def test_models_learn_are_saved_and_go_on_to_the_same_bits(name, tmp_path):
    make, data = GRAPHS[name]
    x, y = data()
    losses, models = [], []
    for epochs in ((6,), (3, 6)):
        model = make()
        for last in epochs:
            model = model if last == epochs[0] else make()
            model.compile("adam", "sparse_categorical_crossentropy")
            model.optimizer.learning_rate = 0.02
            checkpoint = ModelCheckpoint(tmp_path / f"{len(epochs)}.npz")
            resume = tmp_path / f"{len(epochs)}.npz" if last != epochs[0] else None
            history = model.fit(x, y, 2, last, 0, [checkpoint], seed=1, resume_from=resume)
        losses.append(history.history["loss"])
        models.append(model)
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_array_equal(models[0].parameters.vector, models[1].parameters.vector)
    models[0].save(tmp_path / "model.npz")
    loaded = minienc.load_model(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.predict(x), models[0].predict(x))


def test_two_tasks_share_one_reader():
    x, n = Input((T, D)), Input((), dtype="int32")
    h = GRU(5, seed=1)(x, lengths=n)
    model = Model([x, n], [Dense(1, name="a", seed=2)(h), Dense(3, "softmax", seed=3, name="b")(h)])
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"])
    data = [normal(8, T, D), RNG.integers(1, T + 1, 8)]
    history = model.fit(data, [normal(8, 1), RNG.integers(0, 3, 8)], epochs=5, verbose=0, seed=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_what_an_embedding_refuses():
    with pytest.raises(TypeError, match="its inputs are float32, expected integers"):
        Embedding(5, 2)(Input((3,)))
    layer = Embedding(5, 2, seed=1)
    y = Model(ids := Input((3,), dtype="int32"), layer(ids))
    with pytest.raises(ValueError, match=r"ids\[0, 2\] is 5, expected 0 to 4"):
        y.predict(np.array([[0, 1, 5]]))


def test_a_transformer_says_what_its_heads_cannot_share():
    with pytest.raises(ValueError, match="x has 6 features, which 4 heads cannot share"):
        TransformerBlock(4)(Input((3, 6)))


def test_no_step_of_a_decoder_sees_what_comes():
    model, ids = tied_decoder(), RNG.integers(0, 7, (1, T))
    changed = ids.copy()
    changed[0, 4] = (changed[0, 4] + 1) % 7
    one, two = model.predict(ids), model.predict(changed)
    np.testing.assert_array_equal(one[:, :4], two[:, :4])
    assert (one[:, 4:] != two[:, 4:]).any()


def test_sequences_meet_side_by_side():
    x = Input((T, D), dtype="float64")
    y = Concatenate()([Conv1D(2, 3, padding="same", seed=1)(x), x])
    assert Model(x, y).predict(normal(2, T, D)).shape == (2, T, 2 + D)


# ------------------------------------------------------------------- going on where it was left off

V = 7


def decoder(*between):
    """ids (T,) to logits (T, V) through some layers; T = 12."""
    ids = Input((12,), dtype="int32")
    x = Embedding(V, 8, dtype="float64", seed=1)(ids)
    for part in between:
        x = part(x)
    return Model(ids, Dense(V, seed=9)(x))


DECODERS = {
    "rnn": lambda: decoder(SimpleRNN(6, return_sequences=True, seed=2)),
    "lstm": lambda: decoder(
        LSTM(6, return_sequences=True, seed=2), LSTM(5, return_sequences=True, seed=3)
    ),
    "gru": lambda: decoder(GRU(6, return_sequences=True, seed=2)),
    "conv": lambda: decoder(
        Conv1D(6, 3, padding="causal", activation="relu", seed=2),
        Conv1D(5, 2, padding="causal", dilation_rate=4, seed=3),
    ),
    "rotary": lambda: decoder(
        TransformerBlock(2, causal=True, rotary=True, qk_norm=True, norm="rms", seed=2),
        TransformerBlock(2, causal=True, rotary=True, seed=7),
    ),
    "learned places": lambda: decoder(
        PositionEmbedding(seed=1), TransformerBlock(2, causal=True, seed=2)
    ),
    "waves": lambda: decoder(SinusoidalPositions(), TransformerBlock(4, causal=True, seed=2)),
}


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("cuts", [[12], [1] * 12, [5, 1, 6]], ids=str)
def test_going_on_is_as_if_all_steps_had_come_in_one(name, cuts):
    model = DECODERS[name]()
    ids = RNG.integers(0, V, (3, 12))
    whole, past, parts = model(ids), None, []
    for part in np.split(ids, np.cumsum(cuts)[:-1], axis=1):
        y, past = model.forward_from(part, past)
        parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-12, atol=1e-13)


def test_what_looks_ahead_does_not_go_on_step_by_step():
    ids = RNG.integers(0, V, (2, 12))
    for layer in (
        lambda x: MultiHeadAttention(2, 4, seed=1)(x),
        lambda x: Conv1D(4, 3, padding="same", seed=1)(x),
        lambda x: Bidirectional(GRU(4, return_sequences=True, seed=1))(x),
    ):
        model = decoder(layer)
        with pytest.raises(ValueError, match="does not go on step by step"):
            model.forward_from(ids)
    x = Input((12,), dtype="int32")
    pooled = Model(x, GlobalAveragePooling1D()(Embedding(V, 4, seed=1)(x)))
    with pytest.raises(ValueError, match="needs all steps"):
        pooled.forward_from(ids)


# --------------------------------------------------------------------------- training on sequences


def tagger(T=5, V=4):
    ids = Input((T,), dtype="int32")
    h = GRU(6, return_sequences=True, seed=2)(Embedding(V, 5, dtype="float64", seed=1)(ids))
    return Model(ids, Dense(3, "softmax", seed=3)(h))


def test_steps_that_do_not_count_change_nothing():
    """By weights (N, T), or by a label that is ignored: what stands behind an end is any number."""
    ids, labels = RNG.integers(0, 4, (12, 5)), RNG.integers(0, 3, (12, 5))
    counted = np.arange(5) < RNG.integers(1, 6, 12)[:, None]
    other = np.where(counted, labels, 2 - labels)
    loss = "sparse_categorical_crossentropy"
    ends = []
    for y, weights, which in (
        (labels, counted * 1.0, loss),
        (other, counted * 1.0, loss),
        (np.where(counted, labels, -1), None, SparseCategoricalCrossentropy(ignore_class=-1)),
    ):
        model = tagger()
        model.compile("sgd", which, metrics=["accuracy"])
        model.fit(ids, y, 12, epochs=3, verbose=0, sample_weight=weights, seed=0)
        ends.append(model.parameters.vector)
    np.testing.assert_array_equal(ends[0], ends[1])
    # the mean is over all steps there, and over those that count here
    assert np.isfinite(ends[2]).all()


def test_the_mean_over_counted_steps_is_the_same_for_any_cut():
    ids, labels = RNG.integers(0, 4, (12, 5)), RNG.integers(0, 3, (12, 5))
    labels[np.arange(5) >= RNG.integers(1, 6, 12)[:, None]] = -1
    model = tagger()
    model.compile("sgd", SparseCategoricalCrossentropy(ignore_class=-1), metrics=["accuracy"])
    y = model(ids)
    n = (labels >= 0).sum()
    total = -np.log(np.take_along_axis(y, np.maximum(labels, 0)[..., None], 2)[..., 0])
    right = (y.argmax(axis=-1) == labels)[labels >= 0].mean()
    for batch_size in (12, 5, 1):
        found = model.evaluate(ids, labels, batch_size=batch_size)
        assert found == pytest.approx([total[labels >= 0].sum() / n, right])


def test_weights_of_another_shape_are_refused():
    model = tagger()
    model.compile("sgd", "sparse_categorical_crossentropy")
    ids, labels = RNG.integers(0, 4, (12, 5)), RNG.integers(0, 3, (12, 5))
    with pytest.raises(ValueError, match=r"or \(12, 5\), a number a step"):
        model.fit(ids, labels, sample_weight=np.ones((12, 4)), verbose=0)


@pytest.mark.parametrize("cuts", [[1] * 24, [9, 1, 14]], ids=["single steps", "parts"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: TransformerBlock(4, causal=True, rotary=True, qk_norm=True, norm="rms", seed=2),
        lambda: TransformerBlock(4, activation="relu_squared", causal=True, seed=2),
        lambda: LSTM(32, return_sequences=True, seed=2),
        lambda: GRU(32, return_sequences=True, seed=2),
        lambda: Conv1D(32, 3, padding="causal", activation="relu", seed=2),
    ],
    ids=["transformer", "relu squared", "lstm", "gru", "conv"],
)
def test_on_the_kernel_going_on_has_the_bits_of_the_whole(layer, cuts):
    """Keys and values that are kept are what they would be if all were computed again."""
    if not minienc.kernel_info()["serves"]:
        pytest.skip("without the kernel a BLAS decides in which order it adds")
    ids = Input((24,), dtype="int32")
    model = Model(ids, Dense(65, seed=9)(layer()(Embedding(65, 32, seed=1)(ids))))
    x = RNG.integers(0, 65, (2, 24)).astype(np.int32)
    past, parts = None, []
    for part in np.split(x, np.cumsum(cuts)[:-1], axis=1):
        y, past = model.forward_from(part, past)
        parts.append(y)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), model(x))
