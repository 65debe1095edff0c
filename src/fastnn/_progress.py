"""The progress of `fit`: tqdm's bar where tqdm is installed, else a line that is rewritten; a line an epoch on request.

Shown on a terminal or in a notebook; elsewhere, and where nobody asks, there is silence and tqdm is not imported.
"""

import importlib
import os
import sys
import time
import warnings

INTERVAL = 0.1  # seconds between two writings of the line


def progress_of(verbose, epochs):
    """The progress for verbose: "auto" (shown where somebody looks), 0 or False, 1 or True (a line), 2 (one an epoch).

    >>> progress_of(0, 10).level
    0
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f'verbose: expected "auto", 0, 1 or 2, got {verbose!r}')
    stream = sys.stderr
    if verbose == "auto":
        verbose = stream is not None and (stream.isatty() or _in_notebook())
    level = 0 if stream is None else int(verbose)  # there is no stderr without a console
    if level == 0:
        return Progress(stream, epochs)
    if level == 2:
        return Lines(stream, epochs)
    tqdm = _tqdm()
    return Line(stream, epochs) if tqdm is None else Bar(stream, epochs, tqdm)


class Progress:
    """Silence, and what the others have in common. level: 0 silence, 1 a moving line, 2 one an epoch."""

    level = 0

    def __init__(self, stream, epochs):
        self.stream, self.epochs = stream, epochs
        self.start = time.perf_counter()

    def update(self, epoch, batch, batches, figures):
        """Somewhere inside an epoch."""

    def epoch_end(self, epoch, figures):
        """An epoch is over."""

    def end(self):
        """Training is over, in whatever way."""

    def _text(self, figures):
        shown = [f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, float)]
        return " ".join([*shown, f"{time.perf_counter() - self.start:.1f} s"])


class Lines(Progress):
    """A line for each epoch."""

    level = 2

    def epoch_end(self, epoch, figures):
        self.stream.write(f"epoch {epoch + 1}/{self.epochs} {self._text(figures)}\n")


class Line(Progress):
    """One line that is rewritten a few times a second; at the end it has the figures of the last whole epoch."""

    level = 1

    def __init__(self, stream, epochs):
        super().__init__(stream, epochs)
        self.columns = _columns(stream)
        self.last = 0.0
        self.width = 0
        self.done = ""

    def update(self, epoch, batch, batches, figures):
        now = time.perf_counter()
        if now - self.last < INTERVAL:
            return
        self.last = now
        bar = "=" * int(20 * (epoch + batch / batches) / self.epochs)
        self._write(f"epoch {min(epoch + 1, self.epochs)}/{self.epochs} [{bar:<20}] {self._text(figures)}")

    def epoch_end(self, epoch, figures):
        self.done = f"epoch {epoch + 1}/{self.epochs} {self._text(figures)}"
        self.update(epoch + 1, 0, 1, figures)

    def end(self):
        if self.done or self.width:
            self._write(self.done)
            self.stream.write("\n")

    def _write(self, line):
        line = line[: self.columns]
        self.stream.write("\r" + line.ljust(self.width))
        self.stream.flush()
        self.width = len(line)


class Bar(Progress):
    """A bar of tqdm over the epochs, which moves within them too; tqdm decides how often it is drawn."""

    level = 1

    def __init__(self, stream, epochs, tqdm):
        super().__init__(stream, epochs)
        shape = "{desc}{percentage:3.0f}%|{bar}| {n:.4g}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        self.bar = tqdm(total=epochs, file=stream, unit="epoch", bar_format=shape, dynamic_ncols=True)
        self.last = 0.0
        self.done = None

    def update(self, epoch, batch, batches, figures):
        now = time.perf_counter()
        if now - self.last >= INTERVAL:
            self.last = now
            self._move(epoch + batch / batches, figures)

    def epoch_end(self, epoch, figures):
        self.done = epoch + 1, figures
        self.update(epoch + 1, 0, 1, figures)

    def end(self):
        if self.done is not None:
            self._move(*self.done)
        self.bar.close()

    def _move(self, epochs, figures):
        shown = {name: f"{value:.4g}" for name, value in figures.items() if isinstance(value, float)}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(epochs - self.bar.n)


def _tqdm():
    """tqdm's class for this place, terminal or notebook; None where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a notebook without the widgets, where it falls back to text by itself
        try:
            return importlib.import_module("tqdm.auto").tqdm
        except ImportError:
            return None


def _in_notebook():
    """Whether IPython runs this in a notebook, which shows what goes to stderr."""
    shell = sys.modules.get("IPython")
    shell = None if shell is None else shell.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _columns(stream):
    """The longest line that can be rewritten, since one that wraps cannot; None where the stream has no width."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
        return columns - 1 if columns > 1 else None
    except (AttributeError, OSError, ValueError):
        return None
