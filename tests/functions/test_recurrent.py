"""Recurrent networks: against PyTorch, and what must hold of states, steps and lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    embedding_backward,
    embedding_forward,
    gru_forward,
    gru_step_forward,
    lstm_forward,
    lstm_step_forward,
    rnn_forward,
    rnn_step_forward,
)

KINDS = {  # gates, biases, states
    "rnn": (rnn_forward, rnn_step_forward, 1, 1, 1),
    "lstm": (lstm_forward, lstm_step_forward, 4, 1, 2),
    "gru": (gru_forward, gru_step_forward, 3, 2, 1),
}
everyone = pytest.mark.parametrize("kind", KINDS)


def problem(kind, N=3, T=5, D=2, M=4, seed=0):
    """(x, weights, first states), in float64."""
    _, _, gates, biases, states = KINDS[kind]
    rng = np.random.default_rng(seed)
    shapes = [(D, gates * M), (M, gates * M), *[(gates * M,)] * biases]
    weights = [rng.standard_normal(s) for s in shapes]
    return rng.standard_normal((N, T, D)), weights, [rng.standard_normal((N, M))] * states


def run(kind, x, weights, states, lengths=None, seed=1):
    """(outputs, gradients) with random cotangents, the same for the same shape of x."""
    forward = KINDS[kind][0]
    y, cache = forward(x, *weights, *states, lengths)
    rng = np.random.default_rng(seed)
    dy = tuple(rng.standard_normal(part.shape) for part in y)
    return y, forward.backward(dy, cache), dy


@everyone
def test_a_sequence_is_its_steps(kind):
    x, weights, states = problem(kind)
    y, _, _ = run(kind, x, weights, states)
    now = tuple(states)
    for t in range(x.shape[1]):
        after, _ = KINDS[kind][1](x[:, t], *now, *weights)
        now = after if isinstance(after, tuple) else (after,)
        np.testing.assert_allclose(y[0][:, t], now[0], rtol=1e-13, atol=1e-15)
    for one, two in zip(y[1:], now, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-15)


@everyone
def test_a_state_that_is_carried_makes_one_whole_of_two_halves(kind):
    x, weights, states = problem(kind)
    forward = KINDS[kind][0]
    whole, cache = forward(x, *weights, *states)
    first, one = forward(x[:, :2], *weights, *states)
    second, two = forward(x[:, 2:], *weights, *first[1:])
    joined = np.concatenate([first[0], second[0]], 1)
    np.testing.assert_allclose(joined, whole[0], rtol=1e-13, atol=1e-15)
    dy = np.random.default_rng(1).standard_normal(whole[0].shape)
    nothing = tuple(np.zeros_like(s) for s in whole[1:])
    expected = forward.backward((dy, *nothing), cache)
    later = forward.backward((dy[:, 2:], *nothing), two)
    earlier = forward.backward((dy[:, :2], *later[-len(states) :]), one)
    for a, b, c in zip(earlier[1:3], later[1:3], expected[1:3], strict=True):
        np.testing.assert_allclose(a + b, c, rtol=1e-11)
    for a, c in zip(earlier[-len(states) :], expected[-len(states) :], strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-11)


@everyone
@given(lengths=st.lists(st.integers(0, 5), min_size=3, max_size=3), more=st.integers(0, 3))
def test_what_stands_behind_a_sequence_changes_nothing(kind, lengths, more):
    """Each sequence by itself, cut to its length, has the same outputs, states and gradients."""
    x, weights, states = problem(kind)
    padding = 1e3 * np.random.default_rng(more).standard_normal((3, more, 2))
    padded = np.concatenate([x, padding], axis=1)
    y, gradients, dy = run(kind, padded, weights, states, np.array(lengths))
    total = [np.zeros_like(w) for w in weights]
    forward = KINDS[kind][0]
    for n, length in enumerate(lengths):
        assert not y[0][n, length:].any() and not gradients[0][n, length:].any()
        if length == 0:
            for state, kept in zip(y[1:], states, strict=True):
                np.testing.assert_array_equal(state[n], kept[n])
            continue
        alone = [s[n : n + 1] for s in states]
        y_n, cache = forward(x[n : n + 1, :length], *weights, *alone)
        np.testing.assert_allclose(y[0][n : n + 1, :length], y_n[0], rtol=1e-12, atol=1e-15)
        for one, two in zip(y[1:], y_n[1:], strict=True):
            np.testing.assert_allclose(one[n : n + 1], two, rtol=1e-12, atol=1e-15)
        dy_n = (dy[0][n : n + 1, :length], *[d[n : n + 1] for d in dy[1:]])
        found = forward.backward(dy_n, cache)
        np.testing.assert_allclose(gradients[0][n : n + 1, :length], found[0], rtol=1e-9, atol=1e-9)
        for t, g in zip(total, found[1:], strict=False):
            t += g
        for one, two in zip(gradients[-len(states) :], found[-len(states) :], strict=True):
            np.testing.assert_allclose(one[n : n + 1], two, rtol=1e-9, atol=1e-9)
    for one, two in zip(gradients[1:], total, strict=False):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def of_torch(kind, x, weights, states):
    """The same numbers in PyTorch's module, whose gates stand in another order."""
    torch = pytest.importorskip("torch")
    D, M = x.shape[2], weights[1].shape[0]
    module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](
        D, M, batch_first=True, dtype=torch.float64
    )
    order = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}[kind]  # torch's gru: r z n

    def turned(w):
        parts = np.split(w, len(order), axis=-1)
        return torch.tensor(np.concatenate([parts[i] for i in order], axis=-1).T.copy())

    W, U, *b = map(turned, weights)
    with torch.no_grad():
        module.weight_ih_l0.copy_(W)
        module.weight_hh_l0.copy_(U)
        module.bias_ih_l0.copy_(b[0])
        module.bias_hh_l0.copy_(b[1] if len(b) > 1 else torch.zeros_like(b[0]))
    x = torch.tensor(x, requires_grad=True)
    first = [torch.tensor(s[None].copy(), requires_grad=True) for s in states]
    return torch, module, x, first, turned


@everyone
@pytest.mark.parametrize("lengths", [None, [5, 2, 3]])
def test_pytorch_agrees(kind, lengths):
    arrays, weights, states = problem(kind)
    torch, module, x, first, turned = of_torch(kind, arrays, weights, states)
    y, gradients, dy = run(kind, arrays, weights, states, lengths and np.array(lengths))
    given_x = x
    if lengths:
        pack = torch.nn.utils.rnn.pack_padded_sequence
        given_x = pack(x, lengths, batch_first=True, enforce_sorted=False)
    out, last = module(given_x, tuple(first) if kind == "lstm" else first[0])
    if lengths:
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
    results = [out, *(s[0] for s in (last if kind == "lstm" else (last,)))]
    for one, two in zip(y, results, strict=True):
        np.testing.assert_allclose(one, two.detach().numpy(), rtol=1e-10, atol=1e-12)
    sum((r * torch.tensor(d)).sum() for r, d in zip(results, dy, strict=True)).backward()
    theirs = [module.weight_ih_l0.grad, module.weight_hh_l0.grad, module.bias_ih_l0.grad]
    np.testing.assert_allclose(gradients[0], x.grad.numpy(), rtol=1e-9, atol=1e-10)
    for one, two in zip(gradients[1:], theirs, strict=False):
        if one.shape[-1] == turned(one).shape[0]:
            np.testing.assert_allclose(turned(one).numpy(), two.numpy(), rtol=1e-9, atol=1e-10)
    for one, two in zip(gradients[-len(states) :], first, strict=True):
        np.testing.assert_allclose(one, two.grad[0].numpy(), rtol=1e-9, atol=1e-10)


@everyone
def test_what_cannot_be_is_refused(kind):
    x, weights, states = problem(kind)
    forward = KINDS[kind][0]
    for lengths, says in [([5, 6, 0], r"lengths\[1\] is 6, expected 0 to 5"), ([-1, 0, 0], "-1")]:
        with pytest.raises(ValueError, match=says):
            forward(x, *weights, *states, np.array(lengths))
    with pytest.raises(ValueError, match="expected sequences of at least one step"):
        forward(x[:, :0], *weights)
    with pytest.raises(ValueError, match=r"U is \(4, \d+\), expected"):
        forward(x, weights[0], weights[1][:, :-1])


def test_ids_that_occur_twice_receive_both_gradients():
    ids, W = np.array([[1, 4, 1], [0, 1, 1]]), np.arange(15.0).reshape(5, 3)
    y, cache = embedding_forward(ids, W)
    np.testing.assert_array_equal(y, W[ids])
    dy = np.random.default_rng(0).standard_normal(y.shape)
    expected = np.zeros_like(W)
    for i, d in zip(ids.ravel(), dy.reshape(-1, 3), strict=True):
        expected[i] += d
    np.testing.assert_allclose(embedding_backward(dy, cache), expected)


def test_an_id_without_a_row_is_named():
    with pytest.raises(ValueError, match=r"ids\[0, 1\] is 5, expected 0 to 4 because W is \(5, 2"):
        embedding_forward(np.array([[0, 5]]), np.zeros((5, 2)))
