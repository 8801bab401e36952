"""A course in each platform's form: what students get, and that points and hints arrive."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import minienc.course as course_room
from minienc import cli
from minienc.course import nbgrader
from minienc.course.cells import cells_of
from minienc.course.exercise import all_exercises, find_exercise
from minienc.course.forms import FORMATS, build
from minienc.course.gradescope import main as autograde
from minienc.course.grading import grade, items_of
from minienc.course.submissions import plain_python, read_submission

ROOT = Path(nbgrader.__file__).parents[2]
E04 = find_exercise("e04")
MEAN = E04.solved.replace("np.sum(dy, axis=0)", "np.mean(dy, axis=0)")
HINT = "Your db is the mean over the batch."
TERM = "a term of the tests"


def run_python(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    path = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd, env=path, capture_output=True, text=True, timeout=100)


@pytest.fixture(params=sorted(FORMATS))
def course(request, tmp_path):
    build(tmp_path / "course", request.param, ["e04"], term=TERM)
    return tmp_path / "course"


def test_no_student_gets_the_solution_or_the_secret(course):
    for path in course.rglob("*"):
        relative = path.relative_to(course).parts
        if path.is_dir() or relative[0] not in ("students", "repository"):
            continue
        text = path.read_text()
        assert TERM not in text and "MISTAKES" not in text, path
        assert "dy @ W.T" not in text and "predict_1 = 6" not in text, path


def test_what_is_built_is_named_and_can_be_built_again(course, tmp_path, capsys):
    before = {p: p.read_bytes() for p in course.rglob("*") if p.is_file()}
    form = {"COURSE.md", "nbgrader_config.py"} & set(os.listdir(course))
    assert "COURSE.md" in form
    with pytest.raises(FileExistsError, match="--force replaces it"):
        build(course, "scripts", ["e04"])
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(FileExistsError, match="it is not replaced"):
        build(other, "scripts", ["e04"], force=True)
    assert {p: p.read_bytes() for p in course.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("path", all_exercises(), ids=lambda p: p.name[:3])
def test_a_notebook_says_what_the_script_says(path, tmp_path):
    """Solved, as a notebook, every exercise has all its points."""
    build(tmp_path / "course", "scripts", [path.name[:3]])
    (solved,) = (tmp_path / "course" / "solutions").glob("*.ipynb")
    assert grade(solved, term=TERM).points == 100
    cells = json.loads((tmp_path / "course" / "students" / solved.name).read_text())["cells"]
    assert cells[0]["source"][0].startswith("# Exercise")
    assert all(c["cell_type"] in ("markdown", "code") and c["source"] for c in cells)


def test_the_player_walks_through_a_solution(tmp_path, capsys):
    """By the command that the students' file ends with."""
    build(tmp_path / "course", "scripts", ["e04"])
    path = tmp_path / "course" / "solutions" / "e04_affine.py"
    (command,) = re.findall(r"minienc step e04_affine.py:(.*)", path.read_text())
    name, _, shapes = command.partition(" --shapes ")
    page = tmp_path / "step.html"
    words = ["step", f"{path}:{name}", "--shapes", shapes.strip("'"), "--out", str(page), "--quiet"]
    assert cli.main(words) == 0
    assert page.stat().st_size > 10_000


def test_the_names_of_the_room():
    assert course_room.grade is grade and course_room.build is build
    assert all(getattr(course_room, name) for name in course_room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'graed'"):
        course_room.graed  # noqa: B018


# ------------------------------------------------------------------------------------- nbgrader


def inputs(text: str) -> list[str]:
    """``In`` of a notebook in which all cells were run."""
    code = [cell.text for cell in cells_of(text) if cell.kind == "code"]
    return ["", *code, "from minienc.course.nbgrader import score"]


def test_nbgraders_points_are_pythons_floats_and_its_reasons_are_printed(capsys, monkeypatch):
    monkeypatch.setenv(nbgrader.TERM, TERM)
    earned = {}
    for item in items_of(E04):
        earned[item.name] = nbgrader.score(inputs(MEAN), "e04", item.name, item.points)
        assert type(earned[item.name]) is float
    out, err = capsys.readouterr()
    assert err == ""  # a line there is 0 points
    assert sum(earned.values()) == 80 and earned["db"] == 0.0
    assert HINT in out and TERM not in out
    assert "public" not in out


def test_nbgraders_public_checks_say_so(capsys, monkeypatch):
    monkeypatch.delenv(nbgrader.TERM, raising=False)
    assert nbgrader.score(inputs(E04.solved), "e04", "dW", 20.0) == 20.0
    assert "This is the public check; the hidden one has other" in capsys.readouterr().out
    nbgrader.check(inputs(E04.solved), "e04")
    assert "The public checks passed" in capsys.readouterr().out


def test_nbgraders_notebook_has_the_metadata_that_it_asks_for(tmp_path):
    build(tmp_path / "course", "nbgrader", ["e04"], term=TERM)
    assert repr(TERM) in (tmp_path / "course" / "nbgrader_config.py").read_text()
    text = (tmp_path / "course" / "source" / "e04_affine" / "e04_affine.ipynb").read_text()
    assert TERM not in text
    own = [cell["metadata"]["nbgrader"] for cell in json.loads(text)["cells"]]
    assert len({m["grade_id"] for m in own}) == len(own)
    assert sum(m.get("points", 0) for m in own) == 100
    assert all(m["locked"] and m["points"] > 0 for m in own if m["grade"])
    assert sum(m["solution"] for m in own) == 4


def test_nbgraders_students_see_what_answers_are_called(tmp_path):
    """nbgrader puts a stub of its own between the markers; what stands above them stays."""
    build(tmp_path / "course", "nbgrader", ["e04", "e11"])
    for path in (tmp_path / "course" / "source").rglob("*.ipynb"):
        exercise = find_exercise(path.name)
        cells = ["".join(c["source"]) for c in json.loads(path.read_text())["cells"]]
        cleared = [re.sub(r"### BEGIN.*?### END SOLUTION", "", c, flags=re.DOTALL) for c in cells]
        for question in exercise.answers:
            assert sum(f"{question} = None  # your answer\n" in c for c in cleared) == 1, question
            assert sum(f"\n{question} = " in c for c in cells) == 1, "and the right one below it"


def test_each_test_of_pytest_has_a_name_of_its_own(tmp_path, monkeypatch):
    """Labels that differ in a sign alone, axis=1 and axis=-1, are one word in a test's name."""
    text = E04.path.read_text().replace("Exercise 4", "Exercise 41")
    one = 'Pair("affine", "x=N,D W=D,M b=M", label={!r})'
    case = f"CASES = [{one}, {one}]"
    old = next(line for line in text.splitlines() if line.startswith("CASES"))
    text = text.replace(old, case.format('axis="1"', 'axis="-1"'))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "e41_mine.py").write_text(text)
    monkeypatch.setenv("MINIENC_EXERCISES", str(tmp_path / "mine"))
    build(tmp_path / "course", "pytest", ["e41"])
    tests = (tmp_path / "course" / "repository" / "test_e41_mine.py").read_text()
    names = re.findall(r"^def (\w+)", tests, re.MULTILINE)
    assert len(set(names)) == len(names) == 13
    compile(tests, "tests", "exec")
    build(tmp_path / "other", "nbgrader", ["e41"])
    book = tmp_path / "other" / "source" / "e41_mine" / "e41_mine.ipynb"
    for cell in json.loads(book.read_text())["cells"]:
        if cell["metadata"]["nbgrader"]["grade"]:
            compile("".join(cell["source"]), "cell", "exec")


def test_cells_that_fail_leave_the_others(tmp_path):
    cells = inputs(MEAN)
    cells.insert(3, "this is no Python")
    found = nbgrader._graded(cells, "e04", TERM)
    assert found.points == 80
    assert any("a cell raised SyntaxError" in note for note in found.notes)


def test_commands_of_ipython_are_left_out():
    assert plain_python("%matplotlib inline\nx = 1\n  !ls\nx?") == "pass\nx = 1\n  pass\npass"
    kept = "y = (a\n % b)  # is this so?\n# %%\n"
    assert plain_python(kept) == kept


# ----------------------------------------------------------------------------------- gradescope


def test_gradescopes_autograder_runs_as_gradescope_runs_it(tmp_path):
    build(tmp_path / "course", "gradescope", ["e04"], term=TERM)
    base = tmp_path / "autograder"
    (base / "submission").mkdir(parents=True)
    (base / "results").mkdir()
    (base / "submission" / "mine.py").write_text(MEAN + "\nimport socket\n")
    with zipfile.ZipFile(tmp_path / "course" / "e04_affine" / "autograder.zip") as archive:
        archive.extractall(base / "source")
        modes = {i.filename: i.external_attr >> 16 for i in archive.infolist()}
    assert modes["run_autograder"] == modes["setup.sh"] == 0o755
    own = base / "minienc" / "bin" / "python"  # what setup.sh makes
    own.parent.mkdir(parents=True)
    own.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    own.chmod(0o755)
    where = {**os.environ, "PYTHONPATH": str(ROOT), "MINIENC_AUTOGRADER": str(base)}
    command = ["bash", str(base / "source" / "run_autograder")]
    done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = json.loads((base / "results" / "results.json").read_text())
    assert found["score"] == 80
    assert sum(test["score"] for test in found["tests"]) == 80
    assert sum(test["max_score"] for test in found["tests"]) == 100
    (db,) = (test for test in found["tests"] if test["name"] == "db")
    assert db["visibility"] == "visible" and HINT in db["output"]
    assert TERM not in json.dumps(found)


@pytest.mark.parametrize("names", [[], ["a.py", "b.py"], ["a.ipynb"]])
def test_gradescope_says_what_was_handed_in_wrongly(names, tmp_path):
    for folder in ("source", "submission", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "source" / E04.path.name).write_text(E04.path.read_text())
    (tmp_path / "source" / "term.txt").write_text("")
    for name in names:
        (tmp_path / "submission" / name).write_text("no notebook")
    assert autograde(tmp_path) == 0
    found = json.loads((tmp_path / "results" / "results.json").read_text())
    assert found["score"] == 0
    assert "hand in one file" in found["output"] or "is not a notebook" in found["output"]


# ----------------------------------------------------------------------------- GitHub Classroom


def test_classrooms_repository_fails_just_the_test_that_is_wrong(tmp_path):
    build(tmp_path / "course", "pytest", ["e04"])
    repository = tmp_path / "course" / "repository"
    (repository / "e04_affine.py").write_text(MEAN)
    options = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".")
    done = run_python(*options, cwd=repository, MINIENC_TERM=TERM)
    assert "1 failed, 8 passed" in done.stdout, done.stdout + done.stderr
    assert HINT in done.stdout and "FAILED test_e04_affine.py::test_db" in done.stdout
    listed = json.loads((repository / ".github/classroom/autograding.json").read_text())["tests"]
    assert sum(test["points"] for test in listed) == 100
    tests = (repository / "test_e04_affine.py").read_text()
    assert all(f"def {t['run'].split('::')[1]}()" in tests for t in listed)


# ---------------------------------------------------------------------------- the command line


def test_grade_on_the_command_line(tmp_path, capsys):
    (tmp_path / "e04_a.py").write_text(MEAN)
    (tmp_path / "e04_b.py").write_text(E04.solved)
    out = tmp_path / "grades"
    assert cli.main(["grade", str(tmp_path), "--term", TERM, "--jobs", "1", "--out", str(out)]) == 1
    told = capsys.readouterr().out
    assert told.count("of 100") == 2 and HINT in told
    assert cli.main(["grade", str(tmp_path / "e04_b.py"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["points"] == 100
    assert cli.main(["course", "overview", str(out), "--picture", str(tmp_path / "o.png")]) == 0
    table = capsys.readouterr().out
    assert "2 submissions, 1 with all points, median 90" in table
    assert "1   50%  db is a mean" in table
    assert (tmp_path / "o.png").read_bytes()[:4] == b"\x89PNG"
    assert cli.main(["course", "list"]) == 0
    assert "e04_affine" in capsys.readouterr().out


def test_a_lecturers_own_exercise_is_one_of_the_course(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    text = E04.path.read_text().replace("Exercise 4", "Exercise 40")
    (tmp_path / "mine" / "e40_mine.py").write_text(text)
    monkeypatch.setenv("MINIENC_EXERCISES", str(tmp_path / "mine"))
    assert cli.main(["course", "list"]) == 0
    assert "Exercise 40: an affine layer" in capsys.readouterr().out
    assert grade(write(tmp_path / "e40_solved.py", E04.solved)).points == 100


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grade", "{tmp}/nothing.py"], "there is no file"),
        (["grade", "{tmp}"], "no .py or .ipynb in"),
        (["grade", "{tmp}/a.txt"], "which exercise is this"),
        (["grade", "{tmp}/a.txt", "--exercise", "e99"], "which exercise is this"),
        (["grade", "{tmp}/a.txt", "--exercise", "e04", "--jobs", "0"], "--jobs is 0"),
        (["grade", "{tmp}/a.txt", "--exercise", "e04", "--time-limit", "0"], "--time-limit is 0"),
        (["course", "build", "e99", "--out", "{tmp}/c", "--format", "pytest"], "which exercise"),
        (["course", "build", "--out", "{tmp}", "--format", "pytest"], "--force replaces it"),
        (["course", "overview", "{tmp}"], "there are no grades"),
        (["course", "overview", "{tmp}/a.txt"], "holds no grades of minienc"),
    ],
)
def test_refusals(words, said, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("x = 1\n")
    assert cli.main([word.format(tmp=tmp_path) for word in words]) == 2
    assert said in capsys.readouterr().err


def test_what_is_no_notebook_is_refused(tmp_path):
    path = tmp_path / "e04.ipynb"
    for text in ("[]", "{}", '{"cells": [1]}', "\0"):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not a notebook"):
            read_submission(path)
