"""A report: the findings, told as text, as a page, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minienc.files import write_text
from minienc.verify.findings import Findings
from minienc.verify.lesson.html import as_html, as_page
from minienc.verify.lesson.text import as_text


class Report(Findings):
    """A verdict and what it rests on.

    ``report.verdict`` is "pass", "fail" or "inconclusive", ``bool(report)`` is True for "pass"
    alone, ``print(report)`` says what is wrong, where, and what was covered.

    Examples
    --------
    >>> report = gradcheck(np.sin, np.array([0.5]), gradient=np.cos)
    >>> bool(report), [(t.name, t.verdict) for t in report.tensors]
    (True, [('x', 'pass')])
    """

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def save_html(self, path: str | Path) -> None:
        """Write the report as a page of its own, without scripts or anything from elsewhere."""
        write_text(path, as_page(self))

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps({"verdict": self.verdict, **asdict(self)}, indent=2, default=_plain)


def _plain(value: object) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
