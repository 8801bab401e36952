"""Tables for notebooks: what objects show of themselves as the last line of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table; cells are text, never markup."""
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    lines = "".join(_row("td", row) for row in rows)
    return f"<table>{told}<thead>{_row('th', head)}</thead><tbody>{lines}</tbody></table>"


def _row(tag: str, cells: Iterable[object]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(c))}</{tag}>" for c in cells) + "</tr>"
