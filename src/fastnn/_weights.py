"""The parameters of a network as its users see them: the methods of Network that show and set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._data import weight
from .errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike

    from ._typing import Reals


class Weights:
    """The methods of Network for its parameters, and what of Network they take."""

    dtype: Any
    _built: Callable[..., Any]

    @property
    def params(self) -> Reals:
        """All parameters as one flat vector, the network's own memory: writing to it changes the network."""
        return self._built().memory.params

    @property
    def grads(self) -> Reals:
        """The gradients of the last `train_on_batch` or `loss_and_gradients`, laid out as `params`.

        In a callback those of the last step. A `fit` without callbacks uses the gradients of large weights up as it
        sums them, and leaves theirs here as they were.
        """
        return self._built().memory.grads

    def get_weights(self) -> dict[str, Reals]:
        """{name: read-only view} of every parameter, and running statistics: "layers.0.weight", "layers.0.bias", ..."""
        state = self._built()
        weights = state.memory.named()
        for view in weights.values():
            view.flags.writeable = False
        return weights

    def set_weights(self, mapping: Mapping[str, ArrayLike]) -> None:
        """Sets every parameter from {name: array}, all or nothing.

        Raises:
            ValueError: a name is unknown or missing. ShapeError: a shape differs. The network is unchanged then.
        """
        views = self._built().memory.named()
        for name in mapping:
            if name not in views:
                raise unknown_name("weight", name, views)
        missing = [name for name in views if name not in mapping]
        if missing:
            raise ValueError(f"set_weights: missing {', '.join(missing)}")
        checked = {name: weight(mapping[name], view.shape, self.dtype, name=name) for name, view in views.items()}
        before = self._snapshot()
        try:
            for name, array in checked.items():
                views[name][...] = array
        except BaseException:  # Ctrl-C between two of them
            self._restore(before)
            raise

    def _snapshot(self) -> tuple:
        """Copies of all that get_weights shows."""
        memory = self._built().memory
        return memory.params.copy(), memory.state.copy()

    def _restore(self, snapshot):
        """Back to what `_snapshot` returned."""
        memory = self._built().memory
        memory.params[:], memory.state[:] = snapshot
