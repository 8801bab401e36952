import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minienc.data import batch_indices


@given(st.data(), st.integers(1, 200), st.booleans())
def test_every_sample_comes_once(data, n, shuffled):
    batch_size = data.draw(st.integers(1, n))
    rng = np.random.default_rng(n) if shuffled else None
    batches = list(batch_indices(n, batch_size, rng))
    assert [len(b) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= batch_size
    together = np.concatenate(batches)
    assert sorted(together) == list(range(n))
    if not shuffled:
        assert list(together) == list(range(n))


def test_the_generator_alone_fixes_the_order():
    def order(seed):
        return np.concatenate(list(batch_indices(50, 7, np.random.default_rng(seed))))

    assert (order(1) == order(1)).all()
    assert (order(1) != order(2)).any()


@pytest.mark.parametrize(
    "n, batch_size, error, message",
    [
        (10, 0, ValueError, "batch_size is 0, expected at least 1"),
        (10, -3, ValueError, "batch_size is -3"),
        (10, 11, ValueError, "batch_size is 11, expected at most 10"),
        (10, 2.0, TypeError, "batch_size is 2.0, expected a whole number"),
        (10, True, TypeError, "batch_size is True"),
        (10, "4", TypeError, "batch_size is '4'"),
        (0, 1, ValueError, "n is 0"),
    ],
)
def test_bad_sizes_are_refused_at_the_call(n, batch_size, error, message):
    with pytest.raises(error, match=message):
        batch_indices(n, batch_size)


def test_a_numpy_integer_is_a_whole_number():
    assert len(list(batch_indices(10, np.int32(5)))) == 2
