"""How long ``import minienc`` takes beside ``import numpy``, and how much memory a run takes.

    python -m benchmarks.startup                       the imports
    python -m benchmarks.startup --data PATH           and the peak memory of pretraining on PATH
    python -m benchmarks.startup --data PATH --save    kept in benchmarks/results/startup.json

What follows ``--`` is handed to ``minienc pretrain``: ``--data PATH -- --epochs 1``.

``import minienc`` itself loads hardly anything, because its rooms are loaded when they are entered;
so those that a program which trains enters (``minienc.models``, ``minienc.pretraining``) are timed
beside it. Each import has a fresh process of its own, and they take turns, so that a machine that
is busy for a while is busy for all. Nothing is asserted here: the figures are for people.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from minienc.files import write_json
from minienc.system import format_info, system_info

RESULTS = Path(__file__).parent / "results"
IMPORTS = ("numpy", "minienc", "minienc.models", "minienc.pretraining")
LIMIT = 1.5  # import minienc, in times of import numpy
MEMORY_LIMIT = 300  # MB, for the whole of MNIST
NOT_AT_IMPORT = ("matplotlib", "tqdm", "PIL", "scipy", "pooch", "safetensors", "cupy", "torch")


# ------------------------------------------------------------------------------------ the imports


def seconds_to_import(module: str) -> float:
    """Time the import alone, within a fresh process: starting Python is not part of it."""
    program = (
        "import time; start = time.perf_counter(); "
        f"import {module}; print(time.perf_counter() - start)"
    )
    return float(python("-c", program))


def modules_after_import(module: str) -> set[str]:
    """The modules that a fresh process holds after the import."""
    return set(python("-c", f"import sys, {module}; print(*sys.modules)").split())


def python(*arguments: str) -> str:
    """Run this Python; return what it printed."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure_imports(repeats: int) -> dict[str, Any]:
    """Medians of ``repeats`` imports of each, and what minienc loads that NumPy does not."""
    times: dict[str, list[float]] = {module: [] for module in IMPORTS}
    for module in times:  # not counted: it brings the files into memory and writes the bytecode
        seconds_to_import(module)
    for _ in range(repeats):
        for module in times:
            times[module].append(seconds_to_import(module))
    medians = {module: statistics.median(values) for module, values in times.items()}
    known = modules_after_import("numpy")
    added = {module: modules_after_import(module) - known for module in IMPORTS[1:]}
    return {
        "repeats": repeats,
        "median_seconds": medians,
        "fastest_seconds": {module: min(values) for module, values in times.items()},
        "ratio_to_numpy": {module: medians[module] / medians["numpy"] for module in IMPORTS},
        "modules_beyond_numpy": {module: sorted(names) for module, names in added.items()},
        "optional_packages_loaded": sorted(set().union(*added.values()) & set(NOT_AT_IMPORT)),
    }


# ---------------------------------------------------------------------------------------- the run


def measure_run(data: str, arguments: list[str]) -> dict[str, Any]:
    """Run ``minienc pretrain`` in a child, and read the most memory it had in use at once."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "run"))
        command = ["-m", "minienc", "pretrain", data, "--quiet", "--out", out, *arguments]
        started = time.perf_counter()
        # ru_maxrss of the children is the largest of all so far; so the run has a parent of its
        # own, which has no other child.
        report = python("-c", IN_A_PARENT_OF_ITS_OWN, *command)
        seconds = time.perf_counter() - started
    peak, status = json.loads(report)
    if status != 0:
        raise SystemExit(f"minienc pretrain {data} ended with {status}")
    return {
        "command": ["minienc", "pretrain", data, "--quiet", *arguments],
        "seconds": seconds,
        "peak_resident_MB": peak * BYTES_PER_UNIT / 1e6,
    }


IN_A_PARENT_OF_ITS_OWN = """
import json, resource, subprocess, sys
status = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL).returncode
print(json.dumps([resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, status]))
"""
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in


# ------------------------------------------------------------------------------------ the command


def describe(results: dict[str, Any]) -> str:
    """The figures as a person reads them."""
    imports = results["imports"]
    lines = [f"medians of {imports['repeats']} fresh processes each"]
    for module, seconds in imports["median_seconds"].items():
        ratio = imports["ratio_to_numpy"][module]
        line = f"  import {module:<20} {1e3 * seconds:7.1f} ms {ratio:6.2f} x numpy"
        lines.append(line + (f", {verdict(ratio, LIMIT)}" if module == "minienc" else ""))
    for module, names in imports["modules_beyond_numpy"].items():
        own = [name for name in names if name.partition(".")[0] == "minienc"]
        others = [name for name in names if name not in own]
        lines.append(f"{module} adds {len(own)} modules of its own, and: {', '.join(others)}")
    loaded = ", ".join(imports["optional_packages_loaded"]) or "none"
    lines.append(f"optional packages among them: {loaded}")
    if "run" in results:
        run = results["run"]
        lines += [
            f"{' '.join(run['command'])}",
            f"  {run['seconds']:.1f} s in all, at most {run['peak_resident_MB']:.0f} MB resident"
            f"     (for the whole of MNIST: {verdict(run['peak_resident_MB'], MEMORY_LIMIT)})",
        ]
    return "\n".join(lines)


def verdict(value: float, limit: float) -> str:
    """On which side of the limit."""
    return f"{'under' if value < limit else 'NOT under'} {limit:g}"


def main() -> None:
    """Measure, print, and with ``--save`` keep."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=15, help="fresh processes of each (15)")
    parser.add_argument("--data", metavar="PATH", help="also pretrain on it, for its memory")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    parser.add_argument("arguments", nargs="*", help="after --: for minienc pretrain")
    given = parser.parse_args()
    if given.repeats < 1:
        parser.error(f"--repeats is {given.repeats}, expected a number from 1")

    info = system_info()
    print(format_info(info), end="\n\n")
    results: dict[str, Any] = {"system": info, "imports": measure_imports(given.repeats)}
    if given.data is not None:
        results["run"] = measure_run(given.data, given.arguments)
    print(describe(results))
    if given.save:
        del info["python"]["executable"]  # whose machine it was is nobody's business
        RESULTS.mkdir(exist_ok=True)
        write_json(RESULTS / "startup.json", results)
        print(f"kept in {RESULTS / 'startup.json'}")


if __name__ == "__main__":
    main()
