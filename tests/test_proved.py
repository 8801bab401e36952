"""A faster function serves the definition that it was proved equal to, and no other.

Edits are made in a copy of the package, and tried in a process of its own, as a student's are.
"""

from __future__ import annotations

import ast
import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

if os.environ.get("MINIENC_KERNEL") == "0":
    pytest.skip("MINIENC_KERNEL=0: nothing stands in a definition's place", allow_module_level=True)
pytest.importorskip("minienc._kernels")

import minienc
from minienc import kernel, primitive
from minienc.fast import proved
from minienc.functions import activations, dense, losses
from minienc.primitive import REGISTRY, register_fast

ROOT = Path(minienc.__file__).parents[1]
FORM = "float32"

primitive.open_the_door()


# -------------------------------------------------------------------------------------- the record


def test_the_record_is_of_these_definitions():
    recorded, trees = proved._recorded(), {}
    now = {name: proved.digest(REGISTRY[name].definition, trees) for name in recorded}
    changed = [name for name in recorded if now[name] != recorded[name]]
    assert not changed, f"edited: {changed}; if on purpose, {proved.RENEW}, and run all tests again"


def test_everything_that_is_served_is_in_the_record():
    served = {name.removesuffix("_into") for name in primitive._fast}
    assert served <= proved._recorded().keys(), proved.RENEW
    assert all(REGISTRY[name] is not None for name in proved._recorded())


def test_what_record_writes_is_the_record(tmp_path, monkeypatch):
    before = proved.RECORD.read_text()
    monkeypatch.setattr(proved, "RECORD", tmp_path / "proved.txt")
    proved.record()
    assert (tmp_path / "proved.txt").read_text() == before


# ------------------------------------------------------------------------------- edits in the files


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, to be edited."""
    shutil.copytree(
        ROOT / "minienc", tmp_path / "minienc", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path / "minienc"


def run(copy: Path, script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", script, *arguments]
    environment = os.environ | {"PYTHONPATH": str(copy.parent)}
    result = subprocess.run(
        command, cwd=copy.parent, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result


def edit(copy: Path, file: str, old: str, new: str) -> None:
    path = copy / "functions" / file
    text = path.read_text()
    assert text.count(old) == 1, (file, old)
    path.write_text(text.replace(old, new))


# Every way into the functions: through the door and as it is written, they are bit for bit the
# same where an edited definition runs. Prints the edited ones.
EVERY_WAY = """
import sys
import numpy as np
import minienc
from minienc import kernel_info
from minienc.functions import *
from minienc.primitive import REGISTRY, definitions_only
from minienc.layers import Conv2D, Dense, Input
from minienc.models import Model
assert minienc.__file__.startswith(sys.argv[1]), minienc.__file__

def everything():
    rng = np.random.default_rng(0)
    x, dy, t = rng.standard_normal((3, 5, 4)).astype("f4")
    t = 1 / (1 + np.exp(-t))
    for name in "relu leaky_relu sigmoid".split():
        y, cache = REGISTRY[name + "_forward"](x)
        yield name, (y, REGISTRY[name + "_backward"](dy, cache))
        y, cache = dense_forward(x, dy[:4], dy[0], name)
        yield "dense " + name, (y, *dense_backward(dy, cache))
        layer = Dense(4, name, seed=1)
        model = Model(i := Input((4,)), layer(i))
        y, cache = model.forward(x)
        grads = model.new_gradients()
        dx = model.backward(dy, cache, grads)
        yield "layer " + name, (model.predict(x), dx, grads.vector)
    i = Input((4, 4, 1))
    model = Model(i, Conv2D(2, 2, seed=1)(i))
    y, cache = model.forward(rng.standard_normal((2, 4, 4, 1)).astype("f4"))
    grads = model.new_gradients()
    yield "conv", (y, model.backward(y, cache, grads), grads.vector)
    for name in "mean_squared_error", "binary_crossentropy", "categorical_crossentropy":
        loss, cache = REGISTRY[name + "_forward"](t, t[::-1].copy())
        yield name, (loss, REGISTRY[name + "_backward"](1.0, cache))
    y, cache = lstm_forward(x[None], np.tile(dy[:4], 2), np.ones((2, 8), "f4"))
    yield "lstm", (*y, *lstm_backward(y, cache)[:3])
    y, cache = conv1d_forward(x[None], np.ones((3, 4, 2), "f4"))
    yield "conv1d", (y, *conv1d_backward(y, cache)[:2])
    for name in "adam_step", "adamw_step":
        w, m, v = dy.copy(), np.zeros_like(dy), np.zeros_like(dy)
        REGISTRY[name](w, x, m, v, 1, 0.1)
        yield name, (w, m, v)

through_the_door = list(everything())
with definitions_only():
    written = list(everything())
for (name, one), (_, two) in zip(through_the_door, written):
    if name in sys.argv[2:]:
        assert all(map(np.array_equal, one, two)), name
print(*kernel_info()["edited"])
"""

PAIR = "{0}_backward {0}_forward".format
GATED = f"{PAIR('gru')} {PAIR('lstm')}"
EDITS = {  # what -> (file, what stands there, what comes instead), whom it reaches, where it shows
    "relu is made leaky": (
        ("activations.py", "y = xp.maximum(x, 0)  # (1)\n    return y, Relu",
         "y = xp.maximum(x, 0.1 * x)  # (1)\n    return y, Relu"),
        PAIR("relu"), ["relu", "dense relu", "layer relu"],
    ),
    "a backward gives nothing": (
        ("activations.py", "dx = dy * (cache.y > 0)", "dx = 0 * dy * (cache.y > 0)"),
        PAIR("relu"), ["relu", "dense relu", "layer relu"],
    ),
    "a default is another": (
        ("activations.py", "NEGATIVE_SLOPE = 0.2", "NEGATIVE_SLOPE = 0.3"),
        PAIR("leaky_relu"), ["leaky_relu", "dense leaky_relu", "layer leaky_relu"],
    ),
    "a helper is another": (
        ("activations.py", "return xp.where(x >= 0, 1, e) / (1 + e)", "return e / (1 + e)"),
        f"{PAIR('binary_crossentropy')} {PAIR('copying_crossentropy')} {GATED} {PAIR('sigmoid')}",
        ["sigmoid", "dense sigmoid", "layer sigmoid", "binary_crossentropy"],
    ),
    "a cache has a field more": (
        ("activations.py", "class SigmoidCache(NamedTuple):\n    y: Array  # (...)",
         "class SigmoidCache(NamedTuple):\n    y: Array  # (...)\n    more: int = 0"),
        PAIR("sigmoid"), ["sigmoid", "dense sigmoid", "layer sigmoid"],
    ),
    "the dense layer's weights learn double": (
        ("dense.py", "dW = x.T @ dz", "dW = 2 * x.T @ dz"),
        f"conv2d_backward {PAIR('conv2d_transpose')} {PAIR('dense')} {PAIR('conv1d')} {GATED} "
        f"{PAIR('rnn')} multi_head_attention_backward",
        ["dense relu", "layer relu", "conv", "lstm", "conv1d"],
    ),
    "probabilities are held elsewhere": (
        ("losses.py", "EPSILON = 1e-7", "EPSILON = 1e-1"),
        f"{PAIR('binary_crossentropy')} {PAIR('categorical_crossentropy')} "
        f"{PAIR('kl_sparsity')} {PAIR('sparse_categorical_crossentropy')}",
        ["binary_crossentropy", "categorical_crossentropy"],
    ),
    "Adam forgets its second moment": (
        ("optimizers.py", "w -= a * m / (xp.sqrt(v) + epsilon)", "w -= a * m"),
        "adam_step adamw_step", ["adam_step", "adamw_step"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_counts_wherever_the_function_is_used(copy, what):
    change, reaches, where = EDITS[what]
    edit(copy, *change)
    result = run(copy, EVERY_WAY, str(copy.parent), *where)
    assert result.stdout.split() == sorted(reaches.split())
    (warning,) = [line for line in result.stderr.splitlines() if "Warning" in line]
    assert "edited since faster functions were proved equal to them" in warning
    assert all(name in warning for name in reaches.split())


def test_without_an_edit_all_serve_and_nothing_is_said(copy):
    result = run(copy, EVERY_WAY, str(copy.parent))
    assert result.stdout.strip() == result.stderr == ""


def test_comments_docstrings_and_layout_are_no_edits(copy):
    for path in (copy / "functions").glob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                node.body[0] = ast.Expr(ast.Constant("Another docstring."))
        written = ast.unparse(tree)  # no comment is left, and every line is laid out anew
        path.write_text(f"# moved down\n\n\n{written}\n")
    result = run(copy, EVERY_WAY, str(copy.parent))
    assert result.stdout.strip() == result.stderr == ""


def test_without_sources_the_faster_functions_serve(copy):
    compileall.compile_dir(copy, quiet=1, legacy=True)
    for path in copy.rglob("*.py"):
        path.unlink()
    result = run(copy, EVERY_WAY, str(copy.parent))
    assert result.stdout.strip() == result.stderr == ""
    assert "in use for" in run(copy, "import minienc; print(minienc.kernel_info())").stdout


def test_info_says_what_was_edited(copy):
    edit(copy, *EDITS["relu is made leaky"][0])
    said = run(copy, "from minienc.cli import main; main(['info'])").stdout
    assert "edited, and run as they are written: relu_backward, relu_forward" in said


# ----------------------------------------------------------------------------- edits while it runs

X = np.random.default_rng(0).standard_normal((6, 5)).astype(FORM)
W = np.random.default_rng(1).standard_normal((5, 4)).astype(FORM)
LEAKY = """
@primitive
def relu_forward(x):
    y = x + 1
    return y, ReluCache(y)
"""


@pytest.fixture
def watched(monkeypatch):
    """Whether relu's own call, and the dense layer's, give what the definitions give; and which
    are said to be edited. Afterwards all is as it was."""
    monkeypatch.setattr(proved, "_told", set(proved._recorded()))  # it is not said here

    def look():
        expected, _ = dense.dense_forward.definition(X, W, None, "relu")
        actual, cache = dense.dense_forward(X, W, None, "relu")
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
        dy = np.ones_like(actual)
        gradients = dense.dense_backward(dy, cache), dense.dense_backward.definition(dy, cache)
        for one, two in zip(*gradients, strict=True):
            if two is not None:
                np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)
        relu = REGISTRY["relu_forward"]
        np.testing.assert_array_equal(relu(X)[0], relu.definition(X)[0])
        return kernel.kernel_info()["edited"]

    assert look() == ()
    yield look
    monkeypatch.undo()
    assert look() == ()


def test_a_definition_that_is_replaced_runs(watched, monkeypatch):
    relu = REGISTRY["relu_forward"]
    monkeypatch.setattr(relu, "definition", lambda x: (x + 1, activations.ReluCache(x + 1)))
    assert watched() == ("relu_backward", "relu_forward")
    np.testing.assert_array_equal(relu(X)[0], X + 1)


def test_a_function_that_is_defined_anew_runs(watched, monkeypatch):
    before = REGISTRY["relu_forward"]
    monkeypatch.setitem(REGISTRY, "relu_forward", before)  # what undo puts back
    for name, value in vars(activations).copy().items():
        monkeypatch.setitem(vars(activations), name, value)
    exec(LEAKY, vars(activations))
    assert REGISTRY["relu_forward"] is activations.relu_forward is not before
    assert watched() == ("relu_backward", "relu_forward")
    np.testing.assert_array_equal(activations.relu_forward(X)[0], X + 1)
    np.testing.assert_array_equal(before(X)[0], np.maximum(X, 0))
    monkeypatch.undo()
    before.runs_as_written = False
    primitive.close_the_door()


def test_another_activation_under_a_known_name_runs(watched, monkeypatch):
    monkeypatch.setitem(activations.ACTIVATIONS, "relu", activations.tanh_forward)
    assert watched() == ()
    y, _ = dense.dense_forward(X, W, None, "relu")
    np.testing.assert_allclose(y, np.tanh(X @ W), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("EPSILON", 0.1), ("sigmoid", lambda x: x)])
def test_a_helper_or_a_constant_that_is_replaced_counts(watched, monkeypatch, name, value):
    monkeypatch.setattr(losses, name, value)
    assert "binary_crossentropy_backward" in watched()
    y, t = X.clip(0, 1), W[:1].repeat(6, 0).clip(0, 1).repeat(2, 1)[:, :5]
    loss, cache = losses.binary_crossentropy_forward(y, t)
    right = losses.binary_crossentropy_forward.definition(y, t)[0]
    assert loss == right
    dy = losses.binary_crossentropy_backward(1.0, cache)
    np.testing.assert_array_equal(dy, losses.binary_crossentropy_backward.definition(1.0, cache))


def test_a_module_that_is_loaded_again_unchanged_is_served_again():
    script = """
import importlib
from minienc import kernel_info
from minienc.functions import activations, relu_forward
import numpy as np
relu_forward(np.ones((2, 2)))
importlib.reload(activations)
anew = activations.relu_forward
print(kernel_info()["edited"], anew.runs_as_written, relu_forward.runs_as_written)
"""
    assert run(ROOT / "minienc", script).stdout.split() == ["()", "False", "True"]


def test_a_faster_function_of_ones_own_serves_the_definition_it_was_registered_for(monkeypatch):
    monkeypatch.setitem(REGISTRY, "thrice_step", None)  # removed again at the end
    monkeypatch.setattr(primitive, "_fast", dict(primitive._fast))

    def thrice_step(w):
        return 3 * w

    def define():
        return primitive.primitive(thrice_step)

    first = define()
    register_fast(thrice_step)
    assert not first.runs_as_written
    second = define()
    with pytest.warns(UserWarning, match="thrice_step: edited"):
        primitive.open_the_door()
    assert first.runs_as_written and second.runs_as_written
    register_fast(thrice_step)
    primitive.open_the_door()
    assert not second.runs_as_written
