"""Docstrings are written to be read in the source; here they become reStructuredText.

In them a formula is a line that is indented, or words: ``dW = x' dz``, ``sum_n x_nd``, ``|z|``. So
indented blocks become literal ones, and stars, bars and underscores are what they look like. The
sections are numpydoc's, which comes after this; examples are left as they are.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

FIELDS = {"Parameters", "Other Parameters", "Returns", "Yields", "Raises", "Attributes", "Warns"}
KEPT = {"Examples", "See Also", "References"}
LITERAL = re.compile(r"(``.+?``|:[a-z:]+:`[^`]+`)")


def escaped(text: str) -> str:
    """Text in which no sign means more than itself, but for ``literals`` and roles."""
    parts = LITERAL.split(text)
    for i in range(0, len(parts), 2):
        part = parts[i].replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|")
        parts[i] = re.sub(r"_(?![A-Za-z0-9])", "\\_", part).replace("`", "\\`")
    return "".join(parts)


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def is_rule(line: str) -> bool:
    return len(line) > 2 and set(line) == {"-"}


def prose(lines: list[str], base: int = 0) -> list[str]:
    """A section's lines: paragraphs, lists, and what is indented, which is literal."""
    result: list[str] = []
    inside = None  # the indentation of the literal block that we are in
    hanging = 0  # how far the text of a list's item stands in
    for n, line in enumerate(lines):
        if not line.strip():
            result.append("")
            continue
        indent = indent_of(line)
        after_blank = n == 0 or not lines[n - 1].strip()
        if inside is not None and indent >= inside:
            result.append(line)
            continue
        inside = None
        item = re.match(r"\s*([-*] |\d+\. )", line)
        if item and indent <= base + hanging:
            hanging = len(item[0]) - base
            result.append(item[0] + escaped(line[len(item[0]) :]))
        elif indent > base + (hanging if indent >= base + hanging else 0) and (
            after_blank or (result and result[-1].strip() == "")
        ):
            inside = indent
            result += [" " * base + "::", "", line] if not hanging else [
                " " * (base + hanging) + "::", "", line,
            ]  # fmt: skip
        else:
            if indent <= base:
                hanging = 0
            result.append(line[:indent] + escaped(line[indent:]))
    return result


def fields(lines: list[str]) -> list[str]:
    """A section of names and what they are: ``x : array (N, D)``, and below it, indented, prose."""
    result: list[str] = []
    below: list[str] = []
    for line in [*lines, "end"]:
        if line.strip() and indent_of(line) == 0:
            result += prose(below, base=4)
            below = []
            result.append(line)
        else:
            below.append(line)
    return result[:-1]


def sections(lines: list[str]) -> list[tuple[str, list[str]]]:
    """(title, lines) of each; the first has no title."""
    found: list[tuple[str, list[str]]] = [("", [])]
    n = 0
    while n < len(lines):
        if n + 1 < len(lines) and lines[n].strip() and is_rule(lines[n + 1].strip()):
            found.append((lines[n].strip(), []))
            n += 2
        else:
            found[-1][1].append(lines[n])
            n += 1
    return found


def readable(lines: list[str], is_module: bool = False) -> list[str]:
    """The docstring's lines as reStructuredText."""
    result: list[str] = []
    for title, body in sections(lines):
        if title:
            result += [title, "-" * len(title)]
        if title in FIELDS:
            result += fields(body)
        elif title in KEPT:
            result += body
        else:
            result += prose(body)
    return result


def process(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]):
    lines[:] = readable(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process, priority=100)  # numpydoc has 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
