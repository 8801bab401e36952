"""Weights that a checker could overlook, and noise that it could draw anew: what was not looked at
is named, and there is no pass."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(12)


def normal(*shape):
    return RNG.standard_normal(shape)


X = normal(4, 3)


@pytest.fixture(autouse=True)
def seeded():
    """One mask of dropout in 4,096 drops every element, and proves nothing of a gradient."""
    np.random.seed(3)


class ByLists:
    """Weights in a list, gradients in another, as "Deep Learning from Scratch" has them."""

    def __init__(self, spoil=1.0):
        self.params, self.grads = [normal(3, 2), normal(2)], [np.zeros((3, 2)), np.zeros(2)]
        self.spoil = spoil

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dy):
        self.grads[0][...] = self.spoil * self.x.T @ dy
        self.grads[1][...] = dy.sum(axis=0)
        return dy @ self.params[0].T


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class ByParameters:
    def __init__(self, spoil=1.0):
        self.weight, self.spoil = Parameter(normal(3, 2)), spoil

    def forward(self, x):
        self.x = x
        return x @ self.weight.data

    def backward(self, dy):
        self.weight.grad += self.spoil * self.x.T @ dy
        return dy @ self.weight.data.T


class Network:
    """A part inside, and its weights in a list of the whole's, too."""

    def __init__(self, spoil=1.0):
        self.layers = [ByLists(spoil)]
        self.params = [p for layer in self.layers for p in layer.params]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


@pytest.mark.parametrize("kind", [ByLists, ByParameters, Network])
def test_weights_wherever_a_class_keeps_them(kind):
    right = gradcheck(kind(), X)
    assert right and len(right.tensors) > 1, right
    assert gradcheck(kind(spoil=1.01), X).verdict == "fail"


def test_a_weight_without_a_gradient_beside_it():
    class Renamed(ByLists):
        def __init__(self):
            self.kernel = normal(3, 2)
            self.running_mean = normal(2)

        def forward(self, x):
            return x @ self.kernel - self.running_mean

        def backward(self, dy):
            return dy @ self.kernel.T

    report = gradcheck(Renamed(), X)
    assert report.verdict == "inconclusive"
    assert list(report.unchecked) == ["kernel"]
    assert "kernel was not checked" in str(report)
    assert gradcheck(Renamed(), X, stop_gradient="kernel")


def affine(x, params):
    return x @ params["W"], (x, params["W"])


def test_arrays_in_a_dictionary_and_by_keyword():
    def backward(dy, cache, factor=1):
        x, W = cache
        return dy @ W.T, {"W": factor * x.T @ dy}

    params = {"W": normal(3, 2)}
    report = gradcheck(affine, backward, X, params)
    assert report and [t.name for t in report.tensors] == ["x", "W"]
    report = gradcheck(affine, lambda dy, cache: backward(dy, cache, 7), X, params)
    assert [t.verdict for t in report.tensors] == ["pass", "fail"]

    def scaled(x, by=None):
        return x * by, by

    by_keyword = gradcheck(scaled, lambda dy, by: {"x": dy * by}, X, by=normal(4, 3))
    assert by_keyword.verdict == "inconclusive"
    assert gradcheck(scaled, lambda dy, by: {"x": dy * by}, X, by=normal(4, 3), stop_gradient="by")


def test_numbers_and_complex_numbers():
    def scale(x, a):
        return x * a, (x, a)

    with pytest.raises(SubjectError, match=r"a as np\.array"):
        gradcheck(scale, lambda dy, c: (dy * c[1], 99.0), X, 0.5)
    assert gradcheck(scale, lambda dy, c: (dy * c[1], None), X, 0.5)
    with pytest.raises(SubjectError, match="complex"):
        gradcheck(lambda x: (np.fft.fft(x), None), lambda dy, _: dy.real, X)
    report = gradcheck(
        lambda z, a: (np.abs(z) * a, z), lambda dy, z: (dy, dy * np.abs(z)), 1j * X, X
    )
    assert report.verdict == "inconclusive"
    with pytest.raises(SubjectError, match="is a class"):
        gradcheck(ByLists, X)


def global_dropout(x):
    mask = (np.random.rand(*x.shape) > 0.5) / 0.5
    return x * mask, mask


def test_noise_from_the_global_generator_is_replayed():
    report = gradcheck(global_dropout, lambda dy, mask: dy * mask, X)
    assert report, report

    def redrawn(dy, _):
        return dy * (np.random.rand(*dy.shape) > 0.5) / 0.5

    assert gradcheck(global_dropout, redrawn, X).verdict == "fail"

    def dropout(x, rng):
        mask = (rng.rand(*x.shape) > 0.5) / 0.5
        return x * mask, mask

    assert gradcheck(dropout, lambda dy, mask: dy * mask, X, np.random.RandomState(0))


def test_a_cache_that_is_used_up():
    assert gradcheck(lambda x: (x**2, [x]), lambda dy, cache: 2 * dy * cache.pop(), X)


def test_the_first_argument_and_any_number_of_others():
    assert gradcheck(
        lambda x1, *xs: (x1 * xs[0], (x1, xs[0])), lambda dy, c: (dy * c[1], dy * c[0]), X, X + 1
    )


def test_the_batch_size_is_recognised_in_a_loss():
    def mean_square(x):
        return (x**2).sum() / len(x), x

    report = gradcheck(mean_square, lambda dy, x: 2 * x * dy, X)
    assert "4 is the batch size, is the 1/N missing?" in str(report)


def test_one_gradient_for_two_arguments_of_which_one_is_declared_constant():
    def mean_square(y, t):
        return ((y - t) ** 2).mean(), y - t

    def backward(dy, gap):
        return 2 * gap / gap.size * dy

    with pytest.raises(SubjectError, match="stop_gradient"):
        gradcheck(mean_square, backward, X, normal(4, 3))
    assert gradcheck(mean_square, backward, X, normal(4, 3), stop_gradient="t")


@pytest.mark.parametrize("claim", ["a", np.array([None, 1.0]), 1j * X])
def test_gradients_that_are_no_real_numbers(claim):
    with pytest.raises(SubjectError, match="expected real numbers"):
        gradcheck(lambda x: (x**2, x), lambda dy, x: claim, X)


def test_np_random_is_left_as_it_was():
    before = np.random.get_state()[2]

    def noisy(x):
        mask = np.random.random(x.shape) > 0.5
        return x * mask, mask

    assert gradcheck(noisy, lambda dy, mask: dy * mask, X).verdict == "pass"
    assert np.random.get_state()[2] == before
