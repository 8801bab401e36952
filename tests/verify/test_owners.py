"""Ways in for what owns weights or belongs to another library."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import layers as all_layers
from minienc.layers import Dense, DenseTranspose, Input
from minienc.layers.base import Layer
from minienc.training.losses import LOSSES, get_loss
from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(6)
X = RNG.standard_normal((5, 3))
IMAGES = np.random.default_rng(7).standard_normal((3, 4, 5, 2))


class Course:
    """A layer as many courses write it: the cache and the gradients are the object's own."""

    def __init__(self, factor=1.0):
        self.W, self.b, self.factor = RNG.standard_normal((3, 4)), RNG.standard_normal(4), factor

    def forward(self, x):
        self.x = x
        self.z = x @ self.W + self.b
        return np.maximum(self.z, 0)

    def backward(self, dy):
        dz = dy * (self.z > 0)
        self.dW, self.db = self.factor * (self.x.T @ dz), dz.sum(axis=0)
        return dz @ self.W.T


class WithDictionaries(Course):
    def __init__(self):
        super().__init__()
        self.params = {"W": self.W, "b": self.b}
        self.grads = {}
        del self.W, self.b

    W = property(lambda self: self.params["W"], lambda self, v: None, lambda self: None)
    b = property(lambda self: self.params["b"], lambda self, v: None, lambda self: None)

    def backward(self, dy):
        dz = dy * (self.z > 0)
        self.grads = {"W": self.x.T @ dz, "b": dz.sum(axis=0)}
        return dz @ self.params["W"].T


def test_a_course_class_and_its_parameters():
    report = gradcheck(Course(), X)
    assert report and [t.name for t in report.tensors] == ["x", "W", "b"]
    report = gradcheck(Course(factor=2), X)
    assert [t.name for t in report.tensors if t.verdict == "fail"] == ["W"]


def test_parameters_in_dictionaries():
    class Model:
        def __init__(self):
            self.params, self.grads = {"W": RNG.standard_normal((3, 4))}, {}

        def forward(self, x):
            self.x = x
            return np.tanh(x @ self.params["W"])

        def backward(self, dy):
            dz = dy * (1 - self.forward(self.x) ** 2)
            self.grads["W"] = self.x.T @ dz
            return dz @ self.params["W"].T

    report = gradcheck(Model(), X)
    assert report and [t.name for t in report.tensors] == ["x", "W"]


def test_an_object_is_left_as_it_was():
    course = Course()
    before = {k: np.copy(v) for k, v in vars(course).items()}
    gradcheck(course, X)
    assert set(vars(course)) == set(before)
    assert all(np.array_equal(vars(course)[k], v) for k, v in before.items())


def test_what_is_not_a_function_is_refused():
    with pytest.raises(SubjectError, match="an object with forward and backward"):
        gradcheck(3, X)


# -------------------------------------------------------- every layer and loss of the project


def _dense_transpose():
    first = Dense(4, seed=0)
    first(Input((5,), dtype="float64"))
    return DenseTranspose(first, "tanh"), (RNG.standard_normal((6, 4)),)


def _two(*shape):
    return (RNG.standard_normal(shape), RNG.standard_normal(shape))


LAYERS = {
    "Dense": lambda: (Dense(4, "gelu", seed=0), (X,)),
    "DenseTranspose": _dense_transpose,
    "Activation": lambda: (all_layers.Activation("tanh"), (X,)),
    "Add": lambda: (all_layers.Add(), _two(4, 3)),
    "Concatenate": lambda: (all_layers.Concatenate(), _two(4, 3)),
    "Dropout": lambda: (all_layers.Dropout(0.3), (X,)),
    "GaussianNoise": lambda: (all_layers.GaussianNoise(0.3), (X,)),
    "MaskingNoise": lambda: (all_layers.MaskingNoise(0.3), (X,)),
    "SaltAndPepperNoise": lambda: (all_layers.SaltAndPepperNoise(0.3), (X,)),
    "Flatten": lambda: (all_layers.Flatten(), (RNG.standard_normal((4, 3, 2)),)),
    "Reshape": lambda: (all_layers.Reshape((3, 2)), (RNG.standard_normal((4, 6)),)),
    "Conv2D": lambda: (all_layers.Conv2D(3, 2, 2, "same", "tanh", seed=0), (IMAGES,)),
    "Conv2DTranspose": lambda: (
        all_layers.Conv2DTranspose(3, 3, 2, "same", "sigmoid", seed=0),
        (IMAGES,),
    ),
    "MaxPool2D": lambda: (all_layers.MaxPool2D(2, 1, "same"), (IMAGES,)),
    "AveragePooling2D": lambda: (all_layers.AveragePooling2D(3, 2, "same"), (IMAGES,)),
    "GlobalAveragePooling2D": lambda: (all_layers.GlobalAveragePooling2D(), (IMAGES,)),
    "UpSampling2D": lambda: (all_layers.UpSampling2D((2, 3)), (IMAGES,)),
    "BatchNormalization": lambda: (all_layers.BatchNormalization(), (X,)),
    "LayerNormalization": lambda: (all_layers.LayerNormalization(), (X,)),
    "Centroids": lambda: (all_layers.Centroids(5, "student_t", seed=0), (X,)),
    "Patches": lambda: (all_layers.Patches(2, 1, "same"), (IMAGES,)),
    "KSparse": lambda: (all_layers.KSparse(2), (X,)),
    "SpectralNormalization": lambda: (
        all_layers.SpectralNormalization(Dense(4, "tanh", seed=0), seed=1),
        (X,),
    ),
}
# ``VectorQuantizer`` says that its gradient is not the true one: tests/layers/test_quantization.py
ABSTRACT = {"Layer", "InputLayer", "VectorQuantizer"}


def layer_classes():
    found = {
        name: cls
        for name, cls in vars(all_layers).items()
        if isinstance(cls, type) and issubclass(cls, Layer) and name not in ABSTRACT
    }
    return sorted(found)


def test_every_layer_has_a_case():
    assert set(layer_classes()) == set(LAYERS)


@pytest.mark.parametrize("name", layer_classes())
def test_every_layer(name):
    layer, args = LAYERS[name]()
    report = gradcheck(layer, *args)
    assert report, report
    assert report.mutants_caught == report.mutants > 0


def _targets(name, y):
    if name == "sparse_categorical_crossentropy":
        return RNG.integers(0, y.shape[1], len(y))
    t = RNG.uniform(0.1, 0.9, y.shape)
    return t / t.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss(name):
    loss = get_loss(name)
    y = RNG.uniform(0.1, 0.9, (5, 4))
    report = gradcheck(loss, y, _targets(loss.name, y))
    assert report, report


# ------------------------------------------------------------------------------- PyTorch and JAX


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


def test_functions_of_jax():
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def wrong(x):
        return x**2

    wrong.defvjp(lambda x: (x**2, x), lambda x, dy: (3 * x * dy,))
    x = jax.numpy.asarray(X)
    assert gradcheck(lambda x, w: jax.numpy.tanh(x @ w), x, jax.numpy.ones((3, 2)) / 3)
    assert gradcheck(wrong, x).verdict == "fail"


def test_modules_with_nested_outputs_and_with_noise_in_memory_order():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    assert gradcheck(torch.nn.LSTM(2, 3), torch.randn(4, 2, 2)).verdict != "fail"
    assert gradcheck(torch.nn.Dropout(0.5), torch.randn(5, 3))
