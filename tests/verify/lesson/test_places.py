"""Where wrong elements lie, in words."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.verify import gradcheck
from minienc.verify.lesson.places import where

ROW, COLUMN = np.indices((5, 5))
PLACES = {
    "all in the last row and column": (ROW == 4) | (COLUMN == 4),
    "all in the first row and column": (ROW == 0) | (COLUMN == 0),
    "all in the first row and the last column": (ROW == 0) | (COLUMN == 4),
    "all in the last row": ROW == 4,
    "all in row 2": ROW == 2,
    "all in column 3": COLUMN == 3,
    "all on the diagonal": ROW == COLUMN,
    "all off the diagonal": ROW != COLUMN,
    "all above the diagonal": ROW < COLUMN,
    "all at the border": (ROW % 4 == 0) | (COLUMN % 4 == 0),
    "": (ROW * 3 + COLUMN * 7) % 5 < 2,
}


@pytest.mark.parametrize("sentence", PLACES)
def test_places(sentence):
    indices = [tuple(map(int, i)) for i in np.argwhere(PLACES[sentence])]
    assert where(indices, (5, 5)) == sentence


def test_other_numbers_of_axes():
    assert where([(3,), (4,), (5,)], (9,)) == "all from 3 to 5"
    assert where([(0,), (4,), (7,)], (9,)) == ""
    cube = [tuple(map(int, i)) for i in np.argwhere(np.indices((3, 4, 5))[0] == 1)]
    assert where(cube, (3, 4, 5)) == "all in index 1 of axis 0"


def test_what_may_be_chance_is_not_said():
    assert where([(0, 1), (1, 0)], (3, 3)) == ""  # two of the eight at the border
    assert where([(0, 0)], (3, 3)) == "" and where([(0, 0), (0, 1)], (1, 2)) == ""


def test_a_report_says_it():
    def backward(dy, x):
        g = 2 * x * dy
        g[-1] = g[:, -1] = 0
        return g

    x = np.random.default_rng(0).standard_normal((4, 3))
    report = gradcheck(lambda x: (x**2, x), backward, x)
    assert report.tensors[0].reason == "6 of 12 elements are wrong, all in the last row and column"
