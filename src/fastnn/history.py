"""History: what `fit` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView, ValuesView
    from os import PathLike


class History:
    """The figures of each epoch: `history["loss"]` is a list, `history.epochs` the numbers of the epochs.

    Iterates like a mapping (`keys`, `items`, `in`). For each epoch there are also `seconds`, how long it took with its
    validation, and `learning_rates`, the rate of its last step (none for solvers). `stop_reason` says why training
    ended.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(fnn.schedules.Step(0.4, 1, 0.5)), seed=0)
    >>> history = net.fit([0.0, 1.0], [1.0, 3.0], epochs=3)
    >>> len(history["loss"]), history.learning_rates, history.stop_reason
    (3, [0.4, 0.2, 0.1], 'all epochs done')
    """

    def __init__(self) -> None:
        self.stop_reason = ""
        self._epochs, self._seconds, self._learning_rates = _Column(), _Column(), _Column()
        self._figures: dict[str, _Column] = {}

    def extend(self, epochs, figures, learning_rates, seconds):
        """Appends what belongs to some epochs, sequences of equal length; no learning rates where there are none."""
        self._epochs.extend(epochs)
        self._learning_rates.extend(learning_rates)
        self._seconds.extend(seconds)
        for name, values in figures.items():
            self._figures.setdefault(name, _Column()).extend(values)

    @property
    def epochs(self) -> list[int]:
        """The numbers of the epochs."""
        return self._epochs.read()

    @property
    def seconds(self) -> list[float]:
        """How long each epoch took."""
        return self._seconds.read()

    @property
    def learning_rates(self) -> list[float]:
        """The learning rate of each epoch's last step."""
        return self._learning_rates.read()

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._figures:
            raise KeyError(f"{name!r} was not recorded; there is {', '.join(self._figures) or 'nothing yet'}")
        return self._figures[name].read()

    def __contains__(self, name: object) -> bool:
        return name in self._figures

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def _lists(self) -> dict[str, list[Any]]:
        return {name: column.read() for name, column in self._figures.items()}

    def keys(self) -> KeysView[str]:
        return self._figures.keys()

    def values(self) -> ValuesView[list[Any]]:
        return self._lists().values()

    def items(self) -> ItemsView[str, list[Any]]:
        return self._lists().items()

    def plot(self, *, path: str | PathLike[str] | None = None) -> Any:
        """The learning curves as a picture (needs matplotlib); saved where `path` is given. Returns the figure."""
        from .plot import plot_history

        return plot_history(self, path=path)

    def __repr__(self) -> str:
        last = ", ".join(f"{k}={v[-1]:.4g}" for k, v in self.items() if isinstance(v[-1], float))
        return f"<History of {len(self.epochs)} epochs: {last}>"


class _Column:
    """What every epoch has one of. Lists are added at once; ranges and arrays, of epochs that nobody watched, when
    somebody looks: in a fit of two thousand epochs of half a microsecond, their lists would be a tenth of the time."""

    __slots__ = ("_all", "_waiting")

    def __init__(self):
        self._all, self._waiting = [], []

    def extend(self, values):
        if isinstance(values, list) and not self._waiting:
            self._all.extend(values)
        else:
            self._waiting.append(values)

    def read(self):
        for values in self._waiting:
            self._all.extend(values.tolist() if hasattr(values, "tolist") else values)
        self._waiting.clear()
        return self._all
