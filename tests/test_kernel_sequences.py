"""The compiled functions of sequences are their definitions: any shape, layout, type, lengths.

The reference is the definition, run in float64. A sum of K products is off by at most K + 1
roundings of its terms (see ``test_kernel_dense.py``). Through many steps such errors add up, and
shrink, for the weights drawn here let little through from step to step: so all are bounded by the
roundings of the longest sum, of numbers of the size of the largest.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc.functions import identity_forward  # noqa: E402
from minienc.functions.attention import AttentionCache  # noqa: E402
from minienc.primitive import REGISTRY, _fast  # noqa: E402
from tests.at_once import at_once  # noqa: E402
from tests.test_kernel_dense import assert_same_bits, random_layout  # noqa: E402

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered

KINDS = {"lstm": (4, 1, 2), "gru": (3, 2, 1), "rnn": (1, 1, 1)}  # gates, biases, states
ACTIVATIONS = [a for a in sorted(kernels.activation_codes) if a != "gelu"]
N_CASES = 1200
THREADS = kernels.get_num_threads()

everyone = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def as_it_was():
    """Each test leaves the instruction set and the number of threads as it found them."""
    isa = kernels.instruction_set
    yield
    kernels._use_isa(isa)
    kernels.set_num_threads(THREADS)


# ------------------------------------------------------------------------------ recurrent networks


def drawn(rng, dtype, *shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(dtype)


def sequences(kind, rng, dtype, N, T, D, M):
    """(x, W, U, biases, first states), some of the biases and states None."""
    gates, biases, states = KINDS[kind]
    weights = drawn(rng, dtype, D, gates * M, scale=0.3), drawn(rng, dtype, M, gates * M, scale=0.2)
    shapes = [(gates * M,)] * biases + [(N, M)] * states
    others = [None if rng.random() < 0.25 else drawn(rng, dtype, *s) for s in shapes]
    return [drawn(rng, dtype, N, T, D), *weights, *others]


def random_case(rng):
    kind, dtype = str(rng.choice(list(KINDS))), str(rng.choice(["float32", "float64"]))
    N, T, D, M = (int(n) for n in rng.integers(1, (18, 6, 36, 40)))
    if rng.random() < 0.06:  # enough work for threads, and more than one slice of k
        N, T, D, M = (
            int(rng.integers(20, 60)),
            6,
            int(rng.integers(1, 50)),
            int(rng.choice([48, 97])),
        )
    arrays = sequences(kind, rng, dtype, N, T, D, M)
    lengths = rng.integers(0, T + 1, N).astype(rng.choice(["int32", "int64", "uint8"]))
    options = {"lengths": lengths if rng.random() < 0.6 else None}
    if kind == "rnn":
        options["activation"] = str(rng.choice(ACTIVATIONS))
    return kind, arrays, options


def widened(arrays):
    return [None if a is None else a.astype("float64") for a in arrays]


def run(kind, arrays, options, dy):
    """All results and gradients of the kernel."""
    outputs, cache = _fast[f"{kind}_forward"](*arrays, **options)
    return [*outputs, *_fast[f"{kind}_backward"](dy, cache)]


def assert_close(actual, expected, terms, what):
    for a, e in zip(actual, expected, strict=True):
        assert (a is None) == (e is None), what
        if e is not None:
            assert a.shape == e.shape, what
            bound = 4 * (terms + 8) * np.finfo(a.dtype).eps * (1 + np.abs(e).max(initial=0))
            assert np.abs(a - e).max(initial=0) <= bound, (what, np.abs(a - e).max(), bound)


def laid(rng, arrays):
    return [None if a is None else random_layout(rng, a) for a in arrays]


def check_recurrent(kind, arrays, options, rng, what):
    forward, backward = REGISTRY[f"{kind}_forward"], REGISTRY[f"{kind}_backward"]
    x, W = arrays[:2]
    (N, T, D), M = x.shape, len(arrays[2])
    expected, cache = forward.definition(*widened(arrays), **options)
    dy = tuple(drawn(rng, x.dtype, *part.shape) for part in expected)
    gradients = backward.definition(tuple(widened(dy)), cache)

    kernels.set_num_threads(1)
    actual = run(kind, laid(rng, arrays), options, tuple(laid(rng, dy)))
    assert all(a is None or a.dtype == x.dtype for a in actual), what
    terms = max(D + M, W.shape[1] + T, N * T)
    assert_close(actual, [*expected, *gradients], terms, what)
    kernels.set_num_threads(int(rng.integers(2, 6)))
    again = run(kind, laid(rng, arrays), options, tuple(laid(rng, dy)))
    assert_same_bits([a for a in again if a is not None], [a for a in actual if a is not None])


@pytest.mark.parametrize("isa", kernels.instruction_sets)
def test_recurrent_networks_are_their_definitions(isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    for i in range(N_CASES // len(kernels.instruction_sets)):
        kind, arrays, options = random_case(rng)
        what = i, kind, [None if a is None else a.shape for a in arrays], options
        check_recurrent(kind, arrays, options, rng, what)


@everyone
@pytest.mark.parametrize("error", ["one number", "a held state", "1e-4"])
def test_the_comparison_sees_an_error(kind, error, monkeypatch):
    right = _fast[f"{kind}_forward"]

    def nearly(*arrays, **options):
        outputs, cache = right(*arrays, **options)
        if error == "one number":
            outputs[0][-1, -1, -1] += 0.01
        elif error == "1e-4":
            outputs[0][...] *= 1 + np.float32(1e-4)
        else:
            outputs[1][...] = right(*arrays)[0][1]  # as if every step counted
        return outputs, cache

    rng = np.random.default_rng(0)
    arrays = sequences(kind, rng, "float32", 4, 5, 3, 6)
    monkeypatch.setitem(_fast, f"{kind}_forward", nearly)
    with pytest.raises(AssertionError):
        check_recurrent(kind, arrays, {"lengths": np.array([5, 2, 1, 0])}, rng, error)


@everyone
def test_either_backward_follows_either_forward(kind):
    rng = np.random.default_rng(1)
    arrays = sequences(kind, rng, "float64", 5, 4, 3, 7)
    options = {"lengths": np.array([4, 0, 2, 3, 1])}
    definitions = REGISTRY[f"{kind}_forward"].definition, REGISTRY[f"{kind}_backward"].definition
    outputs, cache = definitions[0](*arrays, **options)
    assert _fast[f"{kind}_backward"](outputs, cache) is NotImplemented  # so the definition runs
    expected = definitions[1](outputs, cache)
    _, cache = _fast[f"{kind}_forward"](*arrays, **options)
    assert_close(definitions[1](outputs, cache), expected, 100, kind)


@everyone
def test_the_cells_are_those_of_the_definition(kind):
    rng = np.random.default_rng(2)
    arrays = sequences(kind, rng, "float64", 3, 4, 2, 5)
    cells = _fast[f"{kind}_forward"](*arrays)[1][-1]
    expected = REGISTRY[f"{kind}_forward"].definition(*arrays)[1][-1]
    assert len(cells) == len(expected) and repr(cells).startswith("(")
    assert len(cells[1:3]) == 2 and type(cells[-1]) is type(expected[-1])
    for cell, other in zip(cells, expected, strict=True):
        flat = [*cell[0], *cell[1:]] if isinstance(cell[0], tuple) else cell
        other = [*other[0], *other[1:]] if isinstance(other[0], tuple) else other
        assert_close(flat, other, 10, kind)


@everyone
def test_what_the_kernel_does_not_serve_it_declines(kind):
    rng = np.random.default_rng(3)
    forward = _fast[f"{kind}_forward"]
    x, W, U = sequences(kind, rng, "float32", 3, 4, 2, 5)[:3]
    for bad in (
        [x[:0], W, U],
        [x[:, :0], W, U],
        [x[..., :1], W, U],
        [x.astype("float64"), W, U],
        [x.astype("float16"), W, U],
        [x, W[:, :-1], U],
        [x, W, U[:-1]],
        [x, W, U, W[0][:-1]],
        [x.tolist(), W, U],
    ):
        assert forward(*bad) is NotImplemented
    for lengths in (
        [1, 2, 3],
        np.ones(3),
        np.array([1, 2]),
        np.array([5, 0, 0]),
        np.array([-1] * 3),
    ):
        assert forward(x, W, U, lengths=lengths) is NotImplemented
    outputs, cache = forward(x, W, U)
    for dy in (outputs[0][:2], outputs[0][:, :1], outputs[0].astype("float64")):
        assert _fast[f"{kind}_backward"]((dy, *outputs[1:]), cache) is NotImplemented


@everyone
def test_a_large_matrix_is_not_packed_for_a_few_rows(kind):
    rng = np.random.default_rng(3)
    x, W, U = sequences(kind, rng, "float32", 8, 8, 100, 400)[:3]
    declines = [_fast[f"{kind}_forward"](a, W, U) is NotImplemented for a in (x, x[:7], x[:, :7])]
    assert declines == [False, True, True]


@everyone
def test_a_cache_outlives_a_change_of_the_instruction_set(kind):
    if len(kernels.instruction_sets) < 2:
        pytest.skip("there is but one")
    arrays = sequences(kind, np.random.default_rng(4), "float32", 3, 4, 2, 5)
    outputs, cache = _fast[f"{kind}_forward"](*arrays)
    expected = REGISTRY[f"{kind}_backward"](outputs, cache)
    kernels._use_isa("baseline")
    assert_close(REGISTRY[f"{kind}_backward"](outputs, cache), expected, 100, kind)


@everyone
def test_nothing_behind_a_sequence_changes_anything(kind):
    arrays = sequences(kind, np.random.default_rng(5), "float32", 4, 6, 3, 20)
    lengths = np.array([6, 4, 1, 0])
    outputs, _ = _fast[f"{kind}_forward"](*arrays, lengths=lengths)
    for n, length in enumerate(lengths):
        arrays[0][n, length:] = 1e30
        assert not outputs[0][n, length:].any()
    assert_same_bits(_fast[f"{kind}_forward"](*arrays, lengths=lengths)[0], outputs)


# --------------------------------------------------------------------------------------- attention


def heads(rng, dtype, leading, rows, columns):
    """(..., rows, columns): by themselves, or side by side in the rows of one matrix."""
    if len(leading) < 2 or rng.random() < 0.5:
        return drawn(rng, dtype, *leading, rows, columns)
    N, H = leading
    return drawn(rng, dtype, N, rows, H, columns).swapaxes(1, 2)


def random_heads(rng):
    """((q, k, v), options) of one to several heads, short or longer than a block of queries."""
    dtype = str(rng.choice(["float32", "float64"]))
    leading = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))
    T, S, D, M = (int(n) for n in rng.integers(1, 34, 4))
    if rng.random() < 0.1:
        T, S = (int(n) for n in rng.integers(100, 260, 2))
    causal = bool(rng.random() < 0.5)
    S = max(S, T) if causal else S
    options = {"causal": causal}
    if leading and rng.random() < 0.5:
        options["lengths"] = rng.integers(0, S + 1, leading[0])
    shapes = (T, D), (S, D), (S, M)
    return [heads(rng, dtype, leading, *shape) for shape in shapes], options


def run_attention(arrays, options, dy):
    y, cache = _fast["attention_forward"](*arrays, **options)
    return [y, cache.p, *_fast["attention_backward"](dy, cache)]


@pytest.mark.parametrize("isa", kernels.instruction_sets)
def test_attention_is_its_definition(isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    forward, backward = REGISTRY["attention_forward"], REGISTRY["attention_backward"]
    kernels._use_isa(isa)
    for i in range(N_CASES // 2 // len(kernels.instruction_sets)):
        (q, k, v), options = random_heads(rng)
        what = i, q.shape, k.shape, v.shape, options
        y, cache = forward.definition(*widened((q, k, v)), **options)
        dy = drawn(rng, q.dtype, *y.shape)
        expected = [y, cache.p, *backward.definition(dy.astype("float64"), cache)]
        kernels.set_num_threads(1)
        actual = run_attention((q, k, v), options, dy)
        assert all(a.dtype == q.dtype for a in actual), what
        assert_close(actual, expected, sum(q.shape[-2:] + v.shape[-2:]), what)
        kernels.set_num_threads(int(rng.integers(2, 6)))
        assert_same_bits(run_attention(laid(rng, (q, k, v)), options, dy), actual)
        definitions = backward.definition(dy, AttentionCache(q, k, v, actual[1]))
        again = _fast["attention_backward"](dy, AttentionCache(q, k, v, actual[1]))
        assert_close(again, definitions, sum(q.shape[-2:] + v.shape[-2:]), what)


def test_heads_that_lie_side_by_side_stay_so():
    rng = np.random.default_rng(0)
    q, k, v = (drawn(rng, "float32", 2, 5, 3, 4).swapaxes(1, 2) for _ in range(3))
    y, cache = _fast["attention_forward"](q, k, v)
    for a in (y, *_fast["attention_backward"](y, cache)):
        assert a.swapaxes(1, 2).flags.c_contiguous


def test_a_query_behind_kept_keys_has_the_same_bits():
    rng = np.random.default_rng(0)
    q, k, v = (drawn(rng, "float32", 2, 3, 40, 20) for _ in range(3))
    whole, _ = _fast["attention_forward"](q, k, v, causal=True)
    for t in range(40):
        now, _ = _fast["attention_forward"](
            q[:, :, t : t + 1], k[:, :, : t + 1], v[:, :, : t + 1], causal=True
        )
        np.testing.assert_array_equal(now[:, :, 0], whole[:, :, t])


def test_attention_declines_what_it_does_not_serve():
    rng = np.random.default_rng(0)
    forward = _fast["attention_forward"]
    q, k, v = (drawn(rng, "float32", 2, 5, 4) for _ in range(3))
    assert forward(q, k, v, mask=np.ones((5, 5), bool)) is NotImplemented
    assert forward(q, k[:, :3], v[:, :3], causal=True) is NotImplemented
    assert forward(q, k, v, np.array([6, 1])) is NotImplemented
    assert forward(q, k, v, [5, 1]) is NotImplemented
    assert forward(q[0], k[0], v[0], np.array([1])) is NotImplemented
    for bad in (
        [q, k, v.astype("float64")],
        [q[:1], k, v],
        [q, k[..., :3], v],
        [q, k, v[:, :4]],
        [q[:, :0], k, v],
        [q[0], k, v],
        [q[None, None], k[None, None], v[None, None]],
        [q.tolist(), k, v],
    ):
        assert forward(*bad) is NotImplemented
    y, cache = forward(q, k, v)
    for dy in (y[:1], y[..., :2], y.astype("float64"), y[0]):
        assert _fast["attention_backward"](dy, cache) is NotImplemented


def test_eight_python_threads_at_once():
    kernels.set_num_threads(4)
    cases = []
    for i in range(8):
        kind = list(KINDS)[i % 3]
        arrays = sequences(kind, np.random.default_rng(i), "float32", 40, 6, 30, 48)
        outputs = _fast[f"{kind}_forward"](*arrays)[0]
        cases.append((kind, arrays, {}, outputs))
    expected, wrong = [run(*case) for case in cases], []

    def work(i):
        for _ in range(10):
            for a, e in zip(run(*cases[i]), expected[i], strict=True):
                if e is not None and not np.array_equal(a, e):
                    wrong.append(i)

    at_once(work)
    assert wrong == []
