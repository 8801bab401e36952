"""What you train on text: one file for each method, as in ``minienc.pretraining``.

A method is a subclass of ``TextPretrainer`` with a name in ``method``. A file with one that is put
into this folder is found by itself: ``METHODS``, the command line and the tests take it from there.
"""

from minienc.language.base import TextPretrainer
from minienc.language.lm import LanguageModel
from minienc.language.naive_bayes import NaiveBayes
from minienc.language.ngrams import KneserNey, compressed_nats
from minienc.pretraining.discovery import methods_in

METHODS: dict[str, type[TextPretrainer]] = methods_in(__path__, __name__)

__all__ = [
    "METHODS",
    "KneserNey",
    "LanguageModel",
    "NaiveBayes",
    "TextPretrainer",
    "compressed_nats",
]
for _class in METHODS.values():
    globals()[_class.__name__] = _class
    __all__ += [_class.__name__]
__all__ = sorted(set(__all__))
