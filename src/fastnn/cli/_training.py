"""A training run over a table: read, choose, split, fit, measure, save; `train` says in what order and tells people."""

import time
import warnings

import numpy as np

from .._table import choice
from .._table.csv_file import read_table
from .._table.encoding import Encoding
from .._table.split import split
from .._table.targets import KINDS
from ..callbacks import EarlyStopping, TerminateOnNaN
from ..errors import NonFiniteWarning, TableError
from ..layers import Dense, Dropout
from ..network import Network
from ..optimizers import Optimizer
from ._arguments import table_options
from ._report import figures_table, note


class Training:
    """One run; `best` is the epoch, counted from 0, whose weights the network has, None before there is one.

    parsed: the arguments of the command. Raises TableError for whatever is wrong with the table.
    """

    best = None
    figures: dict = {}

    def __init__(self, parsed):
        self.parsed = parsed
        table = self._read()
        self.rows, self.columns, self.name = len(table), len(table.columns), table.name
        self.target_kind = KINDS[self._task(table)]
        table = self._with_targets(table)
        self.choice = choice.choose(
            table, parsed.target, drop=parsed.drop, numbers=parsed.numeric, categories=parsed.categorical
        )
        self._encode(table)
        self.net = self._network()
        self._describe()  # now, since a table too wide for it should not be trained on first

    # ---- from a table to arrays ----------------------------------------------------------------------------------

    def _read(self):
        parsed, target = self.parsed, [self.parsed.target]
        # Classes that are known to be classes are kept as they are written, "01" as "01".
        texts = [*parsed.categorical, *(target if parsed.task == "classification" else [])]
        numbers = [*parsed.numeric, *(target if parsed.task == "regression" else [])]
        table = read_table(parsed.data, table_options(parsed), texts=texts)
        table.column(parsed.target, "--target")
        for option in ("drop", "numeric", "categorical"):
            for name in getattr(parsed, option):
                table.column(name, f"--{option}")
        for name in numbers:
            table.columns[name] = table.numeric(name)
        return table

    def _task(self, table):
        if self.parsed.task is not None:
            return self.parsed.task
        column = table.columns[self.parsed.target]
        if column.numbers is None:
            choice.refuse_mistakes(table, column, "--task classification")
        return "classification" if choice.is_classes(column) else "regression"

    def _with_targets(self, table):
        """The rows whose target is there."""
        missing = table.columns[self.parsed.target].missing
        self.without_target = int(missing.sum())
        if len(table) - self.without_target < 4:
            raise TableError(
                f"{table.name}: {len(table) - self.without_target} rows with a target are too few to learn from"
            )
        return table.taken(np.flatnonzero(~missing)) if self.without_target else table

    def _encode(self, table):
        """Matrices and targets of the training rows, and of those set aside."""
        parsed, kind = self.parsed, self.target_kind
        known = kind.learn(table, parsed.target)
        y = known.encode(table)
        train, aside = self._split(table, *known.order(y))
        # What is learned of the columns, the mean of an amount too, is learned from training rows alone.
        train_table = table.taken(train) if len(aside) else table
        self.target = known if kind.kind == "classification" else kind.learn(train_table, parsed.target)
        self.encoding = Encoding.learn(train_table, self.choice.kinds, self.target, parsed.missing)
        unlearned = [name for name in self.choice.kinds if name not in self.encoding.names()]
        self.choice.left_out.update(dict.fromkeys(unlearned, "it is empty in the rows of training"))
        self.X, self.y = self.encoding.matrix(train_table, note), y[train]
        self.X_aside, self.y_aside = (self.X, self.y) if not len(aside) else (
            self.encoding.matrix(table.taken(aside), lambda line: None), y[aside]
        )  # fmt: skip
        self.aside = len(aside)

    def _split(self, table, order, kept):
        parsed = self.parsed
        if not parsed.validation:
            return np.arange(len(table)), np.empty(0, dtype=int)
        train, aside = split(order, kept, parsed.validation, parsed.seed)
        if not len(aside) or len(train) < 2:
            raise TableError(
                f"{table.name}: {len(table)} rows are too few to set {parsed.validation:g} of them aside; "
                "say --validation 0"
            )
        return train, aside

    # ---- the network ---------------------------------------------------------------------------------------------

    def _network(self):
        parsed = self.parsed
        layers = []
        for units in parsed.layers:
            layers.append(Dense(units, parsed.activation))
            if parsed.dropout:
                layers.append(Dropout(parsed.dropout))
        layers.append(Dense(self.target.outputs, self.target.activation))
        optimizer = Optimizer.get(parsed.optimizer)
        if parsed.learning_rate is not None:
            optimizer.learning_rate = parsed.learning_rate
        metrics = ["accuracy"] if self.target.kind == "classification" else []
        return Network(layers, optimizer=optimizer, metrics=metrics, input_shape=self.encoding.width, seed=parsed.seed)

    def fit(self) -> bool:
        """Trains; returns whether Ctrl-C ended it. The best weights are back in either case.

        Raises TableError where the loss was never finite.
        """
        parsed, interrupted = self.parsed, False
        monitor = "val_loss" if self.aside else "loss"
        stop = EarlyStopping(monitor, patience=parsed.patience)
        validation = (self.X_aside, self.target.fitted(self.y_aside)) if self.aside else None
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NonFiniteWarning)  # it is said below, for a person
            try:
                self.net.fit(
                    self.X, self.target.fitted(self.y), epochs=parsed.epochs, batch_size=parsed.batch_size,
                    validation_data=validation, callbacks=[stop, TerminateOnNaN()], threads=parsed.threads,
                    verbose=0 if parsed.quiet else "auto",
                )  # fmt: skip
            except KeyboardInterrupt:
                interrupted = True
        self.seconds, self.history = time.perf_counter() - begin, stop.history
        diverged = not interrupted and "no longer finite" in stop.history.stop_reason
        if diverged and not np.isfinite(stop.best):
            raise TableError(f"{stop.history.stop_reason}: nothing was learned; say a lower --learning-rate")
        if diverged:
            note(f"{stop.history.stop_reason}; the best network before that is kept")
        self.best = stop.best_epoch
        return interrupted

    def measure(self) -> None:
        """Takes the figures of the network, and those of the trivial answer."""
        outputs = self.net.predict(self.X_aside, threads=self.parsed.threads)
        trivial = np.tile(self.target.constant(self.y), (len(outputs), 1))
        self.figures = self.target.figures(self.y_aside, outputs)
        self.trivial_figures = self.target.figures(self.y_aside, trivial)

    def save(self, path) -> None:
        """Writes the network with its encoding and figures."""
        self._describe()
        self.net.save(path)

    def _describe(self):
        """Writes the encoding and what figures there are to the network's metadata."""
        figures = {name: figure for name, figure in self.figures.items() if np.isfinite(figure)}
        training = {"rows": len(self.y), "validation_rows": self.aside, "figures": figures}
        try:
            self.net.metadata = {**self.encoding.metadata(), "training": training}
        except ValueError:
            raise TableError(
                f"{self.name}: the names of {len(self.encoding.features)} columns and their categories are more than a "
                "model can carry; leave some out with --drop"
            ) from None

    # ---- in words ------------------------------------------------------------------------------------------------

    def described(self):
        """Lines about the table and the network, before training."""
        features = self.encoding.features
        kinds = [feature.kind for feature in features]
        counted = f"{kinds.count('number')} numbers, {kinds.count('category')} categories"
        yield f"table        {self.name}: {self.rows} rows, {self.columns} columns"
        if self.without_target:
            yield f"             {self.without_target} rows without a target are left out"
        yield f"target       {self.target.name}: {self.target.described()}"
        yield f"inputs       {counted}, together {self.encoding.width} features"
        for name, reason in self.choice.left_out.items():
            yield f"left out     {name}: {reason}"
        hidden = ", ".join(map(str, self.parsed.layers)) or "no hidden layer"
        activation = f" {self.parsed.activation}" if self.parsed.layers else ""
        yield f"network      {hidden}{activation}, {self.net.params.size} parameters"

    def measured(self):
        """Lines about the figures after training, beside those of the trivial answer."""
        epochs = len(self.history["loss"])
        yield f"trained on   {len(self.y)} rows, {epochs} epochs in {self.seconds:.1f} s; best in epoch {self.best + 1}"
        title = f"{self.aside} rows set aside" if self.aside else f"{len(self.y)} rows of training"
        yield from figures_table(title, {"network": self.figures, self.target.trivial: self.trivial_figures})
