"""Objects of a course's classes."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import SubjectError, gradcheck

RNG = np.random.default_rng(6)
X = RNG.standard_normal((5, 3))


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
