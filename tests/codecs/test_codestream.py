"""Codestreams taken apart, and 1,000 damaged ones."""

import numpy as np
import pytest

from compress3d.codecs.codestream import Codestream, picture_size, segments
from compress3d.codecs.jpeg2000 import decode, encode, encode_within
from compress3d.errors import CodecError


@pytest.fixture(scope="module")
def streams() -> list[Codestream]:
    y, x = np.mgrid[:64, :64]
    image = np.stack([x * 4, y * 4, (x ^ y) * 4], axis=-1).astype(np.uint8)
    return [encode(image, 48), encode_within(image, 96), encode_within(image, 384)]


@pytest.mark.parametrize("resolutions", [1, 3, 4, 5, 6])
def test_header_is_what_the_standard_says(resolutions):
    """Segment lengths by hand from T.800 Annex A: SIZ 38 + 3 C, COD 12 + marker, QCD 3 + 2 bands, SOT 10."""
    stream = encode(np.zeros((128, 128, 3), np.uint8), 48, resolutions)
    found = {segment.name: len(segment.data) for segment in segments(stream)}
    assert list(found) == ["SOC", "SIZ", "COD", "QCD", "COM", "SOT", "SOD", "payload", "EOC"]
    assert (found["SOC"], found["SIZ"], found["COD"]) == (2, 2 + 38 + 3 * 3, 2 + 12)
    assert found["QCD"] == 2 + 3 + 2 * (3 * (resolutions - 1) + 1)
    assert (found["SOT"], found["SOD"], found["EOC"]) == (2 + 10, 2, 2)
    assert sum(found.values()) == stream.total_bytes
    assert found["payload"] == stream.payload_bytes


def test_segments_join_to_the_stream(streams):
    for stream in streams:
        assert b"".join(segment.data for segment in segments(stream)) == stream.data
        assert all(stream.data[s.offset :].startswith(s.data) for s in segments(stream))


def test_headers_of_one_size_differ_in_psot_only():
    """Why a header need not be sent: between pictures only the tile part's length changes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 128, 128, 3), dtype=np.uint8) // np.array([1, 2, 4, 8, 255])[:, None, None, None]
    found = [encode(image.astype(np.uint8), 96) for image in images]
    headers = np.array([list(stream.data[: stream.header_bytes]) for stream in found])
    differing = np.flatnonzero((headers != headers[0]).any(0))
    psot = next(s.offset for s in segments(found[0]) if s.name == "SOT") + 6
    assert differing.size
    assert set(differing) <= set(range(psot, psot + 4))


def test_with_payload_keeps_the_stream_whole(streams):
    stream = streams[0]
    shorter = stream.with_payload(b"\x80" * 12)
    assert shorter.payload == b"\x80" * 12
    assert picture_size(shorter.data) == (64, 64)
    assert stream.with_payload(stream.payload) == stream


def test_truncated_streams_are_refused(streams):
    for stream in streams:
        for length in range(stream.total_bytes):
            with pytest.raises(CodecError, match="codestream"):
                decode(stream.data[:length])


def test_damaged_streams_decode_or_are_refused(streams):
    """Bits flipped anywhere: a picture of the right size or a CodecError, nothing else."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        data = bytearray(streams[rng.integers(3)].data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] ^= 1 << rng.integers(8)
        try:
            assert decode(bytes(data)).dtype == np.uint8
        except CodecError as error:
            refused += 1
            assert "What to do" in str(error)
    assert 100 < refused < 900


@pytest.mark.parametrize("data", [b"", b"\xff\x4f", b"\x89PNG" * 100, b"\xff\x4f\xff\x51" + bytes(200) + b"\xff\xd9"])
def test_other_bytes_are_refused(data):
    with pytest.raises(CodecError, match="codestream"):
        decode(data)


def test_huge_sizes_in_a_header_are_refused(streams):
    data = bytearray(streams[0].data)
    data[8:12] = (1 << 30).to_bytes(4)
    with pytest.raises(CodecError, match="1073741824 x 64 pixels"):
        decode(bytes(data))


def test_no_start_of_data():
    with pytest.raises(CodecError, match="SOD"):
        _ = Codestream(b"\xff\x4f\xff\x51").payload_bytes
