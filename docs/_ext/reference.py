"""A page for each file of the package that has public names, and one for each room."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from docstrings import escaped
from public import ORDER, TITLES, Page, find, first_sentence, handed_on, pages
from sphinx.application import Sphinx

from minienc.primitive import Primitive

SAID = {"foundations": "Where arrays live, what a primitive is, and the machine beneath."}


def heading(text: str, line: str = "=") -> list[str]:
    return [text, line * len(text), ""]


def entry(name: str) -> list[str]:
    """The directive for one name."""
    thing = find(name)
    room, _, last = name.rpartition(".")
    start = [f".. py:currentmodule:: {room}", ""]
    if inspect.isclass(thing):
        return [*start, f".. autoclass:: {last}", "   :members:", "   :show-inheritance:", ""]
    if inspect.isfunction(thing) or isinstance(thing, Primitive):
        return [*start, f".. autofunction:: {last}", ""]
    # a table of names: what it holds is said by them
    held = ", ".join(f"``{key}``" for key in thing) if isinstance(thing, dict) else ""
    return [*start, f".. py:data:: {last}", "", f"   {held}", ""]


def page(of: Page) -> str:
    """The file's docstring, then each public name."""
    lines = heading(of.module.removeprefix("minienc."))
    lines += [f".. automodule:: {of.module}"]
    # verify/gradcheck.py, and the function of its name, are both minienc.verify.gradcheck
    lines += ["   :no-index:", ""] if of.module in of.names else [""]
    for name in of.names:
        lines += entry(name)
    return "\n".join(lines)


def room_page(room: str, of: list[Page]) -> str:
    """The room's files, each with its names and its first sentence."""
    lines = heading(TITLES[room])
    if room in SAID:
        lines += [SAID[room], ""]
    else:
        lines += [escaped(first_sentence(importlib.import_module(f"minienc.{room}"))) + ".", ""]
    if room == "layers":
        lines += ["Everything that a layer can do is in :class:`minienc.layers.Layer`.", ""]
    files = [p for p in of if p.document != f"api/{room}"]
    if files:
        lines += [".. list-table::", "   :widths: 30 70", ""]
    for p in files:
        names = ", ".join(f":py:obj:`{n.rpartition('.')[2]} <{n}>`" for n in p.names)
        said = escaped(first_sentence(importlib.import_module(p.module)))
        lines += [f"   * - :doc:`{p.module.removeprefix('minienc.')} </{p.document}>`"]
        lines += [f"     - {said}.", "", f"       {names}", ""]
    if files:
        lines += [".. toctree::", "   :hidden:", "", *(f"   /{p.document}" for p in files), ""]
    for p in of:
        if p not in files:  # what the package itself defines
            lines += [f".. py:module:: {p.module}", ""]
            lines += [line for name in p.names for line in entry(name)]
    return "\n".join(lines)


def index(by_room: dict[str, list[Page]]) -> str:
    names = sum(len(p.names) for of in by_room.values() for p in of)
    lines = heading("Reference")
    lines += [
        f"All {names} public names, by the rooms of the package; :doc:`/rooms` shows what imports",
        "what. A forward and its backward stand one under the other, as in the source: *[source]*",
        "leads there. In the examples ``np`` is NumPy, and the room is imported, as by",
        "``from minienc.layers import *``; the tests run them. What is asked for most is in",
        "``minienc`` itself:",
        "",
        *(
            f"- :py:obj:`{name} <{to}>`: {escaped(first_sentence(find(to)))}."
            for name, to in handed_on().items()
        ),
        "",
        ".. toctree::",
        "   :maxdepth: 2",
        "",
    ]
    lines += [f"   /api/{room}" for room in by_room]
    return "\n".join([*lines, ""])


def write(app: Sphinx) -> None:
    """Only what has changed, so that a second build is quick."""
    folder = Path(app.srcdir, "api")
    by_room = {room: [p for p in pages() if p.room == room] for room in ORDER}
    texts = {"api/index": index(by_room)}
    for room, of in by_room.items():
        texts |= {p.document: page(p) for p in of}
        texts[f"api/{room}"] = room_page(room, of)
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        path = Path(app.srcdir, f"{name}.rst")
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in folder.glob("*.rst"):
        if f"api/{path.stem}" not in texts:
            path.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
