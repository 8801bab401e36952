"""The page's JavaScript computes what NumPy does: its own tests, run by Node on all cases."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from minienc.stepper.links import links_of
from minienc.stepper.page import FOLDER, MODULES, packed, script
from minienc.stepper.payload import numbers_of_values
from tests.stepper.exported import export
from tests.stepper.recorded import ALL, autoencoder

HERE = Path(__file__).parent


def node_of_playwright():
    """The one that comes with it."""
    found = importlib.util.find_spec("playwright")
    path = None if found is None else Path(found.origin).parent / "driver" / "node"
    return str(path) if path is not None and path.is_file() else None


NODE = shutil.which("node") or node_of_playwright()
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
    for name in (
        "small",
        "tied",
        "wrong_affine",
        "attention",
        "convolution",
        "batch_normalization",
        "dropout",
        "in_part",
        "lstm",
    ):
        _carry(folder, name, autoencoder(5, 3, 6) if name == "small" else ALL[name]())
    (folder / "digits.json").write_text(json.dumps(numbers), encoding="utf-8")
    return folder


def _carry(folder, name, record):
    """A record as a page carries it, and all of its numbers: those that the page makes, too."""
    (folder / f"{name}.txt").write_text(packed(record), encoding="utf-8")
    values = [*record.tape.values, *links_of(record).values]
    table, raw = numbers_of_values(values, set())
    (folder / f"{name}.json").write_text(json.dumps(table), encoding="utf-8")
    (folder / f"{name}.bin").write_bytes(raw)


@needs_node
def test_the_joined_modules_are_javascript(tmp_path):
    """And the page's script holds every function of theirs."""
    (tmp_path / "joined.mjs").write_text(script(), encoding="utf-8")
    subprocess.run([NODE, "--check", str(tmp_path / "joined.mjs")], check=True)
    for name in MODULES:
        source = FOLDER.joinpath(f"{name}.js").read_text("utf-8")
        for function in re.findall(r"^(?:export )?(?:async )?(function \w+)", source, re.MULTILINE):
            assert function in script()


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
