"""``{results} papers``: the tables of ``benchmarks/results/papers.md``, as they were measured.

``:table: 2`` takes the second alone; otherwise all of the file is shown, its remarks included.
``:first: model`` names the first column, where it has no name.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def tables(text: str) -> list[str]:
    """The tables of a Markdown text."""
    blocks = [block.strip("\n") for block in text.split("\n\n")]
    return [block for block in blocks if block.startswith("|")]


class Results(SphinxDirective):
    """In a page of Markdown: what it inserts is Markdown, too."""

    required_arguments = 1
    option_spec = {"table": directives.positive_int, "first": directives.unchanged}  # noqa: RUF012 (docutils' own form)

    def run(self) -> list[nodes.Node]:
        path = RESULTS / f"{self.arguments[0]}.md"
        self.env.note_dependency(str(path))
        text = _apart(path.read_text("utf-8"))
        if "table" in self.options:
            text = tables(text)[self.options["table"] - 1]
        if "first" in self.options:
            text = text.replace("|  ", f"| {self.options['first']} ", 1)
        node = nodes.container(classes=["results"])
        self.state.nested_parse(StringList(text.split("\n"), str(path)), 0, node)
        return [node]


def _apart(text: str) -> str:
    """With an empty line between a table and what follows it."""
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and lines[-1].startswith("|") and line and not line.startswith("|"):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("results", Results)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
