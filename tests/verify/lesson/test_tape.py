"""A forward whose operations are watched computes what it computes, and can be altered."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases import WRITTEN
from minienc.verify.lesson.operations import hold
from minienc.verify.lesson.tape import Tape, Watched, plain

X = np.random.default_rng(9).standard_normal((4, 3))


def run(f, x, before=None, changes=None):
    tape = Tape(before)
    tape.changes = changes or {}
    return plain(f(tape.watch(x.copy(), "x"))), tape.operations


def test_operations_are_written_down_as_they_are_written():
    def f(x):
        h = x.dot(x.T)
        h += 1
        h[h < 0] = 0
        return np.mean(h, axis=0)

    y, operations = run(f, X)
    np.testing.assert_array_equal(y, f(X.copy()))
    assert [o.name for o in operations] == ["dot", "add", "setitem", "mean"]
    assert [o.text for o in operations][:2] == ["x.dot(x.T)", "h += 1"]
    assert operations[0].names == ["x", "x"]
    assert [o.sources[0] for o in operations] == [None, 0, 1, 2]


def test_one_operation_is_held():
    def f(x):
        return x - x.mean(axis=0)

    y, operations = run(f, X)
    moved, _ = run(f, X + 1, operations, {0: hold((0,))})
    np.testing.assert_allclose(moved, y + 1)
    np.testing.assert_allclose(run(f, X + 1, operations)[0], y)


def test_parts_copies_and_numbers_stay_watched():
    one = Tape().watch(X.copy(), "x")
    for part in (one[0], one.T, one.copy(), one.reshape(-1), one[0, 1], one + 1, one.sum()):
        assert isinstance(part, Watched)
    assert one[1:].name == "x" and (one + 1).name == ""
    assert not isinstance(one > 0, Watched) and not isinstance(one.argmax(), Watched)


def test_a_watched_forward_gives_the_same_bits():
    for case in WRITTEN:
        if not case.is_right:
            continue
        y = case.forward(*(np.array(a) for a in case.args))[0]
        tape = Tape()
        watched = case.forward(*(tape.watch(np.array(a)) for a in case.args))[0]
        parts = zip(y, watched, strict=True) if isinstance(y, tuple) else [(y, watched)]
        for one, other in parts:
            np.testing.assert_array_equal(one, plain(other), err_msg=case.name)
