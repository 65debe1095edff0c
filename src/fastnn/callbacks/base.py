"""The moments of `fit` at which code of yours can run, and how all callbacks of a fit are called.

Only what is overridden costs anything: without a batch hook the training loop stays in the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..history import History
    from ..network import Network


class Callback:
    """Base of the callbacks; override the hooks you need.

    In every hook there are `network`, the network in training; `history`, its History so far; and `figures`, the names
    of what each epoch records. `logs` is a dict of the figures; for epochs it is what History records. A hook that sets
    `self.network.stop_training = True` ends training after the epoch. What a hook raises ends training at once and
    reaches the caller of `fit`; the network keeps its last completed step.

    >>> import fastnn as fnn
    >>> class Patience(fnn.Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         self.network.stop_training = logs["loss"] < 0.5
    >>> net = fnn.Network([fnn.Dense(1)], optimizer=fnn.SGD(0.1), seed=0)
    >>> net.fit([0.0, 1.0], [1.0, 3.0], epochs=100, callbacks=Patience()).stop_reason
    'stopped by a callback'
    """

    network: Network
    history: History
    figures: tuple[str, ...]
    # At the end of a fit the hooks of those who change the weights come first, in falling order of this.
    settles = 0

    def on_fit_begin(self) -> None:
        """Before the first epoch."""

    def on_fit_end(self) -> None:
        """After the last epoch, also when training was stopped, interrupted or ended by an error."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before epoch `epoch`, counted from 0 in this fit."""

    def on_epoch_trained(self, epoch: int) -> None:
        """After the last step of an epoch, before the validation: here goes what changes the weights it judges."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """After an epoch, with its figures."""

    def on_batch_begin(self, batch: int) -> None:
        """Before a batch, counted from 0 in this epoch."""

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """After a batch, with its loss."""

    def on_nonfinite(self, epoch: int, batch: int) -> None:
        """When the loss of a batch is infinite or NaN, before its step and once in a fit.

        A hook that sets `self.network.stop_training = True` ends training here, without that step.
        """


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))

_NO_LISTENERS = dict.fromkeys(HOOKS, ())


class LambdaCallback(Callback):
    """Functions as a callback.

    Args:
        hooks: a function for each hook of Callback, by its name.

    Raises:
        TypeError: a hook is unknown, or its value is no function.

    >>> import fastnn as fnn
    >>> net = fnn.Network([fnn.Dense(1)], seed=0)
    >>> show = fnn.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, list(logs)))
    >>> history = net.fit([0.0, 1.0], [1.0, 3.0], epochs=2, callbacks=show)
    0 ['loss']
    1 ['loss']
    """

    def __init__(self, **hooks: Callable[..., object]) -> None:
        for name, function in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"unknown hook {name!r}; known: {', '.join(HOOKS)}")
            if not callable(function):
                raise TypeError(f"{name}: expected a function, got {type(function).__name__}")
            setattr(self, name, function)


class CallbackList:
    """All callbacks of a fit; `listeners` are the hooks that somebody overrides, by name, in the order of the calls."""

    def __init__(self, callbacks):
        if not isinstance(callbacks, (list, tuple)):
            callbacks = [callbacks]
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected Callback objects, got {type(callback).__name__}")
        self.listeners = {hook: self._listeners(hook) for hook in HOOKS} if self.callbacks else _NO_LISTENERS
        self.wants_batches = bool(self.listeners["on_batch_begin"] or self.listeners["on_batch_end"])

    def _listeners(self, hook):
        callbacks = self.callbacks
        if hook == "on_fit_end":
            callbacks = sorted(callbacks, key=lambda callback: -callback.settles)
        return [getattr(callback, hook) for callback in callbacks if self._overrides(callback, hook)]

    @staticmethod
    def _overrides(callback, hook):
        return getattr(type(callback), hook) is not getattr(Callback, hook) or hook in vars(callback)

    def attach(self, trainer, network, history, figures):
        """Tells every callback what it works on."""
        for callback in self.callbacks:
            callback.network, callback.history, callback.figures = network, history, figures
            callback._trainer = trainer

    def call(self, hook, *args):
        """Calls a hook of every callback, in order."""
        for listener in self.listeners[hook]:
            listener(*args)

    def end(self):
        """The end of a fit: every callback is told, also where another one raises; the first error is raised then."""
        errors = []
        for listener in self.listeners["on_fit_end"]:
            try:
                listener()
            except BaseException as error:
                errors.append(error)
        if errors:
            raise errors[0]
