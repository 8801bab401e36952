"""fit, evaluate, predict: what they do, what they refuse, and going on where a run stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from minienc.data import Pixels, load_digits
from minienc.layers import Dense, Dropout, Input
from minienc.models import Model, Sequential
from minienc.training.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from minienc.training.step import NonFiniteError

X = np.random.default_rng(0).random((50, 6))


def autoencoder(noise=True):
    x = Input((6,))
    h = Dense(4, "relu", seed=1)(Dropout(0.2)(x) if noise else x)
    model = Model(x, Dense(6, "sigmoid", seed=2)(h))
    model.compile("adam", "binary_crossentropy", metrics=["mse"])
    return model


def test_the_seed_program_halves_its_loss():
    digits = np.asarray(load_digits().x).reshape(-1, 64)
    input_layer = Input(shape=(64,))
    hidden_layer = Dense(units=32, activation="relu", seed=0)(input_layer)
    output_layer = Dense(units=64, activation="sigmoid", seed=1)(hidden_layer)
    model = Model(input_layer, output_layer)
    model.compile(optimizer="adam", loss="binary_crossentropy")
    history = model.fit(digits, digits, epochs=20, batch_size=32, shuffle=True, verbose=0, seed=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]


def test_the_same_seed_gives_the_same_bits():
    def run(seed):
        model = autoencoder()
        history = model.fit(X, X, epochs=3, batch_size=8, verbose=0, seed=seed)
        return model.parameters.vector.tobytes(), history.history["loss"]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_run_without_a_seed_can_be_repeated_from_its_history():
    one, two = autoencoder(), autoencoder()
    seed = one.fit(X, X, epochs=2, verbose=0).seed
    two.fit(X, X, epochs=2, verbose=0, seed=seed)
    np.testing.assert_array_equal(one.parameters.vector, two.parameters.vector)


def test_validation_takes_the_last_samples_and_evaluate_agrees():
    model = autoencoder()
    seen = []
    data = X.copy()
    history = model.fit(
        data,
        data,
        epochs=2,
        validation_split=0.2,
        verbose=0,
        seed=0,
        callbacks=[LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))],
    )
    assert set(history.history) == {"loss", "mse", "val_loss", "val_mse"}
    loss, mse = model.evaluate(X[40:], X[40:])
    assert history.history["val_loss"][-1] == pytest.approx(loss, rel=1e-6)
    assert seen[-1]["val_mse"] == pytest.approx(mse, rel=1e-6)


def test_an_epoch_is_the_mean_over_its_samples():
    """With learning rate ~ 0 the logged loss is evaluate's, though the last batch is smaller."""
    model = autoencoder(noise=False)
    model.optimizer.learning_rate = 1e-30
    history = model.fit(X, X, epochs=1, batch_size=32, verbose=0)
    assert history.history["loss"][0] == pytest.approx(model.evaluate(X, X)[0], rel=1e-5)


def test_whatever_can_be_indexed_can_be_learned_from(tmp_path):
    images = (X * 255).astype(np.uint8)
    as_floats = (images * np.float32(1 / 255)).astype("float32")
    mapped = np.memmap(tmp_path / "x", dtype="float32", mode="w+", shape=X.shape)
    mapped[:] = as_floats
    results = []
    for data in (Pixels(images), as_floats, as_floats.astype("float64"), mapped):
        model = autoencoder()
        model.fit(data, data, epochs=2, verbose=0, seed=0)
        results.append(model.predict(data))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-5)


def test_predict_is_forward_in_batches():
    model = autoencoder()
    x = X.astype("float32")
    np.testing.assert_allclose(model.predict(x, batch_size=7), model(x), rtol=1e-6)


REFUSED = {
    "x is (50, 5), expected (N, 6)": lambda m: m.fit(X[:, :5], X),
    "y has samples of shape (5,), the model's output has (6,)": lambda m: m.fit(X, X[:, :5]),
    "50, 40 samples, expected the same number": lambda m: m.fit(X, X[:40]),
    "divide by 255": lambda m: m.fit(X, X * 255),
    "x has NaN or infinity in 1 of 50 rows (row 3,": lambda m: m.fit(
        np.where(np.arange(50)[:, None] == 3, np.nan, X), X
    ),
    "batch_size is 64, larger than the 50 training samples": lambda m: m.fit(X, X, batch_size=64),
    "batch_size is 0": lambda m: m.fit(X, X, batch_size=0),
    "epochs is -1": lambda m: m.fit(X, X, epochs=-1),
    "x is a list of parts of different shapes ((6,), (5,))": lambda m: m.fit(
        [*X.tolist()[:-1], [0.0] * 5], X
    ),
    "x has no samples": lambda m: m.fit(X[:0], X[:0]),
    "fit: y is missing": lambda m: m.fit(X),
    "Python objects": lambda m: m.fit(X.astype(object), X),
    "both need at least one": lambda m: m.fit(X, X, validation_split=0.001),
    "sample_weight is (50, 3)": lambda m: m.fit(X, X, sample_weight=np.ones((50, 3))),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_bad_input_is_refused_and_nothing_is_trained(sentence):
    model = autoencoder()
    before = model.parameters.vector.copy()
    with pytest.raises((ValueError, TypeError)) as refusal:
        REFUSED[sentence](model)
    assert sentence in str(refusal.value)
    np.testing.assert_array_equal(model.parameters.vector, before)


def test_labels_out_of_range_are_refused():
    model = Sequential([Input((6,)), Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="labels from 0 to 3, the model's output has 3 classes"):
        model.fit(X, np.arange(50) % 4)
    with pytest.raises(TypeError, match="expected integer labels"):
        model.fit(X, np.zeros(50))


def test_a_sequential_model_takes_the_shape_of_its_first_data():
    model = Sequential([Dense(3, "relu"), Dense(6)])
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    assert model.predict(X).shape == (50, 6)


def test_nan_stops_training_with_batch_and_layer_and_keeps_the_checkpoint(tmp_path):
    model = Sequential([Input((6,)), Dense(4, seed=0, name="first"), Dense(6, seed=1, name="last")])
    model.compile("sgd", "mse")
    path = tmp_path / "state.npz"

    def explode(epoch, rate):
        return 0.01 if epoch < 1 else 1e30

    with pytest.raises(NonFiniteError, match=r"epoch 2, batch \d+: the loss is (nan|inf)") as stop:
        model.fit(
            X,
            X,
            epochs=5,
            batch_size=10,
            verbose=0,
            seed=0,
            callbacks=[ModelCheckpoint(path), LearningRateScheduler(explode)],
        )
    assert "layer" in str(stop.value) or "weights" in str(stop.value)
    assert path.exists()


# ------------------------------------------------------------------------------------- exact resume


def callbacks(folder, **checkpoint):
    return [
        EarlyStopping(patience=3, restore_best_weights=True),
        ReduceLROnPlateau(patience=1, min_delta=1e-2),
        CSVLogger(folder / "history.csv"),
        ModelCheckpoint(folder / "state.npz", **checkpoint),
    ]


def test_a_run_resumed_after_any_batch_ends_in_the_same_bits(tmp_path):
    class Killed(Exception):
        pass

    def run(folder, stop_after=None, resume_from=None):
        folder.mkdir(exist_ok=True)
        done = [0]

        def count(batch, logs):
            done[0] += 1

        def die(batch, logs):
            if done[0] == stop_after:
                raise Killed

        model = autoencoder()
        kill = LambdaCallback(on_train_batch_end=die)
        kill.order = 4  # after the checkpoint
        history = model.fit(
            X,
            X,
            epochs=3,
            batch_size=20,
            validation_split=0.2,
            verbose=0,
            seed=5,
            callbacks=[
                *callbacks(folder, save_freq=1),
                LambdaCallback(on_train_batch_end=count),
                kill,
            ],
            resume_from=resume_from,
        )
        return model.parameters.vector.tobytes(), history.history

    undisturbed = run(tmp_path / "whole")
    for n in range(1, 6):
        folder = tmp_path / str(n)
        with pytest.raises(Killed):
            run(folder, stop_after=n)
        assert run(folder, resume_from=folder / "state.npz") == undisturbed
        one, two = (f / "history.csv" for f in (folder, tmp_path / "whole"))
        assert one.read_text() == two.read_text()


def test_another_run_s_checkpoint_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    autoencoder().fit(X, X, batch_size=10, verbose=0, seed=1, callbacks=[ModelCheckpoint(path)])
    again = [ModelCheckpoint(path)]
    for wrong, sentence in (
        (dict(batch_size=25, seed=1, callbacks=again), "batch_size=10, this one has 25"),
        (dict(batch_size=10, seed=2, callbacks=again), "seed=1, this one has 2"),
        (dict(batch_size=10, seed=1), "had the callbacks"),
    ):
        with pytest.raises(ValueError, match=sentence):
            autoencoder().fit(X, X, verbose=0, resume_from=path, **wrong)
    other = Sequential([Input((6,)), Dense(6)])
    other.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"dense_1/W is \(6, 4\), expected \(6, 6\)"):
        other.fit(X, X, batch_size=10, verbose=0, seed=1, callbacks=again, resume_from=path)


SCRIPT = """
    import sys, time, numpy as np
    from pathlib import Path
    from minienc.training.callbacks import LambdaCallback, ModelCheckpoint
    from tests.training.test_loop import X, autoencoder
    path = Path(sys.argv[1])
    model = autoencoder()

    def slowly(batch, logs):
        print(batch, flush=True)
        time.sleep(float(sys.argv[2]))

    slow = LambdaCallback(on_train_batch_end=slowly)
    model.fit(X, X, epochs=4, batch_size=10, verbose=0, seed=3,
              callbacks=[slow, ModelCheckpoint(path, save_freq=2)],
              resume_from=path if path.exists() else None)
    print(model.parameters.vector.tobytes().hex())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_interrupted_processes_resume_to_the_same_bits(tmp_path, how):
    def start(path, wait):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(path), wait]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    whole, _ = start(tmp_path / "whole.npz", "0").communicate()
    path = tmp_path / "state.npz"
    process = start(path, "0.05")
    for _ in range(8):  # the third batch of the second epoch
        process.stdout.readline()
    process.send_signal(how)
    process.communicate()
    assert process.returncode != 0
    assert path.exists()
    resumed, _ = start(path, "0").communicate()
    assert resumed.split()[-1] == whole.split()[-1]


# --------------------------------------------------------------------------------------- callbacks


def test_early_stopping_ends_with_the_best_weights():
    model = autoencoder(noise=False)
    stopping = EarlyStopping("loss", patience=2, restore_best_weights=True)
    worsen = LearningRateScheduler(lambda epoch, rate: 1e-2 if epoch < 4 else 3.0)
    history = model.fit(X, X, epochs=30, verbose=0, seed=0, callbacks=[worsen, stopping])
    losses = history.history["loss"]
    assert len(losses) == stopping.best_epoch + 3 < 30
    assert losses[stopping.best_epoch] == min(losses)
    assert model.evaluate(X, X)[0] < losses[-1]


def test_a_monitor_that_is_not_logged_is_named():
    with pytest.raises(ValueError, match=r"watches 'val_loss'.*give fit validation_data"):
        autoencoder().fit(X, X, verbose=0, callbacks=[EarlyStopping()])


def test_the_learning_rate_falls_on_a_plateau():
    model = autoencoder()
    reduce = ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=10.0)
    history = model.fit(X, X, epochs=7, verbose=0, callbacks=[reduce])
    assert history.history["learning_rate"] == [1e-3] * 3 + [5e-4] * 2 + [2.5e-4] * 2


def test_progress_in_a_log_is_plain_lines(capsys):
    autoencoder().fit(X, X, epochs=3, verbose=1, seed=0)
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in out.splitlines()] == ["1/3", "2/3", "3/3"]
    assert "left" in out
    assert "\r" not in out + err


def test_unknown_hooks_are_refused():
    with pytest.raises(TypeError, match="no hook 'on_epoch_finish'"):
        LambdaCallback(on_epoch_finish=print)
