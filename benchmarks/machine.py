"""What the benchmarks share: the machine, its two limits, timing side by side, tables and files.

A time alone says little, because machines differ and one machine differs from hour to hour. So
three things are measured in one run: the candidates, taking turns; the arithmetic that the
processor can do at most (``fma_peak``); and how fast it moves memory (``copy_bandwidth``).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minienc.files import write_json, write_text
from minienc.system import THREAD_VARIABLES, system_info

RESULTS = Path(__file__).parent / "results"

# ------------------------------------------------------------------------------ timing in turns


def interleaved(
    candidates: Mapping[str, Callable[[], Any]],
    seconds: float | None = None,
    rounds: int | None = None,
    *,
    before: Mapping[str, Callable[[], Any]] | None = None,
    sample: float = 5e-3,
    settle: float = 30e-3,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Time the candidates in turns: one sample of each a round, in a new order every round.

    So a machine that is slow for a while is slow for all, and ``ratio`` compares samples that were
    taken side by side.

    Parameters
    ----------
    candidates : dict of name to function without arguments
    seconds, rounds : float, int
        For how long, or how many rounds; one of them. Of ``seconds``, five rounds are the least.
    before : dict of name to function, optional
        Called before each sample, untimed: it brings a candidate back to where it began.
    sample : float
        A sample is as many calls as take this long (one at least); its time is their mean.
    settle : float
        Before its sample, a candidate runs untimed for so long. The caches become its own, and
        the threads of the one before go to sleep: those of OpenBLAS look out for work for 2^26
        ticks of the clock after their last, on cores that the next one needs.

    Returns
    -------
    dict of name to list of seconds a call, one for each round
    """
    if (seconds is None) == (rounds is None):
        raise ValueError("interleaved: give seconds or rounds, one of them")
    rng = np.random.default_rng(seed)
    before = before or {}
    names = list(candidates)
    calls = {name: _calls_in(candidates[name], sample) for name in names}
    samples: dict[str, list[float]] = {name: [] for name in names}
    started, done = time.perf_counter(), 0
    while done < (5 if rounds is None else rounds) or (
        seconds is not None and time.perf_counter() - started < seconds
    ):
        for i in rng.permutation(len(names)):
            name, call = names[i], candidates[names[i]]
            _run_for(call, settle)
            if name in before:
                before[name]()
                _time(call, 2)  # what was brought back is in the cache again
            samples[name].append(_time(call, calls[name]))
        done += 1
    return samples


def _calls_in(call: Callable[[], Any], seconds: float) -> int:
    """How many calls take so long. The first ones, which compile and allocate, do not count, and
    of three measurements the least does: a call that was interrupted is not a long one."""
    _time(call, 3)
    n = 1
    while (took := n * min(_time(call, n) for _ in range(3))) < seconds:
        n = max(2 * n, min(round(n * seconds / max(took, 1e-9)), 16 * n))
    return max(1, round(n * seconds / took)) if n > 1 else 1


def _run_for(call: Callable[[], Any], seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()


def _time(call: Callable[[], Any], n: int) -> float:
    """Seconds a call, over ``n`` calls. The collector of garbage has its day another time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(n):
            call()
        return (time.perf_counter() - start) / n
    finally:
        if was_on:
            gc.enable()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of one candidate's time over another's, round by round."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


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


def close(about: dict[str, Any], others: OtherPrograms) -> None:
    """Measure the limits again after a run, keep the larger, and say what other programs took."""
    now = limits(about["threads"])
    for kind, before in about["fma_peak"].items():
        if before is not None:
            about["fma_peak"][kind] = max(before, now["fma_peak"][kind])
    about["copy_bandwidth"] = max(about["copy_bandwidth"], now["copy_bandwidth"])
    about["others"] = others.share()
    if (about["others"] or 0) > 0.05:
        say(
            f"other programs took {100 * about['others']:.0f} % of the processors: times on "
            f"several threads mean little, measure again when the machine is idle"
        )


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


# ------------------------------------------------------------------------ a process for n threads


@contextmanager
def _held_to(threads: int) -> Iterator[None]:
    """Children started meanwhile see so many processors: JAX asks for nothing else."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def in_children(module: str, given: argparse.Namespace, threads: Sequence[int]) -> list[Any]:
    """What ``python -m module --child FILE`` writes, for each number of threads in turn.

    How many threads a library uses is settled when it is loaded, so each number has a process.
    ``given`` holds the options of ``parser``; its own threads, if any, go before the default.
    """
    options = ["--seconds", str(given.seconds)]
    options += ["--rows", *map(str, given.rows)] if given.rows else []
    options += ["--candidates", *given.candidates] if given.candidates else []
    results = []
    for n in given.threads or threads:
        variables = dict.fromkeys(THREAD_VARIABLES, str(n))
        # Inductor compiles in processes of its own, which would run on beside what is timed.
        variables |= {"JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        with tempfile.TemporaryDirectory() as folder, _held_to(n):
            path = Path(folder, "results.json")
            command = [sys.executable, "-m", module, *options, "--threads", str(n)]
            command += ["--child", str(path)]
            subprocess.run(command, check=True, env=os.environ | variables)
            results.append(json.loads(path.read_text()))
    return results


def say(line: str) -> None:
    """A word on how far it is: on stderr, for stdout holds the table."""
    print(line, file=sys.stderr, flush=True)


# ------------------------------------------------------------------- the peers, and the options


def build(factories: Mapping[str, Callable[..., Any]], *args: Any) -> tuple[dict, dict[str, str]]:
    """Make every candidate that can be made; name the others with the reason.

    Without minienc or NumPy there is nothing to compare, so what they raise is raised.
    """
    made, missing = {}, {}
    for name, factory in factories.items():
        try:
            made[name] = factory(*args)
        except ImportError as error:
            missing[name] = f"not installed ({error.name or error})"
        except Exception as error:
            if name.startswith(("minienc", "NumPy")):
                raise
            missing[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return made, missing


def parser(program: str, doc: str, rows: Sequence[str]) -> argparse.ArgumentParser:
    """The options that the programs have in common."""
    numbered = "".join(f"  {i} {row}\n" for i, row in enumerate(rows, 1))
    options = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=doc.partition("\n")[0],
        epilog=f"rows:\n{numbered}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("--rows", type=int, nargs="+", metavar="I", choices=range(1, len(rows) + 1), help="(all)")
    add("--seconds", type=float, default=20.0, help="for each row, all candidates together (20)")
    add("--candidates", nargs="+", metavar="WORD", help="only those whose names hold such a word")
    add("--threads", type=int, nargs="+", metavar="N", help="how many, in turn")
    add("--save", action="store_true", help="keep the figures in benchmarks/results/")
    add("--child", metavar="FILE", help=argparse.SUPPRESS)
    return options


def chosen(factories: Mapping[str, Any], words: Sequence[str] | None) -> dict[str, Any]:
    """The candidates whose names hold one of the words."""
    if words is None:
        return dict(factories)
    return {
        name: factory
        for name, factory in factories.items()
        if any(word.lower() in name.lower() for word in words)
    }


# --------------------------------------------------------------------------------- tables and files


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"| {first[0]:<{first[1]}} | " + " | ".join(f"{c:>{w}}" for c, w in others) + " |"

    rule = "|" + "-" * (widths[0] + 2) + "|" + "|".join("-" * (w + 1) + ":" for w in widths[1:])
    return "\n".join([line(header), rule + "|", *map(line, rows)])


def time_text(seconds: float) -> str:
    """Three digits, in the unit that suits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds * 1e6:.0f} us" if seconds >= 1e-5 else f"{seconds * 1e6:.2g} us"


def share_text(part: float, whole: float | None) -> str:
    """Per cent of what was measured to be the most."""
    return "not measured" if whole is None else f"{100 * part / whole:.0f} %"


def save(name: str, results: dict[str, Any], text: str, figure: Any) -> None:
    """Write results/NAME.json, .md and .png."""
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", results)
    write_text(RESULTS / f"{name}.md", text + "\n")
    figure.savefig(RESULTS / f"{name}.png", dpi=150)
    print(f"\nkept in {RESULTS / name}.json, .md, .png")
