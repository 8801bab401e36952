"""What ``benchmarks.gradcheck`` gives to the checkers: by subject, functions and classes as people
write them, right and with mistakes whose cause is known (``form`` has how)."""

from benchmarks.gradcheck_cases import (
    activations,
    attention,
    dense,
    images,
    losses,
    normalization,
    objects,
    recurrent,
    spoilt,
)
from benchmarks.gradcheck_cases.form import Case

SUBJECTS = (dense, activations, losses, normalization, recurrent, attention, images, objects)
WRITTEN: list[Case] = [case for subject in SUBJECTS for case in subject.CASES]
SPOILT: list[Case] = [*spoilt.spoilt_cases(), *spoilt.right_cases()]
