"""Code as strangers write it: what its parts, its habits and its points have once misled a checker
by. Right ones never fail, wrong ones never pass."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import gradcheck


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


class Scale:
    """y = x s, feature by feature; ``spoil`` times its gradient; ``+=`` where it accumulates."""

    def __init__(self, s, spoil=1.0, accumulates=False):
        self.s, self.ds = s, np.zeros_like(s)
        self.spoil, self.accumulates = spoil, accumulates

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        self.x = x
        return x * self.s

    def backward(self, dy):
        ds = self.spoil * (dy * self.x).sum(axis=0)
        self.ds = self.ds + ds if self.accumulates else ds
        return dy * self.s


class Around:
    """A model with such a part, which is callable."""

    def __init__(self, part):
        self.part = part

    def forward(self, x):
        return self.part(x)

    def backward(self, dy):
        return self.part.backward(dy)


def test_weights_in_a_part_that_is_callable():
    x, s = normal(5, 3), normal(3, seed=2)
    assert gradcheck(Around(Scale(s)), x)
    report = gradcheck(Around(Scale(s, spoil=2)), x)
    assert report.verdict == "fail" and [t.name for t in report.tensors] == ["x", "part.s"]


@pytest.mark.parametrize("spoil, verdict", [(1, "pass"), (-1, "fail")])
def test_weights_that_the_first_forward_makes(spoil, verdict):
    class Lazy(Scale):
        def __init__(self):
            self.params, self.grads = {}, {}

        def forward(self, x):
            if not self.params:
                self.params["s"] = np.random.randn(x.shape[1])
            self.x = x
            return x * self.params["s"]

        def backward(self, dy):
            self.grads["s"] = spoil * (dy * self.x).sum(axis=0)
            return dy * self.params["s"]

    layer = Lazy()
    assert gradcheck(layer, normal(5, 3)).verdict == verdict
    layer.forward(normal(5, 3))
    assert gradcheck(layer, normal(5, 3)).verdict == verdict


@pytest.mark.parametrize("seed", [0, 1])
def test_the_cotangent_is_not_what_everybody_draws_first(seed):
    """With v = x the gradient of a normalisation vanishes, and with it what is wrong in it."""

    def forward(x):
        size = np.sqrt((x * x).sum(axis=1, keepdims=True))
        return x / size, (x / size, size)

    def backward(dy, cache, times=1):
        y, size = cache
        return times * (dy - y * (dy * y).sum(axis=1, keepdims=True)) / size

    x = normal(4, 6, seed=0)
    assert gradcheck(forward, backward, x, seed=seed)
    assert gradcheck(forward, lambda dy, c: backward(dy, c, 1.01), x, seed=seed).verdict == "fail"


def test_labels_in_a_closure_are_not_cut_with_one_sample():
    t = np.array([1, 0, 1, 2, 2])

    def loss(x):
        rows = np.arange(len(x))
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

        def backward(dy):
            d = p.copy()
            d[rows, t] -= 1
            return dy * d / len(x)

        return -np.log(p[rows, t]).mean(), backward

    assert gradcheck(loss, normal(5, 3))


@pytest.mark.parametrize("spoil, verdict", [(1, "pass"), (1.1, "fail")])
def test_a_weight_of_two_layers_that_each_report_their_part(spoil, verdict):
    class Twice:
        def __init__(self, s):
            self.a, self.b = Scale(s), Scale(s, spoil)

        def forward(self, x):
            return self.b.forward(self.a.forward(x))

        def backward(self, dy):
            return self.a.backward(self.b.backward(dy))

    assert gradcheck(Twice(normal(3)), normal(4, 3, seed=2)).verdict == verdict


def relu_in_place(dy, x):
    dy[x < 0] = 0
    return dy


@pytest.mark.parametrize(
    "forward, backward",
    {
        "reshape": (lambda x: (x.ravel(), x.shape), lambda dy, shape: dy.reshape(shape)),
        "transpose": (lambda x: (x.T, None), lambda dy, _: dy.T),
        "pad": (lambda x: (np.pad(x, 2), None), lambda dy, _: dy[2:-2, 2:-2]),
        "identity": (lambda x: (x, None), lambda dy, _: dy),
        "relu in place": (lambda x: (np.maximum(x, 0), x), relu_in_place),
    }.values(),
)
def test_gradients_that_are_views_or_made_in_place(forward, backward):
    assert gradcheck(forward, backward, normal(4, 3)).verdict == "pass"


def test_a_layer_that_was_used_before():
    class Sine:
        def forward(self, x):
            self.z = 3 * x
            return np.sin(self.z)

        def backward(self, dy):
            self.dz = dy * np.cos(self.z)
            return 3 * self.dz

    layer, adding = Sine(), Scale(normal(3), accumulates=True)
    for used in (layer, adding):
        assert gradcheck(used, normal(4, 3))
        used.backward(np.ones_like(used.forward(normal(4, 3))))
        assert gradcheck(used, normal(4, 3)).verdict == "pass"


def test_an_epsilon_in_the_logarithm_is_named():
    t = np.array([2, 0, 1, 1])

    def softmax(x):
        p = np.exp(x)
        return p / p.sum(axis=1, keepdims=True)

    report = gradcheck(
        lambda x: -np.log(softmax(x)[np.arange(4), t] + 1e-7).mean(),
        3 * normal(4, 3),
        gradient=lambda x: (softmax(x) - np.eye(3)[t]) / 4,
    )
    assert report.verdict == "fail" and "epsilon" in report.tensors[0].diagnosis[0]


@pytest.mark.parametrize("stride", [1, 2])
def test_ties_in_windows_that_overlap(stride):
    starts = range(0, 5, stride)

    def forward(x):
        return np.stack([x[:, i : i + 2].max(axis=1) for i in starts], axis=1), x

    def backward(dy, x, to="first"):
        dx = np.zeros_like(x)
        for k, i in enumerate(starts):
            best = x[:, i : i + 2].argmax(axis=1) if to == "first" else 0
            dx[np.arange(len(x)), i + best] += dy[:, k]
        return dx

    x = np.maximum(normal(4, 6) - 0.5, 0)  # after a relu: zeros tie
    assert gradcheck(forward, backward, x).verdict != "fail"
    assert gradcheck(forward, lambda dy, x: backward(dy, x, "left"), x).verdict == "fail"


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("below", [0, 0.2, -1])
def test_exact_zeros_at_a_kink(seed, below):
    x = normal(4, 5, seed=seed)
    x[0, :3] = 0
    report = gradcheck(
        lambda x: (np.where(x > 0, x, below * x), x),
        lambda dy, x: dy * np.where(x > 0, 1, below),
        x,
    )
    assert report.verdict != "fail", report
