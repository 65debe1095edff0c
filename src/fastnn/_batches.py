"""Batches that come one by one, from a generator or a loader: what `fit` takes in the place of arrays.

Nothing is known here of networks: `read` turns a batch of the user's into checked samples.
"""

from .errors import ShapeError


class Batches:
    """An iterable of (X, y) or (X, y, sample_weight), or a function that makes such an iterator for each epoch.

    first: the first batch, as the user gave it; read: set by the caller, before the first epoch.
    """

    def __init__(self, source, epochs):
        if hasattr(source, "shape"):
            raise TypeError(
                "y must be an array or a list of numbers, got NoneType; X alone is for batches (X, y) one by one"
            )
        if callable(source):
            self._make = source
        elif hasattr(source, "__iter__"):
            self._make = lambda: iter(source)
        else:
            raise TypeError(f"X without y: expected an iterable of (X, y) batches, got {type(source).__name__}")
        self._iterator = self._make()
        if not hasattr(self._iterator, "__next__"):
            self._iterator = iter(self._iterator)
        if epochs > 1 and self._iterator is source:
            raise ValueError(
                f"X is a generator, which runs through once; pass the function that makes it for {epochs} epochs"
            )
        self.length = len(source) if hasattr(source, "__len__") else 0
        try:
            self.first = _checked(next(self._iterator))
        except StopIteration:
            raise ShapeError("X yields no batches") from None
        self.read = None

    def epoch(self):
        """The samples of each batch of the next epoch."""
        if self._iterator is None:
            self._iterator = iter(self._make())
        count = 0
        if self.first is not None:
            first, self.first, count = self.first, None, 1
            yield self.read(*first)
        for batch in self._iterator:
            count += 1
            yield self.read(*_checked(batch))
        self._iterator = None
        if not count:
            raise ShapeError("X yields no batches in this epoch; pass a function that makes a generator for each")

    def close(self):
        """Ends a generator that was not run to its end, so that what it holds is let go."""
        iterator, self._iterator = self._iterator, None
        if hasattr(iterator, "close"):
            iterator.close()


def _checked(batch):
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise TypeError(f"X without y: expected batches (X, y) or (X, y, sample_weight), got {got}")
    return tuple(batch)
