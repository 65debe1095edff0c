"""Callbacks: code of yours that runs at fixed moments of `fit`.

Only what is overridden costs anything: without a batch hook the training loop stays in the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .network import Network


class Callback:
    """Base of the callbacks; override the hooks you need.

    `network` is the network in training. `logs` is a dict of the figures so far; for epochs it is what History records.
    A hook that sets `self.network.stop_training = True` ends training after the epoch.
    """

    network: Network

    def on_fit_begin(self) -> None:
        """Before the first epoch."""

    def on_fit_end(self) -> None:
        """After the last epoch, also when training was stopped or interrupted."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before epoch `epoch`, counted from 0 in this fit."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """After an epoch, with its figures."""

    def on_batch_begin(self, batch: int) -> None:
        """Before a batch, counted from 0 in this epoch."""

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """After a batch, with its loss."""


class LambdaCallback(Callback):
    """Functions as a callback: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))`."""

    HOOKS = ("on_fit_begin", "on_fit_end", "on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")

    def __init__(self, **hooks: Callable[..., object]) -> None:
        for name, function in hooks.items():
            if name not in self.HOOKS:
                raise TypeError(f"unknown hook {name!r}; known: {', '.join(self.HOOKS)}")
            if not callable(function):
                raise TypeError(f"{name}: expected a function, got {type(function).__name__}")
            setattr(self, name, function)


class CallbackList:
    """All callbacks of a fit as one; knows which hooks anybody listens to."""

    def __init__(self, callbacks, network):
        if not isinstance(callbacks, (list, tuple)):
            callbacks = [callbacks]
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected Callback objects, got {type(callback).__name__}")
            callback.network = network
        hooks = ("on_batch_begin", "on_batch_end")
        self.wants_batches = any(self._overrides(callback, hook) for callback in self.callbacks for hook in hooks)

    @staticmethod
    def _overrides(callback, hook):
        return getattr(type(callback), hook) is not getattr(Callback, hook) or hook in vars(callback)

    def call(self, hook, *args):
        """Calls a hook of every callback, in order."""
        for callback in self.callbacks:
            getattr(callback, hook)(*args)
