"""Submissions that do what no exercise asks for: each is reported in a sentence, none hurts the
grader, and a batch ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from minienc.course.batch import grade_all
from minienc.course.exercise import find_exercise
from minienc.course.grading import grade_source
from minienc.course.process import Ended, Limits, Process

E04 = find_exercise("e04")
LIMITS = Limits(seconds=2.0, memory=1 << 30)
SHORT = Limits(seconds=1.0, memory=1 << 30)  # for what uses up the clock
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bounds of Linux")

NUMERICAL = """
def affine_backward(dy, cache):
    x, W = cache
    b = np.zeros(W.shape[1])
    found = []
    for a in (x, W, b):
        g = np.zeros_like(a)
        for i in np.ndindex(a.shape):
            old = a[i]
            a[i] = old + 1e-5
            up = {f}
            a[i] = old - 1e-5
            down = {f}
            a[i] = old
            g[i] = ((up - down) * dy).sum() / 2e-5
        found.append(g)
    return tuple(found)
"""
COMPLEX = """
def other(x, W, b):
    return x @ W + b

def affine_backward(dy, cache):
    x, W = cache
    args = [x + 0j, W + 0j, np.zeros(W.shape[1]) + 0j]
    found = []
    for a in args:
        g = np.zeros(a.shape)
        for i in np.ndindex(a.shape):
            a[i] += 1e-30j
            g[i] = (other(*args).imag * dy).sum() / 1e-30
            a[i] -= 1e-30j
        found.append(g)
    return tuple(found)
"""


def inside(body: str) -> str:
    """A backward that does something first."""
    lines = "\n".join("    " + line for line in body.strip().split("\n"))
    right = E04.solved[E04.solved.index("def affine_backward") :].split("\n\n\n")[0]
    head, _, rest = right.partition('"""\n')
    doc, _, code = rest.partition("\n") if rest.startswith(" ") else ("", "", rest)
    return f'\n\n{head}"""\n{lines}\n{doc}\n{code}\n'


# name -> (what is added to the solution, what is said, points at least, at most)
HOSTILE = {
    "hangs": (inside("while True: pass"), "is there a loop without an end", 20, 30),
    "sleeps": (inside("import time; time.sleep(60)"), "took longer than 1 s", 20, 30),
    "hangs at once": ("\nwhile True: pass\n", "is there a loop without an end", 0, 0),
    "exits": (inside("import sys; sys.exit(0)"), "affine_backward calls exit()", 20, 30),
    "exits hard": (inside("import os; os._exit(0)"), "ended its own process, with exit", 20, 30),
    "quits at once": ("\nexit()\n", "the file", 0, 0),
    "forks": (inside("import os; os.fork()"), "starts other processes", 20, 30),
    "starts programs": (
        inside("import subprocess; subprocess.run(['sleep', '100'])"),
        "starts other programs",
        20,
        30,
    ),
    "starts a shell": (
        inside("import os; os.system('sleep 100 &')"),
        "starts other programs",
        20,
        30,
    ),
    "takes 10 GB": (inside("a = np.ones(10 * 2**27)"), "asked for more memory", 20, 30),
    "deletes what it finds": (
        inside("import shutil; shutil.rmtree('/tmp/nothing-of-mine', ignore_errors=True)"),
        "changes files outside of its folder",
        20,
        100,
    ),
    "writes elsewhere": (
        inside("open('/tmp/graded-by-itself.json', 'w').write('100')"),
        "writes files outside of its folder",
        20,
        30,
    ),
    "writes into its folder": (
        inside("open('mine.txt', 'w').write('100')"),
        "wrote 1 files into its folder",
        100,
        100,
    ),
    "deletes in its folder": (
        inside("import os\nfor f in os.listdir('.'): os.remove(f)"),
        "",
        100,
        100,
    ),
    "prints the markers": (
        inside("print('100 of 100'); print('{\"points\": 100}')"),
        "it printed",
        100,
        100,
    ),
    "answers in the grader's place": (
        "\nimport os\nfor fd in range(3, 12):\n    try:\n        os.write(fd, b'\\0' * 64)\n"
        "    except OSError:\n        pass\n",
        "",
        0,
        100,
    ),
    "prints without end": (inside("print('x' * 10_000_000)"), "", 0, 100),
    "patches NumPy": (
        "\nnp.allclose = lambda *a, **k: True\nnp.array_equal = lambda *a, **k: True\n",
        "it replaces numpy.allclose, numpy.array_equal",
        100,
        100,
    ),
    "reads the grader's memory": (
        inside("import os; open(f'/proc/{os.getppid()}/mem', 'rb').read(10)"),
        "reads the memory or the files of processes",
        20,
        30,
    ),
    "reads by ctypes": (
        inside("import ctypes; ctypes.CDLL(None).getpid()"),
        "calls into the machine by ctypes",
        20,
        30,
    ),
    "opens a connection": (
        inside("import socket; socket.create_connection(('127.0.0.1', 9))"),
        "opens network connections",
        20,
        30,
    ),
    "kills its parent": (inside("import os; os.kill(os.getppid(), 9)"), "sends signals", 20, 30),
    "raises its limits": (
        inside("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))"),
        "changes its own limits",
        20,
        30,
    ),
    "crashes the interpreter": (
        inside("import sys\nsys.setrecursionlimit(10**8)\ndef f(n): return f(n + 1)\nf(0)"),
        "affine_backward",
        20,
        30,
    ),
    "borrows": ("\nimport minienc.functions\n", "imports minienc.functions", 0, 0),
    "borrows by another name": (
        inside("import importlib; importlib.import_module('to' + 'rch')"),
        "imports torch",
        20,
        30,
    ),
    "borrows in secret": (
        "\nimport sys\nsys.meta_path.clear()\ntry:\n    import minienc.functions as own\n"
        "except ImportError:\n    own = None\n",
        "imports minienc",
        100,
        100,
    ),
    "differences": (
        NUMERICAL.replace("{f}", "affine_forward(x, W, b)[0].copy()"),
        "computed by differences? its backward calls the forward",
        66,
        67,
    ),
    "differences in disguise": (
        NUMERICAL.replace("{f}", "x @ W + b"),
        "computed by differences? it is right to",
        66,
        67,
    ),
    "differences in complex numbers": (
        COMPLEX,
        "computes with complex numbers",
        66,
        67,
    ),
    "returns objects": (
        inside("class A: pass\nreturn A(), A(), A()"),
        "dx is a A, expected an array",
        20,
        40,
    ),
    "returns an endless list": (
        inside("a = []\na.append(a)\nreturn a, a, a"),
        "RecursionError",
        20,
        30,
    ),
    "overwrites its arguments": (
        inside("cache[0][...] = 0"),
        "changed the argument x",
        50,
        96,
    ),
    "is no Python": ("\ndef f(:\n", "SyntaxError", 0, 0),
    "listens": (
        inside("import sys; sys.addaudithook(lambda *a: None)"),
        "listens to its own process",
        100,  # Python leaves the hook out without a word
        100,
    ),
}


@linux
@pytest.mark.parametrize("name", HOSTILE)
def test_each_is_reported(name):
    added, said, least, most = HOSTILE[name]
    limits = SHORT if name.startswith("sleeps") else LIMITS
    grade = grade_source(E04.solved + added, E04, limits=limits)
    assert said in str(grade), grade
    assert least <= grade.points <= most, grade
    assert not Path("/tmp/graded-by-itself.json").exists()


@linux
def test_time_in_which_the_machine_was_busy_is_not_a_submissions():
    """It stands still for longer than its seconds, as when others have the processors."""
    with Process("x = 1", [], SHORT) as process:
        os.kill(process.child.pid, signal.SIGSTOP)
        timer = threading.Timer(1.5, os.kill, (process.child.pid, signal.SIGCONT))
        timer.start()
        started = time.monotonic()
        process.load()
        assert time.monotonic() - started > SHORT.seconds
        assert process.error is None


@linux
def test_a_loop_is_ended_by_the_processor_and_not_by_the_clock():
    """Of the clock there was enough left."""
    with Process("while True: pass", [], SHORT) as process:
        process.left = 1000.0
        with pytest.raises(Ended, match=r"took longer than 1 s: is there a loop without an end\?"):
            process.load()
        assert process.child.returncode == -signal.SIGXCPU
        assert process.left > 900


@linux
def test_a_clock_that_jumps_is_not_waited_for(monkeypatch):
    """An hour of a laptop's sleep counts as one glance."""
    with Process("", [], SHORT) as process:
        hours = iter(range(0, 3600 * 1000, 3600))
        monkeypatch.setattr("minienc.course.process.time.monotonic", lambda: next(hours))
        process.load()
        assert process.error is None


@linux
def test_ctrl_c_leaves_no_process_and_no_folder(monkeypatch):
    started = []

    def interrupted(self):
        started.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Process, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grade_source(E04.solved, E04, limits=LIMITS)
    (process,) = started
    assert process.child.poll() == -signal.SIGKILL
    assert not Path(process.folder).exists()


@linux
def test_what_a_submission_leaves_running_is_ended():
    """A process that has got out of its group is found by the token in its environment."""
    with Process("", [], LIMITS) as process:
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        left = subprocess.Popen(command, env=process._environment(), start_new_session=True)
        process.tried = ["starts other programs"]
    assert left.wait(timeout=5) == -9


@linux
def test_a_batch_goes_on(tmp_path):
    """Those that hang, exit and crash stand between two that are right."""
    names = ["hangs at once", "exits hard", "takes 10 GB", "is no Python", "prints without end"]
    (tmp_path / "e04_a.py").write_text(E04.solved)
    for k, name in enumerate(names):
        (tmp_path / f"e04_b{k}.py").write_text(E04.solved + HOSTILE[name][0])
    (tmp_path / "e04_c.ipynb").write_text("no notebook")
    (tmp_path / "e04_z.py").write_text(E04.solved)
    grades = list(grade_all(sorted(tmp_path.iterdir()), limits=LIMITS, jobs=2))
    assert grades[0].points == grades[-1].points == 100
    assert len(grades) == 8
    assert "is not a notebook" in grades[6].flags[0]
