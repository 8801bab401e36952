"""Clustering: how far samples are from centroids, and what codes and memberships follow from it."""

from __future__ import annotations

from typing import NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import primitive
from minienc.shapes import Form, check_shapes

# ------------------------------------------------------------------------------ squared distances


class SquaredDistancesCache(NamedTuple):
    x: Array  # (N, D)  less a point in the midst of the centroids
    C: Array  # (K, D)  less the same point
    d: Form  # (N, K)


@primitive
def squared_distances_forward(x, C):
    """d_nk = |x_n - c_k|^2 = |x_n|^2 - 2 x_n . c_k + |c_k|^2: a matrix product, not N K D numbers.

    The three terms may be much larger than what is left of them: of points near 3000, float32 would
    leave no digit of distances near 1. So a point in the midst of the centroids is taken from all
    of them first, which changes no distance. (Where some of the centroids lie much further apart
    than others, it takes float64 to tell the others apart, as k-means does.)

    Parameters
    ----------
    x : array (N, D)
    C : array (K, D)
        A centroid in each row.

    Returns
    -------
    d : array (N, K)
        Not below 0, where rounding would put the distance of a sample that is a centroid.
    cache : SquaredDistancesCache

    Examples
    --------
    >>> x, C = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> d, cache = squared_distances_forward(x, C)
    >>> d
    array([[25.,  1.]])
    >>> dx, dC = squared_distances_backward(np.ones_like(d), cache)
    >>> dx
    array([[ -6., -10.]])
    """
    check_shapes("squared_distances_forward", "x: N D, C: K D", x, C)
    xp = get_array_module(x, C)
    middle = C.sum(axis=0) / len(C)
    x, C = x - middle, C - middle
    d = (x * x).sum(axis=1)[:, None] - 2 * (x @ C.T) + (C * C).sum(axis=1)  # (1)
    d = xp.maximum(d, 0)
    return d, SquaredDistancesCache(x, C, Form(d.shape, d.dtype))


@primitive
def squared_distances_backward(dd, cache: SquaredDistancesCache):
    """dx_n = sum_k dd_nk 2 (x_n - c_k),  dc_k = sum_n dd_nk 2 (c_k - x_n)."""
    x, C, d = cache
    check_shapes("squared_distances_backward", "d: N K, dd: N K", d, dd)
    dx = 2 * (dd.sum(axis=1)[:, None] * x - dd @ C)  # (1) was |x - c|^2
    dC = 2 * (dd.sum(axis=0)[:, None] * C - dd.T @ x)  # (1)
    return dx, dC


# ----------------------------------------------------------------------------------- triangle code


class TriangleCodeCache(NamedTuple):
    distance: Array  # (N, K)  the root of d
    y: Array  # (N, K)


@primitive
def triangle_code_forward(d):
    """y_nk = max(0, mean over k of the distances of x_n - its distance from c_k).

    d are squared distances (N, K). A sample is described by the centroids that are nearer than the
    average one, about half of them, the more the nearer.

    Source: Coates, Lee and Ng 2011, "An analysis of single-layer networks in unsupervised feature
    learning", section 3.2.1.

    Examples
    --------
    >>> y, cache = triangle_code_forward(np.array([[1.0, 4.0, 9.0]]))
    >>> y  # the mean distance is 2
    array([[1., 0., 0.]])
    """
    check_shapes("triangle_code_forward", "d: N K", d)
    xp = get_array_module(d)
    distance = xp.sqrt(d)  # (1)
    mean = distance.sum(axis=1)[:, None] / d.shape[1]  # (2)
    nearer = mean - distance  # (3)
    y = xp.maximum(nearer, 0)  # (4)
    return y, TriangleCodeCache(distance, y)


@primitive
def triangle_code_backward(dy, cache: TriangleCodeCache):
    """dd = (mean of the gradients that pass - each) / (2 distance); 0 where the distance is 0.

    At a distance of 0 the root has no slope; a small step away from a centroid is one in any
    direction, so none is preferred.
    """
    distance, y = cache
    check_shapes("triangle_code_backward", "y: N K, dy: N K", y, dy)
    xp = get_array_module(dy)
    dnearer = xp.where(y > 0, dy, 0)  # (4) was y = max(nearer, 0)
    dmean = dnearer.sum(axis=1)[:, None]  # (3) was nearer = mean - distance
    ddistance = dmean / y.shape[1] - dnearer  # (2, 3) was mean = sum distance / K
    is_apart = distance > 0
    slope = xp.where(is_apart, distance, 1) * 2
    dd = xp.where(is_apart, ddistance / slope, 0)  # (1) was distance = sqrt(d)
    return dd


# -------------------------------------------------------------------------------- soft memberships


class StudentTCache(NamedTuple):
    kernel: Array  # (N, K)  1 / (1 + d / a)
    q: Array  # (N, K)
    alpha: float


@primitive
def student_t_forward(d, alpha=1.0):
    """q_nk = s_nk / sum_j s_nj,  s_nk = (1 + d_nk / a)^(-(a + 1) / 2): of which cluster is x_n?

    d are squared distances (N, K). Student's t has heavy tails: what is far from all centroids
    still belongs a little to each, and is still pulled.

    Source: Xie, Girshick and Farhadi 2016, "Unsupervised deep embedding for clustering analysis",
    eq. 1; van der Maaten and Hinton 2008, "Visualizing data using t-SNE", eq. 4.

    Examples
    --------
    >>> q, cache = student_t_forward(np.array([[0.0, 1.0]]))
    >>> np.round(q, 3)
    array([[0.667, 0.333]])
    """
    check_shapes("student_t_forward", "d: N K", d)
    kernel = 1 / (1 + d / alpha)  # (1)
    s = kernel ** ((alpha + 1) / 2)  # (2)
    q = s / s.sum(axis=1)[:, None]  # (3)
    return q, StudentTCache(kernel, q, alpha)


@primitive
def student_t_backward(dq, cache: StudentTCache):
    """dd_nk = -(a + 1) / (2 a) kernel_nk q_nk (dq_nk - sum_j dq_nj q_nj).

    (3) gives ds = (dq - sum_j dq_j q_j) / sum_j s_j, as for a softmax; and by (1) and (2),
    ds_nk / dd_nk = -(a + 1) / (2 a) s_nk kernel_nk. The sum is divided by and multiplied with.
    """
    kernel, q, alpha = cache
    check_shapes("student_t_backward", "q: N K, dq: N K", q, dq)
    centred = dq - (dq * q).sum(axis=1)[:, None]  # (3) was q = s / sum s
    dd = (-(alpha + 1) / (2 * alpha)) * kernel * q * centred  # (1, 2) was s = kernel^((a + 1) / 2)
    return dd
