"""``{run}``: Python that is shown, run by the build, and followed by what it printed."""

from __future__ import annotations

import contextlib
import io
import linecache

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Program(SphinxDirective):
    """The content is one program; ``:lines:`` says how many lines of its output are shown."""

    has_content = True
    required_arguments = 0
    option_spec = {"lines": directives.nonnegative_int}  # noqa: RUF012 (docutils' own form)

    def run(self) -> list[nodes.Node]:
        source = "\n".join(self.content)
        printed = output(source, f"<{self.env.docname}, line {self.lineno}>").split("\n")
        wanted = self.options.get("lines", len(printed))
        if wanted < len(printed):
            printed = [*printed[:wanted], "..."]
        text = "\n".join(printed)
        shown = [nodes.literal_block(source, source, language="python")]
        if text:
            shown += [nodes.literal_block(text, text, language="text", classes=["printed"])]
        return shown


def output(source: str, name: str) -> str:
    """What a program prints, as it would from a file: what reads its own lines finds them."""
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(source, name, "exec"), {"__name__": "program"})
    return out.getvalue().rstrip()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("run", Program)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
