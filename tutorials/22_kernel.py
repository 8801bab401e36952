"""
Inside the fused kernel
=======================

All that a network does is products of matrices, and what happens to each number in between. Three
loops say it all; done well, they are ten thousand times as fast as three loops in Python. Here is
what lies between, step by step, with the machine's own limits beside it.

You will be able to

- say how many operations and how many bytes a product has, and what follows from that;
- explain blocking, packing and the register tile with a pencil;
- say what fusing saves, and draw the roofline of the machine before you;
- read why the same source runs on a GPU.

It needs tutorial 03 (the dense layer), and runs for about twenty seconds. Times are of the machine
that made this page, and vary from run to run; only what holds on any machine is claimed.
"""

# %%
# On paper: operations and numbers
# --------------------------------
#
# .. code-block:: text
#
#     1 2     5 6      1*5 + 2*7   1*6 + 2*8      19 22
#     3 4  x  7 8   =  3*5 + 4*7   3*6 + 4*8  =   43 50
#
# Eight multiplications, with an addition each (the first to 0): 2 n^3 = 16 operations for n = 2.
# The numbers are 3 n^2 = 12: two matrices are read and one is written. Each number is used n times.
# In that lies everything: arithmetic grows with n^3, what must be fetched only with n^2, if a
# number that was fetched is used as often as it can be before it is let go.

# sphinx_gallery_thumbnail_number = 4
import time

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.facecolor"] = "white"


def three_loops(A, B):
    M, K, N = len(A), len(B), len(B[0])
    C = [[0.0] * N for _ in range(M)]
    for i in range(M):
        for j in range(N):
            for k in range(K):
                C[i][j] += A[i][k] * B[k][j]
    return C


assert three_loops([[1, 2], [3, 4]], [[5, 6], [7, 8]]) == [[19, 22], [43, 50]]

# %%
# The staircase
# -------------
#
# The compiled kernel has the product three times, as a lesson: step 1 are these three loops in C;
# step 2 has them in another order, and in blocks; step 3 is what the library uses. NumPy's is that
# of a library called OpenBLAS, or another one.
#
# **Predict:** Python's three loops do some ten million operations a second. How many does C do with
# the same loops? And step 3?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# C with the same loops does some thirty times as many: no objects, no interpreter. Step 3 does a
# hundred times as many again, or more, with the same arithmetic, on one thread. (So does NumPy,
# where its product is a good one and nothing else runs on the machine.)
#
# .. raw:: html
#
#     </details>

from minienc.kernel import kernel_info, set_num_threads, usable_cpus

try:
    from minienc import _kernels
except ImportError:
    _kernels = None
in_use = kernel_info()["loaded"]
print("the kernel:", kernel_info()["reason"], "-", kernel_info()["instruction_set"])
if in_use:
    set_num_threads(1)


def best(f, repeat=5):
    """The shortest of some runs, in seconds: what nothing else disturbed."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


rng = np.random.default_rng(0)
n = 512
A, B = (rng.standard_normal((n, n)).astype(np.float32) for _ in range(2))
small = 48
a, b = A[:small, :small].tolist(), B[:small, :small].tolist()
rate = {"Python": 2 * small**3 / best(lambda: three_loops(a, b), 2) / 1e9}
if _kernels is not None:
    for step, name in ((1, "1: three loops in C"), (2, "2: blocked"), (3, "3: packed, tiled")):
        rate[name] = 2 * n**3 / best(lambda step=step: _kernels.matmul(A, B, step=step), 3) / 1e9
rate["NumPy"] = 2 * n**3 / best(lambda: A @ B) / 1e9
for name, value in rate.items():
    print(f"{name:20s} {value:10.3f} GFLOP/s")
assert rate["NumPy"] > 100 * rate["Python"]

# %%
# Each step on a scale where a line is a factor of ten.

plt.figure(figsize=(5.5, 2.4), layout="constrained")
plt.barh(list(rate)[::-1], list(rate.values())[::-1], color="#0072B2")
plt.xscale("log")
plt.xlabel("billions of operations a second (512 x 512, float32)")
if _kernels is not None:
    assert rate["3: packed, tiled"] > 10 * rate["1: three loops in C"] > 100 * rate["Python"]

# %%
# Step 2: rows instead of columns
# -------------------------------
#
# Memory comes in lines of 64 bytes, 16 numbers of float32. Matrices lie row after row. Who reads a
# column of B fetches a line for each number, and throws 15 of 16 away.
#
# **Predict:** C[i][j] += A[i][k] B[k][j] is right in any order of the three loops. Which loop must
# be the innermost, so that everything is read along rows?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# j: then a row of C grows by a number of A times a row of B. The sums of a row do not wait for one
# another, either, so the compiler does 8 or 16 of them in one instruction.
#
# .. raw:: html
#
#     </details>

touched = {}
big = rng.standard_normal((4096, 4096)).astype(np.float32)
for name, part in (("a row", big[7]), ("a column", big[:, 7])):
    touched[name] = len(
        np.unique((part.__array_interface__["data"][0] + np.arange(4096) * part.strides[0]) // 64)
    )
print("lines that are fetched for 4,096 numbers:", touched)
assert touched["a column"] == 4096 and touched["a row"] <= 257

# %%
# Then blocks: a piece of B that fits into the cache, memory as fast as the processor and as small
# as a matchbox, is used for all rows of A before the next piece comes.
#
# Step 3: the register tile
# -------------------------
#
# Nearest of all are registers, some 32 of them, each with a *vector*: 16 numbers (AVX-512) that one
# instruction adds or multiplies at once. In a cycle, a third of a nanosecond or so, a processor can
# start two multiply-adds of vectors, but also load only two vectors. Whoever loads two for each
# multiply-add (one of A, one of B) spends the time loading. So hold a tile of C in registers, r
# rows of c vectors, for the whole sum over k: at each k, r numbers of A and c vectors of B are
# loaded, and r c multiply-adds are done with them.
#
# **Predict:** how many loads are there for each multiply-add, with tiles of 1 x 1, 2 x 2 and 14 x
# 2?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# (r + c) / (r c): 2, 1, and 16 / 28 = 0.57. (14 x 2 vectors are what AVX-512 has registers for: 28
# hold sums, the other 4 what was loaded.)
#
# .. raw:: html
#
#     </details>

loads = {(r, c): (r + c) / (r * c) for r, c in ((1, 1), (2, 2), (14, 2))}
print(loads)
assert loads[2, 2] == 1 and round(loads[14, 2], 2) == 0.57

# %%
# The picture: the tile of C stays; the panels of A and B stream past it, a column of the one and a
# row of the other at each k. (Rows and columns as in Falk's scheme of tutorial 03.)

figure, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
K, N, M = 10, 12, 12
for x, y, w, h, text in ((0, 0, K, M, "A"), (K + 1, M + 1, N, K, "B"), (K + 1, 0, N, M, "C")):
    ax.add_patch(plt.Rectangle((x, y), w, h, facecolor="0.93", edgecolor="0.4"))
    ax.text(x + 0.4, y + h - 1.1, text, fontsize=13)
ax.add_patch(plt.Rectangle((0, 5), K, 4, facecolor="#9ecae1"))
ax.add_patch(plt.Rectangle((K + 5, M + 1), 4, K, facecolor="#fdd0a2"))
ax.add_patch(plt.Rectangle((K + 5, 5), 4, 4, facecolor="#74c476"))
ax.add_patch(plt.Rectangle((3, 5), 1, 4, facecolor="#2171b5"))
ax.add_patch(plt.Rectangle((K + 5, M + K - 3), 4, 1, facecolor="#d94801"))
ax.text(K + 7, 7, "in\nregisters", ha="center", va="center", fontsize=8)
ax.text(5, 4.2, "panel of A, k =>", ha="center", va="top", fontsize=8)
ax.text(K + 9.2, M + 4.5, "panel of B,\nk runs\ndown", va="center", fontsize=8)
ax.set(xlim=(-0.5, K + N + 2), ylim=(-0.5, M + K + 2))
ax.set_aspect("equal")
ax.axis("off")
assert M % 4 == 0

# %%
# Packing
# -------
#
# The dark column of A is 4 numbers in 4 rows: 4 lines of memory. So the panels are copied first, in
# the order in which they will be read; that costs n^2 and is repaid n times. The numbers here say
# where in memory each element of A is, before and after.

M, K, r = 6, 5, 3
before = np.arange(M * K).reshape(M, K)
packed = before.reshape(M // r, r, K).transpose(0, 2, 1)  # panels of r rows, column after column
place = np.empty(M * K, int)
place[packed.ravel()] = np.arange(M * K)
figure, axes = plt.subplots(1, 2, figsize=(6, 2.8), layout="constrained")
for ax, numbers, title in (
    (axes[0], before, "row after row"),
    (axes[1], place.reshape(M, K), "packed, tiles of 3 rows"),
):
    ax.imshow(numbers, cmap="Blues", vmax=60)
    for (i, k), value in np.ndenumerate(numbers):
        ax.text(k, i, value, ha="center", va="center", fontsize=9)
    ax.set(title=title, xticks=[], yticks=[])
    ax.axhline(r - 0.5, color="black")
assert place.reshape(M, K)[:r, 0].tolist() == [0, 1, 2]  # the first tile's first column

# %%
# Fusing
# ------
#
# A dense layer is more than its product. Written line by line, z = x W goes to memory, comes back
# for the bias, goes, comes back for the activation, and goes again. But when a tile of z is
# complete it is in registers: add the bias and bend it there, and it is written once.
#
# **Predict:** how many times does a number of z pass between processor and memory, line by line,
# and fused?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Five times (written, read, written, read, written), and once. Beside a large product that is
# little. Where there is no product, as in a loss or in Adam's step, it is all there is to gain.
#
# .. raw:: html
#
#     </details>

from minienc.functions import adam_step, binary_crossentropy_backward, binary_crossentropy_forward

z = rng.standard_normal((256, 784)).astype(np.float32)
t = rng.random((256, 784)).astype(np.float32)
_, cache = binary_crossentropy_forward(z, t, from_logits=True)
w, g, m, v = (rng.random(500_000).astype(np.float32) for _ in range(4))
gain = {}
for name, function, arguments in (
    ("a loss's gradient", binary_crossentropy_backward, (np.float32(1), cache)),
    ("Adam's step", adam_step, (w, g, m, v, 1, 1e-3)),
):
    line_by_line = best(lambda f=function.definition, args=arguments: f(*args))
    as_it_runs = best(lambda f=function, args=arguments: f(*args))
    gain[name] = line_by_line / as_it_runs
    print(f"{name}: {1e6 * line_by_line:.0f} us line by line, {1e6 * as_it_runs:.0f} us as it runs")
assert not in_use or min(gain.values()) > 1.2

# %%
# ``function.definition`` is what you read in ``minienc/functions``; calling the function asks at a
# door whether there is a faster one that serves these arguments. Both are compared in the tests,
# and whoever edits a definition gets the definition. So reading and speed need not quarrel.
#
# The roofline of this machine
# ----------------------------
#
# A machine has two limits: operations a second, and bytes a second. Which one holds depends on how
# many operations are done with each byte (the intensity): rate = min(peak, bandwidth x intensity).
# A product of n x n has 2 n^3 operations on 12 n^2 bytes: n / 6 a byte.
#
# **Predict:** adding two long vectors, y = W x with a large W, and a product of 1,024 x 1,024:
# which of them would be faster on a processor with twice the peak, but the same memory?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Only the product. The addition has 1 operation for 12 bytes and the second 2 for 4: both wait for
# memory. It is also why one works in batches: y = W x for 64 x at once is a product.
#
# .. raw:: html
#
#     </details>

million = 16 * 1024 * 1024
long, other, out = (np.ones(million, np.float32) for _ in range(3))
bandwidth = 2 * long.nbytes / best(lambda: np.copyto(out, long)) / 1e9  # read and written
product = (lambda p, q: _kernels.matmul(p, q)) if in_use else np.matmul
points = {}
points["x + y"] = 1 / 12, million / best(lambda: np.add(long, other, out=out)) / 1e9
vector = np.ones(4096, np.float32)
points["W x"] = 2 / 4, 2 * big.size / best(lambda: big @ vector) / 1e9
for n in (16, 64, 256, 1024):
    P, Q = (np.ascontiguousarray(big[:n, k : k + n]) for k in (0, n))
    points[f"{n} x {n}"] = n / 6, 2 * n**3 / best(lambda P=P, Q=Q: product(P, Q), 9) / 1e9
peak = max(rate for _, rate in points.values())
intensity = np.logspace(-1.5, 3.3)
plt.figure(figsize=(5.5, 3.6), layout="constrained")
plt.plot(intensity, np.minimum(peak, bandwidth * intensity), color="0.5")
for k, (name, (at, reached)) in enumerate(points.items()):
    plt.plot(at, reached, "o", color="#D55E00")
    below = (26, -9) if k < 2 else (0, -14 if k % 2 else -25)  # the slope goes up to the right
    plt.annotate(name, (at, reached), below, textcoords="offset points", fontsize=8, ha="center")
plt.xscale("log")
plt.yscale("log")
plt.xlabel("operations a byte")
plt.ylabel("GFLOP/s")
plt.title(f"{bandwidth:.0f} GB/s, {peak:.0f} GFLOP/s")
assert points["1024 x 1024"][1] > 5 * points["x + y"][1]

# %%
# The slope is the memory, measured by a copy, the roof the best product of this run; so it is what
# was reached here, not what the processor could do. Where both meet is the *ridge*. Small products
# lie below the roof: calling them takes as long as computing them. (Points above the slope had
# their numbers in a cache. A GFLOP/s is a billion operations a second.)
#
# Threads
# -------
#
# **Predict:** a product on two threads: what is shared out, and do the bits of the result change?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Rows and columns of C are shared out, never a sum over k. Floating-point sums depend on their
# order, so if each sum is made by one thread, in one order, the bits are the same on any number of
# threads. A training run is then the same on your laptop's 2 cores as on 16.
#
# .. raw:: html
#
#     </details>

if in_use:
    P, Q = (np.ascontiguousarray(big[:1024, k : k + 1024]) for k in (0, 1024))
    seconds, results = {}, {}
    for threads in sorted({1, 2, usable_cpus()}):
        set_num_threads(threads)
        seconds[threads] = best(lambda: _kernels.matmul(P, Q))
        results[threads] = _kernels.matmul(P, Q)
        print(f"{threads} threads: {1000 * seconds[threads]:.1f} ms")
    assert all(np.array_equal(results[1], result) for result in results.values())
else:
    print("the kernel is not in use here:", kernel_info()["reason"])

# %%
# Two threads are twice as fast only where there are two free processors, and the work is large
# enough to share: the library keeps small products on one thread.
#
# The same source on a GPU
# ------------------------
#
# A GPU has thousands of small processors and memory of its own, and CuPy has NumPy's functions for
# it. Each function of the library asks its arrays which module computes with them:

import inspect

from minienc.functions import relu_forward

print(inspect.getsource(relu_forward.definition))

# %%
# So a model moves by moving its arrays: ``model.to("cuda")``, or ``device="cuda"`` for a method of
# pretraining. What follows runs if there is a GPU that CuPy can use. Where this page was built
# without one, it says what is missing, and shows no figures.

from minienc.arrays import to_device, to_numpy
from minienc.functions import dense_forward
from minienc.gpu import gpu_info

x, W = big[:64, :784], big[784 : 2 * 784, :128] / 28
on_cpu, _ = dense_forward(x, W, activation="relu")
if gpu_info()["why_not"]:
    print("not run here:", gpu_info()["why_not"])
else:
    on_gpu, _ = dense_forward(to_device(x, "cuda"), to_device(W, "cuda"), activation="relu")
    print(gpu_info()["devices"][0], "largest difference", np.abs(to_numpy(on_gpu) - on_cpu).max())
    assert np.allclose(to_numpy(on_gpu), on_cpu, atol=1e-4)
assert on_cpu.shape == (64, 128)

# %%
# The laws are the same there: work is fused so that numbers pass through memory once, tiles are
# kept near, and small things wait for whoever calls them. Only the numbers on the roofline are
# larger.
#
# Exercises
# ---------
#
# **Exercise 22.1.** Count loads for each multiply-add for all tiles r x c with r c <= 28 and draw
# them. Which shape is best if only the count matters? Why is 14 x 2 taken nevertheless? (Vectors of
# 16 numbers: the columns are 32.)
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# The least count is that of 4 x 7 and 7 x 4, 0.39; 14 x 2 has 0.57. But tiles of 7 and of 4 vectors
# are 112 and 64 columns wide, and a narrow matrix leaves much of them idle; and beside 28 sums
# there are 4 registers left, too few for 7 loaded vectors.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 22.2.** Add to the roofline a dense layer of 1, 8, 64 and 512 samples with W of 1,024 x
# 1,024. From which batch on is it bound by arithmetic? What does a batch of one mean for somebody
# who writes text letter by letter?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Multiplications and additions for each byte of x, W and y, moved once: 0.5, 3.9, 28 and 128. The
# batch from which arithmetic is the bound is where that exceeds your machine's ridge, its peak
# divided by its bandwidth.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - ``kernels/README.md`` has the order in which to read the C files: ``staircase.h``, ``tile.h``,
#   ``packing.h``, ``gemm.h``.
# - ``benchmarks/NOTES.md``: what was expected of each change, what was measured, what was kept.
# - :func:`minienc.kernel_info`, :func:`minienc.set_num_threads`,
#   :func:`minienc.arrays.get_array_module`.
