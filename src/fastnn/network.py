"""Network: the layers with their loss and optimizer, behind fit and predict.

Thin on purpose: arrays are checked in `_samples`, epochs run in `_fit`, programs come from `_programs`. What is here is
the order of things: check everything, then plan, then change the network, so that an error leaves it as it was.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from . import _adapt, _figures, _metadata, _programs, _samples
from ._compile import PRECISIONS
from ._core.binding import Exclusive
from ._data import boolean, fraction, non_negative_int, positive, positive_int, sample_shape
from ._graph import Unlearned, Value
from ._inspection import Inspection
from ._prediction import Prediction
from ._structure import Structure
from ._threadpoolctl import register_if_imported
from ._threads import thread_count
from ._weights import Weights
from .errors import NotFittedError, ShapeError, unknown_name
from .losses import Loss
from .optimizers import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike, DTypeLike

    from ._lr_find import RateSearch
    from ._typing import CallbacksLike, LossLike, MetricLike, OptimizerLike, Reals, Shape
    from .history import History
    from .layers.base import Input, Layer, Node
    from .metrics import Metric

DTYPES = {"float32": np.dtype("float32"), "float64": np.dtype("float64")}


class Network(Prediction, Weights, Inspection):
    """A neural network: layers, a loss, an optimizer.

    Args:
        layers: in sequence. For graphs give `inputs` and `outputs` instead: what `Input` and called layers returned.
        loss: a name, a Loss, or `f(y, p) -> (loss, dloss_dp)`; a list for several outputs. The default follows the last
            activation: softmax "cross_entropy", sigmoid "binary_cross_entropy", otherwise "mse".
        optimizer: a name or an Optimizer.
        metrics: names, Metrics or callables (y, p) -> float.
        input_shape: of one sample; the default is taken from the first X.
        dtype: "float32" or "float64".
        precision: of matrix products: "highest", "high" or "medium". The lower ones take bfloat16 tiles where the CPU
            has them and are "highest" elsewhere; `show_config()` says which.
        seed: makes everything repeatable; None takes one from the system.

    Raises:
        ValueError, TypeError: an argument is unknown or out of range.
        ShapeError: layers do not fit together.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(8, "tanh"), fnn.Dense(1, "sigmoid")], optimizer=fnn.Adam(0.1), seed=1)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = net.fit(X, y, epochs=200, batch_size=4)
    >>> net.predict(X).round().ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(
        self,
        layers: Layer | Sequence[Layer] | None = None,
        *,
        inputs: Input | Sequence[Input] | None = None,
        outputs: Node | Sequence[Node] | None = None,
        loss: LossLike | Sequence[LossLike | None] | None = None,
        optimizer: OptimizerLike = "adam",
        metrics: MetricLike | Sequence[MetricLike] = (),
        input_shape: Shape | None = None,
        dtype: DTypeLike = "float32",
        precision: str = "highest",
        seed: int | None = None,
    ) -> None:
        structure = Structure(layers, inputs, outputs)
        if outputs is not None and input_shape is not None:
            raise TypeError("input_shape belongs to a list of layers; with inputs= each Input has its shape")
        self._configure(structure, loss, optimizer, metrics, input_shape, dtype, precision, seed)
        if self.input_shape is not None or outputs is not None:
            with suppress(Unlearned):  # the shapes are known at the first fit
                self.build(self.input_shape)

    def _configure(self, structure, loss, optimizer, metrics, input_shape, dtype, precision, seed):
        """Everything but the parameters, which are drawn by `build` or come from a snapshot."""
        self._structure = structure
        self.dtype = _dtype(dtype)
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
        self.precision = precision
        self.seed = seed
        self._seed = int.from_bytes(os.urandom(8), "little") if seed is None else non_negative_int(seed, "seed")
        self.stop_training = False
        register_if_imported()
        self._state = None
        self._predictor = None
        self._training = Exclusive(_BUSY)
        self.loss = loss
        self.optimizer = optimizer
        self.metrics = metrics
        self.input_shape = None if input_shape is None else sample_shape(input_shape, "input_shape")
        self.metadata = {}

    # ---- what it is made of ------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order in which they first run."""
        return self._structure.layers

    @property
    def loss(self) -> Loss | list[Loss | None] | None:
        """The loss as it was given."""
        return self._loss

    @loss.setter
    def loss(self, loss: LossLike | Sequence[LossLike | None] | None) -> None:
        several = isinstance(loss, (list, tuple))
        checked = [None if one is None else Loss.get(one) for one in (loss if several else [loss])]
        checked = checked if several else checked[0]
        with self._exclusively():
            if self._state is not None:
                self.losses = _figures.losses_of(self._state.graph, checked)
                self._state.forget_programs()
            self._loss = checked

    @property
    def optimizer(self) -> Any:
        """The optimizer; setting one forgets the state of the one before."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: OptimizerLike) -> None:
        checked = Optimizer.get(optimizer)
        with self._exclusively():
            self._optimizer = checked
            if self._state is not None:
                self._state.reset_optimizer()

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of fit and evaluate."""
        return self._metrics

    @metrics.setter
    def metrics(self, metrics: MetricLike | Sequence[MetricLike]) -> None:
        if not isinstance(metrics, (list, tuple)):
            metrics = [metrics]
        checked = _checked_metrics(metrics) if metrics else []
        with self._exclusively():
            self._metrics = checked

    @property
    def metadata(self) -> dict[str, Any]:
        """A small dict of JSON values that the network carries, in files and pickles: units, names, its origin.

        Set to a copy of what is given, with tuples as lists; at most 262,144 characters as JSON text. Nothing in it
        has a meaning for the network.

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Dense(1)])
        >>> net.metadata = {"unit": "bottles", "columns": ("visitors", "temperature")}
        >>> net.metadata["columns"]
        ['visitors', 'temperature']
        """
        return self._metadata

    @metadata.setter
    def metadata(self, values: Mapping[str, Any]) -> None:
        self._metadata = _metadata.checked(values)

    def build(self, input_shape: Shape | None = None) -> Self:
        """Makes the parameters without data; a network that has them is left as it is.

        Args:
            input_shape: of one sample; not needed where `Input` or the constructor said it.

        Raises:
            ShapeError: the layers do not fit, or the network was built for another shape.
            NotFittedError: a layer learns from data what shape its output has (`OneHot`).
        """
        shape = None if input_shape is None else sample_shape(input_shape, "input_shape")
        if self._state is not None:
            known = [value.shape for value in self._state.graph.inputs]
            if shape is not None and known != [shape]:
                raise ShapeError(f"the network was built for samples of shape {known[0]}, not {shape}")
            return self
        shapes = self._structure.shapes(shape)
        if None in shapes:
            raise ValueError("build needs the shape of one sample, without the batch axis")
        self._commit(self._draft(shapes))
        return self

    def _draft(self, shapes, inputs=None) -> _programs.State:
        """A state for these input shapes; the network is not changed. inputs: for layers whose shape they say."""
        graph, learned = _adapt.planned(self._structure, shapes, inputs, self.dtype, self._seed)
        _figures.losses_of(graph, self._loss)
        state = _programs.State(self._structure, graph, self.dtype, self.precision, self._seed)
        state.memory.initialize(self._seed)
        _adapt.write(state.memory, learned)
        return state

    def _commit(self, state):
        self.losses = _figures.losses_of(state.graph, self._loss)
        self._state = state

    @contextmanager
    def _committed(self, state, samples=None):
        """The network with this state; back to what it was, none or not adapted, if its first step fails.

        samples: what layers learn from that have not learned yet.
        """
        first, steps, before = self._state is None, state.steps, None
        if samples is not None:
            before = _adapt.adapt(state.memory, samples.graph, samples.inputs)

        def undo():
            if before is not None:
                state.memory.state[:] = before
                state.forget_programs()

        if first:
            self._commit(state)
        try:
            yield undo
        except Exception:
            if first and not state.steps:
                self._state = None
            if state.steps == steps:
                undo()
            raise

    def _built(self) -> _programs.State:
        if self._state is None:
            raise NotFittedError("the network has no parameters yet: call fit, or build, or give input_shape=")
        return self._state

    def _drafted(self, X, share=None):
        """The state, or a draft of one for the shape of X.

        share: of the samples that are kept for validation, where layers may learn from the others.
        """
        if self._state is not None:
            return self._state
        shapes = self._structure.shapes(self.input_shape)
        known = [None if shape is None else Value(shape) for shape in shapes]
        inputs = _samples.read_inputs(X, known, self.dtype, self._where(), missing=True)
        shapes = inputs.shapes if None in shapes else shapes
        return self._draft(shapes, None if share is None else _adapt.part(inputs, share))

    def _where(self):
        return self._structure.reader

    def _losses_of(self, state):
        return self.losses if state is self._state else _figures.losses_of(state.graph, self._loss)

    def _samples(self, state, X, y, sample_weight=None, class_weight=None):
        losses = self._losses_of(state)
        return _samples.read_samples(X, y, state, losses, self._where(), sample_weight, class_weight)

    # ---- training ----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike | Iterable[Any] | Callable[[], Iterable[Any]],
        y: ArrayLike | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        accumulate: int = 1,
        validation_data: tuple[ArrayLike, ...] | None = None,
        validation_split: float = 0.0,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        callbacks: CallbacksLike = (),
        verbose: int | str = "auto",
        threads: int | None = None,
    ) -> History:
        """Trains the network, further where it was trained before, and returns a History.

        Layers that learn from data (`Standardize`, `OneHot`) do so before the first step of the first fit, from the
        samples that are trained on; `adapt` says more.

        Args:
            X: samples (n, ...), or a list of arrays for several inputs. Any numeric dtype, memory order, or DataFrame;
                a memory-mapped array of the network's dtype is read where it lies. Without y: an iterable of batches,
                (X, y) or (X, y, sample_weight), run through once an epoch, each one step; or a function that makes
                such a generator.
            y: targets (n,), (n, k), or class ids; a list for several outputs.
            epochs: passes over the data.
            batch_size: of arrays: samples in a batch; the last one may be smaller. Solvers see all samples, so many at
                a time.
            accumulate: batches in a step: their gradients are gathered to that of one batch of all their samples, in
                the memory of one of them. Steps end with the epoch. Layers that see a batch as a whole, as BatchNorm,
                see each of them.
            validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch as val_...
            validation_split: in [0, 1): the share of the samples, from the end, that is kept for validation.
            shuffle: whether each epoch has a new order, which follows from the seed and the epoch's number.
            sample_weight: (n,), not negative; the loss is sum(w l) / sum(w).
            class_weight: {class: weight} or "balanced" (scikit-learn's definition); multiplies sample_weight.
            callbacks: Callback objects.
            verbose: "auto" (a progress line on a terminal), 0 silence, 1 the line, 2 a line an epoch.
            threads: the most threads to use; the result does not depend on it.

        Raises:
            ValueError, TypeError, ShapeError: with the argument, what was expected, and what came; nothing is changed.
            RuntimeError: the network is in training already, in another thread or in a callback.
            KeyboardInterrupt: the network keeps its last completed step.

        Warns:
            NonFiniteWarning: the loss became infinite or NaN; says in which epoch, batch and layer.
        """
        epochs, batch_size = positive_int(epochs, "epochs"), positive_int(batch_size, "batch_size")
        accumulate = positive_int(accumulate, "accumulate")
        threads = thread_count(threads)
        share = fraction(validation_split, "validation_split")
        shuffle = boolean(shuffle, "shuffle")
        with self._exclusively():
            if y is None:
                if share or sample_weight is not None or class_weight is not None or accumulate > 1:
                    raise ValueError("X without y, batches one by one, goes without validation_split, sample_weight, "
                                     "class_weight and accumulate")  # fmt: skip
                from ._batches import Batches

                batches = Batches(X, epochs)
                state = self._drafted(batches.first[0])
                batches.read = lambda *batch: self._samples(state, *batch)
                samples = batches.read(*batches.first)
                _adapt.expect_adapted(state.memory, state.graph)
            else:
                batches, state = None, self._drafted(X, share)
                samples = self._samples(state, X, y, sample_weight, class_weight)
            validation = None
            if validation_data is not None:
                if share:
                    raise ValueError("give validation_data or validation_split, not both")
                if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
                    raise ValueError("validation_data: expected (X, y) or (X, y, sample_weight)")
                validation = self._samples(state, *validation_data)
            elif share:
                samples, validation = samples.split(share)
            _figures.check(self.metrics, self._losses_of(state), samples, validation)
            from ._fit import Trainer  # a process that only predicts does not need it

            trainer = Trainer(
                self, state, samples, validation, batches=batches, epochs=epochs, batch_size=batch_size,
                accumulate=accumulate, shuffle=shuffle, callbacks=callbacks, verbose=verbose, threads=threads,
            )  # fmt: skip
            with self._committed(state, None if batches else samples):
                return trainer.run()

    def adapt(self, X: ArrayLike) -> Self:
        """Has the layers that learn from data before training (`Standardize`, `OneHot`) learn anew from X.

        The first fit does that by itself; this is for batches one by one, for other data than those that are trained
        on, and for a network that is to go on where its data have changed. Parameters stay; a network that has none yet
        gets them.

        Args:
            X: samples, as for fit.

        Returns:
            The network.

        Raises:
            ShapeError: a column has another number of categories than the network was made for.
            ValueError, TypeError: X is not as needed, or has nothing to learn from; nothing is changed.

        >>> import fastnn as fnn
        >>> net = fnn.Network([fnn.Standardize(), fnn.Dense(1)], seed=0).adapt([[1.0, 2.0], [3.0, 6.0]])
        >>> net.get_weights()["layers.0.mean"].tolist()
        [2.0, 4.0]
        """
        with self._exclusively():
            state = self._drafted(X, 0.0)
            inputs = _samples.read_inputs(X, state.graph.inputs, self.dtype, self._where())
            graph = state.graph_for(inputs.shapes, inputs.padded)
            _adapt.adapt(state.memory, graph, inputs.fed(self.dtype), anew=True)
            if self._state is None:
                self._commit(state)
        return self

    def lr_find(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        batch_size: int = 32,
        start: float = 1e-7,
        end: float = 10.0,
        steps: int = 100,
        diverges: float = 4.0,
        sample_weight: ArrayLike | None = None,
    ) -> RateSearch:
        """The learning rate range test (Smith 2017): trains with a rate that grows at each step, and looks at the loss.

        The network and its optimizer are afterwards as before, to the bit, but for the categories that a `OneHot` found
        in X. Plot the result; a good rate is where the
        loss falls fastest, which `suggestion` names, or a little below.

        Args:
            X, y, batch_size, sample_weight: as for fit.
            start, end: the first and the last rate, which grow from one to the other by the same factor.
            steps: optimizer steps, over as many epochs as that takes.
            diverges: the test ends when the mean of the last tenth of losses is this many times its lowest value, or
                when a loss is not finite.

        Raises:
            ValueError: the optimizer has no learning rate, or start is not below end.

        >>> import fastnn as fnn
        >>> X, y = fnn.datasets.load_digits()
        >>> net = fnn.Network([fnn.Dense(32, "relu"), fnn.Dense(10, "softmax")], seed=0)
        >>> 1e-4 < net.lr_find(X / 16, y).suggestion < 1
        True
        """
        from . import _lr_find

        rates = _lr_find.rates_from(self.optimizer, start, end, steps)
        batch_size, diverges = positive_int(batch_size, "batch_size"), positive(diverges, "diverges")
        with self._exclusively():
            state = self._drafted(X, 0.0)
            samples = self._samples(state, X, y, sample_weight)
            with self._committed(state, samples) as undo:
                found = _lr_find.search(self, state, samples, rates, min(batch_size, samples.n), diverges)
                undo()
            return found

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, *, batch_size: int = 32, sample_weight: ArrayLike | None = None
    ) -> Self:
        """One pass over X in its own order; returns the network."""
        self.fit(X, y, batch_size=batch_size, shuffle=False, sample_weight=sample_weight, verbose=0)
        return self

    def train_on_batch(self, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
        """One optimizer step on exactly these samples; returns their loss before the step."""
        if self.optimizer.solver:
            raise ValueError(f"{type(self.optimizer).__name__} works on whole data sets; call fit")
        with self._exclusively():
            state = self._drafted(X, 0.0)
            samples = self._samples(state, X, y, sample_weight)
            with self._committed(state, samples):
                return self._train_step(state, samples)

    def _train_step(self, state, samples) -> float:
        taken = self._take("train", samples, self.optimizer)
        program = taken[1].program
        times = state.steps, state.epochs - state.first_epoch, 1, 1
        try:
            program.check_finite = False
            program.schedule(0, self.optimizer.rates(*times), self.optimizer.momenta(*times))
            try:
                program.train(0, 0, 1, state.steps, 0.0)
            finally:  # Ctrl-C strikes on the way back from the engine: the step is done all the same
                state.steps = program.steps
            return program.last_loss
        finally:
            state.give(taken)

    def loss_and_gradients(
        self, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> tuple[float, dict[str, Reals]]:
        """The training loss on these samples and its gradients, {name: array}; nothing is changed but `grads`.

        Dropout is that of the next step, so that repeated calls see the same masks.
        """
        with self._exclusively():
            state = self._drafted(X)
            samples = self._samples(state, X, y, sample_weight)
            with self._committed(state):
                taken = self._take("gradient", samples)
                try:
                    taken[1].program.gradients(state.steps)
                    loss = taken[1].program.last_loss
                finally:
                    state.give(taken)
            grads = state.memory.grads
            return loss, {name: param.view(grads).copy() for name, param in state.graph.params.items()}

    def _take(self, mode, samples, optimizer=None):
        """A program for one batch of all the samples, fed with them."""
        taken = self._state.take(
            mode, samples.n, graph=samples.graph, losses=self.losses, targets=samples.kinds,
            weighted=bool(samples.weights), optimizer=optimizer, threads=thread_count(None),
        )  # fmt: skip
        taken[1].feed(samples.inputs, samples.targets, samples.weights)
        taken[1].program.set_rows(samples.n, False)
        taken[1].program.reset()
        return taken

    def _exclusively(self):
        """One training of a network at a time; a second one raises instead of racing."""
        return self._training

    def _paused(self):
        """No step meanwhile: nothing trains, or the caller is a callback of the training, which waits for it."""
        return nullcontext() if self._training.is_mine else self._training

    # ---- saving ------------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str], *, custom: Mapping[str, Any] | None = None) -> None:
        """Writes the network to one file in safetensors format, with the optimizer's state; `fnn.load` reads it.

        A file that is there is replaced as if at once: after an error, a kill or a crash at any moment the old or the
        new one is there, whole. Training goes on from it as from the network, to the bit; a callback may save too.

        Args:
            path: of the file; by custom it ends in .safetensors.
            custom: {name: class or function} for layers, losses, activations and so on of your own, which a file cannot
                hold; `load` needs the same.

        Raises:
            ValueError: a part cannot be saved, with its name; nothing is written then.
            OSError: the file cannot be written; what was there is unchanged.
            RuntimeError: another thread trains the network.

        >>> import fastnn as fnn, os, tempfile
        >>> net = fnn.Network([fnn.Dense(2)], input_shape=3, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save(os.path.join(folder, "model.safetensors"))
        """
        from .serialize import save

        save(self, path, custom)

    def __getstate__(self) -> dict[str, Any]:
        from .serialize import snapshot

        with self._paused():
            return snapshot.take(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        from .serialize import snapshot

        snapshot.restore(self, state)

    # ---- what is shown -----------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """Prints a table of layers, shapes, parameters and multiply-adds, and returns it."""
        from ._summary import summary_table

        text = summary_table(self._built().graph)
        print(text)
        return text

    def __repr__(self) -> str:
        inside = ", ".join(repr(layer) for layer in self.layers)
        return f"Network([{inside}], optimizer={self.optimizer!r}, dtype={self.dtype.name!r})"


_BUSY = "this network is in training, or saved by another thread: wait for its end, or train a network of your own"


def _checked_metrics(metrics):
    from .metrics import Metric  # costs a start as much as five other modules

    return [Metric.get(metric) for metric in metrics]


def _dtype(dtype):
    name = np.dtype(dtype).name if isinstance(dtype, (type, np.dtype)) else dtype
    if name not in DTYPES:
        raise unknown_name("dtype", name, DTYPES)
    return DTYPES[name]
