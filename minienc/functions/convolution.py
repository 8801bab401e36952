"""Convolution is a dense layer over patches; its transpose runs the same two steps backwards.

    conv2d             images  -- cut -->    patches  -- dense -->            y
    conv2d_transpose   x       -- dense -->  patches  -- laid down, added --> images

A kernel W (KH, KW, C, M) looks at KH x KW pixels at a time. Written as rows, one for each place
where it stands, the patches are a matrix P of KH KW C columns, and y = f(P W + b) is the dense
layer, so convolution has no product of its own: it reaches whatever makes ``dense`` fast. What is
left is to cut patches out, and, for the gradient, to lay them back, where pixels that several
patches saw receive the sum. (Deep learning calls it convolution though the kernel is not turned
round; signal processing would say correlation.)

Images are (N, H, W, C), channels last. Kernels are Keras's: (KH, KW, in, out), and for the
transpose (KH, KW, out, in), which is the kernel of the convolution that it transposes.

Sources: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section 2;
Chellapilla, Puri and Simard 2006, "High performance convolutional neural networks for document
processing" (convolution as one product); Zeiler et al. 2010, "Deconvolutional networks" (the
transpose); Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning" (sizes).
"""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import get_array_module
from minienc.functions.activations import get_activation
from minienc.functions.dense import DenseCache, as_rows, dense_backward, dense_forward
from minienc.functions.windows import (
    Windows,
    add_at,
    add_margins,
    check_padding,
    cut_margins,
    pair_of,
    pixel,
    pixels,
    place_windows,
    zeros_with_margins,
)
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# ---------------------------------------------------------------------------------------- patches


class PatchesCache(NamedTuple):
    shape: tuple[int, int, int, int]  # of x: (N, H, W, C)
    windows: Windows
    y: Form  # (N, OH, OW, KH KW C)


@primitive
def patches_forward(x, kernel_size, strides=(1, 1), padding="valid"):
    """y_nhw = the pixels of image n that the window in row h, column w sees, one after the other.

    Known as im2col. No number is computed, each is copied KH KW times (fewer at the edges).

    Parameters
    ----------
    x : array (N, H, W, C)
    kernel_size, strides : int or (int, int)
        Rows and columns.
    padding : {"valid", "same"}
        Where the windows stand: ``windows.place_windows`` has the arithmetic.

    Returns
    -------
    y : array (N, OH, OW, KH KW C), of x's dtype
        Each patch row by row, each pixel with its C channels.
    cache : PatchesCache

    Raises
    ------
    ValueError, TypeError
        If x is not four-dimensional, or an argument is none of those above.

    Examples
    --------
    >>> y, cache = patches_forward(np.arange(9.0).reshape(1, 3, 3, 1), (2, 2))
    >>> y.shape
    (1, 2, 2, 4)
    >>> y[0, 0, 0]
    array([0., 1., 3., 4.])
    """
    check_shapes("patches_forward", "x: N H W C", x)
    n, height, width, channels = x.shape
    windows = place_windows(
        "patches_forward", (height, width), kernel_size, strides, padding, "kernel_size"
    )
    seen = _look_through(add_margins(x, windows), windows)  # (1)
    y = seen.reshape((n, *windows.n, windows.size[0] * windows.size[1] * channels))
    return y, PatchesCache((n, height, width, channels), windows, Form(y.shape, y.dtype))


@primitive
def patches_backward(dy, cache: PatchesCache):
    """dx = the patches of dy laid back where they were cut out, and added where they overlap.

    A pixel was copied to every window that sees it, and a sum is what the gradient of a copy is:
    pixel (i, j) of window (h, w) goes to row SH h + i, column SW w + j.
    """
    check_shapes("patches_backward", "y: N OH OW K, dy: N OH OW K", cache.y, dy)
    shape, windows = cache.shape, cache.windows
    (kh, kw), channels = windows.size, shape[-1]
    dseen = dy.reshape((shape[0], *windows.n, kh, kw, channels))
    dx = zeros_with_margins(dy, shape, windows)
    for i in range(kh):
        for j in range(kw):
            dx = add_at(dx, pixel(windows, i, j), dseen[:, :, :, i, j])  # (1) was a copy
    return cut_margins(dx, windows)


def _look_through(x, windows):
    """(N, OH, OW, KH, KW, C) of x (N, H, W, C): one copy of what a view shows of every window."""
    xp = get_array_module(x)
    if not hasattr(xp, "lib"):  # JAX has no views: pixel after pixel of all windows
        n, channels = x.shape[0], x.shape[3]
        seen = xp.stack([x[where] for where in pixels(windows)], axis=3)
        return seen.reshape((n, *windows.n, *windows.size, channels))
    view = xp.lib.stride_tricks.sliding_window_view(x, windows.size, axis=(1, 2))
    view = view[:, :: windows.strides[0], :: windows.strides[1]]  # (N, OH, OW, C, KH, KW)
    return view.transpose(0, 1, 2, 4, 5, 3).copy()


# ----------------------------------------------------------------------------------------- conv2d


class Conv2DCache(NamedTuple):
    patches: PatchesCache
    dense: DenseCache  # its x is P (N OH OW, KH KW C), most of the memory
    kernel_shape: tuple[int, int, int, int]  # (KH, KW, C, M)
    y: Form  # (N, OH, OW, M)


@primitive
def conv2d_forward(x, W, b=None, strides=(1, 1), padding="valid", activation="identity"):
    """y_nhwm = f(b_m + sum_ijc x_n,(SH h + i),(SW w + j),c W_ijcm): a dense layer over patches.

    Parameters
    ----------
    x : array (N, H, W, C)
        Images.
    W : array (KH, KW, C, M)
        M kernels of KH x KW pixels and C channels.
    b : array (M,) or None
    strides : int or (int, int)
        How far the kernel moves down and to the right.
    padding : {"valid", "same"}
        "valid": the kernel stays inside, y has (H - KH) // SH + 1 rows. "same": zeros are added
        around x so that y has ceil(H / SH) rows, an odd one below and to the right.
    activation : str
        A name of ``activations.ACTIVATIONS``.

    Returns
    -------
    y : array (N, OH, OW, M), of x's dtype
    cache : Conv2DCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, strides, padding or an activation that there are not.

    Examples
    --------
    >>> x, W = np.arange(9.0).reshape(1, 3, 3, 1), np.ones((2, 2, 1, 1))
    >>> y, cache = conv2d_forward(x, W)
    >>> y[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    >>> dx, dW, db = conv2d_backward(np.ones_like(y), cache)
    >>> dx[0, :, :, 0]  # in how many windows each pixel is
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    check_shapes("conv2d_forward", "x: N H W C, W: KH KW C M, b: M", x, W, b)
    name, kernel_size, n_out = "conv2d_forward", tuple(W.shape[:2]), W.shape[3]
    place_windows(name, x.shape[1:3], kernel_size, strides, padding, "kernel size")  # or refuses
    seen, patches = patches_forward(x, kernel_size, strides, padding)  # (1)
    P = as_rows(seen)  # (2)
    rows, dense = dense_forward(P, W.reshape((P.shape[1], n_out)), b, activation)  # (3)
    y = rows.reshape((*seen.shape[:3], n_out))  # (4)
    return y, Conv2DCache(patches, dense, tuple(W.shape), Form(y.shape, y.dtype))


@primitive
def conv2d_backward(dy, cache: Conv2DCache):
    """The gradients of a convolution: those of the dense layer, and dx = the patches laid back.

    (3) is y = f(P W + b), with the patches as the rows of P, so

        dP = dz W',   dW = P' dz,   db = sum dz          as on the page of ``dense``
        dx = the rows of dP, each added to the pixels that it was cut from

    A kernel that stands in OH OW places of N images is used N OH OW times; the product P' dz is
    the sum of its gradients over all of them.

    Parameters
    ----------
    dy : array (N, OH, OW, M)
    cache : Conv2DCache

    Returns
    -------
    dx (N, H, W, C), dW (KH, KW, C, M), db (M,)
        db is None where there was no b.
    """
    patches, dense, kernel_shape, y = cache
    check_shapes("conv2d_backward", "y: N OH OW M, dy: N OH OW M", y, dy)
    drows = as_rows(dy)  # (4) was y = rows
    dP, dW, db = dense_backward(drows, dense)  # (3) was f(P W + b)
    dseen = dP.reshape(patches.y.shape)  # (2) was P = seen
    dx = patches_backward(dseen, patches)  # (1) was seen = patches of x
    return dx, dW.reshape(kernel_shape), db


# ------------------------------------------------------------------------------- conv2d_transpose


class Conv2DTransposeCache(NamedTuple):
    dense: DenseCache  # its x is x as rows (N H W, C)
    shape: tuple[int, int, int, int]  # of x: (N, H, W, C)
    windows: Windows
    padding: str
    kernel_shape: tuple[int, int, int, int]  # (KH, KW, M, C)
    has_bias: bool
    activation: str
    f: NamedTuple  # the activation's own cache: y (N, OH, OW, M) for most


@primitive
def conv2d_transpose_forward(x, W, b=None, strides=(1, 1), padding="valid", activation="identity"):
    """Every pixel of x lays the kernel, times its number, on y; where they overlap, they add.

    With strides of 2, that makes images twice as large. It is the dx of a convolution: of the one
    with this kernel, these strides and this padding that makes images of x's size out of images of
    y's. In matrices, where a convolution is x -> A x, this is x -> A' x: its transpose (not its
    inverse).

    Parameters
    ----------
    x : array (N, H, W, C)
    W : array (KH, KW, M, C)
        Of the convolution that is transposed: from M channels to C.
    b : array (M,) or None
    strides : int or (int, int)
    padding : {"valid", "same"}
        "same": y has H SH rows. "valid": H SH + max(KH - SH, 0), all that the kernels cover.
    activation : str
        A name of ``activations.ACTIVATIONS``.

    Returns
    -------
    y : array (N, OH, OW, M), of x's dtype
    cache : Conv2DTransposeCache

    Raises
    ------
    ValueError, TypeError
        For shapes or dtypes that do not fit, strides, padding or an activation that there are not.

    Examples
    --------
    >>> x, W = np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1))
    >>> y, cache = conv2d_transpose_forward(x, W)
    >>> y[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    name = "conv2d_transpose_forward"
    check_shapes(name, "x: N H W C, W: KH KW M C, b: M", x, W, b)
    f_forward = get_activation(activation)
    kh, kw, n_out, n_in = W.shape
    size = transposed_size(name, x.shape[1:3], (kh, kw), strides, padding)
    windows = place_windows(name, size, (kh, kw), strides, padding, "kernel size")
    Kt = W.reshape((kh * kw * n_out, n_in)).T  # (1)
    rows = as_rows(x)  # (2)
    P, dense = dense_forward(rows, Kt)  # (3)  (N H W, KH KW M)
    seen = P.reshape((*x.shape[:3], kh * kw * n_out))  # (4)
    form = Form(seen.shape, seen.dtype)
    z = patches_backward(seen, PatchesCache((x.shape[0], *size, n_out), windows, form))  # (5)
    z = z if b is None else z + b  # (6)
    y, f = f_forward(z)  # (7)
    cache = Conv2DTransposeCache(
        dense, tuple(x.shape), windows, padding, tuple(W.shape), b is not None, activation, f
    )
    return y, cache


@primitive
def conv2d_transpose_backward(dy, cache: Conv2DTransposeCache):
    """dx is the convolution of dz: what a transpose is the transpose of.

    (5) laid patches over one another, and the gradient of laying patches is cutting them: each
    number went to one place, and fetches its gradient there. (3) was P = x K', with the kernel as
    a matrix K (KH KW M, C), so dx = dP K and dK = dP' x.

    Parameters
    ----------
    dy : array (N, OH, OW, M)
    cache : Conv2DTransposeCache

    Returns
    -------
    dx (N, H, W, C), dW (KH, KW, M, C), db (M,)
        db is None where there was no b.
    """
    dense, shape, windows, padding, kernel_shape, has_bias, activation, f = cache
    dz = get_activation(activation).backward(dy, f)  # (7) was y = f(z)
    db = dz.sum(axis=(0, 1, 2)) if has_bias else None  # (6) was z + b
    dseen, _ = patches_forward(dz, windows.size, windows.strides, padding)  # (5) was z = seen, laid
    dP = as_rows(dseen)  # (4) was seen = P
    drows, dKt, _ = dense_backward(dP, dense)  # (3) was P = rows K'
    dx = drows.reshape(shape)  # (2) was rows = x
    dW = dKt.T.reshape(kernel_shape)  # (1) was K' = W'
    return dx, dW, db


def transposed_size(owner, image, kernel_size, strides, padding):
    """(rows, columns) of the images that a transposed convolution makes of images of (H, W)."""
    kernel, steps = pair_of(owner, "kernel_size", kernel_size), pair_of(owner, "strides", strides)
    extra = 0 if check_padding(owner, padding) == "same" else 1
    return tuple(
        n * s + extra * max(k - s, 0) for n, k, s in zip(image, kernel, steps, strict=True)
    )
