"""The progress line of `fit`: rewritten on a terminal, a line an epoch where that is asked for, else silence."""

import os
import sys
import time

INTERVAL = 0.1  # seconds between two writings of the line


class Progress:
    """verbose: "auto" (a line if stderr is a terminal), 0 or False (silence), 1 or True (a line), 2 (one an epoch)."""

    def __init__(self, verbose, epochs):
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'verbose: expected "auto", 0, 1 or 2, got {verbose!r}')
        self.stream = sys.stderr
        if verbose == "auto":
            verbose = self.stream is not None and self.stream.isatty()
        self.level = 0 if self.stream is None else int(verbose)  # there is no stderr without a console
        self.epochs = epochs
        self.columns = _columns(self.stream)
        self.start = time.perf_counter()
        self.last = 0.0
        self.width = 0
        self.done = ""

    def update(self, epoch, batch, batches, figures):
        """Rewrites the line, a few times a second at most."""
        now = time.perf_counter()
        if self.level != 1 or now - self.last < INTERVAL:
            return
        self.last = now
        bar = "=" * int(20 * (epoch + batch / batches) / self.epochs)
        self._write(f"epoch {min(epoch + 1, self.epochs)}/{self.epochs} [{bar:<20}] {self._text(figures)}")

    def epoch_end(self, epoch, figures):
        """An epoch is over."""
        self.done = f"epoch {epoch + 1}/{self.epochs} {self._text(figures)}"
        if self.level == 2:
            self.stream.write(f"{self.done}\n")
        self.update(epoch + 1, 0, 1, figures)

    def end(self):
        """Training is over, in whatever way: the figures of the last whole epoch stay on a line of their own."""
        if self.level == 1 and (self.done or self.width):
            self._write(self.done)
            self.stream.write("\n")

    def _write(self, line):
        line = line[: self.columns]
        self.stream.write("\r" + line.ljust(self.width))
        self.stream.flush()
        self.width = len(line)

    def _text(self, figures):
        shown = [f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, float)]
        return " ".join([*shown, f"{time.perf_counter() - self.start:.1f} s"])


def _columns(stream):
    """The longest line that can be rewritten, since one that wraps cannot; None where the stream has no width."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
        return columns - 1 if columns > 1 else None
    except (AttributeError, OSError, ValueError):
        return None
