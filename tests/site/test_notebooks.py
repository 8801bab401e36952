"""Tutorials become notebooks: every cell of them, as Markdown, and one is run."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "docs")]

import notebooks  # noqa: E402

SCRIPTS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_has_all_of_the_script(script):
    notebook = notebooks.notebook_of(script)
    nbformat.validate(notebook)
    code = "\n".join(c.source for c in notebook.cells[1:] if c.cell_type == "code")
    statements = ast.parse(script.read_text("utf-8")).body[1:]  # the first is the docstring
    assert list(map(ast.dump, ast.parse(code).body)) == list(map(ast.dump, statements))
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert text.startswith("# ")
    assert not any(role in text for role in (":func:", ":doc:", ":math:", ".. raw::"))


def test_the_form_of_the_tutorials_in_markdown():
    text = """\
Title
=====

You can :func:`minienc.step` through :math:`x^2`, see ``y``:

    y = 1

.. code-block:: text

    0  1

**Predict:** what is y?

.. raw:: html

    <details><summary>Answer</summary>

It is 1.

.. raw:: html

    </details>

.. math::

    y = x^2
"""
    assert notebooks.markdown(text).split("\n\n") == [
        "# Title",
        "You can `minienc.step` through $x^2$, see `y`:",
        "    y = 1",
        "```text\n0  1\n```\n**Predict:** what is y?",
        "\n<details><summary>Answer</summary>",
        "It is 1.",
        "\n</details>",
        "$$\ny = x^2\n$$",
    ]


def test_a_notebook_for_pyodide_names_its_kernel(tmp_path):
    how = ["--as-they-are", "--kernel", "python", "01"]
    assert notebooks.main([str(tmp_path), *how]) == 0
    (path,) = tmp_path.glob("*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python"
    assert not any(c.get("outputs") for c in notebook.cells)


def test_one_runs(tmp_path):
    assert notebooks.main([str(tmp_path), "01"]) == 0
    (path,) = tmp_path.glob("*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not any(o.output_type == "error" for c in notebook.cells for o in c.get("outputs", ()))
