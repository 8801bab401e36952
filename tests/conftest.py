"""What holds for every test."""

import numpy as np
import pytest
from hypothesis import settings

# How long a property takes is not what it says.
settings.register_profile("minienc", deadline=None)
settings.load_profile("minienc")

_begins_at: dict[str, dict] = {}  # the state of a file's RNG before its first test


@pytest.fixture(autouse=True)
def draws_do_not_depend_on_the_tests_before(request):
    """A file's RNG begins anew for each of its tests, in whatever order they run."""
    rng = getattr(request.module, "RNG", None)
    if isinstance(rng, np.random.Generator):
        state = _begins_at.setdefault(request.module.__name__, rng.bit_generator.state)
        rng.bit_generator.state = state
