"""Some hundred damaged files for each reader; ``make fuzz`` has more of them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.fuzz import archives
from tests.fuzz.frame import Target, fuzz
from tests.fuzz.targets import TARGETS

pytest.importorskip("resource")  # not on Windows


# those of ``archives`` refuse by themselves, and have their own test
READERS = [name for name in TARGETS if name not in archives.TARGETS]


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_by_its_name(tmp_path, name):
    report = fuzz(TARGETS[name], tmp_path, inputs=150, seed=1)
    assert report.findings == {}
    assert report.inputs == 150 and 0 <= report.accepted < 150


@pytest.mark.parametrize("name", READERS)
def test_the_files_that_are_damaged_are_whole_before(tmp_path, name):
    target = TARGETS[name]
    for content in target.valid():
        (tmp_path / target.name).write_bytes(target.wrap(content))
        target.read(tmp_path / target.name)


def _raises(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize(
    "read, seen",
    [
        (_raises(KeyError("x")), "KeyError"),
        (_raises(OSError(22, "Invalid argument")), "a message without the file: OSError"),
        (_raises(ValueError("bad")), "a message without the file: ValueError: bad"),
        (lambda path: time.sleep(5), "more than 0.05 seconds"),
        (lambda path: np.ones(80_000_000, np.uint8), "more than 50 MB of memory"),
    ],
)
def test_what_a_reader_must_not_do_is_seen(tmp_path, read, seen):
    target = Target(lambda: [b"12345678"], read)
    report = fuzz(target, tmp_path, inputs=2, wait=0.05 if "seconds" in seen else 10, most_mb=50)
    assert list(report.findings.values()) == [2] and next(iter(report.findings)).startswith(seen)


def test_a_seed_gives_the_same_files(tmp_path):
    read: list[bytes] = []
    target = Target(TARGETS["csv"].valid, lambda path: read.append(path.read_bytes()))
    for seed in (3, 3, 4):
        fuzz(target, tmp_path, inputs=20, seed=seed)
    assert read[:20] == read[20:40] != read[40:]
