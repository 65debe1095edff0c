"""`fastnn predict`: the predictions of a network that `fastnn train` made, for the rows of a table, as CSV."""

import csv
import io
import sys

from ..errors import ModelFileError, TableError
from . import _arguments as arguments
from ._report import figures_table, note, usage_error

_BLOCK = 10_000  # rows of text at a time


def add(commands) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "predict",
        help="predict for the rows of a table",
        description="Predict for each row of a table, with a network that train saved. The result is CSV with a header "
        "and one line for each row. Columns are found by name, in any order; further ones do not matter. Where the "
        "table has the target too, figures of how good the predictions are go to standard error.",
    )
    parser.add_argument("model", metavar="MODEL", help="a file that train saved")
    parser.add_argument("data", metavar="DATA", help='the table, CSV or Parquet; "-" is standard input')
    parser.add_argument("--output", metavar="FILE", help="where predictions go; default: standard output")
    parser.add_argument("--proba", action="store_true", help="a column of probabilities for each class")
    parser.add_argument("--quiet", action="store_true", help="print nothing but predictions and errors")
    arguments.add_threads(parser)
    arguments.add_table_options(parser)
    parser.set_defaults(run=_run, error=usage_error(parser))


def _run(parsed) -> int:
    from .._table.csv_file import read_table
    from ._model import load

    if parsed.output is not None:
        arguments.check_folder(parsed, parsed.output)
        arguments.check_not_read(parsed, parsed.output, parsed.model, parsed.data)
    tell = (lambda line: None) if parsed.quiet else note
    net, encoding = load(parsed.model)
    if encoding is None:
        raise ModelFileError(f"{parsed.model} was not made by fastnn train: it does not know the columns of a table")
    target, features = encoding.target, encoding.names()
    if parsed.proba and target.kind != "classification":
        parsed.error(f"--proba: {parsed.model} predicts an amount, {target.name}; there are no classes")
    _check_encoding(parsed.output, target)
    table = read_table(
        parsed.data, arguments.table_options(parsed, encoding.missing), texts=encoding.names("category"),
        only={*features, target.name},
    )  # fmt: skip
    X = encoding.matrix(table, tell)
    further = [name for name in table.names if name not in features and name != target.name]
    if further:
        tell(f"columns that the model does not know are passed over: {', '.join(further)}")
    outputs = net.predict(X, threads=parsed.threads)
    _write(parsed.output, target, outputs, parsed.proba)
    if target.name in table.columns:
        _measure(table, target, outputs, tell)
    return 0


def _check_encoding(path, target):
    """TableError where standard output cannot show the names of predictions; before anything is written."""
    stream = None if path else sys.stdout
    encoding, errors = (getattr(stream, name, None) for name in ("encoding", "errors"))  # None in place of a text
    encoding = encoding or "utf-8"
    try:
        "".join([target.name, *getattr(target, "values", ())]).encode(encoding, errors or "strict")
    except UnicodeEncodeError as error:
        hint = "" if path else "; say --output FILE, which is UTF-8, or set PYTHONIOENCODING=utf-8"
        letter = error.object[error.start]
        raise TableError(f"the predictions have {letter!r}, which {encoding} has no bytes for{hint}") from None


def _write(path, target, outputs, probabilities):
    """Predictions as CSV, to a file that is replaced at once, or to standard output."""
    if path is None:
        for text in _lines(target, outputs, probabilities):
            sys.stdout.write(text)
        sys.stdout.flush()
        return
    from ..serialize import atomic

    def put(output):
        for text in _lines(target, outputs, probabilities):
            output.put(text.encode())

    atomic.replace(path, put)


def _lines(target, outputs, probabilities):
    """The text, in blocks of lines."""
    yield _text([target.values if probabilities else [target.name]])
    for begin in range(0, len(outputs), _BLOCK):
        block = outputs[begin : begin + _BLOCK]
        if probabilities:
            yield _text([f"{value:.7g}" for value in row] for row in target.probabilities(block).tolist())
        else:
            yield _text([value] for value in target.predicted(block))


def _text(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _measure(table, target, outputs, tell):
    """Figures where the target is known; what is wrong with that column is no reason to withhold predictions."""
    known = ~table.columns[target.name].missing
    if not known.any():
        return
    rows = known.nonzero()[0]
    try:
        figures = target.figures(target.encode(table.taken(rows)), outputs[rows])
    except TableError as error:
        tell(f"no figures: {error}")
        return
    for line in figures_table(f"{len(rows)} rows with a target", {"network": figures}):
        tell(line)
