"""A model that is too large for a page: which features are carried, and what is said of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minienc
from minienc.layers import Conv2D, Dense, Flatten, Input
from minienc.models import Model
from minienc.pretraining import GAN
from minienc.stepper.cut import lanes_of, part_of, said_of
from minienc.stepper.links import links_of
from minienc.stepper.payload import encode
from minienc.stepper.record import record_batch
from minienc.stepper.saved import load_record, save_record
from tests.stepper.recorded import in_part

RNG = np.random.default_rng(0)


def compiled(inputs, outputs):
    model = Model(inputs, outputs)
    model.initialize(np.random.default_rng(1))
    model.compile("adam", "mse")
    return model


def wide(n_in=40, n_hidden=64):
    x = Input((n_in,))
    return compiled(x, Dense(n_in, "sigmoid")(Dense(n_hidden, "relu")(x)))


def channels():
    x = Input((6, 6, 3))
    h = Conv2D(40, 3, activation="relu")(Conv2D(48, 3, padding="same", activation="relu")(x))
    return compiled(x, Dense(4)(Flatten()(h)))


def drawn(*shape):
    return RNG.random(shape).astype("float32")


def test_what_is_carried_are_the_numbers_of_the_whole():
    record = in_part(most=4)
    header, raw = encode(record)
    values = [*record.tape.values, *links_of(record).values]
    seen = 0
    for a, (dtype, shape, offset, *more) in zip(values, header["values"], strict=True):
        assert (a.dtype.name, list(a.shape)) == (dtype, shape)
        if more:
            seen += 1
            carried = part_of(a, header["parts"][more[0]])
            assert carried.tobytes() == raw[offset : offset + carried.nbytes]
            assert more[1] == pytest.approx(np.linalg.norm(a.ravel()), rel=1e-6)
            assert carried.size < a.size
    assert seen > 20
    assert header["loss"]["said"] == said_of(record) == pytest.approx(_said(record), rel=1e-5)
    assert encode(in_part(most=1000))[0]["parts"] == []


def _said(record):
    step = record.steps[-1]
    w, g = (record.tape.values[step.arguments[name].value] for name in "wg")
    return (g * (record.tape.values[step.after["w"].value] - w)).sum()


def test_a_weight_that_is_carried_is_carried_in_the_vectors_too():
    record = in_part(most=4)
    links = links_of(record)
    values = [*record.tape.values, *links.values]
    lanes = lanes_of(values, record, links.places, 4)
    for place in links.places:
        if place.after is None:
            continue
        flat = set(part_of(np.arange(values[place.after].size), lanes[place.after]).tolist())
        numbers = np.arange(math.prod(place.shape)).reshape(place.shape)
        own = part_of(numbers, lanes[place.value]).ravel() + place.offset
        assert set(own.tolist()) <= flat


@pytest.mark.parametrize(
    ("make", "x", "y", "room"),
    [(wide, (40, 40), (40, 40), 60_000), (channels, (8, 6, 6, 3), (8, 4), 130_000)],
    ids=["dense", "convolution"],
)
def test_features_are_left_out_where_samples_are_not_enough(
    make, x, y, room, monkeypatch, tmp_path
):
    monkeypatch.setattr("minienc.stepper.step_through.MOST", room)
    stepped = minienc.step(make(), drawn(*x), drawn(*y))
    record = stepped.record
    assert record.most is not None and record.verdicts
    assert f"of features, filters and units the first {record.most}" in record.about["shown"]
    assert f"of the batch's {x[0]} samples" in record.about["shown"]
    assert len(encode(record)[1]) <= room
    assert "of features, filters and units" in encode(record)[0]["about"]["shown"]
    whole = record_batch(make(), drawn(2, *x[1:]), drawn(2, *y[1:]), verdicts=False)
    assert len(encode(whole)[1]) > room
    save_record(tmp_path / "step.npz", record)
    assert load_record(tmp_path / "step.npz").header["parts"]


def test_what_fits_is_left_whole():
    record = minienc.step(wide(), drawn(6, 40)).record
    assert record.most is None and "shown" not in record.about
    assert encode(record)[0]["parts"] == []


def test_what_is_too_large_all_the_same_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"^step: the model has 8,\d{3},\d{3} parameters, and a"):
        minienc.step(wide(2000, 2000), drawn(2, 2000))
    monkeypatch.setattr("minienc.stepper.step_through.HELD", 60_000)
    with pytest.raises(ValueError, match=r"the lines of one sample hold \d+,\d+ numbers, expected"):
        minienc.step(wide(), drawn(4, 40))
    monkeypatch.setattr("minienc.stepper.step_through.HELD", 1000)
    gan = GAN(hidden=(20,), noise=2, epochs=1, random_state=0).fit(drawn(8, 10))
    with pytest.raises(
        ValueError, match=r"has \d{3} parameters, and a page has room for at most 200"
    ):
        minienc.step(gan, drawn(4, 10))
