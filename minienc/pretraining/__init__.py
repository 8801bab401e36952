"""What you train: one file for each method, one protocol (``base``) for all.

A method is a subclass of ``Pretrainer`` with a name in ``method``. A file with one that is put into
this folder is found by itself: ``METHODS``, the command line and the tests take it from there.
"""

from minienc.pretraining.base import Pretrainer
from minienc.pretraining.baselines import PCA, MeanSample
from minienc.pretraining.discovery import methods_in
from minienc.pretraining.stepped import SteppedPretrainer

METHODS: dict[str, type[Pretrainer]] = methods_in(__path__, __name__)

__all__ = ["METHODS", "PCA", "MeanSample", "Pretrainer", "SteppedPretrainer"]
for _class in METHODS.values():
    globals()[_class.__name__] = _class
    __all__ += [_class.__name__]
__all__ = sorted(set(__all__))
