"""At the entry of fit: what is taken, what is told at the call, and what classes weigh."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from minienc.finetuning import finetune, knn_probe, linear_probe
from minienc.layers import Activation, Conv2D, Dense, Flatten, Input
from minienc.models import Model, Sequential
from minienc.pretraining import Autoencoder
from minienc.training.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ReduceLROnPlateau,
)
from minienc.training.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from minienc.training.metrics import better
from minienc.training.optimizers import Adam
from tests.pretraining.test_methods import make

RNG = np.random.default_rng(0)
X = RNG.random((40, 5)).astype("float32")
Y = (X[:, 0] > 0.5).astype(int) + (X[:, 1] > 0.7)


def classifier(n_classes=3, **compiled):
    x = Input((5,))
    model = Model(x, Dense(n_classes, "softmax", seed=0)(x))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
    return model


def restorer():
    model = Sequential([Input((5,)), Dense(5, "sigmoid", seed=1)])
    model.compile("sgd", "mse")
    return model


# --------------------------------------------------------------------- by place, whatever it is


class Column:
    """As a pandas Series: asked for rows, it answers by its index; ``to_numpy`` is by place."""

    def __init__(self, values, index):
        self.values, self.index = values, list(index)
        self.shape, self.dtype = values.shape, values.dtype

    def __len__(self):
        return len(self.values)

    def __getitem__(self, labels):
        return self.values[[self.index.index(label) for label in np.atleast_1d(labels)]]

    def to_numpy(self):
        return self.values


@pytest.mark.parametrize("kind", ["column", "list", "column of a table", "masked"])
def test_labels_and_weights_are_taken_by_place(kind):
    make = {
        "column": lambda a: Column(a, RNG.permutation(len(a))),
        "list": lambda a: a.tolist(),
        "column of a table": lambda a: a[:, None],
        "masked": np.ma.masked_array,
    }[kind]
    weight = RNG.random(40)
    model = classifier()
    assert model.evaluate(X, make(Y)) == model.evaluate(X, Y)
    one, two = (model.evaluate(X, Y, sample_weight=w) for w in (weight, make(weight)))
    assert one == two
    kept = classifier().fit(X, Y, validation_data=(X, Y, weight), verbose=0, seed=0)
    same = classifier().fit(
        X, make(Y), validation_data=[X, make(Y), make(weight)], verbose=0, seed=0
    )
    assert kept.history == same.history
    code = Model(model.input, model.output)
    tuned = [finetune(code, X, y, epochs=2, random_state=0) for y in (Y, make(Y))]
    np.testing.assert_array_equal(tuned[0].parameters.vector, tuned[1].parameters.vector)
    for probe in (linear_probe, knn_probe):
        assert probe(None, X, make(Y), X, make(Y)) == probe(None, X, Y, X, Y)


def test_frames_are_taken_by_place():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X).sample(frac=1, random_state=0)
    x = frame.to_numpy()
    one, two = (Autoencoder((2,), epochs=1, random_state=0).fit(a) for a in (x, frame))
    np.testing.assert_array_equal(one.transform(x), two.transform(frame))
    assert one.score(x) == two.score(frame)
    model = restorer()
    np.testing.assert_array_equal(model.predict(frame), model.predict(x))
    model.fit(frame, frame, verbose=0)


def test_a_number_for_each_sample_is_a_target_of_one_output():
    model = Sequential([Input((5,)), Dense(1, "sigmoid", seed=0)])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    y = (Y > 0).astype(float)
    assert model.evaluate(X, y) == model.evaluate(X, y.tolist()) == model.evaluate(X, y[:, None])


def test_an_input_that_is_its_own_target_stays_one_array():
    one, two = restorer(), restorer()
    rows = X.tolist()
    one.fit(rows, rows, verbose=0, seed=0)
    two.fit(X, X, verbose=0, seed=0)
    np.testing.assert_array_equal(one.parameters.vector, two.parameters.vector)


BAD = {
    "complex": (X + 1j, "complex numbers"),
    "text": (X.astype(str), "holds text"),
    "NaN": (np.where(X > 0.9, np.nan, X), "NaN or infinity"),
    "beyond float32": (X.astype(float) * 1e39, "float32 ends at 3.4e+38"),
    "masked": (np.ma.masked_greater(X, 0.9), "masked"),
    "a dict": ({"x": X}, "is a dict"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_finite_number_in_the_model_s_dtype_is_refused_everywhere(kind):
    bad, sentence = BAD[kind]
    model, method = restorer(), Autoencoder((2,), epochs=1, loss="mse").fit(X)
    calls = [
        lambda: model.fit(bad, X),
        lambda: model.fit(X, bad),
        lambda: model.fit(X, X, validation_data=(X, bad)),
        lambda: model.evaluate(bad, X),
        lambda: model.evaluate(X, bad),
        lambda: model.predict(bad),
        lambda: method.fit(bad),
        lambda: method.fit(X, validation_data=bad),
        lambda: method.transform(bad),
        lambda: method.score(bad),
        lambda: finetune(method.encoder_, bad, Y),
        lambda: linear_probe(None, bad, Y, X, Y),
        lambda: knn_probe(method, X, Y, bad, Y),
    ]
    for call in calls:
        with pytest.raises((TypeError, ValueError)) as refusal:
            call()
        assert sentence in str(refusal.value)


# ------------------------------------------------------------------------- told at the call

TOLD = {
    "callbacks is an EarlyStopping, expected a list": dict(callbacks=EarlyStopping("loss")),
    "callbacks has the class EarlyStopping": dict(callbacks=[EarlyStopping]),
    "validation_data is an ndarray, expected (x, y)": dict(validation_data=X),
    "validation_data is a tuple of 4": dict(validation_data=(X, X, X, X)),
    "x of validation_data is (40, 4)": dict(validation_data=(X[:, :4], X)),
    "validation_split is '0.1'": dict(validation_split="0.1"),
    "epochs is '3'": dict(epochs="3"),
    "initial_epoch is -1": dict(initial_epoch=-1),
    "seed is 'a'": dict(seed="a"),
    "verbose is 'loud'": dict(verbose="loud"),
    "batch_size is 2.5": dict(batch_size=2.5),
    "class_weight is for targets that are classes": dict(class_weight={0: 1.0}),
}


@pytest.mark.parametrize("sentence", TOLD)
def test_wrong_arguments_are_told_before_anything_is_trained(sentence):
    model = restorer()
    before = model.parameters.vector.copy()
    with pytest.raises((TypeError, ValueError)) as refusal:
        model.fit(X, X, **TOLD[sentence])
    assert sentence in str(refusal.value)
    np.testing.assert_array_equal(model.parameters.vector, before)


def test_more_wrong_arguments():
    model, method = restorer(), Autoencoder((2,), epochs=1)
    for call in (lambda: model.predict(X, batch_size=0), lambda: model.evaluate(X, X, 0)):
        with pytest.raises(ValueError, match="batch_size is 0"):
            call()
    with pytest.raises(TypeError, match="callbacks is an EarlyStopping, expected a list"):
        method.fit(X, callbacks=EarlyStopping("loss"))
    with pytest.raises(ValueError, match="validation_data has samples of"):
        method.fit(X, validation_data=X[:, :3])
    with pytest.raises(ValueError, match=r"np\.expand_dims\(x, 0\) is a batch"):
        model.predict(X[0])
    assert model.predict(np.expand_dims(X[0], 0)).shape == (1, 5)
    with pytest.raises(ValueError, match=r"reshape\(1, -1\) for one sample of 5 numbers"):
        method.fit(X).transform(X[0])
    assert method.transform(X[0].reshape(1, -1)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"np\.asarray\(X\)\.reshape\(1, -1\)"):
        method.transform(X[0].tolist())
    with pytest.raises(ValueError, match=r"expected a list, metrics=\[...\]"):
        model.compile("sgd", "mse", metrics="mae")
    with pytest.raises(ValueError, match=r"or an optimizer: Adam\(\)"):
        model.compile(Adam, "mse")
    assert model.fit(X, X, callbacks=None, verbose=0).epoch == [0]


def test_capitals_do_not_matter_in_names():
    model = Sequential([Input((5,)), Dense(5, "ReLU", kernel_initializer="Zeros")])
    assert model.layers[0].activation == "relu"
    model.compile("Adam", "MSE", metrics=["MAE"])
    assert list(model.fit(X, X, verbose=0).history) == ["loss", "mae"]
    assert Activation("Softmax").activation == Conv2D(1, 1, activation="SOFTMAX").activation
    with pytest.raises(ValueError, match="activation is 'Rely'"):
        Dense(2, "Rely")


def test_one_weight_for_all_outputs_weighs_all_of_them():
    x = Input((5,))
    model = Model(x, [Dense(5, seed=0)(x), Dense(5, seed=1)(x)])
    model.compile("sgd", ["mse", "mse"])
    w = RNG.random(40)
    both = model.evaluate(X, [X, X], sample_weight=[w, w])
    assert model.evaluate(X, [X, X], sample_weight=w) == both
    with pytest.raises(ValueError, match="sample_weight has 3 arrays"):
        model.evaluate(X, [X, X], sample_weight=[w, w, w])


# --------------------------------------------------------------------------------- class weights


@pytest.mark.parametrize("form", ["labels", "rows"])
def test_a_class_weight_is_the_weight_of_its_samples(form):
    given = {0: 0.5, 2: 4}
    weights, own = np.array([0.5, 1, 4])[Y], RNG.random(40)
    y, loss = (
        (Y, "sparse_categorical_crossentropy")
        if form == "labels"
        else (
            np.eye(3)[Y],
            "categorical_crossentropy",
        )
    )
    results = []
    for how in (
        dict(class_weight=given, sample_weight=own),
        dict(sample_weight=weights * own),
    ):
        model = classifier()
        model.compile("sgd", loss)
        model.fit(X, y, epochs=2, verbose=0, seed=0, **how)
        results.append(model.parameters.vector.copy())
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_balanced_classes_weigh_the_same_in_sum_and_validation_is_as_it_was():
    counts = np.bincount(Y)
    balanced = {k: 40 / (3 * n) for k, n in enumerate(counts)}
    histories = [
        classifier().fit(X, Y, validation_split=0.25, verbose=0, seed=0, class_weight=w).history
        for w in ("balanced", balanced)
    ]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-6)
    model = classifier()
    val = model.fit(X, Y, validation_split=0.25, verbose=0, seed=0, class_weight=balanced)
    assert val.history["val_loss"][0] == pytest.approx(model.evaluate(X[30:], Y[30:])[0], rel=1e-6)


def test_fine_tuning_takes_weights():
    x = Input((5,))
    encoder = Model(x, Dense(3, "tanh", seed=0)(x))
    rare = np.where(Y == 2, 50.0, 1.0)
    by_class = finetune(encoder, X, Y, epochs=3, random_state=0, class_weight={2: 50.0})
    by_sample = finetune(encoder, X, Y, epochs=3, random_state=0, sample_weight=rare)
    np.testing.assert_allclose(by_class.parameters.vector, by_sample.parameters.vector, rtol=1e-5)


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [([1, 2, 3], "expected a dict"), ({"a": 1}, "'a': 1"), ({0: -1}, "0: -1")],
)
def test_wrong_class_weights_are_refused(weight, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        classifier().fit(X, Y, class_weight=weight)


# ------------------------------------------------------------------------ what cannot work, says so


def head(activation, units=3):
    x = Input((5,))
    return Model(x, Dense(units, activation)(x))


WARNED = {
    "linear softmax": (head(None), "sparse_categorical_crossentropy", 'activation="softmax"'),
    "relu softmax": (head("relu"), "categorical_crossentropy", 'activation="softmax"'),
    "sigmoid softmax": (head("sigmoid"), "sparse_categorical_crossentropy", "softmax"),
    "linear sigmoid": (head(None), "binary_crossentropy", 'activation="sigmoid"'),
    "tanh sigmoid": (head("tanh"), "binary_crossentropy", 'activation="sigmoid"'),
    "linear divergence": (head(None), "kl_divergence", 'activation="softmax"'),
    "one softmax": (head("softmax", 1), "binary_crossentropy", "always 1"),
    "twice": (head("softmax"), SparseCategoricalCrossentropy(from_logits=True), "already"),
    "sigmoid twice": (head("sigmoid"), BinaryCrossentropy(from_logits=True), "already"),
    "behind a flatten": (
        Sequential([Input((2, 5)), Dense(3), Flatten()]),
        "sparse_categorical_crossentropy",
        "softmax",
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_a_loss_that_does_not_fit_its_output_is_warned_of(name):
    model, loss, mend = WARNED[name]
    with pytest.warns(UserWarning) as caught:
        model.compile("sgd", loss)
    assert len(caught) == 1 and mend in str(caught[0].message)
    assert caught[0].filename == __file__


def test_what_fits_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for activation, loss in [
            ("softmax", "sparse_categorical_crossentropy"),
            ("softmax", "binary_crossentropy"),
            ("sigmoid", "binary_crossentropy"),
            (None, SparseCategoricalCrossentropy(from_logits=True)),
            (None, BinaryCrossentropy(from_logits=True)),
            (None, "mse"),
            ("tanh", "mae"),
        ]:
            head(activation).compile("sgd", loss)
        x = Input((5,))
        Model(x, Activation("softmax")(Dense(3)(x))).compile(
            "sgd", "sparse_categorical_crossentropy"
        )


# --------------------------------------------------------------------------------- which way is up


@better(greater=True)
def likeness(target, y):
    return -((y - target) ** 2).mean(axis=1)


def unmarked(target, y):
    return ((y - target) ** 2).mean(axis=1)


@pytest.mark.parametrize("monitor", ["loss", "mse", "likeness", "val_likeness", "val_mae"])
def test_auto_asks_the_metric_which_way_is_better(monitor):
    model = restorer()
    model.compile("sgd", "mse", metrics=["mse", "mae", likeness])
    stopping = EarlyStopping(monitor, patience=2)
    history = model.fit(X, X, epochs=4, verbose=0, validation_data=(X, X), callbacks=[stopping])
    values = history.history[monitor]
    assert len(values) == 4 and stopping.best_epoch == 3  # each epoch was better than the last
    assert (values[-1] > values[0]) == ("likeness" in monitor)


def test_a_metric_that_does_not_say_needs_a_mode():
    model = restorer()
    model.compile("sgd", "mse", metrics=[unmarked])
    with pytest.raises(ValueError, match=r"watches 'unmarked'.*mode=\"max\" or mode=\"min\""):
        model.fit(X, X, verbose=0, callbacks=[EarlyStopping("unmarked")])
    model.fit(X, X, verbose=0, callbacks=[EarlyStopping("unmarked", mode="min")])


# ------------------------------------------------------------------------ rates of 0, and histories


def test_a_warm_up_may_begin_at_a_rate_of_0():
    model = restorer()
    before = model.parameters.vector.copy()
    warm_up = LearningRateScheduler(lambda epoch, rate: 0.1 * epoch)
    history = model.fit(X, X, epochs=1, verbose=0, callbacks=[warm_up])
    np.testing.assert_array_equal(model.parameters.vector, before)
    assert history.history["learning_rate"] == [0.0]
    model.fit(X, X, initial_epoch=1, epochs=2, verbose=0, callbacks=[warm_up])
    assert not np.array_equal(model.parameters.vector, before)


class StopAfter(Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs):
        if epoch + 1 == self.epochs:
            raise KeyboardInterrupt


def test_an_interrupted_run_keeps_its_history():
    model = restorer()
    assert model.history is None
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, X, epochs=9, verbose=0, callbacks=[StopAfter(3)])
    assert len(model.history.history["loss"]) in (2, 3)
    assert model.history.trainer.data is None  # the samples are not kept
    method = Autoencoder((2,), epochs=9)
    with pytest.raises(KeyboardInterrupt):
        method.fit(X, callbacks=[StopAfter(3)])
    assert len(method.history_["loss"]) in (2, 3)


def test_gradual_fine_tuning_begins_each_stage_afresh_and_keeps_the_whole_history():
    x = Input((5,))
    encoder = Model(x, Dense(3, "tanh", seed=1)(Dense(4, "tanh", seed=0)(x)))
    stopping = EarlyStopping("loss", min_delta=1e9, patience=1)
    model = finetune(encoder, X, Y, mode="gradual", epochs=9, callbacks=[stopping], random_state=0)
    assert model.history.epoch == [0, 1, 3, 4, 6, 7]  # every stage waits anew
    assert len(model.history.history["accuracy"]) == 6


# ---------------------------------------------------------------------------------- callbacks again


def test_a_callback_begins_afresh_with_each_run():
    stopping = EarlyStopping("loss", min_delta=1e9, patience=2, restore_best_weights=True)
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=1e9)
    for seed in (0, 1):
        x = Input((5,))
        model = Model(x, Dense(5, seed=seed)(x))
        model.compile("sgd", "mse")
        history = model.fit(X, X, epochs=9, verbose=0, seed=0, callbacks=[stopping, plateau])
        assert history.history["learning_rate"] == [0.01, 0.01, 0.01]
        assert stopping.best_epoch == 0
        first = Model(x, Dense(5, seed=seed)(x))  # the best weights are this model's own
        first.compile("sgd", "mse")
        first.fit(X, X, epochs=1, verbose=0, seed=0)
        np.testing.assert_array_equal(model.get_weights()[0], first.get_weights()[0])


@pytest.mark.parametrize("name", ["stacked", "dbn", "dec"])
def test_a_callback_begins_afresh_with_each_stage(name):
    begun = []

    class Counting(EarlyStopping):
        def on_epoch_end(self, epoch, logs):
            begun.append(epoch)
            super().on_epoch_end(epoch, logs)

    stopping = Counting("loss", min_delta=1e9, patience=1)
    method = make(name, epochs=5, epochs_per_layer=5)
    if name == "dec":
        method.set_params(pretraining_epochs=5)
    method.fit(RNG.random((60, 8)), callbacks=[stopping])
    n_stages = begun.count(0)
    assert n_stages >= 3 and begun == [0, 1] * n_stages  # each waits for as long as the first
