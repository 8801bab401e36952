"""Texts call tutorials by their numbers: where a page says "tutorial 05", that is a link to it."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx


def pages(folder: Path) -> dict[str, str]:
    """The page of each number: ``{"01": "01_one_neuron", ...}``."""
    return {path.stem[:2]: path.stem for path in sorted(folder.glob("[0-9][0-9]_*.py"))}


def linked(text: str, names: dict[str, str]) -> str:
    """reStructuredText of a tutorial, or of their index, with links for numbers.

    "tutorial 05" and "tutorials 05" are links, and in the sentence of what a tutorial needs the
    numbers behind the first, too; in the index those that begin an item. What is indented
    otherwise is a program or what it printed, and stays as it is.
    """

    def link(shown: str, number: str) -> str:
        return f":doc:`{shown} <{names[number]}>`" if number in names else shown

    def spoken(part: str) -> str:
        if part[:1].isspace() or part.startswith("..") or re.search(r"^[=~-]{3,}$", part, re.M):
            return part
        part = re.sub(r"\btutorials?\s(\d\d)\b", lambda m: link(m[0], m[1]), part)
        if part.startswith("It needs "):
            part = re.sub(r"(?<=\s)(\d\d)(?=\s\(|,)", lambda m: link(m[1], m[1]), part)
        return part

    text = "\n\n".join(map(spoken, text.split("\n\n")))
    return re.sub(r"(?<=^    - )(\d\d)(?=, )", lambda m: link(m[1], m[1]), text, flags=re.M)


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    if name.startswith("tutorials/"):
        source[0] = linked(source[0], pages(Path(app.srcdir).parent / "tutorials"))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
