"""The tutorials as notebooks, for JupyterLab and Colab: ``make notebooks``.

    python docs/notebooks.py build/notebooks [--as-they-are] [--kernel NAME] [NN ...]

Each is run, so that its pictures are in it; ``--as-they-are`` leaves that to whoever opens it, and
``--kernel python`` is for Pyodide, which would ask for its kernel otherwise. The first cell
installs minienc where it is not there, which is what Colab needs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx_gallery.notebook import convert_code_to_md
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

TUTORIALS = Path(__file__).parents[1] / "tutorials"
KERNEL = "python3"  # Jupyter's and Colab's name for it
FIRST = """\
# where minienc is not installed, as in Colab: from the folder or address that your course names
import importlib.util
if importlib.util.find_spec("minienc") is None:
    %pip install minienc
%matplotlib inline"""


def markdown(text: str) -> str:
    """reStructuredText as the tutorials use it, in Markdown."""
    # raw HTML is what it is: the folded answers
    text = re.sub(
        r"^\.\. raw:: html\n\n((?:[ ]+\S.*\n?|\n)+)",
        lambda found: "\n" + "\n".join(s.strip() for s in found[1].strip().split("\n")) + "\n\n",
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(r"^(.+)\n=+$", r"# \1", text, flags=re.MULTILINE)
    text = re.sub(r"^(\w.+)\n[-~]+$", r"## \1", text, flags=re.MULTILINE)
    text = re.sub(r"^\.\. math::\n\n((?:[ ]+.*\n?|\n)+)", _formula, text, flags=re.MULTILINE)
    text = re.sub(r":math:`(.+?)`", r"$\1$", text, flags=re.DOTALL)
    text = re.sub(r":[a-z:]+:`~?([^`<]+?)(?: <[^`]*>)?`", r"`\1`", text)
    text = re.sub(r"`([^`<]+) <([^`>]+)>`_+", r"[\1](\2)", text)
    text = re.sub(r"(?<!`)``(?!`)", "`", convert_code_to_md(text))  # and no fence
    # an indented block behind :: is indented in Markdown, too
    return re.sub(r"::$", ":", text, flags=re.MULTILINE).strip()


def _formula(found: re.Match[str]) -> str:
    lines = (line.strip() for line in found[1].strip().split("\n"))
    return "$$\n" + "\n".join(lines) + "\n$$\n\n"


def notebook_of(script: Path, kernel: str = KERNEL) -> nbformat.NotebookNode:
    """The cells of one tutorial, none of them run."""
    _, blocks = split_code_and_text_blocks(str(script))
    cells = [new_code_cell(FIRST, id="first")]
    for n, (kind, content, _) in enumerate(blocks):
        content = re.sub(r"^# sphinx_gallery_\w+ = .*\n", "", content, flags=re.MULTILINE)
        name = f"cell-{n}"
        if kind == "text":
            cells.append(new_markdown_cell(markdown(content), id=name))
        elif content.strip():
            cells.append(new_code_cell(content.strip("\n"), id=name))
    spec = {"display_name": "Python 3", "language": "python", "name": kernel}
    return new_notebook(cells=cells, metadata={"kernelspec": spec})


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="python docs/notebooks.py", description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("numbers", nargs="*", metavar="NN", help="only these tutorials")
    options.add_argument("--as-they-are", action="store_true", help="not run")
    options.add_argument("--kernel", default=KERNEL, metavar="NAME", help="what runs them")
    given = options.parse_intermixed_args(arguments)
    os.environ.setdefault("PYTHONPATH", str(TUTORIALS.parent))  # a clone runs what it holds
    given.folder.mkdir(parents=True, exist_ok=True)
    for script in sorted(TUTORIALS.glob("[0-9]*.py")):
        if given.numbers and script.stem[:2] not in given.numbers:
            continue
        notebook = notebook_of(script, given.kernel)
        if not given.as_they_are:
            run(notebook, given.folder)
        path = given.folder / f"{script.stem}.ipynb"
        nbformat.write(notebook, path)
        print(path, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
