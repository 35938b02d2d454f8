"""The file `.c3n`: a header in JSON, one stream, and a checksum that is compared before anything is decoded.

    b"C3N" | version, 1 byte | length of the header, 4 bytes | header, deflated JSON | stream | sha256, 16 bytes

Half of a sha256: chance damage goes unseen once in 2^128 files.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any

from compress3d.errors import DataError

MAGIC, VERSION = b"C3N", 1
CHECKSUM = 16
LARGEST_FILE = 1 << 28  # bytes; a network of 8 x 256 twice in float32 has 4.8 million
LARGEST_HEADER = 1 << 20
RESTORE = "get the file again, or write it with `compress3d nerf pack`"


def write(header: dict, stream: bytes) -> bytes:
    """A file of a header and a stream."""
    text = zlib.compress(json.dumps(header, sort_keys=True, separators=(",", ":")).encode(), 9)
    body = MAGIC + bytes([VERSION]) + len(text).to_bytes(4, "little") + text + stream
    return body + hashlib.sha256(body).digest()[:CHECKSUM]


def read(data: bytes, name: str) -> tuple[dict, bytes]:
    """Header and stream of a file.

    Raises:
        DataError: it is no such file, of another version, or damaged.
    """
    if not data.startswith(MAGIC):
        raise DataError(name, "is no packed field", "name a .c3n file")
    least = len(MAGIC) + 5 + CHECKSUM
    if not least <= len(data) <= LARGEST_FILE:
        raise DataError(name, f"has {len(data)} bytes, expected {least} to {LARGEST_FILE}", RESTORE)
    if data[3] != VERSION:
        raise DataError(name, f"is of version {data[3]}, this program reads {VERSION}", "install its newest release")
    body, checksum = data[:-CHECKSUM], data[-CHECKSUM:]
    if hashlib.sha256(body).digest()[:CHECKSUM] != checksum:
        raise DataError(name, "is damaged: its checksum differs", RESTORE)
    length = int.from_bytes(body[4:8], "little")
    if length > min(len(body) - 8, LARGEST_HEADER):
        raise DataError(name, f"has no room for a header of {length} bytes", RESTORE)
    return _header(body[8 : 8 + length], name), body[8 + length :]


def _header(text: bytes, name: str) -> dict[str, Any]:
    unpacker = zlib.decompressobj()
    try:
        header = json.loads(unpacker.decompress(text, LARGEST_HEADER))
    except (zlib.error, ValueError, RecursionError) as error:
        raise DataError(name, f"has a header that cannot be read ({error})", RESTORE) from error
    if not isinstance(header, dict):
        raise DataError(name, "has a header that is no mapping", RESTORE)
    return header


def entry(header: dict, key: str, kind: type | tuple[type, ...], name: str) -> Any:
    """A value of a header; DataError where it is missing or of another kind."""
    value = header.get(key)
    if isinstance(value, bool) and kind is not bool:
        value = None
    if not isinstance(value, kind):
        raise DataError(name, f"has no {key} in its header", RESTORE)
    return value


def whole_number(header: dict, key: str, least: int, most: int, name: str) -> int:
    """A whole number of a header within its limits, which are checked before anything of that size is made."""
    value = entry(header, key, int, name)
    if not least <= value <= most:
        raise DataError(name, f"has {key} {value}, expected {least} to {most}", RESTORE)
    return value
