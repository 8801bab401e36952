"""The laws of a pair, each broken once."""

from __future__ import annotations

import numpy as np

from minienc.verify import gradcheck

X = np.random.default_rng(0).standard_normal((5, 3))


def law(forward, backward, *args):
    report = gradcheck(forward, backward, *args)
    assert report.verdict == "fail"
    return "; ".join(report.problems)


def habit(forward, backward, *args):
    """Told in a note beside a pass; and twice the gradient is wrong all the same."""
    report = gradcheck(forward, backward, *args)
    assert report.verdict == "pass" and not report.problems, report
    twice = gradcheck(forward, lambda dy, c: 2 * backward(dy, c), *args)
    assert [t.verdict for t in twice.tensors] == ["fail"] * len(twice.tensors)
    return "; ".join(report.notes)


def test_writing_into_arguments():
    def forward(x):
        y = x * 2
        x[0] = 0
        return y, None

    assert "writes into its argument x" in law(forward, lambda dy, c: 2 * dy, X)
    told = str(gradcheck(forward, lambda dy, c: 2 * dy, X))
    assert "its numbers are right here; it breaks a law" in told
    told = str(gradcheck(forward, lambda dy, c: 3 * dy, X))
    assert "its numbers are right" not in told


def test_writing_into_the_cotangent():
    def backward(dy, cache):
        dy *= 2
        return dy.copy()

    assert "writes into the cotangent" in habit(lambda x: (2 * x, None), backward, X)


def test_sharing_memory():
    assert "shares memory with the argument x" in habit(
        lambda x: (x, None), lambda dy, c: dy.copy(), X
    )
    assert "shares memory with the cotangent" in habit(lambda x: (+x, None), lambda dy, c: dy, X)


def test_a_cache_of_one_slot():
    slot = []

    def forward(x):
        slot[:] = [x]
        return x * x, None

    said = law(forward, lambda dy, c: 2 * slot[0] * dy, X)
    assert "belongs to the function, not to the call" in said


def test_accumulation_where_there_should_be_none():
    class Square:
        grad = None

        def forward(self, x):
            self.grad = np.zeros_like(x)
            return x * x, (x, self)

        @staticmethod
        def backward(dy, cache):
            x, self = cache
            self.grad += 2 * x * dy
            return self.grad.copy()

    assert "accumulates" in law(Square().forward, Square.backward, X)


def test_randomness_that_cannot_be_replayed():
    masks = iter(np.random.default_rng(0).random((1000, *X.shape)) < 0.5)

    def forward(x):
        mask = next(masks)
        return x * mask, mask

    assert "gives two results for one input" in law(forward, lambda dy, mask: dy * mask, X)


def test_a_backward_that_is_not_deterministic():
    rng = np.random.default_rng(0)

    def backward(dy, x):
        return 2 * x * dy * (1 + 1e-9 * rng.standard_normal())

    assert "another gradient" in law(lambda x: (x * x, x), backward, X)


def test_a_backward_that_is_not_linear_in_dy():
    report = gradcheck(lambda x: (x * x, x), lambda dy, x: 2 * x * np.abs(dy), X)
    assert "not linear in dy" in "; ".join(report.problems)


def test_a_silent_upcast():
    def forward(x):
        return x * np.float64(2), None

    assert "silently upcast" in habit(forward, lambda dy, c: 2 * dy, X.astype("float32"))


def test_a_cache_that_the_backward_writes_into():
    """As CS231n's softmax loss does: the cache is the backward's own."""
    labels = np.array([0, 2, 1, 1, 0])

    def forward(x):
        p = np.exp(x)
        p /= p.sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(5), labels]).mean(), p

    def backward(dy, p):
        p[np.arange(5), labels] -= 1
        p *= dy / 5
        return p

    assert "a second backward with the same cache gives another" in habit(forward, backward, X)
