"""Answers are compared by what they say, in whatever form they come."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.course.compare import differences, same


@pytest.mark.parametrize("answer", [[1, 2.5], (1, 2.5), np.array([1, 2.5]), np.float32([1, 2.5])])
def test_numbers_in_any_sequence(answer):
    assert same(answer, [1.0, 2.5], 1e-3)
    assert same(answer, np.array([1.0, 2.5]), 1e-3)


@pytest.mark.parametrize(
    "answer", [[1, 2], [1, 2.5, 3], np.array([1, 2.6]), np.float64(1), "1, 2.5"]
)
def test_other_numbers_are_told(answer):
    assert list(differences(answer, [1.0, 2.5], 1e-3))


def test_words_have_no_capitals():
    assert same(" Half ", "half", 0) and not same("double", "half", 0)
    assert not same(np.array(["half"]), "half", 0)
