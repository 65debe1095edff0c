"""The progress line of `fit`: one line that is rewritten on a terminal, a line an epoch where that is asked for, else silence."""

import sys
import time

INTERVAL = 0.1  # seconds between two writings of the line


class Progress:
    """verbose: "auto" (a line if stderr is a terminal), 0 or False (silence), 1 or True (the line), 2 (a line an epoch)."""

    def __init__(self, verbose, epochs):
        if isinstance(verbose, str) and verbose != "auto" or not isinstance(verbose, (str, bool, int)) or verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'verbose: expected "auto", 0, 1 or 2, got {verbose!r}')
        if verbose == "auto":
            verbose = 1 if sys.stderr is not None and sys.stderr.isatty() else 0
        self.level, self.epochs = int(verbose), epochs
        self.start = time.perf_counter()
        self.last = 0.0
        self.width = 0

    def update(self, epoch, batch, batches, figures):
        """Rewrites the line, a few times a second at most."""
        now = time.perf_counter()
        if self.level != 1 or now - self.last < INTERVAL:
            return
        self.last = now
        done = (epoch + batch / batches) / self.epochs
        bar = "=" * int(20 * done)
        self._write(f"\repoch {epoch + 1}/{self.epochs} [{bar:<20}] {_text(figures)} {now - self.start:.1f} s")

    def epoch_end(self, epoch, figures):
        """An epoch is over."""
        if self.level == 2:
            sys.stderr.write(f"epoch {epoch + 1}/{self.epochs} {_text(figures)} {time.perf_counter() - self.start:.1f} s\n")
        else:
            self.update(epoch + 1 if epoch + 1 < self.epochs else epoch, 0 if epoch + 1 < self.epochs else 1, 1, figures)
        self.figures = figures

    def end(self, epoch):
        """Training is over, in whatever way: leaves the last figures on a line of their own."""
        if self.level == 1 and epoch:
            self._write(f"\repoch {epoch}/{self.epochs} {_text(self.figures)} {time.perf_counter() - self.start:.1f} s")
            sys.stderr.write("\n")

    def _write(self, line):
        sys.stderr.write(line.ljust(self.width))
        sys.stderr.flush()
        self.width = len(line)


def _text(figures):
    return " ".join(f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, float))
