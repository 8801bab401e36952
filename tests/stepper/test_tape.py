"""The recording array: the bits of the definitions, and a program that runs again to the same."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.primitive import REGISTRY, definitions_only
from minienc.stepper.tape import Tape, TooMuchError, bare, recording_numpy
from tests.cases import FORWARDS, all_cases, call, parts

X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def same_bits(a, b):
    if isinstance(a, (np.ndarray, np.generic)):
        kinds = type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
        return kinds and a.tobytes() == b.tobytes()
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same_bits, a, b))
    return a is b or a == b or (a is not None and type(a) is type(b))


@pytest.mark.parametrize("name", FORWARDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_definition_runs_on_it_with_the_same_bits(name, dtype):
    forward = REGISTRY[name]
    for arrays, options in all_cases(name):
        arrays = tuple(_in(dtype, a) for a in arrays)
        with definitions_only():
            y, cache = call(forward, arrays, options)
            rng = np.random.default_rng(0)
            dy = tuple(rng.standard_normal(np.shape(p)).astype(p.dtype)[()] for p in parts(y))
            dy = dy if type(y) is tuple else dy[0]
            gradients = forward.backward(dy, cache)
            tape = Tape()
            with tape:
                watched, kept = call(forward, tape.watch(arrays), tape.watch(options))
                found = forward.backward(tape.watch(dy), kept)
        assert same_bits(y, bare(watched))
        assert same_bits(gradients, bare(found))
        again = tape.again({i: tape.values[i] for i in range(len(arrays) and len(tape.values))})
        for value in tape.again({0: tape.values[0]} if tape.values else {}):
            assert value in again or value == 0
        for value, numbers in tape.again({0: tape.values[0]} if tape.values else {}).items():
            assert same_bits(np.asarray(numbers), np.asarray(tape.values[value]))


def _in(dtype, a):
    return a.astype(dtype) if getattr(getattr(a, "dtype", None), "kind", "") == "f" else a


def watched(*arrays):
    tape = Tape()
    return tape, *map(tape.watch, arrays)


def test_the_same_array_is_the_same_value():
    tape, one, two, other = watched(X, X, X.copy())
    assert one is two and one.index != other.index
    assert len(tape.values) == 2


def test_what_is_written_to_is_another_value_and_so_are_its_views():
    tape, x = watched(X)
    row, turned = x[0], x.T
    first = x.index
    row += 1
    assert x.index != first and turned.numbers[0, 0] == 2
    x[1, 2] = 7
    np.testing.assert_array_equal(turned.numbers, x.numbers.T)
    assert turned.index == len(tape.values) - 1  # made again from what x is now
    np.testing.assert_array_equal(tape.values[first], X)  # a value never changes
    np.testing.assert_array_equal(tape.values[x.index], [[2, -1, 4], [4, 5, 7]])


def test_the_program_runs_with_a_number_altered():
    tape, x, W = watched(X, np.ones((3, 2)))
    with tape:
        total = recording_numpy.zeros((2,))
        for n in range(2):
            total[n] = (x[n] @ W).sum()
        y = np.tanh(total) * 2
    other = X.copy()
    other[1, 1] = 0.5
    now = tape.again({x.index: other})
    np.testing.assert_array_equal(now[y.index], np.tanh((other @ np.ones((3, 2))).sum(axis=1)) * 2)
    assert set(tape.again({})) == set()


def test_functions_of_numpy_and_their_writing_forms_are_recorded():
    tape, x = watched(X)
    with tape:
        assert np.concatenate([x, x], axis=1).shape == (2, 6)
        out = np.zeros_like(x)
        np.add(x, 1, out=out)
        np.add.at(out, [0, 0], x[0])
        y = np.einsum("nd,nd->n", x, out)
        pair = recording_numpy.array([[y[0], y[1]], [0.0, 1.0]])
    np.testing.assert_array_equal(out.numbers, X + 1 + [[2, -4, 6], [0, 0, 0]])
    np.testing.assert_array_equal(pair.numbers[0], y.numbers)
    kinds = [op.kind for op in tape.operations]
    assert {"concatenate", "add.at", "einsum", "array"} <= set(kinds)
    assert len(tape.again({x.index: X + 1})) > 5


def test_a_number_leaves_the_tape():
    _, x = watched(X)
    assert float(x.sum()) == 5.0 and int(x[0, 0]) == 1 and bool(x[0, 0] > 0)
    assert [1, 2][x[0, 0].astype(int) - 1] == 1 and x.sum().item() == 5.0
    assert len(x) == 2 and x.shape == (2, 3) and repr(x[0, 0]) == "np.float64(1.0)"
    assert f"{x[0, 0]:.1f}" == "1.0" and x.tolist() == X.tolist()
    with pytest.raises(AttributeError, match="has no backward"):
        _ = x.backward


def test_a_program_that_nobody_would_walk_through_is_refused(monkeypatch):
    monkeypatch.setattr("minienc.stepper.tape.MANY", 10)
    _, x = watched(X)
    with pytest.raises(TooMuchError, match="more than 10 operations"):
        for _ in range(20):
            x = x + 1
