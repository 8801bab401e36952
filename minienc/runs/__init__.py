"""A run of ``minienc pretrain`` and the folder that it leaves.

    RUN/config.json        everything that is needed to repeat the run
    RUN/checkpoints/       the state of training, for --resume
    RUN/model.npz          the whole model; RUN/encoder.npz its encoder
    RUN/history.csv        the losses of each epoch
    RUN/results.json       the figures; written last: its presence says that the run is complete
    RUN/report.html        the page to look at

``config.json`` is written before training begins, so that a run that was killed at any moment
can be resumed from the folder alone.
"""

from minienc.runs.settings import method_class, take_options
from minienc.runs.training import pretrain, resume
from minienc.runs.uses import encode_run, finetune_run

__all__ = ["encode_run", "finetune_run", "method_class", "pretrain", "resume", "take_options"]
