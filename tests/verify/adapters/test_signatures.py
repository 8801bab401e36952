"""Signatures that other people's code has: each is recognised, and no wrong gradient passes by it.

Every signature is checked four times: as it is right, and with one of its gradients zero, twice as
large, and transposed.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(31)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3)), RNG.standard_normal(3)
LABELS = np.array([0, 2, 1, 1])
SQUARE = RNG.standard_normal((3, 3))

SPOILS = {
    "right": lambda g: g,
    "zero": lambda g: 0 * g,
    "twice": lambda g: 2 * g,
    "turned": lambda g: g.T,
}


def affine(x, W, b):
    return x @ W + b


def gradients(dy, x, W, spoil):
    return dy @ W.T, spoil(x.T @ dy), dy.sum(axis=0)


def loss_of(W, spoil):
    """A number, and its gradient."""
    y = X @ W
    return float((y**2).sum()), spoil(2 * X.T @ y)


def probabilities(x):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def cross_entropy(x, t):
    return -np.log(probabilities(x)[np.arange(len(t)), t]).mean()


def cross_entropy_gradient(x, t):
    d = probabilities(x)
    d[np.arange(len(t)), t] -= 1
    return d / len(t)


FUNCTIONS = {
    "y, cache; (cache, dy)": lambda s: gradcheck(
        lambda x, W, b: (affine(x, W, b), (x, W)),
        lambda cache, dy: gradients(dy, *cache, s),
        *(X, W, B),
    ),
    "y alone; (dy, x)": lambda s: gradcheck(lambda x: x**3, lambda dy, x: s(3 * x**2 * dy), SQUARE),
    "y alone; (x, dy)": lambda s: gradcheck(lambda x: x**3, lambda x, dy: s(3 * x**2 * dy), SQUARE),
    "y alone; (dy, y)": lambda s: gradcheck(np.tanh, lambda dy, y: s(dy * (1 - y * y)), SQUARE),
    "y alone; (x)": lambda s: gradcheck(np.tanh, lambda x: s(1 - np.tanh(x) ** 2), SQUARE),
    "y alone; (dy, x, W, b)": lambda s: gradcheck(
        affine, lambda dy, x, W, b: gradients(dy, x, W, s), X, W, B
    ),
    "y alone; (W, dy, x), by name": lambda s: gradcheck(
        affine, lambda W, dy, x: gradients(dy, x, W, s), X, W, B
    ),
    "h, c, cache; (dh, dc, cache)": lambda s: gradcheck(
        lambda h, c: (h * c, h + c, (h, c)),
        lambda dh, dc, k: (s(dh * k[1] + dc), dh * k[0] + dc),
        *(SQUARE, W),
    ),
    "y, a, b; (dy, a, b)": lambda s: gradcheck(
        lambda x, W: (x @ W, x, W), lambda dy, a, b: (dy @ b.T, s(a.T @ dy)), X, W
    ),
    "a loss, cache; (cache)": lambda s: gradcheck(
        lambda W: ((W**2).sum(), W), lambda cache: s(2 * cache), W
    ),
    "{'x': dx}": lambda s: gradcheck(
        lambda x, W, b: (affine(x, W, b), (x, W)),
        lambda dy, c: dict(zip("xWb", gradients(dy, *c, s), strict=True)),
        *(X, W, B),
    ),
    "{'dx': dx}": lambda s: gradcheck(
        lambda x, W, b: (affine(x, W, b), (x, W)),
        lambda dy, c: dict(zip(("dx", "dW", "db"), gradients(dy, *c, s), strict=True)),
        *(X, W, B),
    ),
    "(dW, db, dx), by shape": lambda s: gradcheck(
        lambda x, W, b: (affine(x, W, b), (x, W)),
        lambda dy, c: (lambda g: (g[1], g[2], g[0]))(gradients(dy, *c, s)),
        *(X, W, B),
    ),
    "x, {'W': W}; (dx, {'W': dW})": lambda s: gradcheck(
        lambda x, p: (affine(x, **p), (x, p["W"])),
        lambda dy, c: (lambda g: (g[0], {"W": g[1], "b": g[2]}))(gradients(dy, *c, s)),
        *(X, {"W": W, "b": B}),
    ),
    "x, [W, b]; (dx, [dW, db])": lambda s: gradcheck(
        lambda x, p: (affine(x, *p), (x, p[0])),
        lambda dy, c: (lambda g: (g[0], [g[1], g[2]]))(gradients(dy, *c, s)),
        *(X, [W, B]),
    ),
    "x, {'W': W}; (dx, dW, db)": lambda s: gradcheck(
        lambda x, p: (affine(x, **p), (x, p["W"])),
        lambda dy, c: gradients(dy, *c, s),
        *(X, {"W": W, "b": B}),
    ),
    "{'W': W}; gradient=": lambda s: gradcheck(
        lambda p: loss_of(p["W"], s)[0], {"W": W}, gradient=lambda p: {"dW": loss_of(p["W"], s)[1]}
    ),
    "[{'W': W}]; gradient=": lambda s: gradcheck(
        lambda p: loss_of(p[0]["W"], s)[0],
        [{"W": W}],
        gradient=lambda p: [{"W": loss_of(p[0]["W"], s)[1]}],
    ),
    "f' by gradient=": lambda s: gradcheck(
        np.tanh, SQUARE, gradient=lambda x: s(1 - np.tanh(x) ** 2)
    ),
    "a Jacobian by gradient=": lambda s: gradcheck(lambda v: W @ v, B, gradient=lambda v: s(W)),
    "an array by gradient=": lambda s: gradcheck(
        lambda W: loss_of(W, s)[0], W, gradient=loss_of(W, s)[1]
    ),
    "scipy's f(x, *args)": lambda s: gradcheck(
        lambda W, X: ((X @ W) ** 2).sum(),
        *(W, X),
        gradient=lambda W, X: s(2 * X.T @ X @ W),
        stop_gradient="X",
    ),
    "(loss, gradient)": lambda s: gradcheck(lambda W: loss_of(W, s), W),
    "(loss, gradient), gradient=True": lambda s: gradcheck(
        lambda W: loss_of(W, s), W, gradient=True
    ),
    "(loss, {'W': dW})": lambda s: gradcheck(
        lambda W: (loss_of(W, s)[0], {"W": loss_of(W, s)[1]}), W
    ),
    "({'W': dW}, loss)": lambda s: gradcheck(
        lambda W: ({"W": loss_of(W, s)[1]}, loss_of(W, s)[0]), W
    ),
    "functools.partial": lambda s: gradcheck(
        functools.partial(lambda W, X: ((X @ W) ** 2).sum(), X=X),
        W,
        gradient=lambda W: s(2 * X.T @ X @ W),
    ),
    "y, backward of two outputs": lambda s: gradcheck(
        lambda x: (x**2, 3 * x, lambda da, db: s(2 * x * da + 3 * db)), SQUARE
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("spoil", SPOILS)
def test_functions(name, spoil):
    report = FUNCTIONS[name](SPOILS[spoil])
    assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
    assert not report.unchecked


class Base:
    """A dense layer; where it keeps weights and leaves gradients is each signature's own."""

    def __init__(self, spoil):
        self.spoil = spoil
        self.make(W.copy(), B.copy())

    def forward(self, x):
        self.x = x
        W, b = self.weights_now()
        return x @ W + b

    def backward(self, dy):
        W, _ = self.weights_now()
        dx, dW, db = gradients(dy, self.x, W, self.spoil)
        return self.leave(dx, dW, db)

    def leave(self, dx, dW, db):
        raise NotImplementedError


def layer(make, now, leave, **methods):
    """A class whose weights are ``now(self)``; ``leave`` returns what its backward does."""
    return type("Layer", (Base,), {"make": make, "weights_now": now, "leave": leave, **methods})


def set_all(self, **values):
    vars(self).update(values)


def leave_as(*names):
    """Left on the object under these names."""

    def leave(self, dx, dW, db):
        set_all(self, **dict(zip(names, (dW, db), strict=True)))
        return dx

    return leave


def leave_in(holder, *keys):
    """Left in a dictionary or list of the object."""

    def leave(self, dx, dW, db):
        for key, g in zip(keys, (dW, db), strict=True):
            getattr(self, holder)[key] = g
        return dx

    return leave


def attributes(self, W, b):
    set_all(self, W=W, b=b)


def of_attributes(self):
    return self.W, self.b


def keep(holder, kind, gradients=None, of=None):
    """Weights in a dictionary, list or tuple, and an empty one for gradients."""

    def make(self, W, b):
        both = {"W": W, "b": b} if kind is dict else kind((W, b))
        set_all(self, **{holder: both})
        if gradients:
            set_all(self, **{gradients: {} if of is dict else [0, 0]})

    return make


def of(holder):
    def now(self):
        both = getattr(self, holder)
        return tuple(both.values()) if isinstance(both, dict) else tuple(both)

    return now


def moves(self, dx, dW, db):
    self.W -= self.lr * dW
    self.b -= self.lr * db
    return dx


def backward_with_rate(self, dy, lr=0.1):
    W, _ = self.weights_now()
    dx, dW, db = gradients(dy, self.x, W, self.spoil)
    self.W -= lr * dW
    self.b = self.b - lr * db
    return dx


def full(self, W, b):
    set_all(self, weights=W, bias=b)


LAYERS = {
    "W beside dW": layer(attributes, of_attributes, leave_as("dW", "db")),
    "W beside W_diff": layer(attributes, of_attributes, leave_as("W_diff", "b_diff")),
    "W beside gW": layer(attributes, of_attributes, leave_as("gW", "gb")),
    "W beside nabla_W": layer(attributes, of_attributes, leave_as("nabla_W", "nabla_b")),
    "W beside W_gradient": layer(attributes, of_attributes, leave_as("W_gradient", "b_gradient")),
    "weights beside weights_grad": layer(
        full, lambda self: (self.weights, self.bias), leave_as("weights_grad", "bias_grad")
    ),
    "weights beside dW": layer(full, lambda self: (self.weights, self.bias), leave_as("dW", "db")),
    "params beside grads": layer(
        keep("params", dict, "grads", dict), of("params"), leave_in("grads", "W", "b")
    ),
    "_params beside _grads": layer(
        keep("_params", dict, "_grads", dict), of("_params"), leave_in("_grads", "W", "b")
    ),
    "params beside grads with dW": layer(
        keep("params", dict, "grads", dict), of("params"), leave_in("grads", "dW", "db")
    ),
    "weights beside gradients": layer(
        keep("weights", dict, "gradients", dict), of("weights"), leave_in("gradients", "W", "b")
    ),
    "lists weights beside nabla_w": layer(
        keep("weights", list, "nabla_w", list), of("weights"), leave_in("nabla_w", 0, 1)
    ),
    "a tuple of params": layer(
        keep("params", tuple, "grads", list), of("params"), leave_in("grads", 0, 1)
    ),
    "lists in another order": layer(
        keep("params", list, "grads", list), of("params"), leave_in("grads", 1, 0)
    ),
    "W, b beside a list of grads": layer(
        attributes, of_attributes, lambda self, dx, *g: set_all(self, grads=list(g)) or dx
    ),
    "W, b beside a dictionary of grads": layer(
        attributes,
        of_attributes,
        lambda self, dx, dW, db: set_all(self, grads={"dW": dW, "db": db}) or dx,
    ),
    "returned: dx, dW, db": layer(attributes, of_attributes, lambda self, *g: g),
    "returned: dx, [dW, db]": layer(
        attributes, of_attributes, lambda self, dx, dW, db: (dx, [dW, db])
    ),
    "returned: dx, {W: dW}": layer(
        attributes, of_attributes, lambda self, dx, dW, db: (dx, {"W": dW, "b": db})
    ),
    "returned: {dx: dx}": layer(
        attributes, of_attributes, lambda self, dx, dW, db: {"dx": dx, "dW": dW, "db": db}
    ),
    "moved by lr": layer(attributes, of_attributes, None, backward=backward_with_rate),
    "moved by self.lr": layer(
        lambda self, W, b: set_all(self, W=W, b=b, lr=0.01), of_attributes, moves
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("spoil", SPOILS)
def test_weights_and_where_their_gradients_are(name, spoil):
    report = gradcheck(LAYERS[name](SPOILS[spoil]), X)
    if spoil == "zero" and "moved" in name:  # what is not moved may have no gradient
        assert report.verdict == "inconclusive" and list(report.unchecked) == ["W"]
        return
    assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
    assert len(report.tensors) == 3 and not report.unchecked
    wrong = [t.shape for t in report.tensors if t.verdict == "fail"]
    assert wrong == ([] if spoil == "right" else [(3, 3)])


@pytest.mark.parametrize(
    "methods",
    [
        ("fprop", "bprop"),
        ("forward_pass", "backward_pass"),
        ("feedforward", "backprop"),
        ("__call__", "backward"),
    ],
)
@pytest.mark.parametrize("spoil", SPOILS)
def test_forward_and_backward_under_other_names(methods, spoil):
    class Layer:
        def __init__(self):
            self.W = W.copy()

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = SPOILS[spoil](self.x.T @ dy)
        return dy @ self.W.T

    setattr(Layer, methods[0], forward)
    setattr(Layer, methods[1], backward)
    one = Layer()
    reports = [gradcheck(one, X), gradcheck(getattr(one, methods[0]), getattr(one, methods[1]), X)]
    for report in reports[: 1 if methods[0] == "__call__" else 2]:
        assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
        assert [t.name for t in report.tensors] == ["x", "W"]


class Loss:
    """A cross-entropy that keeps its gradient."""

    def __init__(self, spoil, labels=None):
        self.spoil, self.labels = spoil, labels

    def forward(self, x, t=None):
        t = self.labels if t is None else t
        self.g = self.spoil(cross_entropy_gradient(x, t))
        return cross_entropy(x, t)


class WithDout(Loss):
    def backward(self, dout=1):
        return self.g * dout


class WithoutArgument(Loss):
    def backward(self):
        return self.g


class IgnoresDout(Loss):
    def backward(self, dout=1):
        return self.g


class OfTheSameArguments:
    def __init__(self, spoil):
        self.spoil = spoil

    def loss(self, y, t):
        return cross_entropy(y, t)

    def grad(self, y, t):
        return self.spoil(cross_entropy_gradient(y, t))


@pytest.mark.parametrize("kind", [WithDout, WithoutArgument, IgnoresDout, OfTheSameArguments])
@pytest.mark.parametrize("spoil", SPOILS)
def test_losses_as_objects(kind, spoil):
    report = gradcheck(kind(SPOILS[spoil]), SQUARE, np.array([0, 2, 1]))
    assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
    assert [t.shape for t in report.tensors] == [(3, 3)]


def test_a_cotangent_that_is_ignored_is_said():
    right = gradcheck(IgnoresDout(SPOILS["right"], LABELS), X)
    assert right and "does not look at its cotangent" in str(right)

    class Required(Loss):
        def backward(self, dout):
            return self.g

    report = gradcheck(Required(SPOILS["right"], LABELS), X)
    assert report.verdict == "fail" and "the backward ignores dy" in report.problems[0]
    second = gradcheck(
        lambda h, c: (h * c, h + c, (h, c)), lambda dh, dc, k: (dh * k[1], dh * k[0]), X, X[::-1]
    )
    assert "ignores the cotangent of output 1" in second.problems[0]


@pytest.mark.parametrize("spoil", SPOILS)
def test_static_methods_and_derivatives_of_objects(spoil):
    change = SPOILS[spoil]

    class WithContext:
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(np.tanh(x))
            return np.tanh(x)

        @staticmethod
        def backward(ctx, dy):
            (y,) = ctx.saved_tensors
            return change(dy * (1 - y * y))

    class Plain:
        @staticmethod
        def forward(x):
            return np.tanh(x)

        @staticmethod
        def backward(dy, x):
            return change(dy * (1 - np.tanh(x) ** 2))

    class Activation:
        def __call__(self, x):
            return np.tanh(x)

        def derivative(self, x):
            return change(1 - np.tanh(x) ** 2)

    class Stateless:
        def forward(self, x):
            return np.tanh(x), np.tanh(x)

        def backward(self, dy, cache):
            return change(dy * (1 - cache**2))

    for what in (WithContext, Plain, Activation(), Stateless()):
        report = gradcheck(what, SQUARE)
        assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)


class Net:
    """A network as "Deep Learning from Scratch" has it: loss(x, t), and the gradient by name."""

    def __init__(self, spoil):
        self.spoil, self.params = spoil, {"W1": W.copy(), "b1": B.copy()}

    def loss(self, x, t):
        return cross_entropy(affine(x, *self.params.values()), t)

    def gradient(self, x, t):
        d = cross_entropy_gradient(affine(x, *self.params.values()), t)
        return {"W1": self.spoil(x.T @ d), "b1": d.sum(axis=0)}


@pytest.mark.parametrize("spoil", SPOILS)
def test_the_gradient_of_parameters_alone(spoil):
    net = Net(SPOILS[spoil])
    for report in (
        gradcheck(net, X, LABELS, stop_gradient="x"),
        gradcheck(net.loss, X, LABELS, gradient=net.gradient, stop_gradient="x"),
    ):
        assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
        assert [t.name for t in report.tensors] == ["x", "W1", "b1"]
    without = gradcheck(net, X, LABELS)
    assert without.verdict == ("inconclusive" if spoil == "right" else "fail")
    assert list(without.unchecked) == ["x"] and "stop_gradient='x'" in str(without)


# ---------------------------------------------------------------------------------------- numbers


def test_plain_numbers_are_arguments_where_there_is_no_array():
    assert gradcheck(lambda x: x**2, 3.0, gradient=lambda x: 2 * x)
    assert gradcheck(lambda x: x**2, 3.0, gradient=lambda x: 3 * x).verdict == "fail"
    report = gradcheck(lambda x, w: x * w, 2.0, 4.0, gradient=lambda x, w: (w, x))
    assert report and [t.name for t in report.tensors] == ["x", "w"]
    by_list = gradcheck(lambda x: (np.tanh(x), np.tanh(x)), lambda dy, y: dy * (1 - y**2), [1.0, 2])
    assert by_list and "was given as a list" in str(by_list)
    line = gradcheck(
        lambda p: (p["w"] * 2.0 + p["b"]) ** 2,
        {"w": 0.3, "b": 0.1},
        gradient=lambda p: {"w": 4 * (2 * p["w"] + p["b"]), "b": 2 * (2 * p["w"] + p["b"])},
    )
    assert line and [t.name for t in line.tensors] == ["w", "b"]


def test_a_generator_that_a_function_reads_is_replayed():
    rng = np.random.default_rng(3)

    def dropout(x):
        mask = rng.random(x.shape) < 0.5
        return x * mask, mask

    assert gradcheck(dropout, lambda dy, mask: dy * mask, X)
    redrawn = gradcheck(dropout, lambda dy, mask: dy * (rng.random(dy.shape) < 0.5), X)
    assert redrawn.verdict == "fail"


# ----------------------------------------------------------------------- nothing passes unchecked

PARAMS = {"W": W.copy()}
GRADS: dict = {}


def leaves_in_a_global(dy, x):
    GRADS["W"] = 2 * x.T @ dy
    return dy @ PARAMS["W"].T


def test_gradients_that_are_left_outside_are_named():
    report = gradcheck(lambda x: (x @ PARAMS["W"], x), leaves_in_a_global, X)
    assert report.verdict == "inconclusive" and "GRADS['W']" in report.unchecked
    one = LAYERS["W beside dW"](SPOILS["twice"])
    around = gradcheck(lambda x: (one.forward(x), None), lambda dy, _: one.backward(dy), X)
    assert around.verdict == "inconclusive" and {"one.dW", "one.db"} <= set(around.unchecked)


def test_data_that_a_function_reads_are_constants_and_said():
    report = gradcheck(lambda x: (x @ W, x), lambda dy, x: dy @ W.T, X)
    assert report and any(note.endswith("are no arguments: W") for note in report.notes)


def test_what_an_object_keeps_is_checked_or_named():
    class Problem:
        def __init__(self):
            self.X, self.y = X.copy(), B[[0, 1, 2, 0]]

        def cost(self, w):
            return ((self.X @ w - self.y) ** 2).sum()

        def gradient(self, w):
            return 2 * self.X.T @ (self.X @ w - self.y)

    problem = Problem()
    report = gradcheck(problem.cost, B, gradient=problem.gradient)
    assert report.verdict == "inconclusive" and list(report.unchecked) == ["X", "y"]
    assert gradcheck(problem.cost, B, gradient=problem.gradient, stop_gradient=("X", "y"))


def test_weights_within_functions_of_an_object_are_named():
    class Around:
        def __init__(self):
            kernel = W.copy()
            self.run, self.back = (lambda x: x @ kernel), (lambda dy: dy @ kernel.T)

        def forward(self, x):
            return self.run(x)

        def backward(self, dy):
            return self.back(dy)

    report = gradcheck(Around(), X)
    assert report.verdict == "inconclusive" and list(report.unchecked) == ["kernel"]
    assert gradcheck(Around(), X, stop_gradient="kernel")


def test_an_object_among_the_arguments_is_named():
    class Parameters:
        def __init__(self):
            self.W = W.copy()

    report = gradcheck(lambda x, p: (x @ p.W, p.W), lambda dy, W: (dy @ W.T, None), X, Parameters())
    assert report.verdict == "inconclusive" and "in a dictionary" in report.unchecked["p"]


class LossAndGradients:
    """As CS231n has it: loss(X, y) returns the loss, and the gradients by name."""

    def __init__(self, spoil):
        self.spoil, self.params = spoil, {"W1": W.copy(), "b1": B.copy()}

    def loss(self, x, t):
        z = affine(x, *self.params.values())
        d = cross_entropy_gradient(z, t)
        return cross_entropy(z, t), {"W1": self.spoil(x.T @ d), "b1": d.sum(axis=0)}


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_method_that_returns_loss_and_gradients(spoil):
    net = LossAndGradients(SPOILS[spoil])
    for what, options in ((net, {}), (net.loss, {}), (net.loss, {"gradient": True})):
        report = gradcheck(what, X, LABELS, stop_gradient="x", **options)
        assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
        assert [t.name for t in report.tensors] == ["x", "W1", "b1"]


@pytest.mark.parametrize("spoil", SPOILS)
def test_arrays_by_keyword_whose_gradients_are_returned(spoil):
    report = gradcheck(
        lambda x, W=None, b=0.0: (affine(x, W, b), (x, W)),
        lambda dy, cache: gradients(dy, *cache, SPOILS[spoil]),
        X,
        W=W,
        b=B,
    )
    assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
    assert [t.name for t in report.tensors] == ["x", "W", "b"]


@pytest.mark.parametrize("spoil", SPOILS)
def test_functions_that_meet_in_a_global_cache(spoil):
    cache = {}

    def forward(x):
        cache["x"] = x
        return x**2

    report = gradcheck(forward, lambda dy: SPOILS[spoil](2 * cache["x"] * dy), SQUARE)
    assert report.verdict == ("pass" if spoil == "right" else "fail"), str(report)
    assert spoil != "right" or "the cache belongs to the function" in str(report)


REFUSED = {
    "one gradient of two": (
        "if t has none, write stop_gradient='t'",
        lambda: gradcheck(
            lambda y, t: ((y - t) ** 2).sum(), X, X / 2, gradient=lambda y, t: 2 * (y - t)
        ),
    ),
    "the loss and the gradient of one of three": (
        r"write stop_gradient=\('X', 'y'\)",
        lambda: gradcheck(
            lambda w, X, y: (((X @ w - y) ** 2).sum(), 2 * X.T @ (X @ w - y)), B, X, X[:, 0]
        ),
    ),
    "a gradient of no argument": (
        "gives a gradient 'W' that is of no argument",
        lambda: gradcheck(lambda x: (x @ W, x), lambda dy, x: {"x": dy @ W.T, "W": x.T @ dy}, X),
    ),
    "a part without a gradient": (
        "gave no gradient for b|write stop_gradient='b'",
        lambda: gradcheck(
            lambda x, p: (affine(x, **p), x),
            lambda dy, x: (dy @ W.T, {"W": x.T @ dy}),
            X,
            {"W": W, "b": B},
        ),
    ),
    "a Jacobian that is turned": (
        "it is the transpose",
        lambda: gradcheck(lambda v: X @ v, B, gradient=lambda v: X.T),
    ),
    "no gradient at all": (
        r"expected \(y, backward\) or \(loss, gradients\)",
        lambda: gradcheck(np.tanh, X),
    ),
    "y and a cache beside gradient=": (
        "write gradient=True",
        lambda: gradcheck(lambda x: ((x**2).sum(), 2 * x), X, gradient=lambda x: 2 * x),
    ),
    "a derivative that takes others": (
        "is called with the forward's arguments",
        lambda: gradcheck(lambda x: x**2, X, gradient=lambda dy, cache: 2 * dy),
    ),
    "a class": (r"give an object of it: gradcheck\(Net\(\.\.\.\), x\)", lambda: gradcheck(Net, X)),
    "a class of other methods": (
        r"gradcheck\(layer\.f, layer\.g, x\)",
        lambda: gradcheck(type("M", (), {"f": lambda s, x: x, "g": lambda s, dy: dy}), X),
    ),
    "complex numbers": (
        "z is complex; give its real",
        lambda: gradcheck(lambda z: (z, z), lambda dy, z: dy, 1j * X),
    ),
    "a backward that takes more": (
        r"returned ndarray of shape \(4, 3\), and .* is no backward for that",
        lambda: gradcheck(lambda x: x, lambda dy, c, k: dy, X),
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_is_told_in_one_line(kind):
    sentence, call = REFUSED[kind]
    with pytest.raises(SubjectError, match=sentence) as refusal:
        call()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["diff", "diffs", "dist", "denom"])
def test_a_cache_whose_name_begins_with_d_is_no_cotangent(name):
    source = f"""
def f(x):
    {name} = x - x.mean()
    return {name} ** 2, {name}

def b(dy, {name}):
    g = 2 * dy * {name}
    return SCALE * (g - g.mean())
"""
    x = np.random.default_rng(0).standard_normal(6)
    for scale, verdict in ((1.0, "pass"), (2.0, "fail")):
        made = {"SCALE": scale}
        exec(source, made)
        assert gradcheck(made["f"], made["b"], x).verdict == verdict
