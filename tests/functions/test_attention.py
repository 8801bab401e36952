"""Attention and positions: against PyTorch, and what must hold of what is not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    add_positions_forward,
    attention_backward,
    attention_forward,
    rms_normalization_forward,
    rotary_backward,
    rotary_forward,
    sinusoidal_positions,
)

RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("with_mask", [False, True])
def test_pytorch_agrees(causal, with_mask):
    torch = pytest.importorskip("torch")
    q, k, v = normal(2, 3, 6, 4), normal(2, 3, 6, 4), normal(2, 3, 6, 5)
    mask = (RNG.random((6, 6)) < 0.7) | np.eye(6, dtype=bool) if with_mask else None
    y, cache = attention_forward(q, k, v, mask=mask, causal=causal)
    dy = normal(*y.shape)
    there = [torch.tensor(a, requires_grad=True) for a in (q, k, v)]
    allowed = np.ones((6, 6), bool) if mask is None else mask
    allowed = torch.tensor(np.tril(allowed) if causal else allowed)
    theirs = torch.nn.functional.scaled_dot_product_attention(*there, attn_mask=allowed)
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
    theirs.backward(torch.tensor(dy))
    for one, two in zip(attention_backward(dy, cache), there, strict=True):
        np.testing.assert_allclose(one, two.grad.numpy(), rtol=1e-9, atol=1e-11)


@given(st.integers(0, 4), st.integers(0, 3), st.booleans())
def test_keys_behind_the_end_change_nothing(length, more, causal):
    """Of a padded batch, the same numbers and gradients as of the sequence by itself."""
    rng = np.random.default_rng(length)
    q, k, v = rng.standard_normal((3, 1, 4 + more, 3))
    y, cache = attention_forward(q, k, v, lengths=np.array([length]), causal=causal)
    dy = rng.standard_normal(y.shape)
    dy[:, length:] = 0  # nobody reads what padded queries say
    dq, dk, dv = attention_backward(dy, cache)
    assert not dk[:, length:].any() and not dv[:, length:].any()
    if length == 0:
        assert not y.any() and not dq.any()
        return
    alone, kept = attention_forward(q[:, :length], k[:, :length], v[:, :length], causal=causal)
    np.testing.assert_allclose(y[:, :length], alone, rtol=1e-13)
    for one, two in zip((dq, dk, dv), attention_backward(dy[:, :length], kept), strict=True):
        np.testing.assert_allclose(one[:, :length], two, rtol=1e-12, atol=1e-14)


def test_one_query_behind_kept_keys_is_the_last_row_of_all():
    q, k, v = normal(3, 2, 5, 4)
    whole, _ = attention_forward(q, k, v, causal=True)
    for t in range(5):
        one, _ = attention_forward(q[:, t : t + 1], k[:, : t + 1], v[:, : t + 1], causal=True)
        np.testing.assert_allclose(one[:, 0], whole[:, t], rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lengths": np.array([1, 6])}, r"lengths\[1\] is 6, expected 0 to 5"),
        ({"mask": np.ones((3, 4), bool)}, r"mask is \(3, 4\), expected \(2, 3, 5\)"),
        ({"mask": np.ones((1, 2, 3, 5), bool)}, r"mask is \(1, 2, 3, 5\), expected \(2, 3, 5\)"),
    ],
)
def test_what_cannot_be_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        attention_forward(normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 4), **options)


def test_more_queries_than_keys_have_no_order():
    with pytest.raises(ValueError, match="causal, with 5 queries for 3 keys"):
        attention_forward(normal(2, 5, 4), normal(2, 3, 4), normal(2, 3, 4), causal=True)
    with pytest.raises(TypeError, match="mask is float64, expected booleans"):
        attention_forward(normal(2, 3, 4), normal(2, 3, 4), normal(2, 3, 4), mask=normal(3, 3))


# -- positions


@given(st.integers(0, 50), st.integers(0, 50))
def test_turned_vectors_know_how_far_they_are_apart_and_not_where(start, shift):
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 5, 6))
    here = rotary_forward(q, start)[0] @ rotary_forward(k, start)[0].T
    there = rotary_forward(q, start + shift)[0] @ rotary_forward(k, start + shift)[0].T
    np.testing.assert_allclose(here, there, rtol=1e-10, atol=1e-10)


def test_a_rotation_keeps_lengths_and_is_undone_by_its_backward():
    x = normal(2, 5, 6)
    y, cache = rotary_forward(x, 3)
    np.testing.assert_allclose((y * y).sum(-1), (x * x).sum(-1))
    np.testing.assert_allclose(rotary_backward(y, cache), x)
    np.testing.assert_allclose(rotary_forward(x, 0)[0][:, 0], x[:, 0])


def test_waves_turn_alike_with_every_shift():
    """Shifted by s places, each pair of features is turned by one angle."""
    P, s = sinusoidal_positions(30, 8, "float64"), 4
    for i in range(0, 8, 2):
        before, after = P[:-s, i : i + 2], P[s:, i : i + 2]
        turn, *_ = np.linalg.lstsq(before, after)
        np.testing.assert_allclose(before @ turn, after, atol=1e-10)
        np.testing.assert_allclose(turn @ turn.T, np.eye(2), atol=1e-10)


def test_a_sequence_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="places 2 to 5, and P is for 0 to 4: the sequence is lon"):
        add_positions_forward(normal(2, 4, 3), normal(5, 3), start=2)
    with pytest.raises(ValueError, match="x has 3 features, expected an even number"):
        rotary_forward(normal(2, 4, 3))


def test_a_longer_vector_is_normalised_to_the_same():
    x, gamma = normal(4, 6), normal(6)
    y, _ = rms_normalization_forward(x, gamma, epsilon=1e-12)
    np.testing.assert_allclose(rms_normalization_forward(7 * x, gamma, epsilon=1e-12)[0], y)
    np.testing.assert_allclose(((y / gamma) ** 2).mean(-1), 1)
