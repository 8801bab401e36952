"""What a lecturer writes into an exercise of their own: labels, seeds, gradients among results, and
mistakes of which one is met in everything and another in parts.
"""

from __future__ import annotations

import pytest

from minienc.course.exercise import Exercise
from minienc.course.grading import grade_source, items_of
from minienc.course.labels import labels_of, unlike
from minienc.course.parts import Function, Pair

TERM = "a term of the tests"
HEAD = '"""\nExercise 41: of the tests\n=========================\n"""\n\nimport numpy as np\n'


@pytest.fixture
def exercise(tmp_path):
    """Makes an exercise of the solution's code and the lecturer's part."""

    def make(code: str, lecturer: str) -> Exercise:
        path = tmp_path / "e41_tests.py"
        part = f"from minienc.course import Code, Function, Pair, Seed\n{lecturer}"
        path.write_text(f"{HEAD}\n{code}\n### BEGIN LECTURER\n{part}\n### END LECTURER\n")
        return Exercise(path)

    return make


# ------------------------------------------------------------------------------------- labels


def spiked(rng, N):
    return (rng.standard_normal(N),)


@pytest.mark.parametrize(
    ("cases", "labels"),
    [
        ([Pair("f", "x=N,D")], ["f"]),
        ([Pair("f", "x=N,D"), Pair("g", "x=N,D")], ["f", "g"]),
        ([Pair("f", "x=N,D"), Pair("f", "x=N,T,D")], ["f (x=N,D)", "f (x=N,T,D)"]),
        ([Pair("f", "x=N"), Pair("f", spiked)], ["f (x=N)", "f (spiked)"]),
        (
            [Pair("f", "x=N"), Pair("f", "x=N", options=({"axis": 1}, {"axis": 0}))],
            ["f (as it is)", "f (axis=1 or axis=0)"],
        ),
        ([Pair("f", "x=N", N=(1, 2)), Pair("f", "x=N", N=(5, 9))], ["f (N = 1 to 2)", None]),
        ([Pair("f", "x=N t=N", constants="t"), Pair("f", "x=N t=N")], [None, "f (no constants)"]),
        ([Function("f", "x=N", "a"), Function("f", "x=N", "b")], ["f (a)", "f (b)"]),
        ([Pair("f", "x=N"), Pair("f", "x=N")], ["f (case 1)", "f (case 2)"]),
        ([Pair("f", "x=N", label="one"), Pair("f", "x=N", label="two")], ["f (one)", "f (two)"]),
        ([Pair("f", "x=N", label="one"), Pair("f", "x=N,D")], ["f (one)", "f (x=N,D)"]),
        ([Pair("f", lambda rng: ()), Pair("f", lambda rng: ())], ["f (case 1)", "f (case 2)"]),
    ],
)
def test_cases_are_told_apart(cases, labels):
    found = labels_of(cases)
    assert len(set(found)) == len(cases)
    assert all(want in (None, got) for want, got in zip(labels, found, strict=True))


def test_names_that_are_alike_get_numbers():
    assert list(unlike(["a", "b", "a", "a_2", "a"])) == ["a", "b", "a_2", "a_2_2", "a_3"]


def test_a_report_has_no_label_twice(exercise):
    code = "def double(x, k=2):\n    return k * x\n"
    made = exercise(
        code,
        'CASES = [Function("double", "x=N", options=({"k": 3},)), Function("double", "x=N",'
        ' options=({"k": -3},))]\nPOINTS = {"forward": 90, "laws": 10}',
    )
    names = [item.name for item in items_of(made)]
    assert names[:2] == ["double (k=3): result", "double (k=-3): result"]
    assert grade_source(HEAD + code, made, term=TERM).points == 100


# -------------------------------------------------------------------------------------- seeds

DROP = """
def drop_forward(x, rng, act):
    mask = (rng.random(x.shape) >= 0.5) * 2.0
    return act(x) * mask, (mask, x)


def drop_backward(dy, cache):
    mask, x = cache
    dx = 2 * x * dy * mask
    return dx


def noisy(x, rng):
    e = rng.standard_normal(x.shape)
    return ((x - e) ** 2).sum(), 2 * (x - e)
"""
DRAWN = """
def inputs(rng, N, D):
    return rng.standard_normal((N, D)), Seed(int(rng.integers(1000))), Code("lambda x: x**2")


def seeded(rng, N, D):
    return rng.standard_normal((N, D)), Seed(3)


CASES = [Pair("drop", inputs, dtype=False), Function("noisy", seeded, "loss dx", dtype=False)]
POINTS = {"forward": 40, "gradients": 50, "laws": 10}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "hint"),
    [
        ("2 * x * dy * mask", "3 * x * dy * mask", "Your dx is 1.5 times what it should be"),
        ("2 * (x - e)", "3 * (x - e)", "Your dx is 1.5 times what it should be"),
        (
            "2 * x * dy * mask",
            "dy * mask; dx = dx + np.sin(x) * mask",
            "the first wrong line of your backward",
        ),
    ],
)
def test_seeds_and_functions_are_arguments_of_both_kinds(exercise, right, wrong, hint):
    made = exercise(DROP, DRAWN)
    assert grade_source(HEAD + DROP, made, term=TERM).points == 100
    found = grade_source(HEAD + DROP.replace(right, wrong), made, term=TERM)
    assert found.points == 75
    assert hint.casefold() in str(found).casefold()


# -------------------------------------------------------------------- gradients among results

LOSS = "def f(x, n):\n    return (x**2).sum() * 3, 6 * x, 5.0\n"
GIVEN = "def inputs(rng, N):\n    return rng.standard_normal(N), 3\n"


def given(outputs: str, rest: str = "", points: str = '"forward": 50, "gradients": 50') -> str:
    return f'{GIVEN}\nCASES = [Function("f", inputs, "{outputs}"{rest})]\nPOINTS = {{{points}}}'


def test_a_result_named_after_an_argument_is_its_gradient(exercise):
    made = exercise(LOSS, given("loss dx five"))
    assert [i.bucket for i in items_of(made)] == ["forward", "forward", "gradients"]
    assert grade_source(HEAD + LOSS, made, term=TERM).points == 100


def test_a_constant_has_no_gradient(exercise):
    made = exercise(LOSS, given("loss dx five", ', constants="x"', '"forward": 100'))
    assert {i.bucket for i in items_of(made)} == {"forward"}
    assert grade_source(HEAD + LOSS, made, term=TERM).points == 100


def test_without_points_gradients_have_the_usual_ones(exercise):
    made = exercise(LOSS, given("loss dx five").partition("POINTS")[0] + "ANSWERS = {}")
    assert made.points == {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}


@pytest.mark.parametrize(
    ("lecturer", "said"),
    [
        (
            given("loss dx five", points='"forward": 100'),
            r"result dx of f is a gradient \(or else say constants='x'\), and POINTS has nothing",
        ),
        (
            'CASES = [Pair("g", "x=N")]\nPOINTS = {"forward": 100}',
            "g_backward returns gradients, and POINTS has nothing for gradients: give them some",
        ),
        (given("dx loss five"), "first result, one number, by x; it is itself the first: call it"),
        (given("loss five dn"), "n is 3, which has no gradient: call it something else, or say"),
        (given("loss dx"), "the solution's f returned 3 results, expected 2: loss, dx"),
        (given("loss dx five", ", options=({'k': 1},)"), "the solution's f raised TypeError: "),
        ('CASES = [Function("h", "x=N")]', "CASES has h, which the solution does not define"),
    ],
)
def test_what_cannot_be_graded_is_refused(exercise, lecturer, said):
    code = (
        LOSS + "\n\ndef g_forward(x):\n    return x, 1\n\n\ndef g_backward(dy, c):\n    return dy\n"
    )
    with pytest.raises(ValueError, match=said):
        items_of(exercise(code, lecturer))


def test_the_first_result_is_one_number(exercise):
    code = "def f(x, n):\n    return x**2, 2 * x, 5.0\n"
    with pytest.raises(ValueError, match=r"dx of f is taken .* that is an array \(\d,\): call it"):
        items_of(exercise(code, given("y dx five")))


# ----------------------------------------------------------------------------------- mistakes

PAIR = """
def f_forward(x, W, b):
    return x @ W + b, (x, W)


def f_backward(dy, cache):
    x, W = cache
    dx = dy @ W.T
    dW = x.T @ dy
    db = dy.sum(axis=0)
    return dx, dW, db
"""
WIDE = '("dW = x.T @ dy", "dW = 2 * x.T @ dy"), ("db = dy.sum(axis=0)", "db = dy.mean(axis=0)")'
NARROW = '("db = dy.sum(axis=0)", "db = dy.mean(axis=0)")'
FOUND = f"""
CASES = [Pair("f", "x=N,D W=D,M b=M")]
POINTS = {{"forward": 20, "gradients": 70, "laws": 10}}
MISTAKES = {{
    "wide": ([{WIDE}], "Of both."),
    "narrow": ({NARROW}, "Of one."),
    "other": (("dx = dy @ W.T", "dx = 3 * dy @ W.T"), "Of dx."),
}}
"""


@pytest.mark.parametrize(
    ("changes", "mistakes"),
    [
        ([("dy.sum(", "dy.mean(")], ["narrow"]),  # wide's db is the same, and its dW is not met
        ([("dy.sum(", "dy.mean("), ("dW = x.T", "dW = 2 * x.T")], ["wide"]),
        ([("dy.sum(", "dy.mean("), ("dx = dy", "dx = 3 * dy")], ["other", "narrow"]),
        ([("dW = x.T", "dW = 2 * x.T")], ["wide"]),  # in parts, and nothing else is met at all
    ],
)
def test_what_is_met_in_everything_is_before_what_is_met_in_parts(exercise, changes, mistakes):
    source = HEAD + PAIR
    for old, new in changes:
        source = source.replace(old, new)
    found = grade_source(source, exercise(PAIR, FOUND), term=TERM)
    assert found.mistakes == mistakes, found
