"""What you train: one file for each method, one protocol (``base``) for all.

A method is a subclass of ``Pretrainer`` with a name in ``method``. A file with one that is put into
this folder is found by itself: ``METHODS``, the command line and the tests take it from there.
"""

import importlib
import pkgutil

from minienc.pretraining.base import Pretrainer
from minienc.pretraining.baselines import PCA, MeanSample
from minienc.pretraining.stepped import SteppedPretrainer

METHODS: dict[str, type[Pretrainer]] = {}

__all__ = ["METHODS", "PCA", "MeanSample", "Pretrainer", "SteppedPretrainer"]

for _file in pkgutil.iter_modules(__path__):
    for _name, _class in vars(importlib.import_module(f"{__name__}.{_file.name}")).items():
        if isinstance(_class, type) and "method" in vars(_class):
            METHODS[vars(_class)["method"]] = _class
            globals()[_name] = _class
            __all__ += [_name]
__all__ = sorted(set(__all__))
