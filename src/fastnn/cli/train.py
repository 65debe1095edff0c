"""`fastnn train`: a network from a table of mixed columns, saved with all that turns such a table into its input."""

import re

from . import _arguments as arguments
from ._report import note, say, usage_error

_PATIENCE = 30


def add(commands) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a network on a table, CSV or Parquet",
        description="Train a network on a table, CSV (gzip too) or Parquet, and save it with its preprocessing. Numbers"
        " are standardized, texts become categories, missing values are filled and marked; a part of the rows is set "
        "aside for validation, and training stops when the network no longer improves on it.",
    )
    parser.add_argument("data", metavar="DATA", help='the table; "-" is standard input')
    parser.add_argument("--target", required=True, metavar="COLUMN", help="what to predict")
    parser.add_argument(
        "--model", metavar="FILE", help="where the network goes; default: DATA with the ending .model.safetensors"
    )
    parser.add_argument("--task", choices=("classification", "regression"), help="default: by the target's values")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    _add_columns(parser)
    _add_network(parser)
    _add_training(parser)
    arguments.add_table_options(parser)
    parser.set_defaults(run=_run, error=usage_error(parser))


def _add_columns(parser):
    group = parser.add_argument_group("columns", "each may be repeated; ids and columns of one value are left out")
    group.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave it out")
    group.add_argument("--numeric", action="append", default=[], metavar="COLUMN", help="its cells are numbers")
    group.add_argument(
        "--categorical", action="append", default=[], metavar="COLUMN", help="its cells are categories, also numbers"
    )


def _add_network(parser):
    from ..layers.dense import ACTIVATIONS

    group = parser.add_argument_group("network")
    group.add_argument(
        "--layers", type=arguments.sizes, default=[64, 32], metavar="UNITS",
        help='of hidden layers, or "none"; default: 64,32',
    )  # fmt: skip
    group.add_argument(
        "--activation", type=arguments.one_of(ACTIVATIONS, "activation"), default="relu", metavar="NAME",
        help="of hidden layers; default: %(default)s",
    )  # fmt: skip
    group.add_argument(
        "--dropout", type=arguments.share, default=0.0, metavar="SHARE", help="after hidden layers; default: none"
    )


def _add_training(parser):
    group = parser.add_argument_group("training")
    group.add_argument(
        "--validation", type=arguments.share, default=0.2, metavar="SHARE",
        help="of the rows, set aside to stop by and to measure on; 0 for none; default: %(default)s",
    )  # fmt: skip
    group.add_argument(
        "--epochs", type=arguments.whole(1), default=500, metavar="N", help="the most of them; default: %(default)s"
    )
    group.add_argument(
        "--patience", type=arguments.whole(0), default=_PATIENCE, metavar="N",
        help="epochs without improvement until training stops; default: %(default)s",
    )  # fmt: skip
    group.add_argument("--batch-size", type=arguments.whole(1), default=32, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--optimizer", type=arguments.one_of(_optimizers(), "optimizer"), default="adam", metavar="NAME",
        help="one of %(choices)s; default: %(default)s".replace("%(choices)s", ", ".join(_optimizers())),
    )  # fmt: skip
    group.add_argument("--learning-rate", type=arguments.positive, metavar="RATE", help="default: the optimizer's own")
    group.add_argument(
        "--seed", type=arguments.whole(0), default=0, metavar="N", help="of all that is random; default: %(default)s"
    )
    arguments.add_threads(group)


def _optimizers():
    """Those that have a learning rate, by name; the others solve small problems of their own kind."""
    from ..optimizers import Optimizer

    return sorted(name for name, cls in Optimizer.known.items() if "learning_rate" in cls().config())


# ---- the run ----------------------------------------------------------------------------------------------------


def _run(parsed) -> int:
    from ._training import Training

    model = _model_path(parsed)
    _check_columns(parsed)
    tell = (lambda line: None) if parsed.quiet else say
    training = Training(parsed)
    for line in training.described():
        tell(line)
    interrupted = training.fit()
    if training.best is None:
        note("interrupted before the end of the first epoch; nothing is saved")
        return 130
    training.measure()
    for line in training.measured():
        tell(line)
    training.save(model)
    if interrupted:
        note(f"interrupted; the network of epoch {training.best + 1}, the best so far, is saved to {model}")
        return 130
    tell(f"saved to     {model}")
    return 0


def _model_path(parsed):
    """Where the network goes; a usage error where it cannot go there."""
    model = parsed.model
    if model is None:
        if parsed.data == "-":
            parsed.error("the table comes from standard input; say --model FILE")
        stem = re.sub(r"\.(csv|tsv|txt|parquet)(\.gz)?$", "", parsed.data, flags=re.IGNORECASE)
        model = f"{stem}.model.safetensors"
    arguments.check_folder(parsed, model)
    arguments.check_not_read(parsed, model, parsed.data)
    return model


def _check_columns(parsed):
    """A usage error where the columns that were named contradict each other."""
    if parsed.target in parsed.drop:
        parsed.error(f"--drop {parsed.target} would leave out the target")
    if parsed.target in (*parsed.numeric, *parsed.categorical):
        parsed.error(f"what the target {parsed.target} is, --task says: classification or regression")
    chosen = (*parsed.drop, *parsed.numeric, *parsed.categorical)
    for name in dict.fromkeys(chosen):
        if sum(name in names for names in (parsed.drop, parsed.numeric, parsed.categorical)) > 1:
            parsed.error(f"column {name} stands in two of --drop, --numeric and --categorical")
