"""Looking at how a submission computes, for its hint: the checker's diagnosis of its own pair, and
the first line of its backward that is wrong.

For this the checker and the stepper must run the submission on arrays that they watch, so they are
in one process with it. That is a process of its own (``child.py`` with the library's place behind
its limits): what comes back is text for the student and decides on no point.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from minienc.course.calls import awake, made
from minienc.course.wire import Value
from minienc.stepper.check import check_lines
from minienc.stepper.step_through import recorded
from minienc.verify import gradcheck

FILE = "submission.py"


def examine(names: dict[str, Any], request: dict[str, Any], wire: ModuleType) -> dict[str, Any]:
    """What can be said of a pair.

    Parameters
    ----------
    names : dict
        What the submission defines.
    request : dict
        "functions", a pair; "args", "options"; "constants".
    wire : module

    Returns
    -------
    dict
        "diagnosis", sentences by argument; "lines", (line, text, name) of what is wrong by itself,
        the first one first.
    """
    forward, backward = (names[name] for name in request["functions"])
    said: dict[str, Any] = {"diagnosis": {}, "lines": []}
    constants = request["constants"]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):  # not to be watched: there is no such hint, then
            args, options = copy.deepcopy((request["args"], request["options"]))
            _diagnosis(said, _woken(forward, wire), backward, args, options, constants)
        with contextlib.suppress(Exception):
            args, options = made(request["args"], wire), made(request["options"], wire)
            _lines(said, forward, backward, args, options, constants)
    return said


def _woken(forward: Callable, wire: ModuleType) -> Callable:
    """A forward that draws from a generator made anew in each call: the noise is the same."""

    @functools.wraps(forward)
    def ahead(*args: Value, **options: Value) -> Value:
        return forward(*awake(args, wire), **awake(options, wire))

    return ahead


def _diagnosis(
    said: dict, forward: Callable, backward: Callable, args: list, options: dict, constants: list
) -> None:
    forward.constants = tuple(constants)  # type: ignore[attr-defined]
    report = gradcheck(forward, backward, *args, budget=3.0, **options)
    said["diagnosis"] = {t.name: list(t.diagnosis) for t in report.tensors}


def _lines(
    said: dict, forward: Callable, backward: Callable, args: list, options: dict, constants: list
) -> None:
    checked = check_lines(
        recorded(forward),
        recorded(backward),
        tuple(args),
        options,
        constants,
        wanted=lambda file: file == FILE,
    )
    for claim in checked.wrong:
        visit = checked.backward.visits[claim.visit]
        said["lines"].append([visit.line, checked.line(claim).split("\n")[0], claim.name])
