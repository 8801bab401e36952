"""A recorded step: the bits of the run, one tape for all calls, and the model as it was before."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import minienc
from minienc.layers import (
    LSTM,
    BatchNormalization,
    Conv2D,
    Dense,
    DenseTranspose,
    Dropout,
    Flatten,
    Input,
    TransformerBlock,
)
from minienc.models import Model
from minienc.pretraining import GAN
from minienc.primitive import REGISTRY, definitions_only
from minienc.stepper.payload import as_json, encode
from minienc.stepper.record import record_batch
from minienc.stepper.tape import Ref
from tests.cases import all_cases
from tests.stepper import homework

RNG = np.random.default_rng(0)


def compiled(inputs, outputs, loss="mse"):
    model = Model(inputs, outputs)
    model.initialize(np.random.default_rng(1))
    model.compile("adam", loss)
    return model


def dense():
    x = Input((6,))
    return compiled(x, Dense(6, "sigmoid")(Dense(3, "relu")(x)), "binary_crossentropy")


def tied():
    x, layer = Input((6,)), Dense(3, "tanh")
    return compiled(x, DenseTranspose(layer)(layer(x)))


def convolution():
    x = Input((6, 6, 1))
    return compiled(x, Dense(6)(Flatten()(BatchNormalization()(Conv2D(2, 3)(x)))))


def recurrent():
    x = Input((4, 3))
    return compiled(x, Dense(6)(LSTM(4)(x)))


def attention():
    x = Input((4, 6))
    return compiled(x, TransformerBlock(2)(x))


MODELS = {
    "dense": (dense, (4, 6), (4, 6)),
    "tied": (tied, (4, 6), (4, 6)),
    "convolution": (convolution, (3, 6, 6, 1), (3, 6)),
    "recurrent": (recurrent, (2, 4, 3), (2, 6)),
    "attention": (attention, (2, 4, 6), (2, 4, 6)),
}


def batch(name):
    _, x, y = MODELS[name]
    return RNG.random(x).astype("float32"), RNG.random(y).astype("float32")


@pytest.mark.parametrize("name", MODELS)
def test_the_replay_has_the_bits_of_fit(name):
    model, (x, y) = MODELS[name][0](), batch(name)
    before = model.parameters.vector.copy()
    record = record_batch(model, x, y)
    np.testing.assert_array_equal(model.parameters.vector, before)  # as if nothing had been
    assert record.numbers > 100 and record.differing == 0
    with definitions_only():
        history = model.fit(x, y, epochs=1, batch_size=len(x), shuffle=False, verbose=0)
    assert record.loss["before"] == pytest.approx(history.history["loss"][0], rel=1e-6)
    assert record.loss["after"] < record.loss["before"]
    updates = [step for step in record.steps if step.phase == "U"]
    for p in record.parameters:  # what each became
        if p["update"] >= 0:
            w = record.tape.values[updates[p["update"]].after["w"].value]
            part = w[p["offset"] : p["offset"] + math.prod(p["shape"])].reshape(p["shape"])
            np.testing.assert_array_equal(part, dict(model.parameters.items())[p["name"]])


def test_the_output_of_a_layer_is_the_very_value_that_the_next_one_takes():
    record = record_batch(dense(), *batch("dense"))
    one, two = record.steps[:2]
    assert one.returned[0] == two.arguments["x"] and isinstance(two.arguments["x"], Ref)
    assert [step.phase for step in record.steps] == list("FFLBBBU")
    assert [layer["inputs"] for layer in record.graph[:2]] == [[-1], [0]]
    assert [p["name"] for p in record.parameters] == [
        *("dense_1/W", "dense_1/b", "dense_2/W", "dense_2/b")
    ]


def test_a_weight_that_is_used_twice_is_one_value():
    record = record_batch(tied(), *batch("tied"))
    W = record.steps[0].arguments["W"]
    turned = record.tape.values[record.steps[1].arguments["W"].value]
    np.testing.assert_array_equal(turned, record.tape.values[W.value].T)


def test_each_learner_of_a_method_makes_its_step():
    X = RNG.random((8, 4)).astype("float32")
    gan = GAN(hidden=(6,), noise=2, epochs=1, random_state=0).fit(X)
    weights = [learner.network.parameters.vector.copy() for learner in gan.learners_.values()]
    record = minienc.step(gan, X[:4]).record
    assert [step.phase for step in record.steps].count("U") == len(weights) == 2
    named = {step.path.split("/")[0] for step in record.steps if step.primitive == "dense_forward"}
    assert named == set(gan.learners_)  # whose layers have the same names
    losses = {step.path for step in record.steps if step.phase == "L"}
    assert "discriminator/binary_crossentropy" in losses
    assert not any(step.path.endswith("/") for step in record.steps)
    for learner, before in zip(gan.learners_.values(), weights, strict=True):
        np.testing.assert_array_equal(learner.network.parameters.vector, before)
    assert record.differing == 0


def test_a_call_that_draws_is_replayed_with_the_same_numbers():
    x = Input((6,))
    model = compiled(x, Dense(6)(Dropout(0.5)(x)))
    record = record_batch(model, *batch("dense"), seed=3)
    assert record.differing == 0
    assert all(v.claim.verdict == "pass" for v in record.verdicts)


def test_the_payload_says_it_in_json():
    record = record_batch(recurrent(), *batch("recurrent"))
    header, numbers = encode(record)
    found = json.loads(as_json(header))
    assert found["version"] == 2 and len(found["values"]) == len(record.tape.values)
    for (dtype, shape, offset), value in zip(found["values"], record.tape.values, strict=True):
        size = value.nbytes
        if offset < 0:  # the page makes it itself
            continue
        read = np.frombuffer(numbers[offset : offset + size], dtype).reshape(shape)
        np.testing.assert_array_equal(read, value)
    lines = {source["name"]: source["lines"] for source in found["sources"]}
    assert lines["lstm_forward"][-1].strip().startswith("return")
    assert found["sources"][0]["file"].startswith("minienc/functions/")


def test_a_batch_that_no_page_could_carry_is_cut(monkeypatch):
    monkeypatch.setattr("minienc.stepper.step_through.MOST", 20_000)
    model = dense()
    made = minienc.step(model, RNG.random((400, 6)).astype("float32"))
    assert "of the batch's 400 samples" in made.record.about["shown"]
    monkeypatch.setattr("minienc.stepper.step_through.MOST", 100)
    with pytest.raises(ValueError, match=r"one sample takes .* expected at most 100"):
        minienc.step(model, RNG.random((4, 6)).astype("float32"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((3,), "int is no compiled model"),
        ((np.tanh, np.tanh, np.ones(3)), "no function with lines of Python"),
        ((lambda x: x, lambda dy, c: dy, np.ones(3)), r"returned ndarray, expected \(y, cache\)"),
    ],
)
def test_what_cannot_be_recorded_is_refused(given, said):
    with pytest.raises(TypeError, match=said):
        minienc.step(*given)


def test_code_that_raises_raises_as_it_does():
    with pytest.raises(NameError, match="undefined_name"):
        minienc.step(homework.raises_forward, homework.affine_backward, np.ones(3))


@pytest.mark.parametrize("name", ["dense", "conv2d", "sparse_categorical_crossentropy", "lstm"])
def test_a_pair_of_the_library_is_shown_as_anybodys(name):
    forward = REGISTRY[f"{name}_forward"]
    arrays, options = all_cases(f"{name}_forward")[0]
    record = minienc.step(forward, forward.backward, *arrays, **options).record
    verdicts = [verdict.claim.verdict for verdict in record.verdicts]
    assert verdicts and "fail" not in verdicts
    assert record.numbers and not record.differing  # the definitions' bits
