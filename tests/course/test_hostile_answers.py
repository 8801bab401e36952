"""Submissions that reach for what answers in their process, for its signals and folders, or for the
lecturer's terminal: each is reported in a sentence that can be printed, and a batch ends.
"""

from __future__ import annotations

import glob
import json
import tempfile

import pytest

from minienc.course.batch import grade_all
from minienc.course.grading import grade_source
from minienc.course.process import Limits
from minienc.course.replies import NoAnswer, called, loaded
from minienc.course.submissions import read_submission
from minienc.course.wire import plain
from tests.course.test_hostile import E04, inside, linux

LIMITS = Limits(seconds=1.0, memory=1 << 30)
NO_ANSWER = "answered with something that is no answer"


def instead(what: str) -> str:
    """A submission that puts something in the place of what answers in its process."""
    return f"""
import sys
frame = sys._getframe()
while frame:
    child = frame.f_locals.get("self")
    if hasattr(child, "calls"):
        {what}
    frame = frame.f_back
"""


# name -> (what is added to the solution, what is said, points at least, at most)
HOSTILE = {
    "copies the solution": (
        f"\ntext = open({str(E04.path)!r}).read()\nexec(text.split('### BEGIN LECTURER')[0])\n",
        "for the lecturer: a submission that reads the course's own files",
        0,
        0,
    ),
    "looks for the secret": (
        inside("open('/autograder/source/term.txt').read()"),
        "for the lecturer: a submission that reads the course's own files",
        20,
        30,
    ),
    "stops itself": (
        inside("import signal; signal.raise_signal(signal.SIGSTOP)"),
        "affine_backward took longer than 1 s",
        20,
        30,
    ),
    "kills itself": (
        inside("import signal; signal.raise_signal(signal.SIGKILL)"),
        "affine_backward was killed, with N = 1",
        20,
        30,
    ),
    "does not hear that its time is over": (
        inside("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"),
        "affine_backward took longer than 1 s",
        20,
        30,
    ),
    "hangs in many threads": (
        inside(
            "import threading\ndef spin():\n    while True: pass\n"
            "for _ in range(300): threading.Thread(target=spin).start()"
        ),
        "affine_backward took longer than 1 s",
        20,
        30,
    ),
    "hangs in telling what is wrong": (
        inside("class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E"),
        "affine_backward took longer than 1 s",
        20,
        30,
    ),
    "clears the lecturer's screen": (
        inside("raise type('100 of 100\\n' * 9999, (Exception,), {})('\\x1b[2J\\n100.0 of 100.0')"),
        "affine_backward raised 100 of 100 100 of 100",
        20,
        30,
    ),
    "says what has no UTF-8": (
        inside("raise ValueError('\\ud800 is here')"),
        "affine_backward raised ValueError",
        20,
        30,
    ),
    "says what has no UTF-8 in a name": (
        inside("return {'\\ud800\\x1b[2J': 1}, type('\\x1b[2J', (), {})(), 1"),
        "dx is a dictionary of",
        20,
        40,
    ),
    "has its own JSON": (
        '\nimport json\njson.dumps = lambda *a, **k: \'[{"dict": [["y", {"number": 1}]]}, []]\'\n',
        NO_ANSWER,
        0,
        10,
    ),
    "answers nothing": (instead("child.calls.call = lambda *a: {}"), NO_ANSWER, 0, 10),
    "answers numbers": (
        instead("child.calls.call = lambda *a: dict.fromkeys(('y', 'gradients', 'error'), 5)"),
        NO_ANSWER,
        0,
        10,
    ),
    "has changed the hundredth argument": (
        instead("child.calls.call = lambda *a: {'y': 1, 'gradients': [1, 1], 'changed': [100]}"),
        NO_ANSWER,
        0,
        10,
    ),
    "has another process": (
        instead("child.__class__.answer = lambda *a: {'error': 5, 'tried': 3, 'patched': None}"),
        NO_ANSWER,
        0,
        10,
    ),
    "returns a number of a thousand digits": (
        inside("return 10**1000, 1, 1"),
        "dx is a whole number of 3322 bits, expected an array",
        20,
        40,
    ),
    "returns complex numbers": (
        inside("return cache[0] * 1j, cache[1] * 1j, 1j"),
        "of complex128, expected an array",
        20,
        40,
    ),
    "makes a thousand folders within another": (
        inside("import os\nfor i in range(100):\n    os.mkdir('d'); os.chdir('d')"),
        "",
        0,
        100,
    ),
    "makes a folder that nobody may enter": (
        inside("import os\nif not os.path.exists('d'):\n    os.mkdir('d')\nos.chmod('d', 0)"),
        "",
        100,
        100,
    ),
}


@linux
@pytest.mark.filterwarnings("error")  # a line on stderr is 0 points in nbgrader
@pytest.mark.parametrize("name", HOSTILE)
def test_each_is_reported(name):
    added, said, least, most = HOSTILE[name]
    before = set(glob.glob(f"{tempfile.gettempdir()}/graded-*"))
    grade = grade_source(E04.solved + added, E04, limits=LIMITS)
    text = str(grade)
    assert said in text, grade
    assert least <= grade.points <= most, grade
    assert all(c == "\n" or c.isprintable() for c in text), "moves the lecturer's cursor"
    assert text.encode() and json.loads(grade.to_json())["points"] == grade.points
    assert len(text) < 3000
    left = set(glob.glob(f"{tempfile.gettempdir()}/graded-*")) - before
    assert not any(glob.glob(f"{folder}/d") for folder in left)


@linux
def test_a_batch_of_them_ends(tmp_path):
    names = ["kills itself", "says what has no UTF-8", "answers nothing", "answers numbers"]
    for k, name in enumerate(names):
        (tmp_path / f"e04_b{k}.py").write_text(E04.solved + HOSTILE[name][0])
    (tmp_path / "e04_deep.ipynb").write_text("[" * 100_000)
    (tmp_path / "e04_z.py").write_text(E04.solved)
    grades = list(grade_all(sorted(tmp_path.iterdir()), limits=LIMITS, jobs=1))
    assert [g.points for g in grades] == [30, 30, 10, 10, 0, 100]
    assert "is not a notebook of version 4" in grades[4].flags[0]


def test_a_notebook_that_is_too_deep_is_none(tmp_path):
    (tmp_path / "e04.ipynb").write_text('{"cells": ' + "[" * 100_000)
    with pytest.raises(ValueError, match="is not a notebook of version 4"):
        read_submission(tmp_path / "e04.ipynb")


@pytest.mark.parametrize(
    "said",
    [
        {"error": 5},
        {"error": None},
        {"y": 1},
        {"y": 1, "gradients": 1},
        {"y": 1, "gradients": [1]},
        {"y": 1, "gradients": [1, 1], "ways": []},
        {"y": 1, "gradients": [1, 1], "ways": {"forwards": "many"}},
        {"y": 1, "gradients": [1, 1], "changed": ["x"]},
        {"y": 1, "gradients": [1, 1], "changed": [3]},
        {"y": 1, "gradients": [1, 1], "shared": "all"},
    ],
)
def test_what_is_no_answer_to_a_pair(said):
    request = {"functions": ["f", "g"], "args": [1, 2, 3], "dys": [0, 0]}
    with pytest.raises(NoAnswer):
        called(said, request)
    assert called({"y": 1, "gradients": [1, 1], "changed": [0, "dy"]}, request)["changed"]


@pytest.mark.parametrize(
    "said", [{}, {"results": 1}, {"results": 1, "new": 5}, {"results": 1, "new": [1, 2]}]
)
def test_what_is_no_answer_to_a_function(said):
    request = {"functions": ["f"], "args": [1, 2, 3], "changes": [0]}
    with pytest.raises(NoAnswer):
        called(said, request)
    assert called({"results": 1, "new": [1]}, request)["new"] == (1,)


@pytest.mark.parametrize("said", [{"error": 5}, {"failed": []}, {"answers": 7}])
def test_what_is_no_answer_to_loading(said):
    with pytest.raises(NoAnswer):
        loaded(said)


def test_plain_words_are_one_line():
    assert plain("a\nb\x1b[2J\ud800", 9) == "a b [2J "
    assert plain("x" * 99, 10) == "x" * 7 + "..."
    assert plain(5, 9) == "5"
