"""``@primitive``: the registry, the check of caches, the door to ``fast``, the recording."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import pytest

from minienc import primitive as module
from minienc.functions import (
    adam_step,
    dense_backward,
    dense_forward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_forward,
)
from minienc.functions.activations import SigmoidCache
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.primitive import (
    REGISTRY,
    Place,
    at,
    definitions_only,
    primitive,
    recording,
    register_fast,
)

X = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")


@pytest.fixture
def door(monkeypatch):
    """The faster functions of this test alone."""
    sigmoid_forward(X)  # opens the door, so that the real ones are in before the copy is made
    monkeypatch.setattr(module, "_fast", dict(module._fast))
    return module._fast


# ------------------------------------------------------------------------------------ the registry


def test_a_primitive_is_found_by_its_name_and_finds_its_backward():
    assert REGISTRY["sigmoid_forward"] is sigmoid_forward
    assert sigmoid_forward.backward is sigmoid_backward
    assert sigmoid_forward.definition.__doc__ == sigmoid_forward.__doc__
    assert repr(sigmoid_forward) == "<primitive sigmoid_forward(x)>"


def test_a_name_is_given_once():
    def impostor(x):
        return x

    impostor.__name__ = "sigmoid_forward"
    with pytest.raises(ValueError, match="a primitive named sigmoid_forward exists already"):
        primitive(impostor)
    assert REGISTRY["sigmoid_forward"] is sigmoid_forward


def test_constants_are_those_that_get_no_gradient():
    assert REGISTRY["mean_squared_error_forward"].constants == ("target", "sample_weight")
    assert REGISTRY["dense_forward"].constants == ()


# --------------------------------------------------------------------------------------- the cache


def test_a_cache_goes_back_only_where_it_came_from():
    y, cache = tanh_forward(X)
    with pytest.raises(TypeError) as caught:
        sigmoid_backward(y, cache)
    assert str(caught.value) == (
        "sigmoid_backward: the cache is a TanhCache, expected the SigmoidCache that "
        "sigmoid_forward returned"
    )
    with pytest.raises(TypeError, match="the cache is a NoneType, expected the DenseCache"):
        dense_backward(y, None)
    with pytest.raises(TypeError, match="the cache is a TanhCache, expected the SigmoidCache"):
        sigmoid_backward(y, cache=cache)


def test_an_impostor_of_the_same_name_is_no_cache():
    class SigmoidCache(NamedTuple):
        y: np.ndarray

    with pytest.raises(TypeError, match="expected the SigmoidCache"):
        sigmoid_backward(X, SigmoidCache(X))


# ---------------------------------------------------------------------------------------- the door


def test_a_faster_function_runs_in_the_definitions_place(door):
    def sigmoid_forward(x):
        y, cache = REGISTRY["sigmoid_forward"].definition(x)
        return y + 1, cache  # to be told apart

    register_fast(sigmoid_forward)
    through_the_door, _ = REGISTRY["sigmoid_forward"](X)
    definition, _ = REGISTRY["sigmoid_forward"].definition(X)
    np.testing.assert_array_equal(through_the_door, definition + 1)


def test_who_declines_leaves_it_to_the_definition(door):
    asked = []

    def sigmoid_forward(x):
        asked.append(x.dtype)
        return NotImplemented

    register_fast(sigmoid_forward)
    y, cache = REGISTRY["sigmoid_forward"](X)
    expected, _ = REGISTRY["sigmoid_forward"].definition(X)
    assert set(asked) == {np.dtype(np.float32)}  # twice, where CuPy has been imported meanwhile
    np.testing.assert_array_equal(y, expected)
    assert type(cache).__name__ == "SigmoidCache"


def test_what_the_door_returns_is_used_within_other_definitions(door):
    def relu_forward(x):
        y, cache = REGISTRY["relu_forward"].definition(x)
        return 2 * y, cache

    W = np.eye(4, dtype="float32")
    slow, _ = dense_forward(X, W, activation="relu")
    register_fast(relu_forward)
    if "dense_forward" in door:
        del door["dense_forward"]  # a fused kernel does not ask relu
    fast, _ = dense_forward(X, W, activation="relu")
    np.testing.assert_array_equal(fast, 2 * slow)


def test_another_signature_is_refused(door):
    def dense_forward(x, b, W=None, activation="identity"):
        return NotImplemented

    before = dict(door)
    with pytest.raises(TypeError, match=r"differs from its definition dense_forward\(x, W"):
        register_fast(dense_forward)
    assert door == before


def test_a_faster_function_without_a_definition_is_refused(door):
    def unheard_of_forward(x):
        return NotImplemented

    with pytest.raises(ValueError, match="unheard_of_forward in fast/ has no definition"):
        register_fast(unheard_of_forward)


def test_a_foreign_cache_does_not_reach_the_faster_function(door):
    def sigmoid_backward(dy, cache):
        raise AssertionError("reached")

    register_fast(sigmoid_backward)
    with pytest.raises(TypeError, match="expected the SigmoidCache"):
        REGISTRY["sigmoid_backward"](X, tanh_forward(X)[1])


# ----------------------------------------------------------------------------------- the recording


def test_a_listener_hears_every_call_in_order_with_what_came_and_went():
    heard = []
    W = np.ones((4, 2), "float32")
    with recording(heard.append), definitions_only():
        y, cache = dense_forward(X, W, activation="relu")
        dense_backward(y, cache)
    relu_forward(X)  # nobody listens any more
    assert [(call.event, call.primitive.__name__) for call in heard] == [
        ("enter", "dense_forward"),
        ("enter", "relu_forward"),
        ("leave", "relu_forward"),
        ("leave", "dense_forward"),
        ("enter", "dense_backward"),
        ("enter", "relu_backward"),
        ("leave", "relu_backward"),
        ("leave", "dense_backward"),
    ]
    for call in (heard[0], heard[3]):
        assert call.args[0] is X and call.args[1] is W and call.kwargs == {"activation": "relu"}
    assert heard[0].result is None
    assert heard[3].result[0] is y and heard[3].result[1] is cache


def test_recording_ends_when_the_block_fails():
    heard = []
    with pytest.raises(ValueError, match="expected"), recording(heard.append):
        dense_forward(X, X)
    relu_forward(X)
    assert [call.event for call in heard] == ["enter"]


def test_two_may_listen():
    first, second = [], []
    with recording(first.append), recording(second.append):
        relu_forward(X)
    assert len(first) == len(second) == 2


def test_a_listener_hears_its_own_thread_alone():
    heard, result = [], []
    with recording(heard.append):
        other = threading.Thread(target=lambda: result.append(relu_forward(X)))
        other.start()
        other.join()
    assert result and not heard


def test_what_a_step_overwrites_is_kept():
    w, g, m, v = np.ones(3), np.full(3, 0.5), np.zeros(3), np.zeros(3)
    heard = []
    with recording(heard.append):
        adam_step(w, g, m, v, 1, 0.1)
    enter, leave = heard
    assert set(leave.before) == {"w", "m", "v"} and enter.before is leave.before
    np.testing.assert_array_equal(leave.before["w"], 1)
    np.testing.assert_array_equal(leave.before["m"], 0)
    assert leave.args[0] is w and (w != 1).all()


def test_a_call_says_in_which_layer_it_is_made():
    x = Input((4,))
    inner = Model(x, Dense(3, name="deep")(x), name="encoder")
    model = Model(x, Dense(2, name="out")(inner(x)))
    model.compile("sgd", "mse")
    heard = []
    with recording(heard.append):
        y, cache = model.forward(X)
        model.backward(y, cache, None)
        relu_forward(X)
    entered = [c for c in heard if c.event == "enter" and c.primitive.__name__.startswith("dense")]
    places = [(c.primitive.__name__, c.place.path) for c in entered]
    forward = [("dense_forward", "encoder/deep"), ("dense_forward", "out")]
    backward = [("dense_backward", "out"), ("dense_backward", "encoder/deep")]
    assert places == [*forward, *backward]
    assert heard[-1].place == Place("", None)


def test_a_place_may_have_a_time():
    heard = []
    with recording(heard.append):
        at("cell", 3)
        relu_forward(X)
        at("")
    assert heard[0].place == Place("cell", 3)


def test_definitions_alone_run_where_they_are_asked_for(monkeypatch):
    monkeypatch.setitem(module._fast, "relu_forward", lambda x: ("fast", None))
    module.open_the_door()
    assert relu_forward(X)[0] == "fast"
    with definitions_only():
        assert isinstance(relu_forward(X)[0], np.ndarray)
        found = []
        other = threading.Thread(target=lambda: found.append(relu_forward(X)[0]))
        other.start()
        other.join()
        assert found == ["fast"]  # the other thread has not asked
    assert relu_forward(X)[0] == "fast"


# ------------------------------------------------------------------------------- the second entry


def test_a_second_entry_has_its_backwards_signature_and_three_more(door):
    def dense_backward_into(dy, cache, into, need_dx, write):
        return NotImplemented

    with pytest.raises(TypeError, match=r"dense_backward\(dy, cache.*, with into, write, need_dx"):
        register_fast(dense_backward_into)

    def unheard_of_backward_into(dy, cache, into, write, need_dx):
        return NotImplemented

    with pytest.raises(ValueError, match="unheard_of_backward_into in fast/ has no definition"):
        register_fast(unheard_of_backward_into)


def test_a_second_entry_is_asked_while_nobody_listens_and_refuses_a_foreign_cache(door):
    asked = []

    def sigmoid_backward_into(dy, cache, into, write, need_dx):
        asked.append((into, write, need_dx))
        return "dx"

    second = sigmoid_backward.has_second_entry
    y, cache = sigmoid_forward(X)
    try:
        register_fast(sigmoid_backward_into)
        assert sigmoid_backward.has_second_entry
        assert sigmoid_backward.into(y, cache, None, True, False) == "dx"
        with recording(lambda call: None):
            assert sigmoid_backward.into(y, cache, None, True, False) is NotImplemented
        with pytest.raises(TypeError, match="the cache is a TanhCache, expected the SigmoidCache"):
            sigmoid_backward.into(y, tanh_forward(X)[1], None, True, True)
        del door["sigmoid_backward_into"]
        assert sigmoid_backward.into(y, cache, None, True, True) is NotImplemented
    finally:
        sigmoid_backward.has_second_entry = second
    assert asked == [(None, True, False)]


def test_a_cache_may_carry_more_than_the_definitions():
    class Carrying(SigmoidCache):
        more = 1

    y, cache = sigmoid_forward(X)
    np.testing.assert_array_equal(sigmoid_backward(y, Carrying(*cache)), sigmoid_backward(y, cache))
