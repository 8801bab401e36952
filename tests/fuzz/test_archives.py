"""Some hundred altered files each time; ``make fuzz`` tries many more."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import archives


@pytest.mark.parametrize("target", archives.TARGETS)
def test_valid_files_are_taken(target):
    for content in archives.seeds(target):
        archives.TARGETS[target](content)


@pytest.mark.parametrize("target", archives.TARGETS)
def test_altered_files_are_taken_or_refused_in_a_sentence(target):
    rng = random.Random(0)
    for _ in range(150 if target == "checkpoint" else 300):
        content = archives.altered(rng.choice(archives.seeds(target)), rng)
        archives.TARGETS[target](content)
