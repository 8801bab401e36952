"""What a page is given."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from minienc.stepper.payload import EXACT, as_json, encode, numbers_of_values, plain
from minienc.stepper.tape import Ref
from tests.stepper.recorded import autoencoder


@pytest.fixture(scope="module")
def encoded():
    record = autoencoder(5, 3, 4)
    return record, *encode(record)


def test_numbers_are_those_of_the_tape(encoded):
    record, header, raw = encoded
    for a, (dtype, shape, offset) in zip(record.tape.values, header["values"], strict=False):
        assert (a.dtype.name, list(a.shape)) == (dtype, shape)
        if offset >= 0:
            assert raw[offset : offset + a.nbytes] == a.tobytes() and offset % 8 == 0


def test_what_is_not_carried_is_made_by_an_exact_operation(encoded):
    record, header, raw = encoded
    makers = {op[3]: op[0] for op in header["ops"]}
    left_out = [v for v, (_, _, offset) in enumerate(header["values"]) if offset < 0]
    assert left_out and all(makers[v] in EXACT for v in left_out)
    assert not {"exp", "matmul", "sum", "mean", "log1p", "power", "tanh"} & EXACT
    assert len(raw) < sum(a.nbytes for a in record.tape.values) / 2


def test_it_is_json_and_refers_to_what_there_is(encoded):
    _, header, _ = encoded
    read = json.loads(as_json(header))
    assert read == header
    for visit in read["visits"]:
        assert 0 <= visit["formula"] < len(read["formulas"])
        for op in visit["ops"]:
            assert read["visits"][read["ops"][op][4]] is visit
    assert all(0 <= f["source"] < len(read["sources"]) for f in read["frames"])


def test_things_of_python():
    said = [
        (Ref(3), {"v": 3}),
        ({"v": Ref(1), "s": 2}, {"m": {"v": {"v": 1}, "s": 2}}),
        (slice(None, 5, -1), {"s": [None, 5, -1]}),
        (..., {"e": 1}),
        (math.nan, {"y": "nan"}),
        (-math.inf, {"y": "-inf"}),
        (np.float32, {"d": "float32"}),
        (np.int64(4), 4),
        (np.array([[1, 2]]), {"a": [1, 2], "h": [1, 2], "d": "int64"}),
        ((1, [2.5, None, True]), [1, [2.5, None, True]]),
    ]
    for x, right in said:
        assert plain(x) == right


def test_big_endian_numbers_are_turned():
    table, raw = numbers_of_values([np.array([1, 2], ">i4"), np.array([0.5])], set())
    assert table == [["int32", [2], 0], ["float64", [1], 8]]
    assert raw == np.array([1, 2], "<i4").tobytes() + np.array([0.5]).tobytes()
