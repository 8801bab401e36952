"""Convolution and its transpose: against slow loops, against each other, against PyTorch."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    ACTIVATIONS,
    conv2d_backward,
    conv2d_forward,
    conv2d_transpose_backward,
    conv2d_transpose_forward,
    patches_backward,
    patches_forward,
)

RNG = np.random.default_rng(0)

geometries = st.fixed_dictionaries(
    {
        "image": st.tuples(st.integers(1, 6), st.integers(1, 6)),
        "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "strides": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "padding": st.sampled_from(["valid", "same"]),
    }
)


def fits(g):
    return g["padding"] == "same" or all(
        k <= n for k, n in zip(g["kernel"], g["image"], strict=True)
    )


def above(size, kernel, stride, padding):
    """Zeros before the first pixel along one axis, as TensorFlow's documentation gives them."""
    if padding == "valid":
        return 0
    rest = size % stride
    total = max(kernel - stride, 0) if rest == 0 else max(kernel - rest, 0)
    return total // 2


def out_size(size, kernel, stride, padding):
    """Counted: the places where the kernel may stand."""
    if padding == "same":
        return len(range(0, size, stride))
    return sum(1 for start in range(0, size, stride) if start + kernel <= size)


def slow_convolution(x, W, strides, padding):
    """Every number by itself; pixels outside the image are 0."""
    n, height, width, _ = x.shape
    kh, kw, _, m = W.shape
    top, left = (above(*a, padding) for a in zip((height, width), (kh, kw), strides, strict=True))
    rows, columns = (
        out_size(*a, padding) for a in zip((height, width), (kh, kw), strides, strict=True)
    )
    y = np.zeros((n, rows, columns, m))
    for h, w, i, j in np.ndindex(rows, columns, kh, kw):
        r, c = h * strides[0] + i - top, w * strides[1] + j - left
        if 0 <= r < height and 0 <= c < width:
            y[:, h, w] += x[:, r, c] @ W[i, j]
    return y


def slow_transpose(x, W, strides, padding):
    """Every pixel of x lays the kernel down; what falls over the edge is lost."""
    n, height, width, _ = x.shape
    kh, kw, m, _ = W.shape
    size = [
        s * p if padding == "same" else s * (p - 1) + max(k, s)
        for p, k, s in zip((height, width), (kh, kw), strides, strict=True)
    ]
    top, left = (above(*a, padding) for a in zip(size, (kh, kw), strides, strict=True))
    y = np.zeros((n, *size, m))
    for h, w, i, j in np.ndindex(height, width, kh, kw):
        r, c = h * strides[0] + i - top, w * strides[1] + j - left
        if 0 <= r < size[0] and 0 <= c < size[1]:
            y[:, r, c] += x[:, h, w] @ W[i, j].T
    return y


def test_worked_by_hand():
    """x = ((1, 2, 3), (4, 5, 6), (7, 8, 9)), kernel ((1, 0), (0, -1)): each pixel minus the one
    below and to the right, always -4. dy = 1 everywhere: dW = the sums of four pixels."""
    x = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    W = np.array([[1.0, 0], [0, -1]]).reshape(2, 2, 1, 1)
    y, cache = conv2d_forward(x, W, np.array([0.5]))
    assert y[0, :, :, 0].tolist() == [[-3.5, -3.5], [-3.5, -3.5]]
    dx, dW, db = conv2d_backward(np.ones_like(y), cache)
    assert dW[:, :, 0, 0].tolist() == [[12, 16], [24, 28]]
    assert dx[0, :, :, 0].tolist() == [[1, 1, 0], [1, 0, -1], [0, -1, -1]]
    assert db.tolist() == [4]


@given(g=geometries.filter(fits), n=st.integers(0, 2), channels=st.integers(1, 3))
def test_convolution_is_its_definition(g, n, channels):
    x = RNG.standard_normal((n, *g["image"], channels))
    W = RNG.standard_normal((*g["kernel"], channels, 2))
    b = RNG.standard_normal(2)
    y, _ = conv2d_forward(x, W, b, g["strides"], g["padding"])
    expected = slow_convolution(x, W, g["strides"], g["padding"]) + b
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@given(g=geometries, n=st.integers(0, 2), channels=st.integers(1, 3))
def test_transposed_convolution_is_its_definition(g, n, channels):
    x = RNG.standard_normal((n, *g["image"], channels))
    W = RNG.standard_normal((*g["kernel"], 2, channels))
    b = RNG.standard_normal(2)
    y, _ = conv2d_transpose_forward(x, W, b, g["strides"], g["padding"])
    expected = slow_transpose(x, W, g["strides"], g["padding"]) + b
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@given(g=geometries)
def test_the_transpose_is_the_transpose(g):
    """<conv(a), b> = <a, transpose(b)> with one kernel, for images a of the transpose's size."""
    b = RNG.standard_normal((2, *g["image"], 3))
    W = RNG.standard_normal((*g["kernel"], 2, 3))
    back, _ = conv2d_transpose_forward(b, W, None, g["strides"], g["padding"])
    a = RNG.standard_normal(back.shape)
    there, cache = conv2d_forward(a, W, None, g["strides"], g["padding"])
    assert there.shape == b.shape
    np.testing.assert_allclose((there * b).sum(), (a * back).sum(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(conv2d_backward(b, cache)[0], back, rtol=1e-12, atol=1e-12)


@given(g=geometries.filter(fits))
def test_laying_patches_back_counts_who_saw_a_pixel(g):
    """Of ones, each pixel receives the number of windows that see it."""
    x = np.ones((1, *g["image"], 1))
    y, cache = patches_forward(x, g["kernel"], g["strides"], g["padding"])
    counts = patches_backward(np.ones_like(y), cache)
    W = np.ones((*g["kernel"], 1, 1))
    for r, c in np.ndindex(*g["image"]):
        alone = np.zeros_like(x)
        alone[0, r, c] = 1
        seen = slow_convolution(alone, W, g["strides"], g["padding"]).sum()
        assert counts[0, r, c, 0] == seen


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_activation_is_that_of_the_dense_layer(activation):
    x, W = RNG.standard_normal((2, 4, 4, 2)), RNG.standard_normal((3, 3, 2, 4))
    for forward in (conv2d_forward, conv2d_transpose_forward):
        kernel = W if forward is conv2d_forward else W.transpose(0, 1, 3, 2)
        y, cache = forward(x, kernel, None, 1, "same", activation)
        z, _ = forward(x, kernel, None, 1, "same")
        expected, f = ACTIVATIONS[activation](z)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
        dy = RNG.standard_normal(y.shape)
        dz = ACTIVATIONS[activation].backward(dy, f)
        plain = forward.backward(dz, forward(x, kernel, None, 1, "same")[1])
        for one, two in zip(forward.backward(dy, cache)[:2], plain[:2], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("forward", [conv2d_forward, conv2d_transpose_forward, patches_forward])
def test_strided_images_are_the_numbers_they_show(forward):
    x = RNG.standard_normal((2, 3, 8, 10)).transpose(0, 2, 3, 1)[:, ::2, ::-2]
    rest = ((3, 2),) if forward is patches_forward else (RNG.standard_normal((3, 2, 3, 3)),)
    y, cache = forward(x, *rest)
    again, copies = forward(x.copy(), *rest)
    np.testing.assert_allclose(y, again, rtol=1e-13, atol=1e-13)
    dy = RNG.standard_normal(y.shape[::-1]).transpose()
    one, two = forward.backward(dy, cache), forward.backward(dy.copy(), copies)
    for a, b in zip(one, two, strict=True) if isinstance(one, tuple) else [(one, two)]:
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def torch_margins(image, kernel, strides, padding):
    """(left, right, top, bottom), as ``torch.nn.functional.pad`` has them."""
    found = []
    for n, k, stride in reversed(list(zip(image, kernel, strides, strict=True))):
        before = above(n, k, stride, padding)
        needed = (out_size(n, k, stride, padding) - 1) * stride + k
        found += [before, max(needed - n - before, 0) if padding == "same" else 0]
    return found


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_convolution_equals_pytorchs(strides, padding):
    torch = pytest.importorskip("torch")
    x, W, b = RNG.standard_normal((2, 7, 6, 3)), RNG.standard_normal((3, 4, 3, 5)), np.ones(5)
    y, cache = conv2d_forward(x, W, b, strides, padding)
    dy = RNG.standard_normal(y.shape)
    t = [torch.tensor(a, requires_grad=True) for a in (x, W, b)]
    margins = torch_margins(x.shape[1:3], W.shape[:2], strides, padding)
    images = torch.nn.functional.pad(t[0].permute(0, 3, 1, 2), margins)
    out = torch.nn.functional.conv2d(images, t[1].permute(3, 2, 0, 1), t[2], strides)
    out = out.permute(0, 2, 3, 1)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, out.detach(), rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(conv2d_backward(dy, cache), t, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_convolution_equals_pytorchs(strides, padding):
    torch = pytest.importorskip("torch")
    x, W, b = RNG.standard_normal((2, 4, 5, 3)), RNG.standard_normal((3, 4, 2, 3)), np.ones(2)
    y, cache = conv2d_transpose_forward(x, W, b, strides, padding)
    dy = RNG.standard_normal(y.shape)
    t = [torch.tensor(a, requires_grad=True) for a in (x, W, b)]
    whole = torch.nn.functional.conv_transpose2d(
        t[0].permute(0, 3, 1, 2), t[1].permute(3, 2, 0, 1), t[2], strides
    ).permute(0, 2, 3, 1)
    top, left = (
        above(n, k, s, padding) for n, k, s in zip(y.shape[1:3], W.shape[:2], strides, strict=True)
    )
    out = whole[:, top : top + y.shape[1], left : left + y.shape[2]]
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, out.detach(), rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(conv2d_transpose_backward(dy, cache), t, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(os.environ.get("MINIENC_KERNEL") == "0", reason="the kernel is left unused")
@pytest.mark.parametrize("forward", [conv2d_forward, conv2d_transpose_forward])
def test_the_product_is_the_compiled_kernels(forward, monkeypatch):
    """Both ways, over patches: neither declines, though the transpose hands over a view of W."""
    pytest.importorskip("minienc._kernels")
    from minienc.fast import cpu

    served = []

    class Spy:
        def __getattr__(self, name):
            function = getattr(_kernels, name)

            def call(*arguments):
                result = function(*arguments)
                served.append((name, result is not None))
                return result

            return call

    _kernels = cpu._kernels
    monkeypatch.setattr(cpu, "_kernels", Spy())
    x, W = RNG.standard_normal((2, 6, 6, 3)), RNG.standard_normal((3, 3, 3, 3))
    y, cache = forward(x.astype("f4"), W.astype("f4"), np.ones(3, "f4"), 2, "same")
    forward.backward(y, cache)
    assert ("dense_forward", True) in served and ("dense_backward", True) in served
    assert all(done for _, done in served)


def test_refusals():
    x, W = np.zeros((2, 5, 4, 3)), np.zeros((3, 3, 3, 8))
    with pytest.raises(ValueError, match=r"conv2d_forward: x is \(5, 4, 3\), expected \(N, H, W, "):
        conv2d_forward(x[0], W)
    with pytest.raises(ValueError, match=r"W is \(3, 3, 1, 8\), expected .* with C = 3 because x"):
        conv2d_forward(x, W[:, :, :1])
    with pytest.raises(
        ValueError, match=r"kernel size is \(7, 7\), and the images are only \(5, 4\)"
    ):
        conv2d_forward(x, np.zeros((7, 7, 3, 8)))
    with pytest.raises(ValueError, match="conv2d_forward: padding is 'full', expected 'valid' or"):
        conv2d_forward(x, W, padding="full")
    for strides in (0, (1, 2, 3), 1.5, True, "2", (1, -1)):
        with pytest.raises(ValueError, match=r"conv2d_forward: strides is .*expected a positive"):
            conv2d_forward(x, W, strides=strides)
    with pytest.raises(TypeError, match="W is float32 but x is float64"):
        conv2d_forward(x, W.astype("float32"))
    with pytest.raises(ValueError, match="activation is 'sigmoidal'"):
        conv2d_transpose_forward(x, np.zeros((3, 3, 8, 3)), activation="sigmoidal")
    with pytest.raises(ValueError, match=r"conv2d_transpose_forward: W is .* with C = 3 because x"):
        conv2d_transpose_forward(x, W)
    with pytest.raises(ValueError, match="conv2d_transpose_forward: padding is 'SAME'"):
        conv2d_transpose_forward(x, np.zeros((3, 3, 8, 3)), padding="SAME")
    _, cache = conv2d_forward(x, W)
    with pytest.raises(ValueError, match=r"conv2d_backward: dy is \(5,\), expected"):
        conv2d_backward(np.zeros(5), cache)
    with pytest.raises(TypeError, match="the cache is a Conv2DCache, expected the Conv2DTranspose"):
        conv2d_transpose_backward(np.zeros((2, 3, 2, 8)), cache)
