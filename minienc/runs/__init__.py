"""A run of ``minienc pretrain`` and the folder that it leaves.

    RUN/config.json        everything that is needed to repeat the run
    RUN/checkpoints/       the state of training, for --resume
    RUN/model.npz          the whole model; RUN/encoder.npz its encoder
    RUN/history.csv        the losses of each epoch
    RUN/results.json       the figures, written before anything is drawn of them
    RUN/report.html        the page to look at; written last: the run is complete

``config.json`` is written before training begins, so that a run that was killed at any moment
can be resumed from the folder alone; with it stands a fingerprint of the data, so that no run goes
on with others. While a run is trained, its folder is held: a second process that wants it is told.
"""

from minienc.runs.settings import default_method, explain_options, method_class, take_options
from minienc.runs.training import pretrain, resume
from minienc.runs.uses import encode_run, finetune_run

__all__ = [
    "default_method",
    "encode_run",
    "explain_options",
    "finetune_run",
    "method_class",
    "pretrain",
    "resume",
    "take_options",
]
