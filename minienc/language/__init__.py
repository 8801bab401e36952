"""What you train on text: one file for each method, as in ``minienc.pretraining``.

A method is a subclass of ``TextPretrainer`` with a name in ``method``. A file with one that is put
into this folder is found by itself: ``METHODS``, the command line and the tests take it from there.
"""

import importlib
import pkgutil

from minienc.language.base import TextPretrainer
from minienc.language.lm import LanguageModel
from minienc.language.ngrams import KneserNey, compressed_nats

METHODS: dict[str, type[TextPretrainer]] = {}

__all__ = ["METHODS", "KneserNey", "LanguageModel", "TextPretrainer", "compressed_nats"]

for _file in pkgutil.iter_modules(__path__):
    for _name, _class in vars(importlib.import_module(f"{__name__}.{_file.name}")).items():
        if isinstance(_class, type) and "method" in vars(_class):
            METHODS[vars(_class)["method"]] = _class
            globals()[_name] = _class
            __all__ += [_name]
__all__ = sorted(set(__all__))
