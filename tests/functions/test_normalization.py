"""Normalisation: what comes out is normal, what cannot matter does not, PyTorch agrees."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import (
    batch_normalization_backward,
    batch_normalization_forward,
    layer_normalization_backward,
    layer_normalization_forward,
    power_iteration,
    spectral_normalization_backward,
    spectral_normalization_forward,
)

RNG = np.random.default_rng(0)


def unit(*shape):
    u = RNG.standard_normal(shape)
    return u / np.linalg.norm(u)


@pytest.mark.parametrize("lead", [(50,), (5, 4, 3)])
def test_a_batch_comes_out_with_the_mean_and_the_deviation_that_were_asked_for(lead):
    x = 7 + 3 * RNG.standard_normal((*lead, 4))
    gamma, beta = RNG.uniform(1, 2, 4), RNG.standard_normal(4)
    y, cache = batch_normalization_forward(x, gamma, beta, epsilon=1e-12)
    rows = y.reshape(-1, 4)
    np.testing.assert_allclose(rows.mean(axis=0), beta, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rows.std(axis=0), gamma, rtol=1e-9)
    np.testing.assert_allclose(cache.mean, x.reshape(-1, 4).mean(axis=0))
    np.testing.assert_allclose(cache.variance, x.reshape(-1, 4).var(axis=0))


def test_a_row_comes_out_with_mean_0_and_deviation_1():
    x = 7 + 3 * RNG.standard_normal((6, 2, 40))
    y, _ = layer_normalization_forward(x, epsilon=1e-12)
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-9)
    np.testing.assert_allclose(y.std(axis=-1), 1, rtol=1e-9)
    for i, k in np.ndindex(6, 2):  # each by itself
        alone, _ = layer_normalization_forward(x[i, k], epsilon=1e-12)
        np.testing.assert_allclose(y[i, k], alone)


def test_given_moments_are_used_and_every_sample_stands_alone():
    x, mean, variance = RNG.standard_normal((5, 3)), RNG.standard_normal(3), RNG.uniform(1, 2, 3)
    y, cache = batch_normalization_forward(x, None, None, mean, variance)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-3))
    np.testing.assert_allclose(
        batch_normalization_forward(x[:1], None, None, mean, variance)[0], y[:1]
    )
    dx, dgamma, dbeta = batch_normalization_backward(np.ones_like(y), cache)
    np.testing.assert_allclose(dx, np.broadcast_to(1 / np.sqrt(variance + 1e-3), x.shape))
    assert dgamma is None and dbeta is None


def test_a_shift_and_a_stretch_have_no_gradient():
    """y does not change with them, so dx is at right angles to both."""
    x, dy = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 4))
    _, cache = batch_normalization_forward(x, epsilon=1e-12)
    dx = batch_normalization_backward(dy, cache)[0]
    np.testing.assert_allclose(dx.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose((dx * x).sum(axis=0), 0, atol=1e-9)
    _, cache = layer_normalization_forward(x, epsilon=1e-12)
    dx = layer_normalization_backward(dy, cache)[0]
    np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose((dx * x).sum(axis=1), 0, atol=1e-9)


def test_numbers_far_from_zero_keep_their_digits():
    """The variance is that of x - mean: mean x^2 - (mean x)^2 would be all rounding here."""
    x = (1e4 + RNG.standard_normal((100, 3))).astype("float32")
    y, _ = batch_normalization_forward(x)
    exact, _ = batch_normalization_forward(x.astype(float))
    np.testing.assert_allclose(y, exact, atol=5e-3)
    constant, cache = batch_normalization_forward(np.full((4, 2), 3.0))
    assert not constant.any()
    assert np.isfinite(batch_normalization_backward(np.ones((4, 2)), cache)[0]).all()


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation_equals_pytorchs(training):
    torch = pytest.importorskip("torch")
    x, gamma, beta = RNG.standard_normal((4, 3, 2, 5)), RNG.random(5), RNG.standard_normal(5)
    moments = RNG.standard_normal(5), RNG.uniform(1, 2, 5)
    y, cache = batch_normalization_forward(x, gamma, beta, *((None, None), moments)[not training])
    dy = RNG.standard_normal(y.shape)
    t = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    out = torch.nn.functional.batch_norm(
        t[0].permute(0, 3, 1, 2), *map(torch.tensor, moments), t[1], t[2], training, eps=1e-3
    ).permute(0, 2, 3, 1)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, out.detach(), rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(batch_normalization_backward(dy, cache), t, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-10)


def test_layer_normalisation_equals_pytorchs():
    torch = pytest.importorskip("torch")
    x, gamma, beta = RNG.standard_normal((4, 3, 5)), RNG.random(5), RNG.standard_normal(5)
    y, cache = layer_normalization_forward(x, gamma, beta)
    dy = RNG.standard_normal(y.shape)
    t = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    out = torch.nn.functional.layer_norm(t[0], (5,), t[1], t[2], eps=1e-3)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, out.detach(), rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(layer_normalization_backward(dy, cache), t, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-10)


# ------------------------------------------------------------------------ spectral normalisation


@pytest.mark.parametrize("shape", [(6, 4), (3, 5), (2, 2, 3, 4)])
def test_power_iteration_ends_at_the_largest_singular_value(shape):
    W = RNG.standard_normal(shape)
    matrix = W.reshape(-1, shape[-1])
    _, values, directions = np.linalg.svd(matrix)
    u = power_iteration(W, unit(shape[-1]), iterations=500)
    np.testing.assert_allclose(abs(u @ directions[0]), 1, rtol=1e-9)
    y, cache = spectral_normalization_forward(W, u)
    np.testing.assert_allclose(cache.sigma, values[0], rtol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(y.reshape(matrix.shape), 2), 1, rtol=1e-9)


def test_each_power_iteration_comes_nearer_and_sigma_is_never_too_large():
    W, u = RNG.standard_normal((6, 4)), unit(4)
    sigmas = []
    for _ in range(10):
        sigmas.append(float(spectral_normalization_forward(W, u)[1].sigma))
        u = power_iteration(W, u)
    assert sigmas == sorted(sigmas)
    assert sigmas[-1] <= np.linalg.norm(W, 2) * (1 + 1e-12)


def test_the_length_of_the_weights_has_no_gradient():
    W, u, dy = RNG.standard_normal((6, 4)), unit(4), RNG.standard_normal((6, 4))
    y, cache = spectral_normalization_forward(W, u)
    np.testing.assert_allclose(spectral_normalization_forward(3 * W, u)[0], y)
    assert abs((spectral_normalization_backward(dy, cache) * W).sum()) < 1e-12


def test_spectral_normalisation_equals_pytorchs():
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(6, 4, bias=False).double()
    torch.nn.utils.parametrizations.spectral_norm(linear)
    linear.train()
    linear(torch.zeros(1, 6).double())  # one iteration of PyTorch's, in training alone
    linear.eval()
    inside = linear.parametrizations.weight
    W, u = inside.original.detach().numpy().T, inside[0]._u.numpy().copy()
    y, cache = spectral_normalization_forward(W, u)
    np.testing.assert_allclose(y, linear.weight.detach().numpy().T, rtol=1e-10)
    dy = RNG.standard_normal((6, 4))
    (linear.weight.T * torch.tensor(dy)).sum().backward()
    ours = spectral_normalization_backward(dy, cache)
    np.testing.assert_allclose(ours, inside.original.grad.T, rtol=1e-10, atol=1e-12)
    for _ in range(3):  # and so on: the same u after each of their forwards in training
        linear.train()
        linear.weight  # noqa: B018
        u = power_iteration(W, u)
        np.testing.assert_allclose(u, inside[0]._u.numpy(), rtol=1e-10)


def test_spectral_normalisation_of_kernels_equals_pytorchs():
    """Theirs are (out, in, KH, KW), a matrix with other rows than ours, in another order."""
    torch = pytest.importorskip("torch")
    conv = torch.nn.Conv2d(3, 5, (2, 4), bias=False).double()
    torch.nn.utils.parametrizations.spectral_norm(conv)
    conv.eval()
    inside = conv.parametrizations.weight
    W = inside.original.detach().numpy().transpose(2, 3, 1, 0)
    y, cache = spectral_normalization_forward(W, inside[0]._u.numpy().copy())
    ours = spectral_normalization_backward(dy := RNG.standard_normal(W.shape), cache)
    theirs = conv.weight.permute(2, 3, 1, 0)
    np.testing.assert_allclose(y, theirs.detach(), rtol=1e-10)
    (theirs * torch.tensor(dy)).sum().backward()
    expected = inside.original.grad.permute(2, 3, 1, 0)
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)


def test_refusals():
    x, v = np.zeros((4, 3)), np.ones(3)
    with pytest.raises(ValueError, match=r"gamma is \(4,\), expected \(C,\) with C = 3 because x"):
        batch_normalization_forward(x, np.ones(4))
    with pytest.raises(ValueError, match="moving_variance is missing beside moving_mean; give"):
        batch_normalization_forward(x, v, v, v)
    with pytest.raises(ValueError, match="moving_mean is missing beside moving_variance; give"):
        batch_normalization_forward(x, v, v, None, v)
    with pytest.raises(ValueError, match="with at least one sample to take the mean of"):
        batch_normalization_forward(x[:0])
    with pytest.raises(ValueError, match="with at least one sample to take the mean of"):
        batch_normalization_forward(v)
    for forward in (batch_normalization_forward, layer_normalization_forward):
        with pytest.raises(ValueError, match="epsilon is 0, expected a number > 0"):
            forward(x, epsilon=0)
        _, cache = forward(x)
        with pytest.raises(ValueError, match=r"dy is \(7,\), expected \(4, 3\)"):
            forward.backward(np.zeros(7), cache)
    with pytest.raises(ValueError, match=r"u is \(4,\), expected \(M,\) with M = 3 because W is"):
        spectral_normalization_forward(x, np.ones(4))
    _, cache = spectral_normalization_forward(x + 1, v)
    with pytest.raises(ValueError, match=r"dy is \(7,\), expected \(4, 3\)"):
        spectral_normalization_backward(np.zeros(7), cache)
