"""Callbacks that write what happens to files: checkpoints of the network, figures as CSV, figures for TensorBoard."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .._data import boolean, positive_int
from .base import Callback
from .watching import Watcher

if TYPE_CHECKING:
    from os import PathLike


class ModelCheckpoint(Watcher):
    """Saves the network with `net.save` after an epoch. Keras's definition; `saved` is the last file's path.

    Args:
        path: of the file; {epoch}, counted from 1, and the names of figures are replaced, as "{epoch:03d}-{loss:.3f}".
        monitor, mode: as for EarlyStopping; needed where only the best are saved.
        best_only: whether a file is written only where the figure is better than at all epochs before.
        every: epochs from one that may be saved to the next.

    Raises (in fit):
        ValueError: the figure is not recorded, or the path names an unknown one.
        OSError: a file cannot be written; training ends there, with the last completed step.

    >>> import fastnn as fnn
    >>> keep = fnn.ModelCheckpoint("model-{epoch:02d}.safetensors", "loss", best_only=True)
    """

    def __init__(
        self,
        path: str | PathLike[str],
        monitor: str = "val_loss",
        *,
        best_only: bool = False,
        every: int = 1,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode, 0.0)
        self.path = os.fspath(path)
        self.best_only, self.every = boolean(best_only, "best_only"), positive_int(every, "every")

    def on_fit_begin(self):
        if self.best_only:
            super().on_fit_begin()
        self.best, self.saved = self.worst, None
        try:
            self._path_of(0, dict.fromkeys(self.figures, 0.0))
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(("epoch", *self.figures))
            raise ValueError(f"path: {self.path!r} cannot be filled in ({error}); there is {known}") from None

    def on_epoch_end(self, epoch, logs):
        if (epoch + 1) % self.every:
            return
        if self.best_only:
            if not self.is_better(logs[self.monitor], self.best):
                return
            self.best = logs[self.monitor]
        path = self._path_of(epoch, logs)
        self.network.save(path)
        self.saved = path

    def _path_of(self, epoch, logs):
        return self.path.format(epoch=epoch + 1, **logs)


class CSVLogger(Callback):
    """Writes a line for each epoch to a CSV file: epoch, the figures, the learning rate, seconds.

    The header names the columns. Every line is in the file when its epoch is over.

    Args:
        path: of the file.
        separator: between the columns.
        append: whether an existing file is continued, without a second header; it is replaced otherwise.

    >>> import fastnn as fnn, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "log.csv")
    >>> net = fnn.Network([fnn.Dense(1)], seed=0)
    >>> history = net.fit([0.0, 1.0], [1.0, 3.0], epochs=2, callbacks=fnn.CSVLogger(path))
    >>> path.read_text().splitlines()[0]
    'epoch,loss,learning_rate,seconds'
    """

    def __init__(self, path: str | PathLike[str], *, separator: str = ",", append: bool = False) -> None:
        self.path, self.separator, self.append = os.fspath(path), separator, boolean(append, "append")
        self._file: Any = None

    def on_fit_begin(self):
        import csv  # costs a millisecond, which programs without this callback need not wait for

        mode = "a" if self.append else "w"
        self._file = open(self.path, mode, newline="", encoding="utf-8")  # noqa: SIM115 - closed in on_fit_end
        self._rows = csv.writer(self._file, delimiter=self.separator, lineterminator="\n")
        if not self._file.tell():
            self._rows.writerow(["epoch", *self.figures, "learning_rate", "seconds"])

    def on_epoch_end(self, epoch, logs):
        history = self.history
        rate = history.learning_rates[-1] if history.learning_rates else ""
        values = [logs[name] for name in self.figures]
        self._rows.writerow([epoch, *map(_plain, values), rate, f"{history.seconds[-1]:.6g}"])
        self._file.flush()

    def on_fit_end(self):
        if self._file is not None:
            self._file.close()
            self._file = None


def _plain(value):
    """A figure as one cell; a matrix as nested lists."""
    return np.asarray(value).tolist()


class TensorBoard(Callback):
    """Writes figures for TensorBoard, through tensorboardX, an extra (`pip install fastnn[tensorboard]`).

    Training figures go to `log_dir/train`, those of the validation to `log_dir/validation`, as epoch_loss, ...; the
    learning rate and the seconds of each epoch as epoch_learning_rate and epoch_seconds. Figures that are no numbers,
    as confusion matrices, are left out.

    Args:
        log_dir: the folder of this run.
        histograms: whether the weights are written as histograms after each epoch, under their names.

    Raises:
        ImportError: tensorboardX is not installed.
    """

    def __init__(self, log_dir: str | PathLike[str] = "logs", *, histograms: bool = False) -> None:
        try:
            import tensorboardX
        except ImportError as error:
            raise ImportError(
                "TensorBoard writes through tensorboardX: pip install tensorboardX (or fastnn[tensorboard])"
            ) from error
        self._open = tensorboardX.SummaryWriter
        self.log_dir, self.histograms = os.fspath(log_dir), boolean(histograms, "histograms")
        self._writers: dict[str, Any] = {}

    def on_fit_begin(self):
        parts = ["train", "validation"] if any(name.startswith("val_") for name in self.figures) else ["train"]
        self._writers = {part: self._open(os.path.join(self.log_dir, part)) for part in parts}

    def on_epoch_end(self, epoch, logs):
        train = self._writers["train"]
        for name, value in logs.items():
            if np.ndim(value) == 0:
                part = "validation" if name.startswith("val_") else "train"
                self._writers[part].add_scalar(f"epoch_{name.removeprefix('val_')}", float(value), epoch)
        if self.history.learning_rates:
            train.add_scalar("epoch_learning_rate", self.history.learning_rates[-1], epoch)
        train.add_scalar("epoch_seconds", self.history.seconds[-1], epoch)
        if self.histograms:
            for name, weight in self.network.get_weights().items():
                train.add_histogram(name, weight, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_fit_end(self):
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()
