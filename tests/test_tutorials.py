"""The form of the tutorials; the first run to their last assert, ``make tutorials`` runs all."""

from __future__ import annotations

import os
import re
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


def faults(text):
    """What a tutorial lacks of the form that all have."""
    opening, *cells = re.split(r"^# %%.*$", text, flags=re.MULTILINE)
    code = ["\n".join(re.findall(r"^(?!#).*$", cell, re.MULTILINE)) for cell in cells]
    if "You will be able to\n\n- " not in opening:
        yield "aims, as a list"
    if not any(re.search(r"plt\.(figure|subplots)\(", cell) for cell in code[:4]):
        yield "a picture early"
    if text.count("**Predict:**") < 2:
        yield "two predictions"
    exercises = re.split(r"^# \*\*Exercise (?=\d\d\.\d\.\*\*)", text, flags=re.MULTILINE)[1:]
    if [exercise[3] for exercise in exercises] != ["1", "2"]:
        yield "two exercises"
    if not all("<summary>To check</summary>" in exercise for exercise in exercises):
        yield "a number to check an exercise against"
    end = re.split(r"^# Where this is in the source\n# -+\n", text, flags=re.MULTILINE)
    if len(end) != 2 or not re.search(r":(func|class|mod|meth):`[~!]?minienc\.", end[1]):
        yield "where the functions stand"
    if re.search(r"^[#\w`-].*[.;] - \S", text, re.MULTILINE):
        yield "lists whose items have lines of their own"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_each_has_the_form(script):
    assert list(faults(script.read_text(encoding="utf-8"))) == []


def test_the_form_is_missed_where_something_is_taken_out():
    text = SCRIPTS[0].read_text(encoding="utf-8")
    for taken in ("You will be able to", "plt.", "**Predict:**", "**Exercise 01.2.**", "To check"):
        assert list(faults(text.replace(taken, ""))), taken
    assert list(faults(text.partition("# Where this")[0])) == ["where the functions stand"]
    assert ".\n# - :func" in text and list(faults(text.replace(".\n# - :func", ". - :func")))
