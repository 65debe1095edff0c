"""A model file as the commands see it."""

from .. import serialize
from .._table.encoding import Encoding
from ..errors import ModelFileError


def load(path):
    """The network in a file, and its Encoding of a table, None where it has none.

    Raises ModelFileError with the path, OSError where the file cannot be read.
    """
    net = serialize.load(path)
    try:
        return net, Encoding.of(net)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
