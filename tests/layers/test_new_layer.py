"""A new layer touches two places: by the example of CONTRIBUTING.md as it stands."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from minienc import layers
from minienc.primitive import REGISTRY
from tests import cases, layer_cases, test_device
from tests.functions import test_gradients
from tests.layers import test_every_layer

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def layer_scale(monkeypatch):
    """The two files of the example, and its line of the table."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(
        r"`((?:functions|layers)/scale.py)`:\n\n```python\n(.*?)```", text, re.DOTALL
    )
    assert [name for name, _ in blocks] == ["functions/scale.py", "layers/scale.py"]
    for name, code in blocks:
        module = ModuleType("minienc." + name.removesuffix(".py").replace("/", "."))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(code, f"CONTRIBUTING.md, {name}", "exec"), vars(module))
        assert len(code.splitlines()) < 40
    cls = module.LayerScale
    monkeypatch.setattr(layers, "LayerScale", cls, raising=False)
    monkeypatch.setattr(layers, "__all__", [*layers.__all__, *module.__all__])
    (line,) = re.findall(r'^    ("LayerScale": .*)$', text, re.MULTILINE)
    case = eval("{" + line + "}", {"L": layers})
    monkeypatch.setitem(layer_cases.LAYERS, "LayerScale", case["LayerScale"])
    scale = lambda rng: iter([((rng.standard_normal((5, 3)), rng.standard_normal(3)), {})])  # noqa: E731
    monkeypatch.setitem(cases.CASES, "scale_forward", scale)
    yield cls
    for half in ("scale_forward", "scale_backward"):
        del REGISTRY[half]


def test_its_pair_and_the_layer_pass_every_sweep(layer_scale, tmp_path):
    assert layer_scale.pair.backward is REGISTRY["scale_backward"]
    sweeps = [*swept_by_name(test_gradients), *swept_by_name(test_every_layer)]
    assert len(sweeps) > 15
    given = {"dtype": "float32", "sabotage": "sign"}
    for k, sweep in enumerate(sweeps):
        given["name"] = "scale_forward" if sweep.__module__.endswith("gradients") else "LayerScale"
        given["tmp_path"] = tmp_path / str(k)
        given["tmp_path"].mkdir()
        with contextlib.suppress(pytest.skip.Exception):  # a peer that is not installed
            sweep(**{key: given[key] for key in inspect.signature(sweep).parameters})
    test_device.test_every_layer_learns_there("LayerScale")


def swept_by_name(module: ModuleType) -> list:
    tests = [t for name, t in vars(module).items() if name.startswith("test_")]
    return [t for t in tests if "name" in inspect.signature(t).parameters]


def test_without_its_case_the_suite_fails(layer_scale):
    test_every_layer.test_every_layer_has_a_case()
    del layer_cases.LAYERS["LayerScale"]
    with pytest.raises(AssertionError):
        test_every_layer.test_every_layer_has_a_case()


def test_a_mistake_in_its_backward_is_found(layer_scale, monkeypatch):
    backward = REGISTRY["scale_backward"]
    right = backward.definition
    wrong = functools.wraps(right)(
        lambda dy, cache: (1.01 * right(dy, cache)[0], right(dy, cache)[1])
    )
    monkeypatch.setattr(backward, "definition", wrong)
    sweep = test_every_layer.test_the_checker_passes_it_and_nothing_that_is_nearly_right
    with pytest.raises(AssertionError):
        sweep("LayerScale")
