"""What you train on sounds: one file for each method, as in ``minienc.pretraining``.

A sample is a sequence of log-mel frames (T, F), as ``minienc.data.sequences`` makes them, with
zeros behind its end. A method is a subclass of ``SoundPretrainer`` with a name in ``method``; a
file with one that is put into this folder is found by itself.
"""

from minienc.audio.base import SoundPretrainer
from minienc.audio.encoder import FramesEncoder
from minienc.pretraining.discovery import methods_in

METHODS: dict[str, type[SoundPretrainer]] = methods_in(__path__, __name__)

__all__ = ["METHODS", "FramesEncoder", "SoundPretrainer"]
for _class in METHODS.values():
    globals()[_class.__name__] = _class
    __all__ += [_class.__name__]
__all__ = sorted(set(__all__))
