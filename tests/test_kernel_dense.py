"""The compiled dense layer is its definition: any shape, layout, type, activation, instruction set.

The reference is the definition, run in float64. How far a correct sum may be from it is bounded by
theory, not by trial: a sum of K products, in any order, is off by at most K + 1 roundings of the
sum of their magnitudes (Higham 2002, "Accuracy and stability of numerical algorithms", eq. 3.5).
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0 leaves the kernel unused", allow_module_level=True)
kernels = pytest.importorskip("minienc._kernels")

from minienc.functions import dense_backward, dense_forward, identity_forward  # noqa: E402
from minienc.functions.dense import DenseCache  # noqa: E402
from minienc.primitive import _fast  # noqa: E402
from minienc.shapes import Form  # noqa: E402
from tests.at_once import at_once  # noqa: E402

identity_forward(np.zeros(1))  # opens the door: from here on, what fast/ has is registered
fast_forward, fast_backward = _fast["dense_forward"], _fast["dense_backward"]
fast_into = _fast["dense_backward_into"]

ACTIVATIONS = sorted(kernels.activation_codes)
N_CASES = 2400
THREADS = kernels.get_num_threads()


@pytest.fixture(autouse=True)
def as_it_was():
    """Each test leaves the instruction set and the number of threads as it found them."""
    isa = kernels.instruction_set
    yield
    kernels._use_isa(isa)
    kernels.set_num_threads(THREADS)


# -------------------------------------------------------------------------------- random cases


def random_size(rng, usual=45):
    """Mostly small, so that every remainder comes by; sometimes none; sometimes past a block."""
    kind = rng.random()
    if kind < 0.04:
        return 0
    if kind < 0.10:
        return int(rng.choice([96, 112, 113, 127, 200]))
    return int(rng.integers(1, usual))


def random_layout(rng, a):
    """The same numbers, lying differently."""
    kind = rng.integers(8)
    if kind == 0 and a.ndim > 1:  # transposed
        return np.ascontiguousarray(a.T).T
    if kind == 1:  # every second number of a larger array, and columns that do not lie together
        large = np.full(tuple(2 * n for n in a.shape), np.nan, a.dtype)
        large[(slice(None, None, 2),) * a.ndim] = a
        return large[(slice(None, None, 2),) * a.ndim]
    if kind == 2:  # from the last to the first
        return np.ascontiguousarray(a[(slice(None, None, -1),) * a.ndim])[
            (slice(None, None, -1),) * a.ndim
        ]
    if kind == 3:  # rows of a wider array
        wide = np.full((*a.shape[:-1], a.shape[-1] + 3), np.nan, a.dtype)
        wide[..., 1:-2] = a
        return wide[..., 1:-2]
    if kind == 4:  # not aligned
        raw = np.zeros(a.nbytes + 1, np.uint8)
        b = raw[1:].view(a.dtype).reshape(a.shape)
        b[...] = a
        return b
    b = a.copy()
    b.flags.writeable = bool(kind != 5)
    return b


def random_case(rng):
    N, D, M = random_size(rng), random_size(rng), random_size(rng)
    kind = rng.random()
    if kind < 0.03:  # more than one slice of k, or block of columns; enough work for threads
        N, D, M = int(rng.integers(1, 60)), int(rng.choice([383, 385, 800])), int(rng.integers(70))
    elif kind < 0.06:
        N, D, M = int(rng.integers(1, 60)), int(rng.integers(40)), int(rng.choice([511, 530, 1030]))
    elif kind < 0.09:
        N, D, M = int(rng.integers(300, 420)), int(rng.integers(20, 50)), int(rng.integers(1, 70))
    elif kind < 0.11:
        N, D, M = int(rng.integers(60, 90)), 512, 64  # rows that are a multiple of 1024 bytes
    dtype = rng.choice(["float32", "float64"])
    x, W, b = (rng.standard_normal(shape).astype(dtype) for shape in ((N, D), (D, M), (M,)))
    W *= 0.3
    leading = rng.random()
    if leading < 0.1 and N % 3 == 0:
        x = x.reshape(3, N // 3, D)
    elif leading < 0.15 and N > 0:
        x = x[0]
    b = None if rng.random() < 0.25 else b
    return x, W, b, str(rng.choice(ACTIVATIONS))


def magnitude(a, b):
    return np.abs(a).astype("float64") @ np.abs(b).astype("float64")


def assert_within(actual, expected, bound, what):
    assert actual.shape == expected.shape, what
    excess = np.abs(actual - expected) > bound
    assert not excess.any(), (what, np.abs(actual - expected)[excess].max(), bound.max())


def widened(field):
    """What an activation's cache keeps, as its definition keeps it of float64."""
    if isinstance(field, Form):
        return field._replace(dtype=np.dtype("float64"))
    return field.astype("float64") if isinstance(field, np.ndarray) else field


def check_case(x, W, b, activation, rng, what):
    eps = np.finfo(x.dtype).eps
    D, M = W.shape
    wide = [None if a is None else a.astype("float64") for a in (x, W, b)]

    y, cache = fast_forward(*(None if a is None else random_layout(rng, a) for a in (x, W, b)),
                            activation)  # fmt: skip
    assert y.dtype == x.dtype and isinstance(cache, DenseCache)
    expected, _ = dense_forward.definition(*wide, activation)
    size = magnitude(x, W) + (0 if b is None else np.abs(b))
    # Slopes are at most 1.13 (gelu's), and an activation itself is a few roundings off.
    assert_within(y, expected, 2.3 * (D + 3) * eps * size + 8 * eps * (1 + np.abs(expected)), what)

    dy = rng.standard_normal(y.shape).astype(x.dtype)
    fields = [widened(a) for a in cache.f]
    wide_cache = DenseCache(*wide[:2], b is not None, activation, type(cache.f)(*fields))
    expected = dense_backward.definition(dy.astype("float64"), wide_cache)
    laid = cache._replace(x=random_layout(rng, x), W=random_layout(rng, W))
    actual = fast_backward(random_layout(rng, dy), laid)
    N = int(np.prod(x.shape[:-1]))
    rows, slopes = x.reshape(N, D), 3 * np.abs(dy).reshape(N, M)
    bounds = (
        2 * (M + 8) * eps * magnitude(slopes, W.T).reshape(x.shape),
        2 * (N + 8) * eps * magnitude(rows.T, slopes),
        2 * (N + 8) * eps * slopes.sum(axis=0, dtype="float64"),
    )
    for name, a, e, bound in zip(("dx", "dW", "db"), actual, expected, bounds, strict=True):
        if e is None:
            assert a is None
            continue
        assert a.dtype == x.dtype
        assert_within(a, e, bound + np.finfo(x.dtype).tiny, (what, name))
    # What is left out, and a dW that lies transposed, take other ways to the same numbers.
    same_dy = random_layout(rng, dy)
    room = [None if e is None else np.full(e.shape, np.nan, x.dtype) for e in actual[1:]]
    assert fast_into(same_dy, laid, room, True, False) is None
    assert_same_bits([r for r in room if r is not None], [a for a in actual[1:] if a is not None])
    assert_same_bits([fast_into(same_dy, laid, None, False, True)], actual[:1])
    sums = np.zeros((D, M), x.dtype, order="F"), None if b is None else np.zeros(M, x.dtype)
    fast_into(same_dy, laid, sums, False, False)
    assert_within(sums[0], expected[1], bounds[1] + np.finfo(x.dtype).tiny, (what, "tied"))


@pytest.mark.parametrize("isa", kernels.instruction_sets)
def test_the_kernel_is_its_definition(isa):
    rng = np.random.default_rng(kernels.instruction_sets.index(isa))
    kernels._use_isa(isa)
    for i in range(N_CASES // len(kernels.instruction_sets)):
        kernels.set_num_threads(int(rng.integers(1, 5)))
        x, W, b, activation = random_case(rng)
        what = (i, x.shape, W.shape, b is None, str(x.dtype), activation)
        check_case(x, W, b, activation, rng, what)


@pytest.mark.parametrize("error", ["one element", "one row of the bias", "1e-4"])
def test_the_comparison_sees_an_error(error, monkeypatch):
    right = fast_forward

    def nearly(x, W, b=None, activation="identity"):
        y, cache = right(x, W, b, activation)
        if error == "one element":
            y[-1, -1] += 0.01
        elif error == "1e-4":
            y *= 1 + np.float32(1e-4)
        else:
            y[-1] -= b
        return y, cache

    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((9, 7), "float32"), rng.standard_normal((7, 5), "float32")
    monkeypatch.setitem(globals(), "fast_forward", nearly)
    with pytest.raises(AssertionError):
        check_case(x, W, np.ones(5, "float32"), "tanh", rng, error)


# ------------------------------------------------------------------------- bits, threads, forks


def both(x, W, b, dy, activation="tanh"):
    y, cache = fast_forward(x, W, b, activation)
    return y, *fast_backward(dy, cache)


def problem(N, D, M, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((N, D), (D, M), (M,), (N, M))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_same_bits(one, two):
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", kernels.instruction_sets)
def test_the_bits_do_not_depend_on_the_threads_nor_on_the_layout(isa, dtype):
    kernels._use_isa(isa)
    rng = np.random.default_rng(0)
    for shape in ((150, 100, 90), (700, 31, 33), (5, 400, 1100), (64, 784, 128)):
        x, W, b, dy = problem(*shape, dtype)
        kernels.set_num_threads(1)
        expected = both(x, W, b, dy)
        for n in (2, 3, 4):
            kernels.set_num_threads(n)
            assert_same_bits(both(x, W, b, dy), expected)
            assert_same_bits(both(*(random_layout(rng, a) for a in (x, W, b, dy))), expected)


def test_a_row_does_not_depend_on_the_rows_beside_it():
    x, W, b, _ = problem(100, 70, 50)
    y, _ = fast_forward(x, W, b, "sigmoid")
    for n in (1, 13, 33):
        np.testing.assert_array_equal(fast_forward(x[:n], W, b, "sigmoid")[0], y[:n])


def test_eight_python_threads_at_once():
    kernels.set_num_threads(4)
    problems = [problem(90 + i, 80, 70, seed=i) for i in range(8)]
    expected = [both(*p) for p in problems]
    wrong = []

    def work(i):
        for _ in range(30):
            for a, e in zip(both(*problems[i]), expected[i], strict=True):
                if not np.array_equal(a, e):
                    wrong.append(i)

    at_once(work)
    assert wrong == []


def run(script, **environment):
    """Run a script in an interpreter of its own; a hang is a failure."""
    return subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


FORK = """
import os, signal, warnings
import numpy as np
{before}
from minienc import _kernels
from minienc.functions import dense_forward
warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forking beside threads
_kernels.set_num_threads(3)
x, W = np.ones((200, 300), "float32"), np.ones((300, 100), "float32")
def right():
    return bool((dense_forward(x, W)[0] == 300).all())
assert right()
signal.alarm(60)
for generation in range(3):  # a child, its child, and that one's
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        os._exit(0 if status == 0 and right() else 1)
    assert right() and right()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("beside", ["nothing", "sklearn", "torch"])
def test_a_forked_child_computes(beside):
    before = ""
    if beside == "sklearn":
        pytest.importorskip("sklearn")
        before = "from sklearn.cluster import KMeans\n"
        before += "KMeans(2, n_init=1).fit(np.eye(500)[:, :9])  # starts its OpenMP threads\n"
    if beside == "torch":
        pytest.importorskip("torch")
        before = "import torch\ntorch.ones(500, 500) @ torch.ones(500, 500)\n"
    result = run(FORK.replace("{before}", before))
    assert result.returncode == 0, result.stderr


PLACES = """
import os, random, time
import numpy as np
from minienc import _kernels
from minienc.functions import dense_forward
{before}
def affinities():  # of each thread of the process: what it may run on
    return {t: os.sched_getaffinity(int(t)) for t in os.listdir("/proc/self/task")}
others = set(affinities())
_kernels.set_num_threads(3)
x, W = np.ones((200, 300), "float32"), np.ones((300, 100), "float32")
for i in range(200):  # the threads fall asleep now and then, some of them, or all
    assert (dense_forward(x, W)[0] == 300).all()
    time.sleep(random.Random(i).choice([0, 0, 1e-4, 3e-4, 2e-3]))
free, end = os.sched_getaffinity(0), time.time() + 30
while time.time() < end:  # one that was woken last may still wait for its processor
    pool = {t: cpus for t, cpus in affinities().items() if t not in others}
    assert len(pool) == 2, pool
    if all(cpus == free for cpus in pool.values()):
        raise SystemExit
    time.sleep(0.01)
raise AssertionError((free, pool))
"""

REFUSED = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
code = [  # of seccomp: sched_setaffinity, 203 on x86-64, fails with EPERM; all else is allowed
    (0x20, 0, 0, 0), (0x15, 0, 1, 203), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
program = b"".join(struct.pack("HBBI", *line) for line in code)
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(Filter(len(code), program))) == 0  # PR_SET_SECCOMP
try:
    os.sched_setaffinity(0, os.sched_getaffinity(0))
except PermissionError:
    pass
else:
    raise AssertionError("it was not refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="placement is Linux's")
def test_the_pools_threads_may_go_wherever_the_caller_may():
    result = run(PLACES.replace("{before}", ""))
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="a filter for x86-64's Linux"
)
def test_where_placement_is_refused_there_are_threads_all_the_same():
    result = run(PLACES.replace("{before}", REFUSED))
    assert result.returncode == 0, result.stderr


def test_the_threads_can_be_set_again_and_again():
    x, W, b, dy = problem(120, 90, 80)
    expected = both(x, W, b, dy)
    for n in (4, 1, 3, 2, 16, 2):
        kernels.set_num_threads(n)
        assert kernels.get_num_threads() == n
        assert_same_bits(both(x, W, b, dy), expected)
    with pytest.raises(ValueError, match="n is 0"):
        kernels.set_num_threads(0)


def test_the_environment_chooses():
    script = "from minienc import _kernels as k; print(k.instruction_set, k.get_num_threads())"
    result = run(script, MINIENC_ISA="baseline", OMP_NUM_THREADS="3")
    assert result.stdout.split() == ["baseline", "3"]
    result = run(script, MINIENC_ISA="abacus")
    assert "ImportError" in result.stderr and "'abacus' is unknown" in result.stderr
    script = "import minienc.primitive as p; p.open_the_door(); print(len(p._fast))"
    assert run(script, MINIENC_KERNEL="0").stdout.strip() == "0"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", kernels.instruction_sets)
def test_each_step_of_the_staircase_is_the_product(isa, dtype):
    kernels._use_isa(isa)
    rng = np.random.default_rng(0)
    for M, N, K in ((1, 1, 1), (0, 3, 2), (3, 0, 2), (3, 2, 0), (17, 600, 70), (40, 33, 130)):
        a, b = rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((K, N)).astype(dtype)
        for step in (1, 2, 3):
            for one, two in ((a, b), (np.asfortranarray(a), b[::-1][::-1])):
                bound = 2 * (K + 2) * np.finfo(dtype).eps * magnitude(a, b)
                assert_within(kernels.matmul(one, two, step=step), a @ b, bound, (M, N, K, step))
    out = np.ones((40, 33), dtype)
    assert kernels.matmul(a, b, out, add=True) is out
    assert_within(out, 1 + a @ b, 2 * 140 * np.finfo(dtype).eps * (1 + magnitude(a, b)), "added")
    with pytest.raises(ValueError, match="step is 4"):
        kernels.matmul(a, b, step=4)


# ------------------------------------------------------------------------------- the boundary


def test_nothing_is_too_small():
    for N, D, M in ((0, 3, 2), (2, 0, 3), (2, 3, 0), (0, 0, 0)):
        x, W, b, dy = problem(N, D, M)
        y, cache = fast_forward(x, W, b, "relu")
        np.testing.assert_array_equal(y, dense_forward.definition(x, W, b, "relu")[0])
        for a, shape in zip(fast_backward(dy, cache), (x.shape, W.shape, b.shape), strict=True):
            assert a.shape == shape and (a.size == 0 or N > 0 or not a.any())


def test_nan_and_infinity_come_through():
    for bad in (np.nan, np.inf, -np.inf):
        x, W, b, _ = problem(20, 10, 20)
        x[3, 4] = bad
        for activation in ACTIVATIONS:
            with np.errstate(all="ignore"):
                expected = dense_forward.definition(x, W, b, activation)[0]
            y = fast_forward(x, W, b, activation)[0]
            np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5, err_msg=activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_either_backward_follows_either_forward(activation):
    x, W, b, dy = problem(6, 5, 4, "float64")
    for forward, backward in (
        (fast_forward, dense_backward.definition),
        (dense_forward.definition, fast_backward),
    ):
        _, cache = forward(x, W, b, activation)
        expected = dense_backward.definition(dy, dense_forward.definition(x, W, b, activation)[1])
        for a, e in zip(backward(dy, cache), expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-12, atol=1e-12)


def layouts_of_sums(D, M):
    flat = np.ones(D * M + M + 5, "float32")
    yield flat[5 : 5 + D * M].reshape(D, M), flat[5 + D * M :]  # as in the flat gradient vector
    yield np.ones((M, D), "float32").T, np.ones(M, "float32")  # as a tied layer's
    yield np.ones((D, M + 2), "float32")[:, :M], np.ones(M, "float32")
    yield np.ones((D, 2 * M), "float32")[:, ::2], np.ones(2 * M, "float32")[::2]
    yield np.ones((D, M), "float64"), np.ones(M, "float64")
    yield np.ones((D, M), "float32"), None


def test_gradients_are_added_whatever_lies_there():
    x, W, b, dy = problem(40, 30, 20)
    cache = fast_forward(x, W, b, "relu")[1]
    dx, dW, db = fast_backward(dy, cache)
    for sums in layouts_of_sums(30, 20):
        np.testing.assert_array_equal(fast_into(dy, cache, sums, False, True), dx)
        np.testing.assert_allclose(sums[0], 1 + dW, rtol=1e-5, atol=1e-5)
        if sums[1] is not None:
            np.testing.assert_allclose(sums[1], 1 + db, rtol=1e-5, atol=1e-5)
    frozen = np.ones((30, 20), "float32")
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        fast_into(dy, cache, (frozen, np.ones(20, "float32")), False, True)


def test_what_is_not_needed_is_left_out():
    x, W, b, dy = problem(9, 8, 7)
    cache = fast_forward(x, W, b, "tanh")[1]
    dx, dW, db = fast_backward(dy, cache)
    into = np.full_like(W, np.nan), np.full_like(b, np.nan)
    assert fast_into(dy, cache, into, True, False) is None
    assert_same_bits(into, (dW, db))
    assert_same_bits([fast_into(dy, cache, None, False, True)], [dx])
    assert fast_into(dy, cache, None, False, False) is None


def test_an_output_whose_memory_reaches_into_an_inputs_is_right():
    code = kernels.activation_codes["identity"]
    for name in ("x", "W", "b"):
        x, W, b, _ = problem(6, 6, 6)
        out = {"x": x, "W": W, "b": np.broadcast_to(b, (6, 6)).copy()}[name]
        b = out[0] if name == "b" else b
        expected = x @ W + b
        assert kernels.dense_forward(x, W, b, code, 0.0, out) is out
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    a = problem(6, 6, 6)[0]
    expected = a + a @ a.T
    np.testing.assert_allclose(kernels.matmul(a, a.T, a, add=True), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="expected \\(6, 6\\)"):
        kernels.dense_forward(a, a, b, code, 0.0, np.ones((5, 6), "float32"))


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("where", ["between x's columns", "x", "W", "dy", "the output", "db in dW"])
def test_gradients_may_go_where_an_input_lies(where, write):
    """As the definition's, which are complete before they are put anywhere."""
    large = np.ones((6, 12), "float32")
    x, W, b, dy = large[:, :6], *problem(6, 6, 6)[1:]
    x[...] = problem(6, 6, 6)[0]
    y, cache = fast_forward(x, W, b, "relu")
    dW = {"x": x, "W": W, "dy": dy, "the output": y}.get(where, large[:, 6:])
    db = dW[0] if where == "db in dW" else np.ones(6, "float32")
    expected = dense_backward.definition(dy, cache)
    before = [0, 0] if write else [dW.copy(), db.copy()]
    dx = fast_into(dy, cache, (dW, db), write, True)
    np.testing.assert_allclose(dx, expected[0], rtol=1e-5, atol=1e-5)
    if where == "db in dW":
        dW, expected, before = dW[1:], [None, expected[1][1:]], [b[1:] for b in before if not write]
    np.testing.assert_allclose(dW, (before or [0])[0] + expected[1], rtol=1e-5, atol=1e-5)
    if where != "db in dW":
        np.testing.assert_allclose(db, before[1] + expected[2], rtol=1e-5, atol=1e-5)


def test_what_it_does_not_serve_is_declined_and_the_definition_speaks():
    x, W, b, dy = problem(4, 3, 2)
    for arguments in (
        (x.astype("float16"), W.astype("float16"), b.astype("float16")),
        (x.astype("float64"), W, b),
        (x.astype(x.dtype.newbyteorder()), W, b),
        (x.view(np.matrix) if hasattr(np, "matrix") else x.tolist(), W, b),
        (x[:, :2], W, b),
        (x, W, b[:1]),
        (x, W[0], b),
        (x[0, 0], W, b),
    ):
        assert fast_forward(*arguments) is NotImplemented
    assert fast_forward(x, W, b, "no such one") is NotImplemented
    assert fast_forward(x, W, b, ["relu"]) is NotImplemented
    with pytest.raises(ValueError, match=r"W is \(3, 2\), expected \(D, M\) with D = 2"):
        dense_forward(x[:, :2], W, b)
    cache = fast_forward(x, W, b)[1]
    assert fast_backward(dy[:2], cache) is NotImplemented
    assert fast_backward(dy.astype("float64"), cache) is NotImplemented


@pytest.mark.parametrize("activation", ["softmax", "relu_squared"])
def test_an_activation_that_is_not_the_kernels_stands_behind_its_product(activation):
    x, W, b, dy = problem(9, 5, 7)
    y, cache = dense_forward(x, W, b, activation)
    expected, other = dense_forward.definition(x, W, b, activation)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    for one, two in zip(
        dense_backward(dy, cache), dense_backward.definition(dy, other), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
