"""A step that the compiled kernel made: its bytes, and how far the definition's lines agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minienc
from minienc.cli import main
from minienc.kernel import kernel_info
from minienc.pretraining import GAN
from minienc.stepper.links import links_of
from minienc.stepper.payload import encode
from minienc.stepper.record import Ran, difference, record_batch
from minienc.stepper.tape import Ref
from tests.stepper.test_record import MODELS, batch

needs_kernel = pytest.mark.skipif(not kernel_info()["serves"], reason="needs the compiled kernel")


@needs_kernel
@pytest.mark.parametrize("name", MODELS)
def test_the_numbers_are_those_of_fit_with_the_kernel(name):
    model, (x, y) = MODELS[name][0](), batch(name)
    record = record_batch(model, x, y, kernel=True)
    assert record.kernel and record.about["computed by"] == "the compiled kernel"
    assert record.differing > 0, "no call of it is the kernel's"
    history = model.fit(x, y, epochs=1, batch_size=len(x), shuffle=False, verbose=0)
    assert record.loss["before"] == history.history["loss"][0]
    ran = dict(pair for step in record.steps for pair in step.ran.pairs)
    updates = [step for step in record.steps if step.phase == "U"]
    for p in record.parameters:
        if p["update"] >= 0:
            after = updates[p["update"]].after["w"].value
            w = record.tape.values[ran.get(after, after)]
            part = w[p["offset"] : p["offset"] + math.prod(p["shape"])].reshape(p["shape"])
            np.testing.assert_array_equal(part, dict(model.parameters.items())[p["name"]])


@needs_kernel
@pytest.mark.parametrize("name", MODELS)
def test_what_a_call_of_the_kernel_returned_is_what_the_next_one_is_given(name):
    record = record_batch(MODELS[name][0](), *batch(name), kernel=True)
    values = record.tape.values
    for step in record.steps:
        assert step.ran.differing == sum(
            difference(values[theirs], values[own])[0] for own, theirs in step.ran.pairs
        )
        assert step.ran.digits >= 4 or not step.ran.error  # float32
    # the values of the run are copies, nearly, of the lines': what is changed goes on through them
    copied = {link.result for link in links_of(record).links if link.kind == "copy"}
    assert {theirs for step in record.steps for _, theirs in step.ran.pairs} <= copied
    verdicts = [v.claim.verdict for v in record.verdicts]
    assert "fail" not in verdicts and verdicts.count("pass") > 3


@needs_kernel
def test_layers_are_linked_by_the_bytes_of_the_run():
    record = record_batch(MODELS["dense"][0](), *batch("dense"), kernel=True)
    one, two = record.steps[:2]
    ran = dict(one.ran.pairs)
    given = two.arguments["x"]
    assert isinstance(given, Ref)
    assert given == Ref(ran.get(one.returned[0].value, one.returned[0].value))


@needs_kernel
def test_a_methods_learners_and_the_command(tmp_path, monkeypatch, capsys):
    X = np.random.default_rng(0).random((8, 4)).astype("float32")
    gan = GAN(hidden=(6,), noise=2, epochs=1, random_state=0).fit(X)
    assert minienc.step(gan, X, kernel=True).record.kernel
    monkeypatch.chdir(tmp_path)
    assert main(["step", "--batch", "2", "--kernel"]) == 0
    assert "step.html" in capsys.readouterr().out


def test_where_there_is_no_kernel_one_sentence_says_so(monkeypatch):
    monkeypatch.setenv("MINIENC_KERNEL", "0")
    why = r"(MINIENC_KERNEL=0 switches|no compiled kernel is built)"
    with pytest.raises(ValueError, match=rf"^step: kernel=True, but {why}"):
        minienc.step(MODELS["dense"][0](), batch("dense")[0], kernel=True)


def test_a_pair_and_a_record_have_no_kernel(tmp_path, monkeypatch, capsys):
    from tests.stepper import homework

    with pytest.raises(TypeError, match="run as they are written: leave out kernel"):
        minienc.step(homework.affine_forward, homework.affine_backward, np.ones(3), kernel=True)
    assert main(["step", "any.npz", "--kernel"]) == 2
    assert "this one is recorded" in capsys.readouterr().err
    assert main(["step", "any.py:f", "--kernel", "--shapes", "x=3"]) == 2
    assert "runs as it is written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other", "differing", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0, 0),
        ([1.0, 2.002], [1.0, 2.0], 1, 0.002),
        ([0.0], [-0.0], 1, 0),
        ([np.nan, 1.0], [np.nan, 1.0], 0, 0),
        ([np.inf, 1.0], [1.0, 1.0], 1, np.inf),
        ([np.nan], [1.0], 1, np.inf),
        ([], [], 0, 0),
    ],
)
def test_differences_are_counted_in_bits(one, other, differing, error):
    found = difference(np.array(one), np.array(other))
    assert found == (differing, pytest.approx(error))


@pytest.mark.parametrize(
    ("error", "largest", "digits"),
    [(2e-7, 1.0, 6), (2e-7, 100.0, 8), (0.0, 1.0, 0), (3.0, 1.0, 0), (np.inf, 1.0, 0), (1, 0, 0)],
)
def test_digits_are_those_of_the_largest_number(error, largest, digits):
    assert Ran(10, 1, error, largest).digits == digits


@needs_kernel
def test_the_page_is_told():
    header, _ = encode(record_batch(MODELS["dense"][0](), *batch("dense"), kernel=True))
    assert header["kernel"] is True
    told = [step["ran"] for step in header["steps"]]
    assert sum(ran["differing"] for ran in told) > 0
    assert all(0 <= ran["differing"] <= ran["numbers"] for ran in told)
