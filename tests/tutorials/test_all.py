"""Every tutorial as a plain script, with its seconds and pictures: ``make tutorials``.

The default suite runs the first of them; ``make docs`` runs all, within the site.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))

# runs a script as ``python SCRIPT`` does, and counts the figures that it makes
COUNTING = """
import json, runpy, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
made, figure = [], plt.figure
def counting(*args, **kwargs):
    made.append(1)
    return figure(*args, **kwargs)
plt.figure = counting
runpy.run_path(sys.argv[1], run_name="__main__")
with open(sys.argv[2], "w") as file:
    json.dump(len(made), file)
"""


@pytest.fixture(scope="module")
def table():
    rows = []
    yield rows
    width = max(len(name) for name, *_ in rows)
    print(f"\n\n{'tutorial':{width}}  seconds  pictures")
    for name, seconds, pictures in rows:
        print(f"{name:{width}}  {seconds:7.1f}  {pictures:8}")
    total = sum(seconds for _, seconds, _ in rows), sum(n for *_, n in rows)
    print(f"{'together':{width}}  {total[0]:7.1f}  {total[1]:8}")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs(script, tmp_path, table):
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-W", "error", "-c", COUNTING, str(script), "pictures.json"],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    pictures = json.loads((tmp_path / "pictures.json").read_text())
    table.append((script.stem, time.perf_counter() - start, pictures))
