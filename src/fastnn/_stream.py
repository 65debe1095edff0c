"""Stream: a network that takes one time step after another and remembers, for live signals and generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _data, _programs, _reading
from ._threads import default_thread_count
from .errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._typing import Reals
    from .network import Network


class Stream:
    """What `Network.stream` returns.

    Attributes:
        position: steps since the beginning.
        length: the most steps, or None where the network keeps nothing of each step.
    """

    def __init__(self, network: Network, rows: int, length: int | None) -> None:
        state = network._built()
        built = state.graph
        if len(built.inputs) != 1 or len(built.outputs) != 1:
            raise ValueError("a stream needs a network of one input and one output")
        (given,) = built.inputs
        if given.kind == "real" and len(given.shape) < 2:
            raise ShapeError(f"a stream takes steps of sequences, and this network's samples have shape {given.shape}")
        most = given.shape[0] if length is None else length
        graph = state.structure.plan(((1, *given.shape[1:]),), known=built, stream_length=most)
        self.position = 0
        self.length = most if graph.bounded else None
        self._graph, self._state = graph, state.memory.state
        self._strict = bool(_reading.strict_columns(graph))
        self._given, self._rows, self._where = given, rows, network._where()
        compiled = state.compile(graph, "predictor", rows)
        self._program = compiled.program
        x, y = compiled.array(graph.inputs[0])[:, 0], compiled.array(graph.outputs[0])
        self._run = state.memory.engine.Predictor(
            compiled.program, x, y[:, 0] if graph.outputs[0].timed else y, given.limit or 0,
            graph.work * rows > _programs.RELEASE_WORK, default_thread_count(), rows,
            graph.inputs[0].missing,
        )  # fmt: skip
        self._dtype = network.dtype

    def step(self, x: ArrayLike, out: Reals | None = None) -> Any:
        """The output after one more step.

        Args:
            x: (rows, features), or for one row (features,); for token ids (rows,), or for one row an int.
            out: an array of the result's shape and dtype to write to.

        Raises:
            ShapeError, ValueError, TypeError: x is not as needed; the step then did not take place.
            ValueError: the stream is full.
        """
        if self.position == self.length:
            raise ValueError(f"the stream is full after {self.length} steps: reset() it, or make a longer one")
        result = None if self._strict else self._run.step(x, out)
        if result is None:
            result = self._run.step(self._checked(x), out)
            if result is None:
                raise ValueError("out: expected a writable C-contiguous array of the result's shape and dtype")
        self.position += 1
        return result

    def _checked(self, x):
        """x as the engine takes it, after all checks."""
        ids, shape = self._given.kind == "ids", self._given.shape[1:]
        array = _data.numbers(x, "x")
        single = self._rows == 1 and array.shape == shape
        checked = _data.features(
            array[None] if single else array, shape, self._dtype, name="x", where=self._where, integer=ids,
            limit=self._given.limit, missing=self._graph.inputs[0].missing,
        )  # fmt: skip
        if self._strict:
            _reading.check_categories(self._graph, self._state, [checked])
        if len(checked) != self._rows:
            raise ShapeError(f"x has {len(checked)} rows, and the stream was made for {self._rows}")
        return checked.reshape(shape) if single else checked

    def reset(self) -> None:
        """Forgets all steps: the next one is the first."""
        self._program.rewind()
        self.position = 0
