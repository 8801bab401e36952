"""Every tutorial runs to its last assert."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs(script, tmp_path):
    subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )


def test_they_are_there_and_end_in_asserts():
    assert [path.stem[:2] for path in SCRIPTS] == ["01", "02", "03", "04"]
    for path in SCRIPTS:
        assert "assert" in path.read_text(encoding="utf-8").split("# %%")[-1]
