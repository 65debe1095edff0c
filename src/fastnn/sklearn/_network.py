"""NetworkClassifier and NetworkRegressor: a Network of any layers as an estimator of scikit-learn.

The constructor's arguments are never changed: what training would leave a trace in (layers, optimizer, callbacks) is
copied for each fit. Everything that `Network.fit` can do it does here too; what is added is labels of any kind, the
output layer, and scikit-learn's manners.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import _figures, _uncertainty
from .._data import positive_int
from .._graph import Unlearned
from ..callbacks import Callback
from ..layers import Dense, Layer
from ..losses import Loss
from ..network import Network
from ._labels import Labels, checked_classes
from ._mlp_base import dense
from ._perceptron import threads

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nobody listens."""

    def with_callbacks(method):
        return method


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from .._typing import CallbacksLike, LossLike, MetricLike, OptimizerLike

AUTO_BATCH = 200  # batch_size="auto": all samples up to here, as in scikit-learn's perceptrons


class _NetworkEstimator(CallbackSupportMixin, BaseEstimator):
    """What the classifier and the regressor have in common.

    Subclasses say how targets are read (`_read_targets`) and which layer ends a list of layers (`_output_layer`).
    """

    def __init__(
        self,
        layers: Sequence[Layer] | Callable[[tuple[int, ...], int], Sequence[Layer]] | None = None,
        *,
        loss: LossLike | None = None,
        optimizer: OptimizerLike = "adam",
        metrics: MetricLike | Sequence[MetricLike] = (),
        epochs: int = 100,
        batch_size: int | str = "auto",
        accumulate: int = 1,
        validation_split: float = 0.0,
        shuffle: bool = True,
        callbacks: CallbacksLike = (),
        dtype: str = "auto",
        precision: str = "highest",
        threads: int | None = None,
        verbose: int | str = 0,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.layers = layers
        self.loss = loss
        self.optimizer = optimizer
        self.metrics = metrics
        self.epochs = epochs
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.validation_split = validation_split
        self.shuffle = shuffle
        self.callbacks = callbacks
        self.dtype = dtype
        self.precision = precision
        self.threads = threads
        self.verbose = verbose
        self.warm_start = warm_start
        self.random_state = random_state

    # ---- training ----------------------------------------------------------------------------------------------------

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[ArrayLike, ...] | None = None,
    ) -> Self:
        """Trains a new network on X and y; with warm_start the one of the last fit, further.

        Args:
            X: (n, ...), numbers; sparse (n, features) is made dense.
            y: (n,) or (n, outputs).
            sample_weight: (n,), not negative.
            validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch as val_...

        Raises:
            ValueError, TypeError: an argument, the data or the layers are not as needed.
        """
        return self._fit(X, y, sample_weight, validation_data, epochs=self.epochs, keep=self.warm_start)

    def _fit(self, X, y, sample_weight, validation_data, *, epochs, keep, classes=None):
        keep = keep and hasattr(self, "network_")
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, allow_nd=True, reset=not keep,
            ensure_all_finite=self._finiteness(), **self._target_checks,
        )  # fmt: skip
        X, y = dense(X), column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        targets = self._read_targets(y, keep, classes)
        network = self.network_ if keep else self._make_network(X, targets)
        if validation_data is not None:
            validation_data = self._read_validation(validation_data)
        with self._as_task(epochs, X, y, sample_weight, network) as tasks:
            self.history_ = network.fit(
                X, targets, epochs=epochs, batch_size=self._batch(len(X)), accumulate=self.accumulate,
                validation_data=validation_data, validation_split=self.validation_split, shuffle=self.shuffle,
                sample_weight=sample_weight, class_weight=self._class_weight(), callbacks=[*self._listeners(), *tasks],
                verbose=self.verbose, threads=self._threads(),
            )  # fmt: skip
        self.network_, self.n_iter_ = network, len(self.history_.epochs)
        return self

    def _batch(self, n):
        return min(AUTO_BATCH, n) if self.batch_size == "auto" else positive_int(self.batch_size, "batch_size")

    def _listeners(self):
        """The callbacks as copies: a fit leaves its network in them."""
        callbacks = self.callbacks if isinstance(self.callbacks, (list, tuple)) else [self.callbacks]
        return [copy.copy(callback) for callback in callbacks]

    @contextmanager
    def _as_task(self, epochs, *data):
        """The fit as a task of scikit-learn's callbacks; gives what tells them of the epochs, if there are any."""
        context = self._init_callback_context(max_subtasks=epochs) if hasattr(self, "_init_callback_context") else None
        if not hasattr(self, "_skl_callbacks"):
            yield []
            return
        tasks = _Tasks(self, context, *data)
        tasks.begin(context)
        yield [tasks]
        tasks.end(context)

    def _make_network(self, X, targets):
        outputs = self._outputs_of(targets)
        dtype = ("float64" if X.dtype == np.float64 else "float32") if self.dtype == "auto" else self.dtype
        return Network(
            self._make_layers(X.shape[1:], outputs), loss=copy.deepcopy(self.loss),
            optimizer=copy.deepcopy(self.optimizer), metrics=self.metrics, dtype=dtype, precision=self.precision,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
        )  # fmt: skip

    def _make_layers(self, shape, outputs):
        if callable(self.layers) and not isinstance(self.layers, Layer):
            return list(self.layers(shape, outputs))
        hidden = [Dense(100, "relu")] if self.layers is None else copy.deepcopy(self.layers)
        hidden = [hidden] if isinstance(hidden, Layer) else list(hidden)
        return [*hidden, self._output_layer(outputs)]

    def _read_validation(self, data):
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError("validation_data: expected (X, y) or (X, y, sample_weight)")
        X, y = validate_data(
            self, data[0], data[1], accept_sparse=["csr", "csc"], multi_output=True, allow_nd=True, reset=False,
            ensure_all_finite=self._finiteness(), **self._target_checks,
        )  # fmt: skip
        return dense(X), self._read_targets(y, True, None), *data[2:]

    def _class_weight(self):
        return None

    def _takes_missing(self):
        """Whether X may hold NaN as far as the layers are known; where exactly, the network sees to."""
        if callable(self.layers) and not isinstance(self.layers, Layer):
            return True
        layers = self.layers if isinstance(self.layers, (list, tuple)) else [self.layers]
        return any(getattr(layer, "missing", None) not in (None, False) for layer in layers)

    def _finiteness(self):
        return "allow-nan" if self._takes_missing() else True

    def _threads(self):
        return threads() if self.threads is None else self.threads

    # ---- use ---------------------------------------------------------------------------------------------------------

    def _checked(self, X):
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse=["csr", "csc"], allow_nd=True, reset=False, ensure_all_finite=self._finiteness()
        )
        return dense(X)

    def _predictions(self, X):
        """The network's outputs as metrics see them: probabilities in place of logits, means of distributions."""
        X = self._checked(X)
        return self._as_measured([self.network_.predict(X, threads=self._threads())])[0]

    def _as_measured(self, outputs):
        return _figures.predictions(self.network_._built().graph, self.network_.losses, outputs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._takes_missing()
        return tags


class _Tasks(Callback):
    """Tells the callbacks of scikit-learn of each epoch as a task of the fit; one that says so ends training."""

    def __init__(self, estimator, context, X, y, sample_weight, network):
        self.context, self.fitting = context, network
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}

    def begin(self, task):
        task.call_on_fit_task_begin(**self.data)

    def end(self, task):
        """Returns whether a callback wants this to be the last task."""
        return task.call_on_fit_task_end(
            **self.data, reconstruction_attributes=lambda: {"network_": copy.deepcopy(self.fitting)}
        )

    def on_epoch_begin(self, epoch):
        self.task = self.context.subcontext(task_name="epoch")
        self.begin(self.task)

    def on_epoch_end(self, epoch, logs):
        if self.end(self.task):
            self.network.stop_training = True


class NetworkClassifier(ClassifierMixin, _NetworkEstimator):
    """A network of any layers that tells classes apart, in the manners of scikit-learn.

    Args:
        layers: the hidden layers, to which the output layer is added: a softmax over the classes, or for two classes
            and for several labels a sample (y of 0 and 1, (n, labels)) sigmoids. Or a callable
            `layers(input_shape, outputs)` that returns all layers; outputs is 1 for two classes. None: one hidden layer
            of 100 relu units.
        loss, optimizer, metrics, dtype, precision: as for `Network`; dtype "auto" is float64 for X of float64, else
            float32. A loss of your own, `f(y, p) -> (loss, dloss_dp)`, sees y as numbers of the classes, (n, 1), or as
            0 and 1, (n, outputs).
        epochs, batch_size, accumulate, validation_split, shuffle, callbacks, threads, verbose: as for `Network.fit`;
            batch_size "auto" is min(200, n).
        class_weight: {label: weight} or "balanced".
        warm_start: whether a fit goes on with the network of the one before.
        random_state: of the first weights, dropout and the order of samples.

    Attributes:
        network_: the Network. history_: the History of the last fit. classes_: the labels.
        n_features_in_, feature_names_in_, n_iter_: inputs, their names, and epochs of the last fit.

    >>> import fastnn as fnn
    >>> from fastnn.sklearn import NetworkClassifier
    >>> X, y = [[0.0, 0], [0, 1], [1, 0], [1, 1]], ["same", "other", "other", "same"]
    >>> model = NetworkClassifier([fnn.Dense(16, "tanh")], optimizer=fnn.Adam(0.1), random_state=0).fit(X, y)
    >>> model.predict([[1.0, 0], [1, 1]]).tolist()
    ['other', 'same']
    """

    _target_checks: dict[str, Any] = {}

    def __init__(
        self,
        layers: Sequence[Layer] | Callable[[tuple[int, ...], int], Sequence[Layer]] | None = None,
        *,
        loss: LossLike | None = None,
        optimizer: OptimizerLike = "adam",
        metrics: MetricLike | Sequence[MetricLike] = (),
        epochs: int = 100,
        batch_size: int | str = "auto",
        accumulate: int = 1,
        validation_split: float = 0.0,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        callbacks: CallbacksLike = (),
        dtype: str = "auto",
        precision: str = "highest",
        threads: int | None = None,
        verbose: int | str = 0,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            layers, loss=loss, optimizer=optimizer, metrics=metrics, epochs=epochs, batch_size=batch_size,
            accumulate=accumulate, validation_split=validation_split, shuffle=shuffle, callbacks=callbacks, dtype=dtype,
            precision=precision, threads=threads, verbose=verbose, warm_start=warm_start, random_state=random_state,
        )  # fmt: skip
        self.class_weight = class_weight

    @with_callbacks
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """One epoch on X and y, from where the last call ended.

        Args:
            X, y, sample_weight: as for `fit`; y need not have all classes.
            classes: all classes, needed in the first call.
        """
        return self._fit(X, y, sample_weight, None, epochs=1, keep=True, classes=checked_classes(self, classes))

    def _read_targets(self, y, keep, classes):
        if not keep:
            self._labels = Labels.of(y, classes)
            self.classes_ = self._labels.classes
        return self._labels.encode(y, np.float64)

    def _outputs_of(self, targets):
        return self._labels.outputs

    def _output_layer(self, outputs):
        if self.loss is not None and Loss.get(self.loss).target == "sign":
            raise ValueError(f"loss {self.loss!r} gives no probabilities of classes; take a cross entropy")
        return Dense(outputs, "softmax" if self._labels.exclusive else "sigmoid")

    def _make_network(self, X, targets):
        network = super()._make_network(X, targets)
        try:
            found = network.build(X.shape[1:])._built().graph.outputs[0].shape
        except Unlearned:  # the shapes follow from the samples that are trained on, and so are checked with them
            return network
        if found != (self._labels.outputs,):
            raise ValueError(
                f"layers: the last one gives {found}, {len(self.classes_)} classes need {(self._labels.outputs,)}; use "
                "the number of outputs that the callable is given"
            )
        return network

    def _class_weight(self):
        if self.class_weight is None or isinstance(self.class_weight, str):
            weights = self.class_weight
        else:
            numbers = {label: i for i, label in enumerate(self.classes_.tolist())}
            unknown = [label for label in self.class_weight if label not in numbers]
            if unknown:
                raise ValueError(f"class_weight names {unknown}, the classes are {self.classes_}")
            weights = {numbers[label]: weight for label, weight in self.class_weight.items()}
        if weights is not None and self._labels.several:
            raise ValueError("class_weight needs one class a sample; give sample_weight instead")
        return weights

    def predict(self, X: ArrayLike) -> Any:
        """The likeliest label of each sample, (n,); for several labels a sample 0 and 1, (n, labels)."""
        outputs = self._predictions(X)
        return self._labels.decode(outputs)

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The probability of each of `classes_`, (n, classes)."""
        outputs = self._predictions(X)
        return self._labels.probabilities(outputs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetworkRegressor(RegressorMixin, _NetworkEstimator):
    """A network of any layers that predicts numbers, one or several a sample, in the manners of scikit-learn.

    Args:
        layers: the hidden layers, to which a linear output layer is added, or a callable `layers(input_shape, outputs)`
            that returns all layers; outputs counts the means and variances of "gaussian_nll" and the levels of
            "quantile". None: one hidden layer of 100 relu units.
        loss, ..., random_state: as for `NetworkClassifier`. With "gaussian_nll" `predict` gives means, with "poisson"
            rates, with "quantile" the level nearest to one half.

    Attributes:
        network_, history_, n_features_in_, feature_names_in_, n_iter_: as for `NetworkClassifier`.

    >>> import fastnn as fnn
    >>> from fastnn.sklearn import NetworkRegressor
    >>> X, y = [[0.0], [0.5], [1.0]], [32.0, 122.0, 212.0]
    >>> model = NetworkRegressor([], optimizer=fnn.SGD(0.5), epochs=300, random_state=0).fit(X, y)
    >>> model.predict([[0.2]]).round(2).tolist()
    [68.0]
    """

    _target_checks: dict[str, Any] = {"y_numeric": True}

    @with_callbacks
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """One epoch on X and y, from where the last call ended; arguments as for `fit`."""
        return self._fit(X, y, sample_weight, None, epochs=1, keep=True)

    def _read_targets(self, y, keep, classes):
        return y.reshape(len(y), -1)

    def _outputs_of(self, targets):
        loss = None if self.loss is None else Loss.get(self.loss)
        if loss is None or loss.target not in ("mean_variance", "column"):
            return targets.shape[1]
        return 2 * targets.shape[1] if loss.target == "mean_variance" else len(loss.levels)

    def _output_layer(self, outputs):
        return Dense(outputs)

    def predict(self, X: ArrayLike, return_std: bool = False, *, samples: int | None = None) -> Any:
        """The values for X: (n,), or (n, outputs) for several outputs.

        Args:
            return_std: True: a pair of the values and their standard deviations, as GaussianProcessRegressor has it.
                Needs the loss "gaussian_nll", or Dropout and `samples`, or both.
            samples: Monte Carlo samples of dropout to take the mean of, as `Network.predict` describes it.
        """
        if not return_std and samples is None:
            return _flat(self._predictions(X))
        X, threads = self._checked(X), self._threads()
        found = _uncertainty.predict(
            self.network_, X, None, None, threads, return_std, samples, None, self._as_measured
        )
        return tuple(map(_flat, found)) if return_std else _flat(found)


def _flat(outputs):
    return outputs.ravel() if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs
