"""A verdict for each line: no right one is red, and a planted mistake is where it was put."""

from __future__ import annotations

import ast
import copy
import inspect
import os
import sys
import textwrap
from collections.abc import Iterator

import numpy as np
import pytest

from minienc.primitive import REGISTRY, definitions_only
from minienc.stepper.check import FAIL, PASS, check_lines, check_primitive
from tests.cases import FORWARDS, all_cases
from tests.stepper import homework

WHOLE = os.environ.get("MINIENC_PROOFS") == "1"  # make proofs: every case, every mistake
pytestmark = pytest.mark.timeout(4 * 3600 if WHOLE else 300)  # beside other work it takes long


def cases(name):
    """The first case and the last with two numbers in each array; or all."""
    found = all_cases(name)
    if not WHOLE:
        large = [c for c in found if all(getattr(a, "size", 2) > 1 for a in c[0])] or found
        found = large[:1] + large[-1:]
    for arrays, options in found:
        options = dict(options)
        if isinstance(options.get("rng"), int):
            options["rng"] = np.random.default_rng(options["rng"])
        yield arrays, options


@pytest.mark.parametrize("name", FORWARDS)
def test_no_right_line_is_red(name):
    claims = []
    for arrays, options in cases(name):
        checked = check_primitive(REGISTRY[name], arrays, options)
        assert not checked.wrong, str(checked)
        claims += checked.claims
    several = name.startswith(("add_", "concatenate_", "weighted_sum_"))  # *xs: xs has no gradient
    assert several or any(claim.verdict == PASS for claim in claims)


# ------------------------------------------------------------------------------- planted mistakes

SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


def mutants(function) -> Iterator[tuple[int, object]]:
    """(line, the function with a mistake there): a sign or a factor, a term lost, no transpose,
    another number, in each statement that binds a gradient."""
    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    ast.increment_lineno(tree, first - 1)
    tree.body[0].decorator_list = []
    for statement in [n for n in ast.walk(tree) if isinstance(n, ast.Assign)]:
        bound = [n.id for t in statement.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        if not any(name.startswith("d") for name in bound):
            continue
        right = statement.value
        for number, node in enumerate(ast.walk(right)):
            for spoil in spoiled(node):
                wrong = copy.deepcopy(right)
                target = list(ast.walk(wrong))[number]
                statement.value = _Replace(target, spoil(target)).visit(wrong)
                yield statement.lineno, _compiled(tree, function)
        statement.value = right


def spoiled(node):
    """Ways to make an expression wrong: functions from it to another."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        other = SWAPPED[type(node.op)]
        yield lambda n: ast.BinOp(n.left, other(), n.right)
        if not isinstance(node.op, ast.Div):
            yield lambda n: n.left
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield lambda n: n.value
    if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value:
        yield lambda n: ast.Constant(n.value + 1)


class _Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def _compiled(tree, function):
    code = compile(ast.fix_missing_locations(tree), inspect.getsourcefile(function), "exec")
    names = dict(vars(sys.modules[function.__module__]))
    exec(code, names)
    return names[function.__name__]


def gradients(result):
    parts = result if type(result) is tuple else (result,)
    return [np.asarray(a, float) for a in parts if hasattr(a, "shape")]


def differ(one, two):
    if [a.shape for a in one] != [b.shape for b in two]:
        return True
    pairs = zip(one, two, strict=True)
    return not all(np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True) for a, b in pairs)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_planted_mistake_is_red_where_it_was_planted():
    found = elsewhere = unseen = 0
    for name in FORWARDS:
        forward = REGISTRY[name]
        for arrays, options in list(cases(name))[: None if WHOLE else 1]:
            checked = check_primitive(forward, arrays, copy.deepcopy(options))
            right = gradients(checked.backward.result)
            planted = list(mutants(forward.backward.definition))
            for line, wrong in planted if WHOLE else planted[::4]:
                with definitions_only():
                    try:
                        checked = check_lines(
                            forward.definition,
                            wrong,
                            arrays,
                            copy.deepcopy(options),
                            forward.constants,
                        )
                    except Exception:  # it cannot even run
                        continue
                if not differ(right, gradients(checked.backward.result)):
                    continue  # no mistake at this point
                red = checked.wrong[:1]
                lines = [checked.backward.visits[claim.visit].line for claim in red]
                found += lines == [line]
                elsewhere += lines not in ([], [line])
                unseen += not lines
    print(f"{found} red where they are, {elsewhere} elsewhere, {unseen} nowhere")
    assert found >= (0.95 if WHOLE else 0.9) * (found + elsewhere + unseen)
    assert found > 100


# ------------------------------------------------------------------------------------- homework

RNG = np.random.default_rng(0)
ARRAYS = {
    "affine": (RNG.standard_normal((5, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal(4)),
    "loops": (RNG.standard_normal((5, 3)), RNG.standard_normal((3, 4))),
    "two_layers": tuple(RNG.standard_normal(s) for s in ((5, 3), (3, 4), (4, 2))),
    "softmax": (RNG.standard_normal((5, 3)),),
}


def check(name):
    import minienc

    pair = (getattr(homework, f"{name}_{half}") for half in ("forward", "backward"))
    return minienc.step(*pair, *ARRAYS[name]).record


def verdicts(record):
    return {v.claim.name: (v.claim.verdict, v.because is not None) for v in record.verdicts}


def test_the_wrong_line_is_red_and_the_others_are_not():
    assert verdicts(check("affine")) == {
        **{"dx": (PASS, False), "dW": (PASS, False)},
        "db": (FAIL, False),
    }


def test_what_follows_from_a_wrong_line_is_grey():
    assert verdicts(check("two_layers")) == {
        **{"dV": (PASS, False), "dh": (PASS, False), "dz": (FAIL, False)},
        **{"dW": (FAIL, True), "dx": (FAIL, True)},
    }


@pytest.mark.parametrize("name", ["loops", "softmax"])
def test_loops_and_arrays_filled_part_by_part_are_judged(name):
    found = verdicts(check(name))
    assert found and all(verdict == (PASS, False) for verdict in found.values())


def test_a_gradient_of_the_wrong_shape_says_so():
    def backward(dy, cache):
        x, W = cache
        dx = dy @ W.T
        dW = dy.T @ x
        return dx, dW, dy.sum(axis=0)

    with definitions_only():
        checked = check_lines(
            homework.affine_forward,
            backward,
            ARRAYS["affine"],
            wanted=lambda file: file in (homework.__file__, __file__),
        )
    assert [c.name for c in checked.wrong] == ["dW"]
    assert "dW is (4, 3), expected (3, 4)" in str(checked)
