"""The safetensors format: eight bytes that say how long the header is, the header in JSON, the tensors' bytes.

Knows nothing of networks. What it reads may come from anyone: every number of the header is checked against the size of
the file before memory is asked for, and a SHA-256 over all that the file holds is compared before a value is used. The
format is https://huggingface.co/docs/safetensors; the checksum is an entry of its metadata, so that other readers need
not know of it.
"""

import hashlib
import json
import math
import sys

import numpy as np

from ..errors import ModelFileError

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8",
    "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in DTYPES.items()}

# Every file begins so, which puts the digest at a fixed place; where it is computed, zeros stand for its digits.
_OPENING = b'{"__metadata__":{"checksum":"sha256:'
_DIGITS = 64
_DIGITS_AT = 8 + len(_OPENING)
_LEAST = 8 + len("{}")
_BLANK = "sha256:" + "0" * _DIGITS
_BLOCK = 1 << 20
_ALIGNMENT = 8  # of the tensors' bytes in the file, as the format asks

# What JSON of untrusted origin may cost as Python objects, so that a small file cannot ask for much. Containers and
# values are counted with more than CPython takes for them (sys.getsizeof), characters with three copies of 4 bytes:
# one that is not of the Basic Multilingual Plane makes all of its text as wide.
JSON_COST = 12 << 20
_CONTAINER_COST, _VALUE_COST, _CHARACTER_COST = 250, 64, 12
_MOST_AXES = 32
_INT64_MAX = 2**63 - 1


class Entry:
    """A tensor of a file: its dtype and shape, and where its bytes begin and end."""

    __slots__ = ("name", "dtype", "shape", "begin", "end")

    def __init__(self, name, dtype, shape, begin, end):
        self.name, self.dtype, self.shape, self.begin, self.end = name, dtype, shape, begin, end


class _Digest:
    """SHA-256 of bytes. OpenSSL's want of memory, for hashlib a ValueError, is a MemoryError."""

    def __init__(self, data):
        self._hash = _with_memory(lambda: hashlib.sha256(data))
        self.update = self._hash.update

    def digits(self):
        """The digest in hexadecimal, as bytes."""
        return _with_memory(self._hash.hexdigest).encode()


def _with_memory(call):
    try:
        return call()
    except ValueError as error:
        raise MemoryError("no memory for a checksum") from error


def parse_json(text):
    """The value of a JSON text that may come from anyone; ModelFileError for what is not strictly JSON, or too much."""
    cost = _CONTAINER_COST * (text.count("{") + text.count("[")) + _VALUE_COST * text.count(",")
    if cost + _CHARACTER_COST * len(text) > JSON_COST:
        raise ModelFileError("its description is too large")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ModelFileError("its description is nested too deeply") from None
    except ModelFileError:
        raise
    except ValueError as error:
        raise ModelFileError(f"its description is not JSON: {error}") from None


def _unique(pairs):
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelFileError(f"{_short(twice)} stands twice in its description")
    return result


def _no_constant(word):
    raise ModelFileError(f"{word} stands in place of a number")


def _finite(digits):
    number = float(digits)
    if not math.isfinite(number):
        raise ModelFileError(f"{_short(digits)} is beyond the range of numbers")
    return number


def _short(text):
    return repr(text if len(text) < 80 else text[:77] + "...")


# ---- writing ----------------------------------------------------------------------------------------------------


def can_hold(array) -> bool:
    """Whether the format has a dtype for this array."""
    return array.dtype.newbyteorder("<") in _NAMES


def write(metadata, arrays, put, put_at):
    """Writes a file of named arrays and a mapping of strings.

    put(data) appends bytes, put_at(data, position) overwrites some. The digest is that of the bytes as they were
    written, block by block from a copy, so that a change of an array meanwhile cannot make the file unreadable.
    """
    header = _header(metadata, arrays)
    start = len(header).to_bytes(8, "little") + header
    digest = _Digest(start)
    put(start)
    for array in arrays.values():
        flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
        for at in range(0, flat.size, _BLOCK):
            block = flat[at : at + _BLOCK].tobytes()
            digest.update(block)
            put(block)
    put_at(digest.digits(), _DIGITS_AT)


def _header(metadata, arrays):
    table = {"__metadata__": {"checksum": _BLANK, **metadata}}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        dtype = _NAMES[array.dtype.newbyteorder("<")]
        table[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(table, separators=(",", ":"), allow_nan=False)
    parse_json(text)  # what could not be read back is not written
    header = text.encode()
    return header + b" " * (-len(header) % _ALIGNMENT)


# ---- reading ----------------------------------------------------------------------------------------------------


class Reader:
    """A file that is open for reading: `metadata`, {str: str}, and `entries`, {name: Entry} in the order of the bytes.

    Raises ModelFileError unless all of it is as it was written.
    """

    def __init__(self, stream, size):
        self._stream = stream
        if size < _LEAST:
            raise ModelFileError(f"it has {size} bytes alone")
        length = int.from_bytes(self._read(8), "little")
        if length > size - 8:
            raise ModelFileError(f"its header of {length} bytes does not fit into {size} bytes; is it cut short?")
        if length > JSON_COST // _CHARACTER_COST:
            raise ModelFileError(f"its header has {length} bytes, too many")
        header = self._read(length)
        self._start = 8 + length
        self.metadata, self.entries = _table(header, size - self._start)
        if not header.startswith(_OPENING):
            raise ModelFileError("it is a safetensors file, but not one that fastnn wrote")
        self._check_digest(header)

    def fill(self, array, entry):
        """Reads a tensor into a contiguous array of its shape and dtype."""
        self._stream.seek(self._start + entry.begin)
        self._read_into(memoryview(array.reshape(-1).view(np.uint8)))
        if sys.byteorder == "big":
            array.byteswap(inplace=True)

    def array(self, entry):
        """A tensor as a new array."""
        array = np.empty(entry.shape, entry.dtype.newbyteorder("="))
        self.fill(array, entry)
        return array

    def _read(self, count):
        data = bytearray(count)
        self._read_into(memoryview(data))
        return bytes(data)

    def _read_into(self, view):
        while len(view):
            count = self._stream.readinto(view)
            if not count:
                raise ModelFileError("it was cut short while it was read")
            view = view[count:]

    def _check_digest(self, header):
        # A header that hides what follows its digits from the digest is impossible: they are digits, 64 of them.
        written = header[len(_OPENING) : len(_OPENING) + _DIGITS]
        blank = _OPENING + b"0" * _DIGITS + header[len(_OPENING) + _DIGITS :]
        digest = _Digest(len(header).to_bytes(8, "little") + blank)
        block = bytearray(_BLOCK)
        while count := self._stream.readinto(block):
            digest.update(memoryview(block)[:count])
        if digest.digits() != written:
            raise ModelFileError("its checksum is wrong: it is damaged, or another program has changed it")


def _table(header, size):
    """Metadata and entries of a header whose tensors must fill `size` bytes without a gap."""
    try:
        table = parse_json(header.decode())
    except UnicodeDecodeError:
        raise ModelFileError("its header is not text; it is no safetensors file") from None
    if not isinstance(table, dict):
        raise ModelFileError("its header is not a JSON object")
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ModelFileError("its metadata is not a mapping of strings")
    entries = sorted((_entry(name, fields) for name, fields in table.items()), key=lambda e: (e.begin, e.end))
    end = 0
    for entry in entries:
        if entry.begin != end:
            fault = "overlap" if entry.begin < end else "leave a gap"
            raise ModelFileError(f"its tensors {fault} at {_short(entry.name)}")
        end = entry.end
    if end != size:
        kind = "is cut short" if size < end else "goes on after its last tensor"
        raise ModelFileError(f"it {kind}: the tensors have {end} bytes, the file has {size} for them")
    return metadata, {entry.name: entry for entry in entries}


def _entry(name, fields):
    what = f"tensor {_short(name)}"
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(f"{what} needs dtype, shape and data_offsets alone")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelFileError(f"{what} has an unknown dtype")
    if not _sizes(shape) or len(shape) > _MOST_AXES:
        raise ModelFileError(f"{what} has no proper shape")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelFileError(f"{what} has no proper data_offsets")
    dtype = np.dtype(DTYPES[dtype])
    if math.prod(shape) * dtype.itemsize != offsets[1] - offsets[0]:
        raise ModelFileError(f"{what} has {offsets[1] - offsets[0]} bytes, not what its dtype and shape ask for")
    return Entry(name, dtype, tuple(shape), *offsets)


def _sizes(value):
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= _INT64_MAX for n in value)
