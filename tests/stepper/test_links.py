"""What goes from one call to the next by other means than a call is found, by its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.stepper.links import in_order, links_of
from minienc.stepper.tape import refs_in
from tests.stepper import recorded


@pytest.fixture(scope="module", params=["autoencoder", "tied", "attention", "convolution"])
def searched(request):
    record = recorded.ALL[request.param]()
    return record, links_of(record)


def test_every_weight_has_its_value_its_gradient_and_its_place(searched):
    record, found = searched
    values = [*record.tape.values, *found.values]
    assert [p.name for p in found.places] == [p["name"] for p in record.parameters]
    (update,) = [step for step in record.steps if step.phase == "U"]
    w, g, after = update.arguments["w"], update.arguments["g"], update.after["w"]
    for place in found.places:
        part = slice(place.offset, place.offset + int(np.prod(place.shape)))
        assert place.after == after.value
        for value, vector in ((place.value, w), (place.gradient, g)):
            assert values[value].shape == place.shape
            assert values[value].tobytes() == values[vector.value][part].tobytes()


def test_a_link_gives_the_bits_that_were_there(searched):
    record, found = searched
    values = [*record.tape.values, *found.values]
    for link in found.links:
        given = [values[v] for v in refs_in(link.arguments)]
        right = values[link.result]
        made = {
            "add": lambda a: a[0] + a[1],
            "flatten": lambda a: np.concatenate([x.ravel() for x in a]),
            "transpose": lambda a: a[0].T,
            "reshape": lambda a, shape=right.shape: a[0].reshape(shape),
        }[link.kind](given)
        assert made.tobytes() == right.tobytes(), link.kind


def test_no_value_is_made_twice_or_before_what_it_is_made_of(searched):
    record, found = searched
    program = list(in_order(record.tape.operations, found.links))
    assert len(program) == len(record.tape.operations) + len(found.links)
    results = [op.result for op in program]
    assert len(set(results)) == len(results)
    made = set(range(len(record.tape.values) + len(found.values))) - set(results)
    for op in program:
        assert set(refs_in(op.arguments)) <= made
        made.add(op.result)


def test_kinds_of_links():
    kinds = {
        name: {link.kind for link in links_of(recorded.ALL[name]()).links}
        for name in ("tied", "attention", "gan")
    }
    assert "transpose" in kinds["tied"]  # the decoder's W'
    assert "add" in kinds["tied"] and "add" in kinds["attention"]  # two uses, two ways back


def test_what_was_rounded_otherwise_is_a_copy_nearly():
    """Batch normalisation adds rows up in blocks, and a watched array has another way."""
    record = recorded.batch_normalization()
    found = links_of(record)
    copies = [link for link in found.links if link.kind == "copy"]
    assert bool(copies) == bool(record.differing)
    trained = [place for place in found.places if "moving" not in place.name]
    assert all(place.gradient is not None and place.after is not None for place in trained)


def test_what_is_drawn_is_drawn_again():
    record = recorded.dropout()
    assert record.differing == 0
    assert all(place.after is not None for place in links_of(record).places)


def test_what_is_another_array_is_not_taken_for_it():
    """One bit of the vector is not the weights': then nothing is said of where they lie."""
    record = recorded.tied()
    w = record.steps[-1].arguments["w"].value
    other = record.tape.values[w].copy()
    other[3] = np.nextafter(other[3], np.float32(9))
    record.tape.values[w] = other
    found = links_of(record)
    assert all(place.after is None for place in found.places)
    assert w not in {link.result for link in found.links}
