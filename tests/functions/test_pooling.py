"""Pooling: against slow loops and PyTorch; ties, NaN, and windows that reach over the edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.functions import (
    average_pooling2d_forward,
    global_average_pooling2d_backward,
    global_average_pooling2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    up_sampling2d_backward,
    up_sampling2d_forward,
)
from tests.functions.test_convolution import above, fits, geometries, out_size, torch_margins

RNG = np.random.default_rng(0)


def slow_pool(x, pool, strides, padding, reduce):
    """Each window's pixels that are pixels of the image, reduced."""
    n, height, width, channels = x.shape
    axes = list(zip((height, width), pool, strides, strict=True))
    rows, columns = (out_size(*a, padding) for a in axes)
    top, left = (above(*a, padding) for a in axes)
    y = np.zeros((n, rows, columns, channels))
    for h, w in np.ndindex(rows, columns):
        r, c = h * strides[0] - top, w * strides[1] - left
        seen = x[:, max(r, 0) : r + pool[0], max(c, 0) : c + pool[1]]
        y[:, h, w] = reduce(seen, axis=(1, 2))
    return y


@pytest.mark.parametrize(
    ("forward", "reduce"), [(max_pool2d_forward, np.max), (average_pooling2d_forward, np.mean)]
)
@given(g=geometries.filter(fits), n=st.integers(1, 2))
def test_pools_are_their_definition(forward, reduce, g, n):
    x = RNG.standard_normal((n, *g["image"], 2)) - 3  # all below the zeros of a careless padding
    y, _ = forward(x, g["kernel"], g["strides"], g["padding"])
    expected = slow_pool(x, g["kernel"], g["strides"], g["padding"], reduce)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-13)


@given(g=geometries.filter(fits))
def test_every_number_of_dy_goes_into_the_image(g):
    """Nothing is lost over the edge: the sum of dx is the sum of dy."""
    x = RNG.standard_normal((2, *g["image"], 2))
    for forward in (max_pool2d_forward, average_pooling2d_forward):
        y, cache = forward(x, g["kernel"], g["strides"], g["padding"])
        dy = RNG.standard_normal(y.shape)
        dx = forward.backward(dy, cache)
        np.testing.assert_allclose(dx.sum(), dy.sum(), rtol=1e-9, atol=1e-9)


def test_the_first_of_equals_receives_the_gradient():
    x = np.array([[2.0, 5], [5, 5]]).reshape(1, 2, 2, 1)
    _, cache = max_pool2d_forward(x)
    dx = max_pool2d_backward(np.array([[[[3.0]]]]), cache)
    assert dx[0, :, :, 0].tolist() == [[0, 3], [0, 0]]


def test_ties_go_where_pytorch_has_them():
    torch = pytest.importorskip("torch")
    x = RNG.integers(0, 3, (2, 6, 7, 3)).astype(float)
    for pool, strides in ((2, 2), (3, 1), ((2, 3), (1, 2))):
        y, cache = max_pool2d_forward(x, pool, strides)
        dy = RNG.standard_normal(y.shape)
        t = torch.tensor(x, requires_grad=True)
        out = torch.nn.functional.max_pool2d(t.permute(0, 3, 1, 2), pool, strides)
        out = out.permute(0, 2, 3, 1)
        out.backward(torch.tensor(dy))
        np.testing.assert_array_equal(y, out.detach())
        np.testing.assert_allclose(max_pool2d_backward(dy, cache), t.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("pool", "strides"), [(2, 2), (3, 2), (3, 1), ((2, 3), (3, 1))])
def test_pools_equal_pytorchs(pool, strides, padding):
    """ "same" is PyTorch's pool of an image with margins, which no window may count."""
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((2, 7, 6, 3))
    sides = pool if isinstance(pool, tuple) else (pool, pool)
    steps = strides if isinstance(strides, tuple) else (strides, strides)
    margins = torch_margins(x.shape[1:3], sides, steps, padding)
    images = torch.tensor(x, requires_grad=True)

    def padded(value, of):
        return torch.nn.functional.pad(of.permute(0, 3, 1, 2), margins, value=value)

    def mean(of):
        return torch.nn.functional.avg_pool2d(padded(0.0, of), pool, strides)

    outs = {
        max_pool2d_forward: torch.nn.functional.max_pool2d(padded(-np.inf, images), pool, strides),
        average_pooling2d_forward: mean(images) / mean(torch.ones_like(images)),
    }
    for forward, out in outs.items():
        y, cache = forward(x, pool, strides, padding)
        dy, images.grad = RNG.standard_normal(y.shape), None
        out.permute(0, 2, 3, 1).backward(torch.tensor(dy))
        np.testing.assert_allclose(y, out.detach().permute(0, 2, 3, 1), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(forward.backward(dy, cache), images.grad, atol=1e-10)


def test_up_sampling_and_the_mean_of_everything_equal_pytorchs():
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((2, 3, 4, 5))
    images = torch.tensor(x, requires_grad=True)
    channels_first = images.permute(0, 3, 1, 2)
    larger = torch.nn.functional.interpolate(channels_first, scale_factor=(2, 3))
    for (y, cache), out in (
        (up_sampling2d_forward(x, (2, 3)), larger.permute(0, 2, 3, 1)),
        (global_average_pooling2d_forward(x), channels_first.mean(dim=(2, 3))),
    ):
        dy, images.grad = RNG.standard_normal(y.shape), None
        out.backward(torch.tensor(dy))
        np.testing.assert_allclose(y, out.detach(), rtol=1e-10, atol=1e-10)
        backward = up_sampling2d_backward if y.ndim == 4 else global_average_pooling2d_backward
        np.testing.assert_allclose(backward(dy, cache), images.grad, rtol=1e-10, atol=1e-10)


def test_nan_is_not_hidden():
    for place in np.ndindex(2, 2):
        x = np.zeros((1, 2, 2, 1))
        x[(0, *place, 0)] = np.nan
        assert np.isnan(max_pool2d_forward(x)[0]).all()
        assert np.isnan(average_pooling2d_forward(x)[0]).all()


def test_an_infinite_gradient_stays_where_it_belongs():
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    _, cache = max_pool2d_forward(x)
    dx = max_pool2d_backward(np.full((1, 1, 1, 1), np.inf), cache)
    assert dx.ravel().tolist() == [0, 0, 0, np.inf]


def test_images_without_samples():
    for forward in (max_pool2d_forward, average_pooling2d_forward):
        y, cache = forward(np.zeros((0, 5, 4, 2)), 2)
        assert y.shape == (0, 2, 2, 2)
        assert forward.backward(y, cache).shape == (0, 5, 4, 2)


def test_the_mean_of_everything():
    x = RNG.standard_normal((3, 4, 5, 2))
    y, cache = global_average_pooling2d_forward(x)
    np.testing.assert_allclose(y, [[image[..., c].mean() for c in (0, 1)] for image in x])
    dy = RNG.standard_normal(y.shape)
    dx = global_average_pooling2d_backward(dy, cache)
    np.testing.assert_allclose(dx, np.broadcast_to(dy[:, None, None] / 20, x.shape))


@given(size=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_up_sampling_is_undone_by_pooling(size):
    x = RNG.standard_normal((2, 3, 2, 2))
    y, cache = up_sampling2d_forward(x, size)
    assert y.shape == (2, 3 * size[0], 2 * size[1], 2)
    for r, c in np.ndindex(y.shape[1:3]):
        np.testing.assert_array_equal(y[:, r, c], x[:, r // size[0], c // size[1]])
    np.testing.assert_allclose(average_pooling2d_forward(y, size)[0], x)
    np.testing.assert_allclose(up_sampling2d_backward(y, cache), x * size[0] * size[1])


def test_refusals():
    x = np.zeros((2, 3, 4, 1))
    with pytest.raises(ValueError, match=r"max_pool2d_forward: x is \(3, 4, 1\), expected \(N, H"):
        max_pool2d_forward(x[0])
    with pytest.raises(ValueError) as caught:
        average_pooling2d_forward(x, 4)
    assert str(caught.value) == (
        "average_pooling2d_forward: pool_size is (4, 4), and the images are only (3, 4) (rows, "
        "columns); use a smaller one, or padding='same'"
    )
    with pytest.raises(ValueError, match="pool_size is 0, expected a positive integer"):
        max_pool2d_forward(x, 0)
    with pytest.raises(ValueError, match=r"up_sampling2d_forward: size is 1\.5, expected"):
        up_sampling2d_forward(x, 1.5)
    with pytest.raises(ValueError, match="images without pixels"):
        global_average_pooling2d_forward(x[:, :0])
    for forward in (
        max_pool2d_forward,
        average_pooling2d_forward,
        global_average_pooling2d_forward,
        up_sampling2d_forward,
    ):
        _, cache = forward(x)
        with pytest.raises(ValueError, match=r"dy is \(7,\), expected"):
            forward.backward(np.zeros(7), cache)
