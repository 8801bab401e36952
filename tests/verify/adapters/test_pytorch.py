"""PyTorch's functions and modules."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import gradcheck

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
