"""JPEG 2000 at a compression rate: OpenJPEG's 9/7 wavelet, colour transform, raw codestream (.j2k), true byte counts.

Two ways to count bytes, never mixed:

* *file*: every byte of the .j2k. Its header alone is 143 bytes and the end marker 2, so a 64-pixel picture (12,288 raw
  bytes) cannot even reach 96:1 = 128 bytes.
* *payload*: the bytes between the start-of-data and the end marker. Where both ends know the format, the header is the
  same for all pictures of a size except the stream's length (Psot), so it need not be sent.

glymur is the reference (`encode`, `decode`), through files, as it can do no other. `encode_within` and `simulate` use
Pillow, which calls the same OpenJPEG in memory and gives the same pixels several times faster.

Traps, measured with OpenJPEG 2.5.4 and tested:

* The asked size is no upper bound: the rate control does not see everything in the header, up to 16 bytes.
* It never works with fewer than 30 bytes of payload and takes the first coding pass in any case: at 4 resolutions the
  smallest payload is 12 to 40 bytes, the smallest file 157 to 185.
* A packet (one colour component at one resolution) costs a byte even when it is empty. The last ones are all 0x80, and
  a decoder that runs out of data reads empty packets: payload streams leave them out and set Psot to match.
* 4 resolutions, against OpenJPEG's default of 6, give 1.7 (48:1) to 2.5 dB (384:1) more at 64 pixels and equal payload.
* Pillow's default has no colour transform (mct=0), which costs 0.2 to 5.4 dB at 48:1.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from compress3d.codecs.codestream import EMPTY_PACKET, END, REMEDY, Codestream, picture_size
from compress3d.codecs.openjpeg import load_glymur, require_pillow_jpeg2000
from compress3d.errors import CodecError, ConfigError

Accounting = Literal["payload", "file"]

RESOLUTIONS = 4
FLOOR = 30  # bytes: the smallest payload budget that OpenJPEG's rate control takes
OVERSHOOT = 16  # bytes that a file may be larger than asked


def budget_bytes(image: np.ndarray, rate: float) -> int:
    """Whole bytes that compression rate c leaves: 24 H W / (8 c), rounded down (Eq. 12).

    Example:
        >>> [budget_bytes(np.zeros((64, 64, 3), np.uint8), rate) for rate in (48, 96, 192, 384, 480)]
        [256, 128, 64, 32, 25]
    """
    if not rate > 0:
        raise ConfigError(f"rate {rate}", "is not positive", "ask for raw bits over code bits, such as 384")
    return int(image.size / rate)


def encode(image: np.ndarray, rate: float, resolutions: int = RESOLUTIONS) -> Codestream:
    """Compress by asking OpenJPEG for a compression ratio, with glymur: what a user of the codec gets.

    Args:
        image: uint8 `(H, W, 3)`, RGB.
        rate: compression ratio asked for, such as 48; the header counts.
        resolutions: levels of the wavelet pyramid and one; fewer where the picture is too small.

    Returns:
        The codestream as written to disk; `fits` tells whether it is within `24 H W / (8 rate)` bytes.

    Raises:
        CodecError: not an 8 bit RGB picture, or OpenJPEG is missing or fails.

    Example:
        >>> stream = encode(np.zeros((64, 64, 3), np.uint8), rate=48)
        >>> stream.total_bytes - stream.payload_bytes  # header and end marker
        145
    """
    _check_image(image)
    limit = budget_bytes(image, rate)
    glymur = load_glymur()
    options = {"irreversible": True, "mct": True, "numres": _possible(image, resolutions)}
    with _scratch_file() as path:
        try:
            glymur.Jp2k(path, data=np.ascontiguousarray(image), cratios=(float(rate),), **options)
            data = path.read_bytes()
        except (RuntimeError, OSError, ValueError) as error:
            raise CodecError("JPEG 2000 encoder", f"failed: {error}", "report this picture") from error
    return Codestream(data, fits=len(data) <= limit)


def decode(stream: Codestream | bytes) -> np.ndarray:
    """Picture of a codestream, uint8 `(H, W, 3)`, RGB, with glymur.

    Args:
        stream: of one tile, 3 components of 8 bit, as `encode` and `encode_within` make them. Empty packets give
            mid-grey (128), as in any decoder.

    Raises:
        CodecError: the stream is truncated, damaged or of another kind.
    """
    data = stream.data if isinstance(stream, Codestream) else bytes(stream)
    size = picture_size(data)
    glymur = load_glymur()
    with _scratch_file() as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenJPEG tells that packets at the end are left out
        path.write_bytes(data)
        try:
            image = glymur.Jp2k(path)[:]
        except Exception as error:  # glymur's parser raises whatever a damaged header leads it to
            raise CodecError("JPEG 2000 codestream", f"cannot be decoded: {error}", REMEDY) from error
    if image.dtype != np.uint8 or image.shape != (*size, 3):
        raise CodecError("JPEG 2000 codestream", f"decodes to {image.dtype} {image.shape}", REMEDY)
    return image


def encode_within(
    image: np.ndarray, rate: float, accounting: Accounting = "payload", resolutions: int = RESOLUTIONS
) -> Codestream:
    """Best codestream whose counted bytes are within the rate's budget of `24 H W / (8 rate)` bytes.

    The asked size is steered until the stream fills the budget. With `payload`, empty packets at the end are left out;
    where OpenJPEG's floor of 30 bytes stands in the way, the search goes over asked quality instead; and if not even
    the coarsest resolution fits (32 pixels at 480:1: 6 bytes), one empty packet is sent and the decoder shows mid-grey.
    So payload streams fit down to 1 byte. With `file`, budgets below about 170 bytes are out of reach: the stream is
    then what the rate control makes at its floor, and `fits` is False.

    Args:
        image, resolutions: as in `encode`, as the errors are.
        rate: compression rate c.
        accounting: "payload" counts bytes between SOD and EOC, "file" all bytes.

    Example:
        >>> stream = encode_within(np.zeros((64, 64, 3), np.uint8), rate=384)
        >>> stream.fits, stream.payload_bytes <= 32, stream.total_bytes > 32
        (True, True, True)
    """
    _check_image(image)
    if accounting not in ("payload", "file"):
        raise ConfigError(f"accounting {accounting!r}", "does not exist", 'ask for "payload" or "file"')
    asked = Image.fromarray(image), budget_bytes(image, rate), _possible(image, resolutions)
    if accounting == "file":
        return _search_file(*asked)
    return _search_payload(*asked) or _search_quality(*asked) or _nothing(*asked)


def simulate(
    images: np.ndarray, rate: float, accounting: Accounting = "payload", resolutions: int = RESOLUTIONS
) -> tuple[np.ndarray, np.ndarray]:
    """Send pictures through JPEG 2000: what the receiver sees, and what it cost. Deterministic.

    Args:
        images: uint8 `(N, H, W, 3)`.
        rate, accounting, resolutions: as in `encode_within`, as the errors are; the same for all.

    Returns:
        Decoded pictures uint8 `(N, H, W, 3)` and counted bytes int64 `(N,)`.
    """
    if images.ndim != 4:
        raise CodecError("pictures", f"have shape {images.shape}", "give uint8 (N, H, W, 3)")
    decoded = np.empty_like(images)
    spent = np.empty(len(images), np.int64)
    for n, image in enumerate(images):
        stream = encode_within(image, rate, accounting, resolutions)
        decoded[n] = _decode_in_memory(stream)
        spent[n] = stream.payload_bytes if accounting == "payload" else stream.total_bytes
    return decoded, spent


# ---- search ----


def _header_bytes(resolutions: int) -> int:
    """SOC 2, SIZ 49, COD 14, QCD 5 + 2 (3 resolutions - 2), COM 39, SOT 12, SOD 2."""
    return 119 + 6 * resolutions


def _asked_ratio(picture: Image.Image, payload: int, resolutions: int) -> float:
    """Ratio to ask for, so that the payload is at most `payload` bytes, as far as OpenJPEG's floor allows."""
    asked = payload + _header_bytes(resolutions) + len(END) - OVERSHOOT
    return 3 * picture.width * picture.height / asked


def _search_payload(picture: Image.Image, limit: int, resolutions: int) -> Codestream | None:
    """Stream with the largest payload within `limit` bytes, empty packets at the end not counted; None if none fits."""
    # The payload is a rising staircase of the asked budget, about 8 bytes a step. So the search steps by what is
    # missing, within a closing bracket: 4 encodings on average, and the same result as trying every budget.
    best, best_size = None, 0
    fits, too_large = FLOOR - 1, limit + 3 * resolutions + 2
    budget = min(max(limit + resolutions, FLOOR), too_large - 1)
    while fits < budget < too_large:
        stream = _compress(picture, resolutions, "rates", _asked_ratio(picture, budget, resolutions))
        size = _lean_payload_bytes(stream)
        if best_size < size <= limit:
            lean = _without_empty_packets(stream)
            size = lean.payload_bytes
            if size <= limit:
                best, best_size = lean, size
        if size > limit:
            too_large = budget
            budget = max(budget - (size - limit), fits + 1)
        elif size == limit:
            break
        else:
            fits = budget
            budget = min(budget + limit - size, too_large - 1)
    return best


def _search_quality(picture: Image.Image, limit: int, resolutions: int) -> Codestream | None:
    """As `_search_payload`, steering the asked PSNR, which has no floor in bytes."""
    best, best_size = None, 0
    fits, too_large = 1.0, 41.0  # dB
    while too_large - fits > 0.5:
        quality = (fits + too_large) / 2
        lean = _without_empty_packets(_compress(picture, resolutions, "dB", quality))
        size = lean.payload_bytes
        if size > limit:
            too_large = quality
        else:
            fits = quality
            if size > best_size:
                best, best_size = lean, size
    return best


def _nothing(picture: Image.Image, limit: int, resolutions: int) -> Codestream:
    """Stream of one empty packet, which any decoder shows as mid-grey."""
    data = _compress(picture, resolutions, "dB", 1.0).with_payload(EMPTY_PACKET).data
    return Codestream(data, fits=limit >= len(EMPTY_PACKET))


def _search_file(picture: Image.Image, limit: int, resolutions: int) -> Codestream:
    """Largest file within `limit` bytes; what the rate control makes at its floor where that is out of reach."""
    budget = max(limit - _header_bytes(resolutions) - len(END), FLOOR)
    while True:
        data = _compress(picture, resolutions, "rates", _asked_ratio(picture, budget, resolutions)).data
        if len(data) <= limit or budget == FLOOR:
            return Codestream(data, fits=len(data) <= limit)
        budget = max(budget - (len(data) - limit), FLOOR)  # a byte at most was ever seen missing


def _lean_payload_bytes(stream: Codestream) -> int:
    """Payload bytes less all 0x80 at the end: what `_without_empty_packets` leaves, or a little less."""
    return max(len(stream.payload.rstrip(EMPTY_PACKET)), 1)


def _without_empty_packets(stream: Codestream) -> Codestream:
    """The stream less the empty packets at its end; one byte stays, as OpenJPEG refuses a tile without data."""
    # A byte 0x80 at the end may also be picture data (1 stream in 200): the shorter stream is decoded and compared.
    payload, pixels = stream.payload, _decode_in_memory(stream)
    for length in range(_lean_payload_bytes(stream), len(payload)):
        lean = stream.with_payload(payload[:length])
        try:
            if np.array_equal(_decode_in_memory(lean), pixels):
                return lean
        except CodecError:
            continue
    return stream


# ---- OpenJPEG in memory, through Pillow ----


def _compress(picture: Image.Image, resolutions: int, mode: str, value: float) -> Codestream:
    """One codestream at a compression ratio (`rates`) or a PSNR (`dB`)."""
    require_pillow_jpeg2000()
    file = io.BytesIO()
    options = {"quality_mode": mode, "quality_layers": [value], "num_resolutions": resolutions}
    try:
        picture.save(file, "JPEG2000", irreversible=True, mct=1, no_jp2=True, **options)
    except (OSError, ValueError) as error:
        raise CodecError("JPEG 2000 encoder", f"failed: {error}", "report this picture") from error
    return Codestream(file.getvalue())


def _decode_in_memory(stream: Codestream) -> np.ndarray:
    """As `decode`, for streams just made here."""
    try:
        with Image.open(io.BytesIO(stream.data)) as picture:
            return np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise CodecError("JPEG 2000 codestream", f"cannot be decoded: {error}", REMEDY) from error


# ---- checks and files ----


def _possible(image: np.ndarray, resolutions: int) -> int:
    """No more resolutions than halvings of the shorter side, plus one."""
    return max(1, min(resolutions, min(image.shape[:2]).bit_length()))


def _check_image(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise CodecError("picture", f"is {image.dtype} {image.shape}", "give uint8 (H, W, 3) RGB")


@contextmanager
def _scratch_file() -> Iterator[Path]:
    """Path of a temporary file, in memory where the system has /dev/shm: 5.0 instead of 5.7 ms to encode and decode."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="compress3d-", dir=memory) as folder:
        yield Path(folder) / "picture.j2k"
