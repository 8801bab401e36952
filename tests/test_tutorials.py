"""The first tutorials run to their last assert; ``make tutorials`` and ``make docs`` run all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
QUICK = SCRIPTS[:4]  # a second or two each


@pytest.mark.parametrize("script", QUICK, ids=lambda path: path.stem)
def test_it_runs(script, tmp_path):
    subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )


def test_they_are_numbered_and_end_in_asserts():
    numbers = [path.stem[:2] for path in SCRIPTS]
    assert len(numbers) >= 4 and numbers == [f"{n:02}" for n in range(1, len(numbers) + 1)]
    for path in SCRIPTS:
        assert "assert" in path.read_text(encoding="utf-8"), path.stem
