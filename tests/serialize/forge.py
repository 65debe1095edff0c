"""Model files taken apart and put together again, with a checksum that fits: an attacker's, not accidents."""

import hashlib
import io
import json

from fastnn import serialize

OPENING = b'{"__metadata__":{"checksum":"sha256:'


def parts(data):
    """(header as JSON values, network description as JSON values, bytes of the tensors)."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["network"]), data[8 + length :]


def signed(header, tensors):
    """A file with this header (bytes, or JSON values), its digest made right where it has one."""
    if not isinstance(header, bytes):
        header = json.dumps(header, separators=(",", ":")).encode()
    start = len(header).to_bytes(8, "little")
    if not header.startswith(OPENING):
        return start + header + tensors
    rest = header[len(OPENING) + 64 :]
    digest = hashlib.sha256(start + OPENING + b"0" * 64 + rest + tensors).hexdigest()
    return start + OPENING + digest.encode() + rest + tensors


def joined(header, network, tensors):
    """A file with this header and network description (JSON values, or the text in place of them)."""
    text = network if isinstance(network, str) else json.dumps(network, separators=(",", ":"))
    return signed({**header, "__metadata__": {**header["__metadata__"], "network": text}}, tensors)


def read(data):
    """What `fnn.load` makes of a file with these bytes."""
    return serialize.read(io.BytesIO(data), len(data), {}, "forged")
