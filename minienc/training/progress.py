"""The progress bar: tqdm's in a terminal or a notebook, one plain line an epoch in a log file."""

from __future__ import annotations

import sys
import time
from typing import Any

from minienc.training.callbacks import Callback


class ProgressBar(Callback):
    """Show how far training is, what the loss is, and how long it will take.

    Parameters
    ----------
    verbose : int
        1: a bar over all batches of all epochs, and now and then a line, some twenty in all;
        where the output is no terminal (a log file), the lines alone. 2: a line for each epoch.
    """

    order = 2
    belongs_to_run = False

    def __init__(self, verbose: int = 1) -> None:
        self.verbose = verbose
        self.bar: Any = None

    def on_train_begin(self, logs: dict[str, float]) -> None:
        trainer = self.trainer
        self.done_before = trainer.batches_done
        self.started = time.monotonic()
        self.wants_batches = False
        if self.verbose != 1:
            return
        from tqdm.auto import tqdm

        self.bar = tqdm(
            total=trainer.epochs * trainer.n_batches,
            initial=trainer.batches_done,
            unit="batch",
            disable=None,  # no bar where the output is no terminal
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr,
        )
        self.wants_batches = not self.bar.disable

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if self.bar is not None and not self.bar.disable:
            self.bar.set_description(f"epoch {self.trainer.epoch + 1}", refresh=False)
            self.bar.set_postfix_str(f"loss {logs['loss']:.4g}", refresh=False)
            self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        trainer = self.trainer
        every = 1 if self.verbose == 2 else -(-trainer.epochs // 20)
        if (epoch + 1) % every and epoch + 1 != trainer.epochs and not trainer.stop_training:
            return
        seconds = time.monotonic() - self.started
        done = trainer.batches_done - self.done_before
        left = seconds / max(done, 1) * (trainer.epochs * trainer.n_batches - trainer.batches_done)
        shown = list(logs.items())[:6]  # a method may log much more
        values = "  ".join(f"{name} {value:.5g}" for name, value in shown)
        width = len(str(trainer.epochs))
        self._print(
            f"epoch {epoch + 1:>{width}}/{trainer.epochs}  {values}  "
            f"{_time(seconds)} gone, {_time(left)} left"
        )

    def on_train_end(self, logs: dict[str, float]) -> None:
        self._close()

    def on_interrupt(self) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _print(self, line: str) -> None:
        if self.bar is not None and not self.bar.disable:
            self.bar.write(line, file=sys.stdout)
        else:
            print(line, flush=True)


def _time(seconds: float) -> str:
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
