"""The page's JavaScript computes what NumPy does: its own tests, run by Node on all cases."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.stepper.exported import export

HERE = Path(__file__).parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    counts = export(folder)
    assert counts["cases"] > 300
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 10_000, dtype=np.uint32).view(np.float32)
    drawn = np.concatenate([bits[np.isfinite(bits)], rng.standard_normal(1000).astype(np.float32)])
    numbers = [[str(x), float(x)] for x in drawn]
    (folder / "digits.json").write_text(json.dumps(numbers), encoding="utf-8")
    return folder


@needs_node
@pytest.mark.parametrize("script", sorted(p.name for p in HERE.glob("*.test.mjs")))
def test_script(cases, script):
    run = subprocess.run(
        [NODE, "--test", str(HERE / script)],
        env={**os.environ, "MINIENC_CASES": str(cases)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    print(run.stdout)
