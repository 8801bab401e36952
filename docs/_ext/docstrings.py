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


ITEM = re.compile(r"\s*([-*] |\d+\. )")
COLUMNS = re.compile(r"\S {3,}\S")  # words that stand under one another, as in a table


def prose(lines: list[str], base: int = 0) -> list[str]:
    """A section's lines: paragraphs and lists; what is indented, or in columns, is literal."""
    result: list[str] = []
    literal = False  # in a block that is kept as it is
    floor = base  # how far the text of this paragraph stands in: of a list's item, behind its mark
    for block in blocks(lines):
        indent = indent_of(block[0])
        item = ITEM.match(block[0])
        if item and indent <= floor:
            result += ["", *items(block, indent)]
            floor, literal = len(item[0]), False
        elif indent > floor or (indent > base and literal) or any(map(COLUMNS.search, block)):
            floor = floor if indent > floor else base
            result += ["", *([] if literal else [" " * floor + "::", ""])]
            result += [" " * (0 if indent > floor else 3) + line for line in block]
            literal = True
        else:
            floor, literal = min(indent, floor), False
            result += ["", *paragraph(block, indent)]
    return [*result, ""]


def blocks(lines: list[str]) -> list[list[str]]:
    """Lines between empty ones."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def paragraph(block: list[str], indent: int) -> list[str]:
    """Text; where some of it is indented without an empty line before, that is literal as well."""
    result: list[str] = []
    literal = False
    for line in block:
        if indent_of(line) > indent and not literal:
            result += ["", " " * indent + "::", ""]
        elif literal and indent_of(line) <= indent:
            result += [""]
        literal = indent_of(line) > indent
        result.append(line if literal else " " * indent + escaped(line.strip()))
    return result


def items(block: list[str], indent: int) -> list[str]:
    """The items of a list, each with its further lines."""
    result = []
    for line in block:
        item = ITEM.match(line)
        mark = item[0] if item and indent_of(line) == indent else " " * indent_of(line)
        result.append(mark + escaped(line[len(mark) :]))
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
