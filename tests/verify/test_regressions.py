"""Mistakes that gradient checkers have made, each of which this one must not make.

Beside these, ``test_gradcheck.py`` has: float32, kinks, a redrawn mask, views and strides, inputs
restored after an exception, no outputs, an all-zero gradient, a small gradient beside a big one, a
wrong dx alone, repeated indices, a cotangent that is written to, a saturated unit.
"""

from __future__ import annotations

import numpy as np
import pytest

from minienc.functions import dense_backward, dense_forward, relu_backward, relu_forward
from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(4)


def normal(*shape):
    return RNG.standard_normal(shape)


def test_a_checker_that_returned_early():
    """Each single element of each tensor is looked at: whichever is wrong, it is named."""
    x, W, b = normal(3, 2), normal(2, 3), normal(3)
    for which, shape in enumerate([(3, 2), (2, 3), (3,)]):
        for index in np.ndindex(shape):

            def backward(dy, cache, which=which, index=index):
                grads = [g.copy() for g in dense_backward(dy, cache)]
                grads[which][index] += 1e-4
                return tuple(grads)

            report = gradcheck(dense_forward, backward, x, W, b, activation="tanh")
            (wrong,) = [t for t in report.tensors if t.verdict == "fail"]
            assert [e.index for e in wrong.wrong] == [index]


def test_running_statistics():
    """A forward with a memory: an object is copied for each call, and left as it was."""

    class BatchNorm:
        def __init__(self, units):
            self.gamma, self.mean = normal(units), np.zeros(units)

        def forward(self, x):
            self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
            centred = x - x.mean(axis=0)
            self.s = np.sqrt((centred**2).mean(axis=0) + 1e-3)
            self.h = centred / self.s
            return self.gamma * self.h

        def backward(self, dy):
            self.dgamma = (dy * self.h).sum(axis=0)
            dh = dy * self.gamma
            return (dh - dh.mean(axis=0) - self.h * (dh * self.h).mean(axis=0)) / self.s

    layer = BatchNorm(3)
    report = gradcheck(layer, normal(6, 3))
    assert report, report
    assert [t.name for t in report.tensors] == ["x", "gamma"]
    assert not layer.mean.any()
    assert any("normalisation" in note for note in report.notes)


@pytest.mark.parametrize("where", ["x", "dy"])
def test_stride_0(where):
    """A broadcast row: differences that write into it would move all rows at once."""
    x = np.broadcast_to(normal(1, 3), (4, 3))
    assert gradcheck(relu_forward, relu_backward, x)

    def backward(dy, cache):
        if dy.strides[0] == 0 and where == "dy":
            dy = dy / len(dy)
        return relu_backward(np.array(dy), cache)

    report = gradcheck(relu_forward, backward, normal(4, 3))
    assert report.verdict == ("fail" if where == "dy" else "pass")
    assert any("stride 0" in problem for problem in report.problems) == (where == "dy")


def test_an_output_that_is_a_view_of_the_input():
    """A check that changes x in place changes the output that it has kept, too."""
    report = gradcheck(
        lambda x: (x.reshape(-1), x.shape), lambda dy, s: 2 * dy.reshape(s), normal(2, 3)
    )
    assert report.tensors[0].verdict == "fail"
    assert any("shares memory with the argument x" in note for note in report.notes)


def test_zero_size():
    assert gradcheck(relu_forward, relu_backward, np.zeros((0, 3))).verdict == "inconclusive"


def test_a_tolerance_that_grows_with_the_size_of_a_tensor():
    """One element of a hundred thousand, off by one per cent."""
    rng = np.random.default_rng(9)  # of its own: the element's gradient is no small one
    x, w = rng.standard_normal((400, 250)), rng.standard_normal(250)

    def forward(x, w):
        return x @ w, (x, w)

    def backward(dy, cache):
        x, w = cache
        dx = np.outer(dy, w)
        dx[123, 45] *= 1.01
        return dx, x.T @ dy

    report = gradcheck(forward, backward, x, w)
    assert report.tensors[0].verdict == "fail"
    assert report.tensors[0].wrong[0].index == (123, 45)


def test_a_backward_that_is_not_deterministic():
    noise = np.random.default_rng(0)

    def backward(dy, cache):
        return relu_backward(dy, cache) * (1 + 1e-9 * noise.standard_normal())

    report = gradcheck(relu_forward, backward, normal(3, 4))
    assert report.verdict == "fail"


def test_integer_inputs():
    ids = np.array([0, 2, 2])
    with pytest.raises(SubjectError, match="no floating array"):
        gradcheck(lambda i: (2 * i, None), lambda dy, c: 2 * dy, ids)

    def add_forward(table, ids):
        return table[ids], (table.shape, ids)

    def add_backward(dy, cache):
        shape, ids = cache
        d = np.zeros(shape)
        np.add.at(d, ids, dy)
        return d, None

    report = gradcheck(add_forward, add_backward, normal(4, 2), ids)
    assert [t.name for t in report.tensors] == ["table"] and report


def test_f_does_not_depend_on_x():
    report = gradcheck(lambda x: (np.ones(3), x), lambda dy, x: np.zeros_like(x), normal(4))
    assert report.verdict == "inconclusive"
    report = gradcheck(lambda x: (np.ones(3), x), lambda dy, x: 1e-3 * np.ones_like(x), normal(4))
    assert report.verdict == "fail"


def test_half_precision():
    """In float16 a step of 1e-6 is a step of 0; the differences are taken in float64."""
    x, W = normal(4, 3).astype(np.float16), normal(3, 2).astype(np.float16)

    def forward(x, W):
        return np.tanh(x @ W), (x, W)

    def backward(dy, cache, factor=1):
        x, W = cache
        dz = factor * dy * (1 - np.tanh(x @ W) ** 2)
        return dz @ W.T, x.T @ dz

    assert gradcheck(forward, backward, x, W)
    assert gradcheck(forward, lambda dy, c: backward(dy, c, 2), x, W).verdict == "fail"


def test_a_cotangent_of_all_ones():
    """The gradient of softmax for dy = 1 is 0, and so would be any nonsense times 0."""

    def softmax(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        y = e / e.sum(axis=1, keepdims=True)
        return y, y

    assert gradcheck(softmax, lambda dy, y: 0 * dy, normal(3, 4)).verdict == "fail"


def test_one_sample_is_another_thing():
    """Right with five samples, wrong with one."""

    def backward(dy, cache):
        x, W, *_ = cache
        dW = np.squeeze(x).T @ np.squeeze(dy) if len(x) > 1 else x.T @ (2 * dy)
        return dy @ W.T, dW

    report = gradcheck(dense_forward, backward, normal(5, 3), normal(3, 2))
    assert report.problems == ["with one sample (N = 1) the gradient of W is wrong"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_that_is_zero_but_for_rounding(dtype):
    """A bias before a normalisation: what is left of its gradient is rounding, and no mistake."""

    def forward(x, b):
        c = x + b - (x + b).mean(axis=0)
        s = np.sqrt((c * c).mean(axis=0))
        return c / s, (c / s, s)

    def backward(dy, cache):
        h, s = cache
        dx = (dy - dy.mean(axis=0) - h * (dy * h).mean(axis=0)) / s
        return dx, dx.sum(axis=0)

    report = gradcheck(forward, backward, normal(6, 3).astype(dtype), normal(3).astype(dtype))
    assert [t.verdict for t in report.tensors] == ["pass", "inconclusive"]
    assert report.verdict == "inconclusive"


def test_the_edge_of_a_domain():
    """Steps that leave it give NaN: shorter ones do not."""
    x = np.array([1e-8, 1e-4, 1.0, 100.0])
    assert gradcheck(lambda x: (np.sqrt(x), x), lambda dy, x: dy / (2 * np.sqrt(x)), x)
    report = gradcheck(lambda x: (np.log(x), x), lambda dy, x: dy / x, np.array([1.0, np.inf]))
    assert report.verdict == "inconclusive"
    assert "there is no derivative at this point" in report.tensors[0].reason


def test_numbers_of_all_sizes_in_one_tensor():
    x = np.array([1e-4, 1.0, 1e4])
    assert gradcheck(lambda x: (x**2, x), lambda dy, x: 2 * x * dy, x)


def test_the_norm_at_zero_is_a_kink():
    def norm(x):
        return np.sqrt((x * x).sum()), x

    report = gradcheck(norm, lambda dy, x: 0 * x, np.zeros(3))
    assert report.verdict == "inconclusive" and report.tensors[0].n_kinks == 3


def test_outputs_in_a_list():
    report = gradcheck(
        lambda x: ([2 * x, x**2], x), lambda dy, x: 2 * dy[0] + 2 * x * dy[1], normal(3)
    )
    assert report, report
