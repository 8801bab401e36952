"""Reports as pages, for notebooks, as JSON."""

from __future__ import annotations

import math

import numpy as np

from minienc.functions import dense_backward, dense_forward, softmax_backward, softmax_forward
from minienc.verify import gradcheck

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def dense(**options):
    return gradcheck(dense_forward, dense_backward, X, W, B, activation="tanh", **options)


def test_the_page_and_the_notebook(tmp_path):
    report = gradcheck(softmax_forward, lambda dy, c: 2 * softmax_backward(dy, c), X)
    report.save_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert report._repr_html_() in page
    assert "<svg" in page and "http" not in page and "<script" not in page
    assert "2 times what it should be" in page
    assert math.isfinite(report.tensors[0].v_curve[0][1])
    assert '"v_curve"' in report.to_json()


def test_names_are_escaped():
    def f(x):
        return x * 1, None

    f.__name__ = "<b>&"
    assert "<b>&" not in gradcheck(f, lambda dy, c: 2 * dy, X)._repr_html_()
