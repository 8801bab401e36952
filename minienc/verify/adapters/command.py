"""``minienc gradcheck``: a check of what a file defines, and what is told of it."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from json import dumps
from typing import Any

from minienc.verify.adapters.files import Crash, OutOfTime, check_file, within


def run(
    where: str,
    shapes: str | None,
    json: bool,
    html: str | None,
    time_limit: float | None,
    rtol: float | None,
    stop_gradient: str | None,
    **options: Any,
) -> int:
    """Print the report of ``check_file``; return the exit status that the help tells."""
    if rtol is not None:
        options["rtol"] = rtol
    if stop_gradient is not None:
        options["stop_gradient"] = tuple(stop_gradient.replace(",", " ").split())
    try:
        with redirect_stdout(sys.stderr), within(time_limit):  # what the file prints
            report = check_file(where, shapes, **options)
    except (Crash, OutOfTime) as stop:
        crashed = isinstance(stop, Crash)
        verdict = "crash" if crashed else "out of time"
        if json:
            print(dumps({"verdict": verdict, "subject": where, "reason": str(stop)}, indent=2))
        print(f"minienc: {verdict}: {stop}", file=sys.stderr)
        return 3 if crashed else 4
    if html is not None:
        report.save_html(html)
    print(report.to_json() if json else report)
    return 0 if report else 1
