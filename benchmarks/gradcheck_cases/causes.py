"""What the words of a report say of a cause: how the diagnosis is counted as right or wrong."""

from __future__ import annotations

import re
from typing import Any

# what a sentence has to say, to be right about a cause
SAYS = {
    "sign": r"wrong sign",
    "transpose": r"transpose|other way",
    "slope": r"derivative|mask of relu|once too often",
    "mask": r"mask|derivative is missing|where it should be 0",
    "time": r"step to step|left too early|one place along axis|where is the loop left|left out",
    "off by one": r"off by one|other way|dy as it came|left out|where is the loop left",
    "overwritten": r"`=`|`\+=`",
    "term": r"term|through output|no constants|only the diagonal|the 1 that is taken off",
    "factor": r"times too (large|small)",
    "axis": r"axis|summed",
    "twice": r"twice|has dy in it",
    "other factor": r"the factor|in the other.s place|stands its|transpose|off by one"
    r"|once too often|square is missing",
    "zero": r"zero everywhere|gave no gradient",
    "order": r"run(s)? backwards|place|other way|dy as it came|numbers of the transpose|axes",
    "repeated": r"repeated|`\+=`",
    "a row zero": r"left out",
    "a small bias": r"too much in each element",
    "dy": r"dy that it is given is not used|not linear in dy|no term of dy",
    "epsilon": r"epsilon",
    "accumulates": r"accumulates",
}
BARE = r"times what it should be"


def judge(report: Any, causes: tuple[str, ...]) -> str:
    """ "right", "factor" (a true number without its cause), "wrong" or "nothing"."""
    sentences = [s for t in report.tensors for s in t.diagnosis] + report.problems
    told = [s for s in sentences if not re.search(BARE, s)]
    known = [s for s in told if any(re.search(SAYS[c], s) for c in causes if c in SAYS)]
    if len(known) < len([s for t in report.tensors for s in t.diagnosis if s in told]):
        doubtful = [s for t in report.tensors for s in t.diagnosis if s in told and s not in known]
        if doubtful:
            return "wrong"
    if known:
        return "right"
    return "factor" if len(told) < len(sentences) else "nothing"
