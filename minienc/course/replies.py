"""What a submission's process says, before anything is made of it: is it an answer at all?

A stranger's code can reach whatever answers in its process. So each part is looked at here: what is
none is refused, and what will be printed is one line of plain text.
"""

from __future__ import annotations

from typing import Any

from minienc.course.wire import Value, plain

MESSAGE = 300  # characters


class NoAnswer(ValueError):
    """It is none."""


def loaded(said: dict[str, Any]) -> dict[str, Any]:
    """The reply to "load": "error", "failed", "answers"."""
    answers = said.get("answers", {})
    _expect(isinstance(answers, dict))
    return {
        "error": _error(said["error"]) if said.get("error") is not None else None,
        "failed": _error(said["failed"]) if said.get("failed") is not None else None,
        "answers": answers,
    }


def called(said: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The reply to "call", as ``calls.call`` gives it.

    Raises
    ------
    NoAnswer
    """
    reply: dict[str, Any] = {}
    if "error" in said:
        reply["error"] = _error(said["error"])
    if len(request["functions"]) == 1:
        if "error" not in reply:
            _expect({"results", "new"} <= set(said))
            new = said["new"]
            _expect(isinstance(new, (list, tuple)) and len(new) == len(request.get("changes", [])))
            reply |= {"results": said["results"], "new": tuple(new)}
    else:
        reply |= _pairs(said, len(request["dys"]), "error" in reply)
    changed, shared = said.get("changed", []), said.get("shared", [])
    _expect(isinstance(changed, list) and isinstance(shared, list))
    _expect(all(_is_argument(k, len(request["args"])) for k in changed))
    reply["changed"] = changed
    reply["shared"] = [plain(s, 80) for s in shared[:20]]
    return reply


def _pairs(said: dict[str, Any], calls: int, has_error: bool) -> dict[str, Any]:
    gradients, ways = said.get("gradients", []), said.get("ways", {})
    _expect(has_error or ("y" in said and isinstance(gradients, list) and len(gradients) == calls))
    _expect(isinstance(gradients, list) and isinstance(ways, dict))
    forwards = ways.get("forwards", 0)
    _expect(isinstance(forwards, int))
    seen = {"forwards": forwards, "strange": plain(ways.get("strange", ""), 20)}
    y = {"y": said["y"]} if "y" in said else {}
    return {**y, "gradients": gradients, "ways": seen}


def _is_argument(k: Value, count: int) -> bool:
    return k == "dy" if isinstance(k, str) else isinstance(k, int) and 0 <= k < count


def _error(error: Value) -> dict[str, Any]:
    """An exception, as it is told."""
    _expect(isinstance(error, dict))
    words = {k: plain(error.get(k, ""), MESSAGE) for k in ("where", "message", "text")}
    line = error.get("line", 0)
    line = line if isinstance(line, int) else 0
    return {**words, "type": plain(error.get("type", ""), 80), "line": line}


def _expect(is_so: bool) -> None:
    if not is_so:
        raise NoAnswer("answered with something that is no answer")
