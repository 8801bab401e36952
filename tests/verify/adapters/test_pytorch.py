"""PyTorch's functions and modules."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import SubjectError, gradcheck

X = np.random.default_rng(6).standard_normal((5, 3))


def test_functions_of_pytorch():
    torch = pytest.importorskip("torch")

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return dy * x

    x = torch.tensor(X)
    assert gradcheck(lambda x, w: torch.tanh(x @ w), x, torch.ones(3, 2).double() / 3)
    report = gradcheck(Wrong.apply, x)
    assert report.verdict == "fail"
    assert "0.5 times what it should be" in str(report)
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 4, bias=False), torch.nn.BatchNorm1d(4), torch.nn.Tanh()
    )
    report = gradcheck(module, x.float())
    assert report and len(report.tensors) == 4


def test_modules_with_nested_outputs_and_with_noise_in_memory_order():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    assert gradcheck(torch.nn.LSTM(2, 3), torch.randn(4, 2, 2)).verdict != "fail"
    assert gradcheck(torch.nn.Dropout(0.5), torch.randn(5, 3))


SPOILS = {"right": lambda g: g, "zero": lambda g: 0 * g, "twice": lambda g: 2 * g}
SPOILS["turned"] = lambda g: g.T
SQUARE = np.random.default_rng(7).standard_normal((3, 3))


@pytest.mark.parametrize("spoil", SPOILS)
def test_gradients_by_hand_of_tensors(spoil):
    """A pair, one with a dictionary of parameters, gradient=, and a loss with its gradient."""
    torch = pytest.importorskip("torch")
    change, x, w = SPOILS[spoil], torch.tensor(X), torch.tensor(SQUARE)

    def backward(dy, cache):
        return dy @ cache[1].T, change(cache[0].T @ dy)

    def nested(dy, cache):
        dx, dW = backward(dy, cache)
        return dx, {"W": dW}

    def loss(w):
        return ((x @ w) ** 2).sum(), change(2 * x.T @ (x @ w))

    for report in (
        gradcheck(lambda x, w: (x @ w, (x, w)), backward, x, w),
        gradcheck(lambda x, p: (x @ p["W"], (x, p["W"])), nested, x, {"W": w}),
        gradcheck(lambda w: loss(w)[0], w, gradient=lambda w: loss(w)[1]),
        gradcheck(loss, w, gradient=True),
    ):
        assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_class_of_autograd_function(spoil):
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, dy):
            return SPOILS[spoil](3 * ctx.saved_tensors[0] ** 2 * dy)

    for x in (torch.tensor(SQUARE), torch.tensor(SQUARE, requires_grad=True), SQUARE):
        report = gradcheck(Cube, x)
        assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
        assert report.subject == "Cube"


def test_a_gradient_that_autograd_would_overlook_is_named():
    torch = pytest.importorskip("torch")
    x = torch.tensor(SQUARE)
    report = gradcheck(lambda x: ((x**2).sum(), 77 * x), x)
    assert report.verdict == "inconclusive" and "gradient=True" in str(report)
    assert gradcheck(lambda x: ((x**2).sum(), 77 * x), x, gradient=False)


def test_an_object_of_tensors_is_refused():
    torch = pytest.importorskip("torch")

    class Layer:
        W = torch.tensor(SQUARE)

        def forward(self, x):
            return x @ self.W

        def backward(self, dy):
            return dy @ self.W.T

    with pytest.raises(SubjectError, match="an object of tensors"):
        gradcheck(Layer(), torch.tensor(X))
    Layer.forward = lambda self, x: torch.tensor(x) @ self.W
    with pytest.raises(SubjectError, match=r"Layer keeps tensors \(W\)"):
        one = Layer()
        one.W = torch.tensor(SQUARE)
        gradcheck(one, X)
