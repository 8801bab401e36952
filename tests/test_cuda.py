"""The functions for a GPU are their definitions, and a recorded step is the step: on a stand-in.

``cuda_double`` says what it stands in for, and how strict it is.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import minienc
from minienc import gallery, plots
from minienc import primitive as module
from minienc.arrays import device_of, to_device
from minienc.functions import dense_forward, sum_of_squares
from minienc.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dropout,
    GaussianNoise,
    Input,
    SpectralNormalization,
)
from minienc.models import Model
from minienc.pretraining import METHODS
from minienc.primitive import REGISTRY
from minienc.training.callbacks import Callback, ModelCheckpoint
from minienc.training.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from minienc.training.schedules import ExponentialDecay
from minienc.training.step import NonFiniteError
from tests import cuda_double as double
from tests.cases import all_cases, call
from tests.functions.test_gradients import cotangent
from tests.pretraining.test_methods import make as make_method

pytestmark = pytest.mark.skipif(
    shutil.which("g++") is None or sys.platform != "linux",
    reason="the stand-in compiles its kernels with g++, on Linux",
)
TOLERANCE = {"float32": 5e-6, "float64": 1e-13}


@pytest.fixture(scope="module", autouse=True)
def cupy():
    """The stand-in, for all tests of this file."""
    with double.installed() as cupy:
        yield cupy


def over(x: Any) -> Any:
    """Arrays (also those in a tuple) brought to the stand-in."""
    if isinstance(x, tuple):
        return tuple(map(over, x))
    return double.asarray(x) if isinstance(x, np.ndarray) else x


def back(x: Any) -> Any:
    return x.get() if isinstance(x, double.ndarray) else np.asarray(x)


def served() -> dict:
    return module._fast_of_type[double.ndarray]


def cast(x: Any, dtype: str) -> Any:
    return x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def assert_same(one: Any, two: Any, dtype: str) -> None:
    assert (one is None) == (two is None)
    if one is None:
        return
    one, two = back(one), np.asarray(two)
    assert one.dtype == two.dtype and one.shape == two.shape
    scale = max(1.0, float(np.abs(two).max(initial=0)))
    np.testing.assert_allclose(one, two, rtol=0, atol=TOLERANCE[dtype] * scale)


def compare(name: str, arguments: tuple, options: dict, dtype: str, on_host: Any) -> None:
    """A pair on the stand-in against the definitions on the host."""
    forward, arguments = REGISTRY[name], tuple([cast(a, dtype) for a in arguments])
    y, cache = call(forward, over(arguments), options)
    with on_host():
        y_expected, expected_cache = call(forward, arguments, options)
    dy = np.asarray(cotangent(y_expected, np.random.default_rng(1)), dtype=y_expected.dtype)
    gradients = forward.backward(over(dy), cache)
    with on_host():
        expected = forward.backward(dy, expected_cache)
    assert_same(y, y_expected, dtype)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for one, two in zip(gradients, expected, strict=True):
        assert_same(one, two, dtype)


@pytest.fixture
def on_host(monkeypatch):
    """A context in which no faster function is asked: the definitions run."""
    from contextlib import contextmanager

    @contextmanager
    def closed():
        with monkeypatch.context() as patch:
            patch.setattr(module, "_fast", {})
            yield

    return closed


# ----------------------------------------------------------------------------- every function

PAIRS = sorted(
    name
    for name in (
        *(f"{a}_forward" for a in ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus")),
        *("gelu_forward", "softmax_forward", "dense_forward", "mean_squared_error_forward"),
        *("binary_crossentropy_forward", "categorical_crossentropy_forward"),
        "sparse_categorical_crossentropy_forward",
    )
)


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_is_its_definition(name, dtype, on_host, monkeypatch):
    declined = []
    for half in (name, name.replace("forward", "backward")):
        function = served()[half]

        def watched(*args, _function=function, **kwargs):
            result = _function(*args, **kwargs)
            declined.append(result is NotImplemented)
            return result

        monkeypatch.setitem(served(), half, watched)
    for arguments, options in all_cases(name):
        compare(name, arguments, options, dtype, on_host)
        if "ignore_class" in options or "label_smoothing" in options:  # for the definition
            declined.clear()
        assert not any(declined)


def test_every_function_that_is_registered_is_compared_here():
    steps = {name for name in served() if name.endswith("_step")} | {"sum_of_squares"}
    pairs = set(PAIRS) | {n.replace("forward", "backward") for n in PAIRS}
    second = {n for n in served() if n.endswith("_into")}  # tests/test_second_entries.py
    assert set(served()) == steps | pairs | second


@pytest.mark.parametrize("activation", ["relu", "gelu", "leaky_relu", "identity"])
@pytest.mark.parametrize("N, D, M", [(1, 1, 1), (300, 5, 70), (1000, 3, 33), (7, 40, 300)])
def test_dense_of_sizes_that_take_several_blocks(N, D, M, activation, on_host):
    rng = np.random.default_rng(N)
    arrays = rng.standard_normal((N, D)), rng.standard_normal((D, M)), rng.standard_normal(M)
    for dtype in sorted(TOLERANCE):
        compare("dense_forward", arrays, {"activation": activation}, dtype, on_host)
        compare("dense_forward", arrays[:2], {"activation": activation}, dtype, on_host)


@pytest.mark.parametrize("name", [n for n in PAIRS if "entropy" in n or "squared" in n])
def test_losses_of_rows_longer_than_a_block(name, on_host):
    rng = np.random.default_rng(0)
    y = rng.uniform(0.01, 0.99, (20, 700))
    target = rng.integers(0, 700, 20) if "sparse" in name else rng.uniform(0, 1, (20, 700))
    for logits in ({},) if "squared" in name else ({}, {"from_logits": True}):
        for scale in (1, 100) if logits else (1,):
            compare(name, (scale * (y - 0.5 * bool(logits)), target), logits, "float64", on_host)


def test_gradients_are_added_where_they_lie_and_what_is_not_asked_for_is_left_out(on_host):
    rng = np.random.default_rng(0)
    x, W, b = rng.standard_normal((6, 4)), rng.standard_normal((5, 4)), rng.standard_normal(5)
    dy, before = rng.standard_normal((6, 5)), (rng.standard_normal((5, 4)), rng.standard_normal(5))
    for write in (False, True):
        found = []
        for bring in (over, lambda a: a):
            totals = tuple([bring(a.copy()) for a in before])
            _, cache = dense_forward(bring(x), bring(W).T, bring(b), "tanh")  # W' of tied weights
            into, backward = (totals[0].T, totals[1]), dense_forward.backward
            dx = backward.into(bring(dy), cache, into, write, True)
            found.append([back(dx), *map(back, totals)])
            assert backward.into(bring(dy), cache, None, write, False) is None
        for one, two in zip(*found, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-13)


def test_nan_stays_nan(on_host):
    x = np.array([[np.nan, 1.0, -1.0]])
    for activation in ("relu", "elu", "sigmoid", "gelu", "softplus", "softmax"):
        y, _ = REGISTRY[f"{activation}_forward"](over(x))
        with on_host():
            expected, _ = REGISTRY[f"{activation}_forward"](x)
        np.testing.assert_array_equal(np.isnan(back(y)), np.isnan(expected))


# ---------------------------------------------------------------------------------- two GPUs


@pytest.mark.parametrize("name", [n for n in PAIRS if "softmax_" not in n])
def test_arrays_of_two_gpus_are_refused_by_name(name):
    """Whichever argument is elsewhere; and arrays of the host are."""
    forward = REGISTRY[name]
    arguments, options = all_cases(name)[0]
    places = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)]
    for i in places[1:]:
        for elsewhere, move in (("cuda:1", lambda a: to_device(a, "cuda:1")), ("cpu", lambda a: a)):
            given = [move(a) if k == i else over(a) for k, a in enumerate(arguments)]
            with pytest.raises(TypeError, match=rf"\w+ lives on cuda:0, \w+ on {elsewhere};"):
                call(forward, tuple(given), options)


def test_arrays_move_between_gpus(cupy):
    x = np.arange(6.0).reshape(2, 3)
    one = to_device(x, "cuda:1")
    assert device_of(one) == "cuda:1" and to_device(one, "cuda:1") is one
    zero = to_device(one, "cuda")
    assert device_of(zero) == "cuda:0" and zero._values is not one._values
    for moved in (one, zero):
        np.testing.assert_array_equal(to_device(moved, "cpu"), x)
    with pytest.raises(
        ValueError, match=r"'cuda:7', and the GPUs here are cuda:0 \(a double\), cu"
    ):
        to_device(x, "cuda:7")
    with pytest.raises(ValueError, match="device is 'cuda:x', expected"):
        to_device(x, "cuda:x")


@pytest.mark.parametrize("name", ["adam", "momentum, clipped", "two noises", "batch normalisation"])
def test_training_on_the_second_gpu(name, tmp_path):
    """All of it is there, whatever GPU is the current one; and files know of no place."""
    make, x = MODELS[name], data()
    host, expected = trained(make, "cpu", x, epochs=4)
    for given in (x, over(x), to_device(x, "cuda:1")):
        found, model = trained(make, "cuda:1", given, epochs=4, validation_data=(given, given))
        assert model.device == "cuda:1"
        for array in (model.parameters.vector, *model.optimizer.remembered.values()):
            assert device_of(array) == "cuda:1"
        np.testing.assert_allclose(found["loss"], host["loss"], rtol=1e-10)
        y = model.predict(given)
        assert type(y) is type(given) and device_of(y) == device_of(given)
        np.testing.assert_allclose(back(y), expected.predict(x), rtol=1e-10)
        assert model.evaluate(given, given) == pytest.approx(expected.evaluate(x, x), rel=1e-10)
    model.save(tmp_path / "model.npz")
    for device in ("cpu", "cuda", "cuda:1"):
        loaded = minienc.load_model(tmp_path / "model.npz").to(device)
        np.testing.assert_allclose(back(loaded.predict(x)), expected.predict(x), rtol=1e-10)


@pytest.mark.parametrize("way", ["cpu to cuda", "cuda to cpu", "cuda to cuda:1", "cuda:1 to cuda"])
def test_a_checkpoint_goes_on_elsewhere(way, tmp_path):
    (first, then), path, x = way.split(" to "), tmp_path / "checkpoint.npz", data()
    make = MODELS["two noises"]
    whole, _ = trained(make, "cpu", x, epochs=4)
    trained(make, first, x, epochs=2, callbacks=[ModelCheckpoint(path)])
    rest = {"epochs": 4, "callbacks": [ModelCheckpoint(path)], "resume_from": path}
    found, model = trained(make, then, x, **rest)
    assert model.device == {"cuda": "cuda:0"}.get(then, then)
    np.testing.assert_allclose(found["loss"], whole["loss"], rtol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_pretraining_on_the_second_gpu(name, monkeypatch):
    """And all that is asked of a method then; samples come from there, or from elsewhere."""
    monkeypatch.setattr(plots, "image_grid", lambda rows, image_shape: rows)
    x, y = data(20, 8), np.arange(20) % 2
    how = dict(epochs=1, dtype="float64")
    here = make_method(name, **how).fit(x)
    for given, device in ((over(x), "cuda:1"), (to_device(x, "cuda:1"), None)):
        there = make_method(name, **how, device=device).fit(given, validation_data=given)
        assert there.model_.device == "cuda:1"
        codes = there.transform(given)
        assert device_of(codes) == device_of(given)
        np.testing.assert_allclose(back(codes), here.transform(x), rtol=1e-8, atol=1e-8)
    assert there.score(given) == pytest.approx(here.score(x), rel=1e-8)
    found = told(there, to_device(x[:2], "cuda:1"), y[:2])
    for key, values in told(here, x[:2], y[:2]).items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6, atol=1e-8, err_msg=key)
    images = x[:2].reshape(2, 4, 2)
    for one, two in zip(*(gallery.pictures(m, images) for m in (there, here)), strict=True):
        assert one.caption == two.caption
        if isinstance(two.figure, list):
            for (_, found), (_, expected) in zip(one.figure, two.figure, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def told(method: Any, x: Any, y: np.ndarray) -> dict[str, Any]:
    """What a method says of samples, and what it makes."""
    found = dict(gallery.measures(method, x, y))
    for name in ("predict", "memberships", "tokens", "free_energy", "kl_per_dimension", "jacobian"):
        if hasattr(method, name):
            found[name] = back(getattr(method, name)(x))
    if hasattr(method, "sample"):
        found["sample"] = method.sample(2)
    return found


# ----------------------------------------------------------------------------- matrix products


def test_products_of_all_layouts():
    from minienc.fast.cublas import matmul

    rng = np.random.default_rng(0)
    for N, D, M in [(3, 4, 5), (1, 4, 1), (3, 1, 1), (1, 1, 1), (0, 3, 2), (2, 0, 3)]:
        for dtype in ("float32", "float64"):
            A, B = rng.standard_normal((N, D)), rng.standard_normal((D, M))
            ways = [
                lambda a: a,
                lambda a: np.ascontiguousarray(a.T).T,
                lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1)[::2, ::2],
                lambda a: np.pad(a, ((0, 2), (0, 3)))[: len(a), : a.shape[1]],
            ]
            for way_a in ways:
                for way_b in ways:
                    for way_out in ways:
                        a, b = way_a(A.astype(dtype)), way_b(B.astype(dtype))
                        out = way_out(np.ones((N, M), dtype))
                        given = [double.ndarray(v) for v in (a, b, out)]
                        matmul(*given, add=True)
                        assert_same(given[2], 1 + a @ b, dtype)
                        matmul(*given)
                        assert_same(given[2], a @ b, dtype)


def test_tf32_is_off_until_it_is_turned_on(cupy):
    from minienc.fast import cublas

    a = over(np.ones((2, 2), "float32"))
    cublas.matmul(a, a)
    assert cupy.cublas_library.modes[-1] == 0
    minienc.set_tf32(True)
    cublas.matmul(a, a)
    assert cupy.cublas_library.modes[-1] == 3
    minienc.set_tf32(False)
    cublas.matmul(a, a)
    assert cupy.cublas_library.modes[-1] == 0
    with pytest.raises(TypeError, match="set_tf32"):
        minienc.set_tf32(1)


# ------------------------------------------------------------------------------------ the steps

STEPS = [
    ("sgd_step", 0, {}),
    ("sgd_step", 1, {"momentum": 0.9}),
    ("sgd_step", 1, {"momentum": 0.9, "nesterov": True}),
    ("rmsprop_step", 2, {}),
    ("rmsprop_step", 2, {"momentum": 0.5}),
    ("adagrad_step", 1, {}),
    ("adam_step", 2, {"step": 3}),
    ("adamw_step", 2, {"step": 1, "weight_decay": 0.1}),
]


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize("name, n_remembered, options", STEPS)
def test_a_step_is_its_definition_also_with_numbers_of_the_gpu(name, n_remembered, options, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.1, 1, 5000).astype(dtype) for _ in range(2 + n_remembered)]
    arrays += [None] if name == "sgd_step" and not n_remembered else []
    expected = [None if a is None else a.copy() for a in arrays]
    REGISTRY[name].definition(*expected, learning_rate=0.01, **options, scale=0.5)
    for bring in (float, lambda x: over(np.array(x))):
        given = [over(None if a is None else a.copy()) for a in arrays]
        numbers = {k: bring(v) if k == "step" else v for k, v in options.items()}
        scale = 0.5 if bring is float else over(np.array(0.5, dtype))
        REGISTRY[name](*given, learning_rate=bring(0.01), **numbers, scale=scale)
        for one, two in zip(given, expected, strict=True):
            assert_same(one, two, dtype)
    given = [over(None if a is None else a.copy()) for a in arrays]
    REGISTRY[name](*given, learning_rate=over(np.array(np.nan)), **options)
    for one, two in zip(given, arrays, strict=True):  # no rate: no step
        if one is not None:
            np.testing.assert_array_equal(back(one), two)


def test_the_sum_of_squares():
    for n in (1, 255, 20_000):
        g = np.random.default_rng(n).standard_normal(n)
        assert_same(sum_of_squares(over(g)), np.asarray((g * g).sum()), "float64")


# ------------------------------------------------------------------------------------- training


def network(*middle: Any, loss: Any = "mse", dtype: str = "float64", **how: Any) -> Model:
    D = 6
    inputs = Input(shape=(D,), dtype=dtype)
    tensor = Dense(9, activation="tanh", seed=1)(inputs)
    for layer in middle:
        tensor = layer(tensor)
    model = Model(inputs, Dense(D, activation="sigmoid", seed=2)(tensor))
    model.compile(loss=loss, **how)
    return model


def data(n: int = 22, D: int = 6) -> np.ndarray:
    return np.random.default_rng(5).uniform(0, 1, (n, D))


class Plain:
    """Training on the stand-in without a graph."""

    def __enter__(self):
        from minienc.fast import graphs

        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(graphs, "PLAIN_STEPS", 10**9)

    def __exit__(self, *_):
        self.patch.undo()


def trained(make: Any, device: str, x: Any, y: Any = None, **how: Any) -> tuple[Any, Model]:
    model = make().to(device)
    how = {"epochs": 4, "batch_size": 5, "verbose": 0, "seed": 3} | how
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a step that is not recorded says so
        history = model.fit(x, x if y is None else y, **how)
    return history.history, model


MODELS = {
    "adam": lambda: network(optimizer=Adam(0.01)),
    "binary crossentropy": lambda: network(optimizer=Adam(0.01), loss="binary_crossentropy"),
    "metrics": lambda: network(optimizer="adam", metrics=["mae"]),
    "momentum, clipped": lambda: network(optimizer=SGD(0.1, 0.9, global_clipnorm=1e-2)),
    "rmsprop": lambda: network(optimizer=RMSprop(0.01)),
    "adagrad": lambda: network(optimizer=Adagrad(0.01)),
    "adamw, schedule": lambda: network(optimizer=AdamW(ExponentialDecay(0.05, 2, 0.8))),
    "dropout": lambda: network(Dropout(0.3), optimizer="adam"),
    "two noises": lambda: network(GaussianNoise(0.2), Dropout(0.2), optimizer="adam"),
    "batch normalisation": lambda: network(BatchNormalization(), optimizer="adam"),
    "float32": lambda: network(optimizer="adam", dtype="float32"),
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_recorded_step_trains_as_a_plain_one_and_as_the_host(name):
    make, x = MODELS[name], data()
    before = double.Graph.launches
    replayed, model = trained(make, "cuda", x)
    launches = double.Graph.launches - before
    assert launches >= 14  # of 20: two plain steps for whole batches, two for odd ones
    with Plain():
        plain, other = trained(make, "cuda", x)
    assert double.Graph.launches == before + launches
    assert replayed == plain  # to the bit
    np.testing.assert_array_equal(back(model.parameters.vector), back(other.parameters.vector))
    host, third = trained(make, "cpu", x)
    tolerance = 1e-4 if name == "float32" else 1e-10
    for key, values in host.items():
        np.testing.assert_allclose(replayed[key], values, rtol=tolerance)
    np.testing.assert_allclose(
        back(model.parameters.vector), third.parameters.vector, rtol=tolerance, atol=tolerance
    )


def test_labels_sample_weights_and_validation():
    def make():
        inputs = Input(shape=(6,), dtype="float64")
        model = Model(inputs, Dense(3, activation="softmax", seed=1)(inputs))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    x, y = data(), np.arange(22) % 3
    how = {"sample_weight": np.linspace(0, 1, 22), "validation_data": (x[:7], y[:7])}
    replayed, _ = trained(make, "cuda", x, y, **how)
    host, _ = trained(make, "cpu", x, y, **how)
    for key, values in host.items():
        np.testing.assert_allclose(replayed[key], values, rtol=1e-10)


def test_data_that_is_on_the_gpu_already_stays_there():
    make = MODELS["adam"]
    replayed, _ = trained(make, "cuda", over(data()))
    host, _ = trained(make, "cpu", data())
    np.testing.assert_allclose(replayed["loss"], host["loss"], rtol=1e-10)


def test_the_next_batch_is_on_its_way_while_this_one_computes(monkeypatch):
    from minienc.fast.graphs import GraphPipeline

    log = []

    class Watched:
        """A number of the device that says when somebody looks at it."""

        def __init__(self, number):
            self.number = number

        def __float__(self):
            log.append("look")
            return float(self.number)

    upload, compute = GraphPipeline.upload, GraphPipeline.compute
    monkeypatch.setattr(GraphPipeline, "upload", lambda *a: (log.append("upload"), upload(*a))[1])
    monkeypatch.setattr(
        GraphPipeline,
        "compute",
        lambda *a: (log.append("compute"), tuple(map(Watched, compute(*a))))[1],
    )
    trained(MODELS["adam"], "cuda", data(15), epochs=1)
    assert " ".join(log) == "upload compute upload look compute upload look compute look"


class LearnsSlower(Callback):
    """Changes the learning rate from outside, and stops early."""

    def on_epoch_end(self, epoch, logs):
        self.trainer.model.optimizer.learning_rate /= 2
        self.trainer.stop_training = epoch == 2


def test_callbacks_change_the_rate_and_stop():
    results = [
        trained(MODELS["adam"], device, data(), epochs=9, callbacks=[LearnsSlower()])[0]
        for device in ("cuda", "cpu")
    ]
    assert len(results[0]["loss"]) == 3
    np.testing.assert_allclose(results[0]["loss"], results[1]["loss"], rtol=1e-10)


class GathersAgain(Callback):
    """Another model gathers the weights, so that they move; and the optimiser's state is loaded."""

    def on_epoch_end(self, epoch, logs):
        model = self.trainer.model
        if epoch == 1:
            encoder = Model(model.input, model.output.node.inputs[0])
            assert encoder.parameters.vector is not None
        if epoch == 2:
            model.optimizer.load_state_dict(
                {
                    k: v.copy() if hasattr(v, "copy") else v
                    for k, v in model.optimizer.state_dict().items()
                }
            )


def test_weights_that_move_are_found_where_they_are():
    before = double.Graph.launches
    results = [
        trained(MODELS["adam"], device, data(), epochs=6, callbacks=[GathersAgain()])
        for device in ("cuda", "cpu")
    ]
    assert double.Graph.launches - before == 6 + 2 + 11  # of 10, 5 and 15 steps
    np.testing.assert_allclose(results[0][0]["loss"], results[1][0]["loss"], rtol=1e-10)


def test_a_loss_that_is_not_finite_leaves_everything_as_it_was():
    x = data(30)
    x[-1, 0] = 1e200  # its square is not finite: the last batch of the first epoch
    model = network(optimizer=Adam(0.01)).to("cuda")
    weights = []

    class Watch(Callback):
        def on_train_batch_end(self, batch, logs):
            weights.append(back(self.trainer.model.parameters.vector))

    with pytest.raises(NonFiniteError, match="batch 6"):
        model.fit(x, x, batch_size=5, shuffle=False, verbose=0, callbacks=[Watch()], seed=0)
    assert len(weights) == 5 and model.optimizer.iterations == 5
    np.testing.assert_array_equal(back(model.parameters.vector), weights[-1])
    assert all(np.isfinite(back(v)).all() for v in model.optimizer.remembered.values())


def test_a_convolution_is_recorded():
    def make():
        inputs = Input(shape=(5, 5, 1), dtype="float64")
        tensor = Conv2D(2, 3, activation="relu", seed=1)(inputs)
        tensor = Conv2DTranspose(1, 3, activation="sigmoid", seed=2)(tensor)
        model = Model(inputs, tensor)
        model.compile("adam", "binary_crossentropy")
        return model

    x = np.random.default_rng(0).random((22, 5, 5, 1))
    replayed, _ = trained(make, "cuda", x)
    host, _ = trained(make, "cpu", x)
    np.testing.assert_allclose(replayed["loss"], host["loss"], rtol=1e-10)


def test_what_cannot_be_recorded_is_run_plainly_and_said_once():
    def make():
        return network(SpectralNormalization(Dense(7, seed=4), seed=5), optimizer="adam")

    x = data()
    with pytest.warns(RuntimeWarning, match="not recorded as a CUDA graph.*cuBLAS") as said:
        model = make().to("cuda")
        history = model.fit(x, x, epochs=3, batch_size=5, verbose=0, seed=0)
    assert len(said) == 1
    expected, _ = trained(make, "cpu", x, epochs=3, seed=0)
    np.testing.assert_allclose(history.history["loss"], expected["loss"], rtol=1e-10)


def test_a_recorded_step_draws_nothing_that_it_cannot_draw_again():
    from minienc.fast.graphs import Draws

    rng = Draws(np.random.default_rng(0))
    with pytest.raises(NotImplementedError, match=r"rng.integers"):
        rng.integers(3)
    with pytest.raises(NotImplementedError, match=r"rng.random"):
        rng.random()
