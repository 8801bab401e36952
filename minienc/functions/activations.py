"""Activations: y = f(x), element by element (softmax: over the last axis), and dx = f'(x) dy.

Most slopes can be had from the output alone: sigmoid' = y (1 - y), tanh' = 1 - y^2. So the cache
keeps y and forgets x, which is what lets a dense layer overwrite x W + b while it applies f. Only
gelu, which is not monotonic, has to keep x.

Shapes: x, y, dy and dx are (...), any shape. Dtypes: float32 in, float32 out; float64 likewise.
Each backward raises a ValueError for a ``dy`` that has not y's shape, a TypeError for another
dtype or for the cache of another function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from minienc.arrays import Array, get_array_module
from minienc.primitive import Primitive, primitive
from minienc.shapes import Form, check_shapes

# --------------------------------------------------------------------------------------- identity


class IdentityCache(NamedTuple):
    y: Form  # (...)


@primitive
def identity_forward(x):
    """y = x, as an array of its own. Slope: 1."""
    check_shapes("identity_forward", "x: ...", x)
    y = x.copy()  # (1)
    return y, IdentityCache(Form(y.shape, y.dtype))


@primitive
def identity_backward(dy, cache: IdentityCache):
    """dx = dy."""
    check_shapes("identity_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy.copy()  # (1) was y = x
    return dx


# ------------------------------------------------------------------------------------------- relu


class ReluCache(NamedTuple):
    y: Array  # (...)


@primitive
def relu_forward(x):
    """y = max(x, 0). Slope: 1 where y > 0, else 0 (at the kink x = 0 too).

    Source: Nair and Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    Examples
    --------
    >>> y, cache = relu_forward(np.array([-1.0, 2.0]))
    >>> y, relu_backward(np.ones(2), cache)
    (array([0., 2.]), array([0., 1.]))
    """
    check_shapes("relu_forward", "x: ...", x)
    xp = get_array_module(x)
    y = xp.maximum(x, 0)  # (1)
    return y, ReluCache(y)


@primitive
def relu_backward(dy, cache: ReluCache):
    """dx = dy [y > 0]: where x was cut off, nothing that depends on y depends on x."""
    check_shapes("relu_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy * (cache.y > 0)  # (1) was y = max(x, 0)
    return dx


# ----------------------------------------------------------------------------------- relu_squared


class ReluSquaredCache(NamedTuple):
    r: Array  # (...)  max(x, 0)


@primitive
def relu_squared_forward(x):
    """y = max(x, 0)^2. Slope: 2 max(x, 0), without a jump.

    Source: So et al. 2021, "Primer: searching for efficient transformers for language modeling",
    section 3.
    """
    check_shapes("relu_squared_forward", "x: ...", x)
    r = get_array_module(x).maximum(x, 0)  # (1)
    y = r * r  # (2)
    return y, ReluSquaredCache(r)


@primitive
def relu_squared_backward(dy, cache: ReluSquaredCache):
    """dx = 2 r dy, and r = 0 where x was cut off."""
    check_shapes("relu_squared_backward", "y: ..., dy: ...", cache.r, dy)
    dx = 2 * cache.r * dy  # (1, 2) was y = r^2, r = max(x, 0)
    return dx


# ------------------------------------------------------------------------------------- leaky_relu

NEGATIVE_SLOPE = 0.2  # of leaky_relu, where nobody says another


class LeakyReluCache(NamedTuple):
    y: Array  # (...)
    negative_slope: float


@primitive
def leaky_relu_forward(x, negative_slope=NEGATIVE_SLOPE):
    """y = x where x > 0, else negative_slope * x. Slope: 1 or negative_slope.

    The sign of y is the sign of x as long as 0 < negative_slope, so y tells the branch.

    Source: Maas, Hannun and Ng 2013, "Rectifier nonlinearities improve neural network acoustic
    models", eq. 2.
    """
    check_shapes("leaky_relu_forward", "x: ...", x)
    if not negative_slope > 0:
        raise ValueError(f"leaky_relu_forward: negative_slope is {negative_slope}, expected > 0")
    xp = get_array_module(x)
    negative_slope = float(negative_slope)  # a np.float64 would make float64 of float32
    y = xp.where(x > 0, x, negative_slope * x)  # (1)
    return y, LeakyReluCache(y, negative_slope)


@primitive
def leaky_relu_backward(dy, cache: LeakyReluCache):
    """dx = dy where y > 0, else negative_slope * dy."""
    check_shapes("leaky_relu_backward", "y: ..., dy: ...", cache.y, dy)
    xp = get_array_module(dy)
    dx = xp.where(cache.y > 0, dy, cache.negative_slope * dy)  # (1) was y = x or slope * x
    return dx


# -------------------------------------------------------------------------------------------- elu

ALPHA = 1.0  # of elu, likewise


class EluCache(NamedTuple):
    y: Array  # (...)
    alpha: float


@primitive
def elu_forward(x, alpha=ALPHA):
    """y = x where x > 0, else alpha (exp(x) - 1). Slope: 1, or alpha exp(x) = y + alpha.

    Source: Clevert, Unterthiner and Hochreiter 2016, "Fast and accurate deep network learning by
    exponential linear units", eq. 15.
    """
    check_shapes("elu_forward", "x: ...", x)
    if not alpha > 0:
        raise ValueError(f"elu_forward: alpha is {alpha}, expected > 0")
    xp = get_array_module(x)
    alpha = float(alpha)  # a np.float64 would make float64 of float32
    curve = alpha * xp.expm1(xp.minimum(x, 0))  # (1)  minimum: exp of a large x would overflow
    y = xp.where(x > 0, x, curve)  # (2)
    return y, EluCache(y, alpha)


@primitive
def elu_backward(dy, cache: EluCache):
    """dx = dy where y > 0, else dy (y + alpha), for alpha exp(x) = alpha (exp(x) - 1) + alpha."""
    check_shapes("elu_backward", "y: ..., dy: ...", cache.y, dy)
    xp = get_array_module(dy)
    dx = dy * xp.where(cache.y > 0, 1, cache.y + cache.alpha)  # (1, 2) was y = x or curve
    return dx


# ---------------------------------------------------------------------------------------- sigmoid


class SigmoidCache(NamedTuple):
    y: Array  # (...)


def sigmoid(x):
    """1 / (1 + exp(-x)), computed with exp(-|x|), which never overflows.

    For x < 0, multiplying numerator and denominator by exp(x) gives exp(x) / (1 + exp(x)), exact
    down to the smallest outputs.
    """
    xp = get_array_module(x)
    e = xp.exp(-xp.abs(x))  # in (0, 1]
    return xp.where(x >= 0, 1, e) / (1 + e)


@primitive
def sigmoid_forward(x):
    """y = 1 / (1 + exp(-x)). Slope: y (1 - y)."""
    check_shapes("sigmoid_forward", "x: ...", x)
    y = sigmoid(x)  # (1)
    return y, SigmoidCache(y)


@primitive
def sigmoid_backward(dy, cache: SigmoidCache):
    """dx = dy y (1 - y): d/dx (1 + exp(-x))^-1 = exp(-x) (1 + exp(-x))^-2 = (1 - y) y."""
    check_shapes("sigmoid_backward", "y: ..., dy: ...", cache.y, dy)
    y = cache.y
    dx = dy * (y * (1 - y))  # (1) was y = 1 / (1 + exp(-x))
    return dx


# ------------------------------------------------------------------------------------------- tanh


class TanhCache(NamedTuple):
    y: Array  # (...)


@primitive
def tanh_forward(x):
    """y = tanh(x). Slope: 1 - y^2."""
    check_shapes("tanh_forward", "x: ...", x)
    xp = get_array_module(x)
    y = xp.tanh(x)  # (1)
    return y, TanhCache(y)


@primitive
def tanh_backward(dy, cache: TanhCache):
    """dx = dy (1 - y^2): the derivative of sinh/cosh is (cosh^2 - sinh^2) / cosh^2 = 1 - y^2."""
    check_shapes("tanh_backward", "y: ..., dy: ...", cache.y, dy)
    dx = dy * (1 - cache.y * cache.y)  # (1) was y = tanh(x)
    return dx


# --------------------------------------------------------------------------------------- softplus


class SoftplusCache(NamedTuple):
    y: Array  # (...)


@primitive
def softplus_forward(x):
    """y = log(1 + exp(x)). Slope: sigmoid(x) = 1 - exp(-y).

    Computed as max(x, 0) + log1p(exp(-|x|)), which never overflows.

    Source: Dugas et al. 2001, "Incorporating second-order functional knowledge for better option
    pricing".
    """
    check_shapes("softplus_forward", "x: ...", x)
    xp = get_array_module(x)
    y = xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))  # (1)
    return y, SoftplusCache(y)


@primitive
def softplus_backward(dy, cache: SoftplusCache):
    """dx = dy (1 - exp(-y)): exp(y) = 1 + exp(x), so exp(x) / (1 + exp(x)) = 1 - exp(-y)."""
    check_shapes("softplus_backward", "y: ..., dy: ...", cache.y, dy)
    xp = get_array_module(dy)
    dx = dy * -xp.expm1(-cache.y)  # (1) was y = log(1 + exp(x))
    return dx


# ------------------------------------------------------------------------------------------- gelu

_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715


class GeluCache(NamedTuple):
    x: Array  # (...)  gelu falls and rises again: y does not tell x


@primitive
def gelu_forward(x):
    """y = x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3).

    This is the paper's approximation of x Phi(x), Phi the normal distribution function.

    Source: Hendrycks and Gimpel 2016, "Gaussian error linear units", section 2.
    """
    check_shapes("gelu_forward", "x: ...", x)
    xp = get_array_module(x)
    u = _SQRT_2_OVER_PI * (x + _GELU_CUBIC * x * x * x)  # (1)
    t = xp.tanh(u)  # (2)
    y = 0.5 * x * (1 + t)  # (3)
    return y, GeluCache(x)


@primitive
def gelu_backward(dy, cache: GeluCache):
    """dx = dy [ (1 + t)/2 + x/2 (1 - t^2) u' ] with u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2).

    The product rule on (3), then the chain x -> u -> t. t is computed again: that takes less time
    than an array of it, written to memory and read from there.
    """
    check_shapes("gelu_backward", "y: ..., dy: ...", cache.x, dy)
    x = cache.x
    xp = get_array_module(x)
    t = xp.tanh(_SQRT_2_OVER_PI * (x + _GELU_CUBIC * x * x * x))
    dt = 0.5 * x * dy  # (3) was y = x/2 (1 + t)
    du = dt * (1 - t * t)  # (2) was t = tanh(u)
    slope = _SQRT_2_OVER_PI * (1 + 3 * _GELU_CUBIC * x * x)  # (1) was u = sqrt(2/pi) (x + ...)
    dx = 0.5 * (1 + t) * dy + du * slope  # (1, 3) x enters twice: the sum of both ways
    return dx


# ---------------------------------------------------------------------------------------- softmax


class SoftmaxCache(NamedTuple):
    y: Array  # (..., K)


@primitive
def softmax_forward(x):
    """y_k = exp(x_k) / sum_j exp(x_j), over the last axis.

    The largest x is subtracted first: numerator and denominator share the factor exp(-max x),
    and no exponential overflows.

    Shapes: x (..., K) -> y (..., K), each row positive with sum 1.

    Examples
    --------
    >>> y, cache = softmax_forward(np.array([[0.0, np.log(3.0)]]))
    >>> np.round(y, 2)
    array([[0.25, 0.75]])
    >>> np.round(softmax_backward(np.array([[1.0, 0.0]]), cache), 4)
    array([[ 0.1875, -0.1875]])
    """
    check_shapes("softmax_forward", "x: ... K", x)
    xp = get_array_module(x)
    e = xp.exp(x - x.max(axis=-1, keepdims=True))  # (1)
    y = e / e.sum(axis=-1, keepdims=True)  # (2)
    return y, SoftmaxCache(y)


@primitive
def softmax_backward(dy, cache: SoftmaxCache):
    """dx_k = y_k (dy_k - sum_j dy_j y_j), from dy_j/dx_k = y_j ([j = k] - y_k)."""
    check_shapes("softmax_backward", "y: ... K, dy: ... K", cache.y, dy)
    y = cache.y
    dx = y * (dy - (dy * y).sum(axis=-1, keepdims=True))  # (1, 2) was y = e / sum(e)
    return dx


# -------------------------------------------------------------------------------------- the table

ACTIVATIONS: dict[str, Primitive] = {
    "identity": identity_forward,
    "linear": identity_forward,  # Keras's name
    "relu": relu_forward,
    "relu_squared": relu_squared_forward,
    "leaky_relu": leaky_relu_forward,
    "elu": elu_forward,
    "sigmoid": sigmoid_forward,
    "tanh": tanh_forward,
    "softplus": softplus_forward,
    "gelu": gelu_forward,
    "softmax": softmax_forward,
}


# The slope of these can be had from y alone; then this is the cache, with an option's default.
CACHE_OF_OUTPUT: dict[str, Callable[[Array], NamedTuple]] = {
    "linear": lambda y: IdentityCache(Form(y.shape, y.dtype)),
    "identity": lambda y: IdentityCache(Form(y.shape, y.dtype)),
    "relu": ReluCache,
    "leaky_relu": lambda y: LeakyReluCache(y, NEGATIVE_SLOPE),
    "elu": lambda y: EluCache(y, ALPHA),
    "sigmoid": SigmoidCache,
    "tanh": TanhCache,
    "softplus": SoftplusCache,
}


def activation_name(name: Any) -> Any:
    """The name as ``ACTIVATIONS`` has it, for capitals do not matter; a refusal of others."""
    known = name.lower() if isinstance(name, str) and name.lower() in ACTIVATIONS else name
    get_activation(known)
    return known


def get_activation(name: str | None) -> Primitive:
    """Return the forward of the activation of this name (None: identity); ``.backward`` is its
    backward."""
    try:
        return ACTIVATIONS["identity" if name is None else name]
    except (KeyError, TypeError):
        raise ValueError(
            f"activation is {name!r}, expected one of {', '.join(sorted(ACTIVATIONS))}"
        ) from None
