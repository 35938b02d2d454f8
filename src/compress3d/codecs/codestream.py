"""A JPEG 2000 codestream as bytes: its size, its markers, its payload (ITU-T T.800, Annex A).

SOC SIZ COD QCD COM   main header: 129 bytes at 4 resolutions, 39 of them OpenJPEG's comment
SOT SOD               header of the one tile part, 14 bytes; SOT holds Psot, the tile part's length
payload               packets: one per colour component and resolution, coarsest first
EOC                   2 bytes
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from compress3d.errors import CodecError

END = b"\xff\xd9"
EMPTY_PACKET = b"\x80"  # how OpenJPEG writes a packet in which no code-block takes part
_BEGIN, _TILE, _DATA = b"\xff\x4f\xff\x51", b"\xff\x90", b"\xff\x93"
_NAMES = {0x4F: "SOC", 0x51: "SIZ", 0x52: "COD", 0x5C: "QCD", 0x64: "COM", 0x90: "SOT", 0x93: "SOD", 0xD9: "EOC"}
_WITHOUT_LENGTH = ("SOC", "SOD", "EOC")
_LARGEST_SIDE = 1 << 14  # a broken header must not ask for gigabytes
REMEDY = "encode the picture again"


@dataclass(frozen=True)
class Codestream:
    """A JPEG 2000 codestream of one tile."""

    data: bytes  # all of it, from the SOC marker to EOC
    fits: bool = True  # whether the budget that was asked for is kept; True where none was asked

    @property
    def total_bytes(self) -> int:
        """Bytes on disk."""
        return len(self.data)

    @property
    def header_bytes(self) -> int:
        """Bytes up to and with the SOD marker; CodecError where there is none."""
        start = self.data.find(_DATA)
        if start < 0:
            raise CodecError("JPEG 2000 codestream", "has no start of data (marker SOD)", REMEDY)
        return start + len(_DATA)

    @property
    def payload(self) -> bytes:
        """What depends on the picture: the bytes after SOD up to EOC."""
        return self.data[self.header_bytes : -len(END)]

    @property
    def payload_bytes(self) -> int:
        """Length of `payload`."""
        return len(self.data) - self.header_bytes - len(END)

    def with_payload(self, payload: bytes) -> Codestream:
        """The same header over another payload; the tile part's length (Psot) follows."""
        start, tile = self.header_bytes, self.data.index(_TILE)
        length = struct.pack(">I", start - tile + len(payload))
        return Codestream(self.data[: tile + 6] + length + self.data[tile + 10 : start] + payload + END, self.fits)


class Segment(NamedTuple):
    """One marker segment; its bytes include the two of the marker."""

    name: str
    offset: int
    data: bytes


def segments(stream: Codestream) -> list[Segment]:
    """The stream taken apart, marker by marker, with the payload as a segment of its own between SOD and EOC.

    Raises:
        CodecError: the header is damaged.
    """
    data, found, at, header = stream.data, [], 0, stream.header_bytes
    while at < header:
        name = _NAMES.get(data[at + 1], f"FF{data[at + 1]:02X}")
        length = 2 if name in _WITHOUT_LENGTH else 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at] != 0xFF or length < 2 or at + length > header:
            raise CodecError("JPEG 2000 codestream", f"has no marker segment at byte {at}", REMEDY)
        found.append(Segment(name, at, data[at : at + length]))
        at += length
    payload = stream.payload
    return [*found, Segment("payload", header, payload), Segment("EOC", header + len(payload), data[-len(END) :])]


def picture_size(data: bytes) -> tuple[int, int]:
    """Height and width, after making sure that this is one whole tile of 3 components of 8 bit.

    Raises:
        CodecError: the stream is truncated, damaged or of another kind.
    """
    problem = ""
    if len(data) < 60 or data[:4] != _BEGIN:
        problem = "does not begin with the markers SOC and SIZ"
    elif data[-2:] != END:
        problem = "does not end with the marker EOC (truncated)"
    if problem:
        raise CodecError("JPEG 2000 codestream", problem, REMEDY)
    right, bottom, left, top = struct.unpack(">4I", data[8:24])
    height, width = bottom - top, right - left
    tile = data.find(_TILE)
    length = int.from_bytes(data[tile + 6 : tile + 10]) if tile >= 0 else -1
    if not (0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE):
        problem = f"says that its picture has {width} x {height} pixels"
    elif data[40:51] != b"\x00\x03" + b"\x07\x01\x01" * 3:
        problem = "has not 3 components of 8 bit at full size"
    elif length != len(data) - len(END) - tile:
        problem = "has not the length that its tile header says (truncated)"
    if problem:
        raise CodecError("JPEG 2000 codestream", problem, REMEDY)
    return height, width
