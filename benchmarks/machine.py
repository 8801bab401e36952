"""The machine that is measured on: what it is, and its two limits, the arithmetic and the memory.

A time alone says little, because machines differ. So beside the candidates' times stand, from the
same run, the arithmetic that the processor can do at most (``fma_peak``) and how fast it moves
memory (``copy_bandwidth``).
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from minienc.system import system_info

# ------------------------------------------------------------------------- what the machine can do


def fma_peak(dtype: str = "float32", threads: int = 1) -> float | None:
    """The most multiplications and additions a second, as measured; None where nothing compiles.

    Chains of x <- x m + c that do not wait for each other, all in registers: nothing but the
    arithmetic is left. The best of several runs is taken, for a peak is what nothing disturbed.

    The compiled kernel measures it if it has ``fma_peak(dtype, threads)``, in FLOP/s; else the
    lines of C below do, by the system's own compiler.
    """
    try:
        from minienc import _kernels
    except ImportError:
        _kernels = None
    if hasattr(_kernels, "fma_peak"):
        return float(_kernels.fma_peak(dtype, threads))
    with tempfile.TemporaryDirectory() as folder:
        work = _compiled_chains(Path(folder), dtype)
        return None if work is None else _best_rate(work, threads)


CHAINS_IN_C = """
#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { LANES = BYTES / sizeof(REAL), CHAINS = 12 };
typedef REAL vector __attribute__((vector_size(BYTES)));

/* Latency 4 on two ports needs 8 chains; 12, m and c fit 16 registers. x stays near 1. */
double chains(long rounds, REAL start, REAL *end)
{
    const vector none = {0}, m = none + (REAL)0.999, c = none + (REAL)0.001;
    vector x[CHAINS];
    for (int i = 0; i < CHAINS; i++) x[i] = none + start + (REAL)i;
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) x[i] = x[i] * m + c;
    }
    vector sum = x[0];
    for (int i = 1; i < CHAINS; i++) sum += x[i];
    *end = sum[0];  /* a result that is used is not optimised away */
    return 2.0 * LANES * CHAINS * rounds;
}
"""


def _compiled_chains(folder: Path, dtype: str) -> Callable[[int], float] | None:
    """``rounds -> FLOPs done``, compiled for this processor; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or os.name == "nt":
        return None
    source, library = folder / "chains.c", folder / "chains.so"
    c_type = {"float32": "float", "float64": "double"}[dtype]
    source.write_text(CHAINS_IN_C.replace("REAL", c_type))
    for tune in (["-march=native"], ["-mcpu=native"], []):
        command = [compiler, "-O3", "-ffp-contract=fast", "-std=gnu11", "-shared", "-fPIC", *tune]
        command += [str(source), "-o", str(library)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            break
    else:
        return None
    real = {"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype]
    chains = ctypes.CDLL(str(library)).chains  # ctypes lets other threads run meanwhile
    chains.restype = ctypes.c_double
    chains.argtypes = [ctypes.c_long, real, ctypes.POINTER(real)]
    return lambda rounds: chains(rounds, 1.0, ctypes.byref(real()))


def _best_rate(work: Callable[[int], float], threads: int, seconds: float = 0.03) -> float:
    """The best of ten runs of ``work`` on every thread at once, in FLOP/s."""
    rounds = 100_000
    while True:
        start = time.perf_counter()
        work(rounds)
        if (took := time.perf_counter() - start) > seconds / 2:
            break
        rounds *= 2
    rounds = int(rounds * seconds / took)
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(10):
            start = time.perf_counter()
            done = sum(pool.map(work, [rounds] * threads))
            best = max(best, done / (time.perf_counter() - start))
    return best


def copy_bandwidth(threads: int = 1, megabytes: int = 128) -> float:
    """Bytes a second that a copy moves, read and written both counted; the best of ten copies."""
    source = np.ones(megabytes * 1_000_000 // 8)
    target = np.zeros_like(source)
    parts = [
        slice(i * source.size // threads, (i + 1) * source.size // threads) for i in range(threads)
    ]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:  # NumPy lets other threads run while it copies
        for _ in range(10):
            start = time.perf_counter()
            list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))
            best = max(best, 2 * source.nbytes / (time.perf_counter() - start))
    return best


# --------------------------------------------------------------------------- what the machine is


def machine(threads: int) -> dict[str, Any]:
    """What a reader must know of the machine; nothing that tells whose it is."""
    info = system_info()
    sets = _instruction_sets()
    packages = {n: v for n, v in info["packages"].items() if n in ("torch", "jax", "scikit-learn")}
    return {
        "processor": _processor(),
        "instruction_sets": sets,
        "caches": _caches(),
        "processors": os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "minienc": info["minienc"],
        "kernel": {k: info["kernel"][k] for k in ("loaded", "instruction_set", "serves", "reason")},
        "numpy": {"version": np.__version__, "blas": info["numpy"]["blas"]},
        "peers": packages,
        **limits(threads),
    }


def limits(threads: int) -> dict[str, Any]:
    """The peak and the bandwidth, as they are now."""
    return {
        "fma_peak": {t: fma_peak(t, threads) for t in ("float32", "float64")},
        "copy_bandwidth": copy_bandwidth(threads),
    }


def close(about: dict[str, Any], others: OtherPrograms) -> float:
    """Measure the limits again after a run and keep the larger; return what others took."""
    now = limits(about["threads"])
    for kind, before in about["fma_peak"].items():
        if before is not None:
            about["fma_peak"][kind] = max(before, now["fma_peak"][kind])
    about["copy_bandwidth"] = max(about["copy_bandwidth"], now["copy_bandwidth"])
    about["others"] = others.share()
    return about["others"] or 0.0


def describe(about: dict[str, Any]) -> str:
    """The same in a paragraph."""
    peak, kernel = about["fma_peak"]["float32"], about["kernel"]
    peers = ", ".join(f"{name} {version}" for name, version in about["peers"].items())
    measured = "not measured" if peak is None else f"{peak / 1e9:.0f} GFLOP/s"
    others = about.get("others")
    served = len(kernel["serves"])
    isa = f" ({kernel['instruction_set']})" if kernel["instruction_set"] else ""
    return (
        f"{about['processor']}, {about['processors']} of them, {about['threads']} "
        f"thread{'s' if about['threads'] > 1 else ''}; {', '.join(about['instruction_sets'])}; "
        f"{', '.join(f'{k} {v}' for k, v in about['caches'].items())}. "
        f"Measured: FMA peak {measured} (float32), "
        f"copy {about['copy_bandwidth'] / 1e9:.1f} GB/s. "
        f"{about['system']}, Python {about['python']}, NumPy {about['numpy']['version']} "
        f"({about['numpy']['blas']}); peers: {peers or 'none installed'}. "
        f"minienc {about['minienc']}; "
        + (f"its kernel{isa} serves {served} functions." if served else f"{kernel['reason']}.")
        + ("" if others is None else f" Other programs took {100 * others:.0f} % meanwhile.")
    )


class OtherPrograms:
    """What share of this process's processors other programs took since this was made.

    Much of it spoils times on several threads: one of them waits for the other's processor. Only
    Linux tells; elsewhere ``share()`` is None.
    """

    def __init__(self) -> None:
        self.start = self._clocks()

    def share(self) -> float | None:
        end = self._clocks()
        if self.start is None or end is None or end[0] <= self.start[0]:
            return None
        every, busy, own = (b - a for a, b in zip(self.start, end, strict=True))
        return max(0.0, (busy - own) / every)

    @staticmethod
    def _clocks() -> tuple[float, float, float] | None:
        """Seconds of the processors allowed to us: all, those not idle, those that were ours."""
        try:
            lines = Path("/proc/stat").read_text().splitlines()
            names = {f"cpu{i}" for i in os.sched_getaffinity(0)}
        except (OSError, AttributeError):
            return None
        columns = [line.split() for line in lines]
        ticks = [[int(c) for c in row[1:9]] for row in columns if row and row[0] in names]
        every, idle = sum(map(sum, ticks)), sum(row[3] + row[4] for row in ticks)
        second = os.sysconf("SC_CLK_TCK")
        return every / second, (every - idle) / second, sum(os.times()[:4])


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _instruction_sets() -> list[str]:
    """Those that matter to matrix products, of those that the processor has."""
    try:
        known = Path("/proc/cpuinfo").read_text()
    except OSError:
        return [platform.machine()]
    words = set(known.split())
    telling = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512vl", "amx_tile", "asimd", "sve")
    return [name for name in telling if name in words] or [platform.machine()]


def _caches() -> dict[str, str]:
    """Sizes of the caches that the first processor sees, as Linux tells them."""
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((index / f).read_text().strip() for f in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            sizes[f"L{level}"] = size
    return sizes
