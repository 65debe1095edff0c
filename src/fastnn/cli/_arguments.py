"""Arguments that commands share, and their types: what argparse answers with exit code 2 is decided here."""

import argparse
import codecs
import io
import math
import os


def add_table_options(parser) -> None:
    """How a text file is written, for those that guessing fails."""
    group = parser.add_argument_group("how the file is written", "all of it is guessed otherwise")
    group.add_argument("--delimiter", type=_delimiter, metavar="CHARACTER", help='between cells; "tab" for a tab')
    header = group.add_mutually_exclusive_group()
    header.add_argument("--header", action="store_true", default=None, help="the first line names the columns")
    header.add_argument(
        "--no-header", dest="header", action="store_false", default=None, help="columns are named 1, 2, 3, ..."
    )
    group.add_argument("--decimal", choices=(".", ","), help="the decimal sign")
    group.add_argument("--encoding", type=_encoding, metavar="NAME", help="such as latin-1; default: UTF-8")
    group.add_argument(
        "--missing", action="append", default=[], metavar="TEXT",
        help="a cell that is no value, beside empty ones, NA, N/A, NaN and null; may be repeated",
    )  # fmt: skip


def table_options(parsed, missing=()):
    """The Options of what was parsed; missing: further texts that are no value."""
    from .._table.dialect import Options

    return Options(parsed.delimiter, parsed.header, parsed.decimal, parsed.encoding, (*missing, *parsed.missing))


def add_threads(parser) -> None:
    """--threads."""
    parser.add_argument("--threads", type=whole(1), metavar="N", help="the most threads; results are the same with any")


def check_not_read(parsed, path, *read) -> None:
    """A usage error where the file that is to be written is one of those that are read."""
    for other in read:
        if os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other):
            parsed.error(f"{path} is read, it cannot be written to as well; name another file")


def check_folder(parsed, path) -> None:
    """A usage error where a file cannot be written for there is no such folder."""
    if os.path.isdir(path):
        parsed.error(f"{path} is a folder, expected a file")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        parsed.error(f"there is no folder {folder}")


def whole(least):
    """A type of whole numbers from `least`."""

    def integer(text):
        value = int(text)
        if not least <= value < 2**63:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text}")
        return value

    return integer


def share(text):
    """A number from 0 to below 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text}")
    return value


def positive(text):
    """A finite number above 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def sizes(text):
    """Units of the hidden layers, "64,32"; "none" for no hidden layer."""
    if text.strip() == "none":
        return []
    try:
        units = [int(part) for part in text.split(",")]
    except ValueError:
        units = [0]
    if min(units) < 1 or max(units) > 2**20:
        raise argparse.ArgumentTypeError(f'expected units such as 64,32, or "none", got {text!r}')
    return units


def one_of(names, kind):
    """A type of names; an unknown one is answered with the nearest."""
    from ..errors import unknown_name

    def name(text):
        if text not in names:
            raise argparse.ArgumentTypeError(str(unknown_name(kind, text, names)))
        return text

    return name


def _delimiter(text):
    text = {"tab": "\t", r"\t": "\t"}.get(text, text)
    if len(text) != 1 or text in '\r\n"':
        raise argparse.ArgumentTypeError(f'expected one character or "tab", got {text!r}')
    return text


def _encoding(text):
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=text)  # refuses codecs that are not of texts too, such as hex
        return codecs.lookup(text).name
    except LookupError:
        raise argparse.ArgumentTypeError(f"there is no encoding {text!r} of texts") from None
