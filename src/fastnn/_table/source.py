"""Where the bytes of a table come from: a file, a pipe or standard input, gzip or not, to be read more than once.

What a file is follows from its first bytes, not from its name. A pipe is copied to a temporary file, since a column may
turn out to be text after many numbers, and is then read again.
"""

import csv
import gzip
import os
import shutil
import stat
import sys
import tempfile
import weakref
import zlib
from contextlib import contextmanager

from ..errors import TableError

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


class Source:
    """The bytes of a table; `name` is what messages call it.

    path: of a file or pipe, or "-" for standard input.

    Raises OSError where it cannot be opened.
    """

    def __init__(self, path):
        self.name = "standard input" if path == "-" else os.fsdecode(path)
        self._descriptor = _rewindable(path)
        weakref.finalize(self, os.close, self._descriptor)
        with self._raw() as stream:
            head = stream.read(4)
        self.is_gzip, self.is_parquet = head.startswith(_GZIP), head == _PARQUET

    @contextmanager
    def open(self):
        """A binary stream of the table from its beginning, unpacked; one at a time."""
        with self._raw() as stream:
            yield gzip.GzipFile(fileobj=stream) if self.is_gzip else stream

    def _raw(self):
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return open(os.dup(self._descriptor), "rb")

    @contextmanager
    def errors(self):
        """What goes wrong with the bytes inside is a TableError for a person."""
        try:
            yield
        except UnicodeDecodeError as error:
            given = error.object[error.start : error.start + 1].hex()
            message = f"byte 0x{given} is not {error.encoding}: say --encoding, as in --encoding latin-1"
            raise TableError(f"{self.name}: {message}") from None
        except UnicodeError as error:  # of codecs that do not say where, as utf-16 without its byte order mark
            raise TableError(f"{self.name} cannot be decoded: {error}; say another --encoding") from None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise TableError(f"{self.name}: its gzip data is damaged or cut short") from None
        except csv.Error as error:
            raise TableError(f"{self.name}: {error}; is it a text file with quoted cells closed?") from None


def _rewindable(path):
    """A descriptor of a file with the bytes, from which they can be read again and again."""
    if path == "-":
        return _copied(getattr(sys.stdin, "buffer", sys.stdin))
    with open(path, "rb") as stream:
        is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        return os.dup(stream.fileno()) if is_file else _copied(stream)


def _copied(stream):
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        copy.flush()
        return os.dup(copy.fileno())
