"""``.. rooms::``: the rooms of the package, drawn from its imports.

A room stands one floor above the highest of those that it imports; its box says how many files and
lines it has. Run by itself, this file writes the drawing: ``python docs/_ext/rooms.py rooms.svg``.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "minienc"
# Doors rather than rooms: what starts everything, and what everything is started by.
LEFT_OUT = {"__init__", "__main__"}
# Small files that belong together are drawn as one.
TOGETHER = {
    "report": ("report_text", "report_texts", "report_pairs", "report_multitask"),
    "plots": ("page", "verdicts"),
    "arrays": ("shapes", "primitive", "gpu", "devices", "kernel"),
    "files": ("notebook", "terminal"),
    "models": ("saving", "summary"),
    "cli": ("commands", "system"),
}  # fmt: skip
ONE = {part: whole for whole, parts in TOGETHER.items() for part in parts}
WIDTH, HIGH, GAP, ROW = 128, 46, 12, 66


def room_of(parts: tuple[str, ...]) -> str:
    name = parts[0].removesuffix(".py")
    return ONE.get(name, name)


def read() -> tuple[dict[str, tuple[int, int]], dict[str, set[str]]]:
    """(files, lines) of each room, and the rooms that it imports."""
    sizes: dict[str, tuple[int, int]] = {}
    imports: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        room = room_of(parts)
        if room in LEFT_OUT:
            continue
        text = path.read_text("utf-8")
        files, lines = sizes.get(room, (0, 0))
        sizes[room] = files + 1, lines + text.count("\n")
        imports.setdefault(room, set()).update(_imported(ast.parse(text)) - {room})
    return sizes, imports


def _imported(tree: ast.AST) -> set[str]:
    """Rooms that a file imports, wherever in it; what only types need does not count."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minienc"):
            names = (
                [node.module] if "." in node.module else [f"minienc.{a.name}" for a in node.names]
            )
            found.update(room_of(tuple(n.split(".")[1:])) for n in names)
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("minienc.")]
            found.update(room_of(tuple(n.split(".")[1:])) for n in names)
    return {room for room in found if (PACKAGE / room).is_dir() or room in (*TOGETHER, "files")}


def floors(imports: dict[str, set[str]]) -> list[list[str]]:
    """The rooms of each floor, the lowest first."""
    level: dict[str, int] = {}

    def of(room: str, above: tuple[str, ...] = ()) -> int:
        if room not in level:
            below = [r for r in imports.get(room, ()) if r not in above and r != room]
            level[room] = 1 + max((of(r, (*above, room)) for r in below), default=-1)
        return level[room]

    for room in sorted(imports):
        of(room)
    rows: list[list[str]] = [[] for _ in range(1 + max(level.values()))]
    for room in sorted(level):
        rows[level[room]].append(room)
    return rows


def draw() -> str:
    """The drawing, highest floor first; an arrow leads from a room to the next that it imports."""
    sizes, imports = read()
    rows = floors(imports)[::-1]
    wide = max(len(row) for row in rows) * (WIDTH + GAP) + GAP
    place = {}
    for n, row in enumerate(rows):
        left = (wide - len(row) * (WIDTH + GAP) + GAP) / 2
        for i, room in enumerate(row):
            place[room] = (left + i * (WIDTH + GAP), GAP + n * ROW)
    high = len(rows) * ROW + GAP
    title = "The rooms of minienc: each stands above those that it imports"
    parts = [
        f'<svg class="rooms" role="img" aria-label="{title}" viewBox="0 0 {wide:.0f} {high}" '
        f'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" text-anchor="middle">',
        f"<title>{title}</title>",
        '<g stroke="currentColor" stroke-opacity="0.25" fill="none">',
    ]
    level = {room: n for n, row in enumerate(rows) for room in row}
    for room, below in sorted(imports.items()):
        for other in sorted(below):
            if other in level and level[other] == level[room] + 1:  # the others go without saying
                (x0, y0), (x1, y1) = place[room], place[other]
                parts.append(
                    f'<path d="M{x0 + WIDTH / 2:.0f} {y0 + HIGH:.0f} '
                    f'L{x1 + WIDTH / 2:.0f} {y1:.0f}"/>'
                )
    parts.append("</g>")
    for room, (x, y) in place.items():
        files, lines = sizes[room]
        said = f"{files} files, {lines:,} lines" if files > 1 else f"{lines:,} lines"
        parts.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HIGH}" rx="4" '
            f'class="room" stroke="currentColor"/>'
            f'<text x="{x + WIDTH / 2:.0f}" y="{y + 19:.0f}" font-size="14" font-weight="bold" '
            f'fill="currentColor">{escape(room)}</text>'
            f'<text x="{x + WIDTH / 2:.0f}" y="{y + 36:.0f}" font-size="11" '
            f'fill="currentColor">{said}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def setup(app):
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Rooms(SphinxDirective):
        def run(self):
            return [nodes.raw("", draw(), format="html")]

    app.add_directive("rooms", Rooms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw() + "\n", "utf-8")
