"""CONTRIBUTING.md's "One training step, line by line", against a recording of one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# One batch in the middle of a fit: two dense layers, binary cross-entropy, Adam, no kernel.
RECORDING = """
import sys
from pathlib import Path
import numpy as np
import minienc
from minienc.layers import Dense, Input
from minienc.models import Model
from minienc.training.callbacks import Callback

ROOT = Path(minienc.__file__).parent
X = np.random.default_rng(0).random((320, 20), dtype="float32")
inputs = Input((20,))
model = Model(inputs, Dense(20, activation="sigmoid")(Dense(8, activation="relu")(inputs)))
model.compile("adam", "binary_crossentropy")


def name_of(frame):
    path = Path(frame.f_code.co_filename)
    if ROOT not in path.parents:
        return None
    return path.relative_to(ROOT).as_posix(), frame.f_code.co_qualname


def note(frame, event, arg):
    name = name_of(frame) if event == "call" else None
    if name is None:
        return
    print("entered", *name)
    if name[1] == "dense_backward":
        stack = [f for f in frames(frame) if name_of(f) is not None]
        print("frames", *[name_of(f)[1] for f in reversed(stack)])


def frames(frame):
    while frame:
        yield frame
        frame = frame.f_back


class Middle(Callback):
    def on_train_batch_end(self, batch, logs):
        if batch in (4, 5):
            sys.setprofile(note if batch == 4 else None)


model.fit(X, X, batch_size=32, epochs=1, verbose=0, callbacks=[Middle()], seed=0)
"""


def recorded():
    """(file, function) in the order in which they are first entered; frames to dense_backward."""
    environment = {**os.environ, "MINIENC_KERNEL": "0"}
    command = [sys.executable, "-c", RECORDING]
    found = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    entered, stack = [], None
    for line in found.stdout.splitlines():
        kind, *words = line.split()
        if kind == "frames":
            stack = stack or words
        elif (step := (words[0], words[1])) not in entered:
            entered.append(step)
    return entered, stack


def test_the_page_names_what_a_step_passes_through_in_order():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"## One training step, line by line\n(.*?)\n## ", page, re.DOTALL)
    named = re.findall(r"^    (\S+\.py) +(\S+)", section, re.MULTILINE)
    entered, _ = recorded()
    assert named == [step for step in entered if "<" not in step[1]]  # <listcomp>: not a name


def test_a_step_is_short():
    entered, stack = recorded()
    assert len({file for file, _ in entered}) <= 12
    assert len(entered) <= 40
    down = stack[stack.index("Model.fit") + 1 :]
    assert down[-1] == "dense_backward" and len(down) <= 6, down
