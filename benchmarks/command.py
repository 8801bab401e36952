"""What the commands share: options, a process for each number of threads, tables and files."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.timing import chosen
from minienc.files import write_json, write_text
from minienc.kernel import kernel_info
from minienc.system import THREAD_VARIABLES

RESULTS = Path(__file__).parent / "results"


def without_kernel() -> str:
    """What a benchmark's first line says where minienc's compiled kernel does not serve all that it
    could; else nothing. Started from a clone, ``python -m benchmarks...`` measures the clone."""
    info = kernel_info()
    if info["serves"] and not info["edited"]:
        return ""
    return (
        f"minienc's compiled kernel: {info['reason']}. What follows measures the NumPy definitions "
        f"instead; `python setup.py build_ext --inplace` builds the kernel in a clone.\n"
    )


def main(
    name: str,
    doc: str,
    arguments: Sequence[str] | None,
    rows: Sequence[Any],
    measure_all: Callable[[argparse.Namespace], dict[str, Any]],
    render: Callable[[dict[str, Any]], str],
    plot: Callable[[list[dict[str, Any]]], Any],
    threads: Sequence[int],
) -> None:
    """``python -m benchmarks.NAME``: measure, print, and with ``--save`` keep.

    ``measure_all`` runs in a process of its own for each number of threads, ``render`` writes what
    it returned as Markdown, and ``plot`` draws all of them.
    """
    program = f"benchmarks.{name}"
    given = parser(program, doc, [row.name for row in rows]).parse_args(arguments)
    if given.child:
        write_json(given.child, measure_all(given))
        return
    print(without_kernel(), end="", flush=True)
    runs = in_children(program, given, threads)
    text = "\n\n".join(render(run) for run in runs)
    print(text)
    if given.save:
        save(name, {"runs": runs}, text, plot(runs))


def measure_rows(
    given: argparse.Namespace,
    rows: Sequence[Any],
    candidates: Mapping[str, Any],
    measure: Callable[[Any, Mapping[str, Any], float], dict[str, Any]],
) -> dict[str, Any]:
    """Every row that was asked for, in this process and on the threads that it was given."""
    some = chosen(candidates, given.candidates)
    results: dict[str, Any] = {"machine": machine.machine(given.threads[0]), "rows": []}
    others = machine.OtherPrograms()
    for row in [rows[i - 1] for i in given.rows or range(1, len(rows) + 1)]:
        results["rows"].append(measure(row, some, given.seconds))
        say(f"{row.name}, {given.threads[0]} threads")
    share = machine.close(results["machine"], others)
    if share > 0.05:
        say(
            f"other programs took {100 * share:.0f} % of the processors: times on several threads "
            f"mean little, measure again when the machine is idle"
        )
    return results


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


def save(name: str, results: object, text: str, figure: Any) -> None:
    """Write results/NAME.json, .md and .png."""
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", results)
    write_text(RESULTS / f"{name}.md", text + "\n")
    figure.savefig(RESULTS / f"{name}.png", dpi=150)
    print(f"\nkept in {RESULTS / name}.json, .md, .png")
