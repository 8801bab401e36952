"""``python -m tests.fuzz [TARGET ...] [--seconds 30] [--seed 0]``; inputs that find something are
kept in build/fuzz/. Exit status 1 if there are any."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.frame import fuzz
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=20, help="for each target (20)")
    parser.add_argument("--inputs", type=int, help="for each target, at most")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{'target':<14}{'inputs':>9}{'read':>8}{'seconds':>9}{'peak MB':>9}  findings")
    found = False
    for name in given.targets or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            report = fuzz(
                TARGETS[name],
                Path(folder),
                inputs=given.inputs,
                seconds=given.seconds,
                seed=given.seed,
            )
        print(
            f"{name:<14}{report.inputs:>9,}{report.accepted:>8,}{report.seconds:>9.1f}"
            f"{report.peak_mb:>9.0f}  {len(report.findings)}",
            flush=True,
        )
        for i, (seen, count) in enumerate(report.findings.items()):
            kept = Path("build/fuzz") / f"{name}-{given.seed}-{i}"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(report.examples[seen])
            print(f"    {count} x {seen}  ({kept})")
            found = True
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
