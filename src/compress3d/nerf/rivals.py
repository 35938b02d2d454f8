"""What a packed field is compared with: its pictures in JPEG 2000 or AVIF, and the ISO coder for networks.

Bytes are those of files that are decoded again. What zstd makes of a network says `packing.naive_bytes`.
"""

from __future__ import annotations

import io
import tempfile
from bisect import bisect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, features
from torch import nn

from compress3d.codecs.openjpeg import require_pillow_jpeg2000
from compress3d.errors import CodecError, DataError

QUALITIES = {"jpeg2000": range(10, 61), "avif": range(0, 101)}  # asked: PSNR in dB; AVIF's own scale
AVIF_SPEED = 4  # of 0 to 10; at 3 kB a view of 400 x 400, 6 gives 0.4 dB less in a third of the time
SAMPLED = 8  # every such picture is tried first
RESOLUTIONS = 5  # levels of JPEG 2000's wavelet pyramid and one, where the picture is large enough


class Pictures(NamedTuple):
    """Pictures in one codec."""

    streams: list[bytes]  # the files
    decoded: np.ndarray  # uint8 (N, H, W, 3)

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(map(len, self.streams))


def pictures_within(images: np.ndarray, budget: int, codec: str) -> Pictures:
    """A scene's pictures, all of about the same quality, in files of at most `budget` bytes together.

    The highest quality at which all of them fit; what is left then lifts single ones, the first ones first, by a step.

    Args:
        images: uint8 (N, H, W, 3), RGB.
        budget: bytes.
        codec: "jpeg2000" (OpenJPEG: 9/7 wavelet, colour transform, raw codestreams) or "avif" (8 bit, 4:2:0).

    Raises:
        CodecError: the codec does not exist or is missing, the pictures are no such, or the smallest files that the
            codec makes are larger than the budget.

    Example:
        >>> shades = np.tile(np.arange(64, dtype=np.uint8)[:, None], (2, 1, 64, 1)).repeat(3, -1)
        >>> found = pictures_within(shades.reshape(2, 64, 64, 3), 2000, "jpeg2000")
        >>> found.bytes <= 2000, found.decoded.shape
        (True, (2, 64, 64, 3))
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise CodecError("pictures", f"are {images.dtype} {images.shape}", "give uint8 (N, H, W, 3)")
    encode, qualities = _encoder(codec), QUALITIES[codec]
    pictures = [Image.fromarray(image) for image in images]
    tried: dict[int, list[bytes]] = {}

    def streams(place: int) -> list[bytes]:
        if place not in tried:
            tried[place] = [encode(picture, qualities[place]) for picture in pictures]
        return tried[place]

    def fits(place: int) -> bool:
        return place < len(qualities) and sum(map(len, streams(place))) <= budget

    # A few of the pictures say about which quality it is, all of them which.
    few = pictures[::SAMPLED]
    place = bisect(
        range(1, len(qualities)),
        budget * len(few) / len(pictures),
        key=lambda at: sum(len(encode(picture, qualities[at])) for picture in few),
    )
    while place and not fits(place):
        place -= 1
    while fits(place + 1):
        place += 1
    if not fits(place):
        size = sum(map(len, streams(place)))
        problem = f"takes {size} bytes for {len(images)} pictures, more than {budget}, at its lowest quality"
        raise CodecError(codec, problem, "give more bytes, or fewer or smaller pictures")
    chosen = list(streams(place))
    left = budget - sum(map(len, chosen))
    for number, better in enumerate(streams(place + 1) if place + 1 < len(qualities) else ()):
        more = len(better) - len(chosen[number])
        if more <= left:
            chosen[number], left = better, left - more
    return Pictures(chosen, np.stack([decode_picture(stream) for stream in chosen]))


def decode_picture(stream: bytes) -> np.ndarray:
    """Picture of a file, uint8 (H, W, 3).

    Raises:
        CodecError: it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(stream), formats=("AVIF", "JPEG2000")) as picture:
            return np.asarray(picture.convert("RGB"))
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise CodecError("picture", f"cannot be decoded: {error}", "encode it again") from error


def _encoder(codec: str) -> Callable[[Image.Image, int], bytes]:
    if codec == "jpeg2000":
        require_pillow_jpeg2000()
        return _jpeg2000
    if codec != "avif":
        raise CodecError(codec, "is no codec of pictures here", f"choose one of {', '.join(QUALITIES)}")
    if not features.check("avif"):
        raise CodecError("Pillow", "was built without AVIF", "pip install --force-reinstall 'pillow>=12'")
    return _avif


def _jpeg2000(picture: Image.Image, quality: int) -> bytes:
    levels = min(RESOLUTIONS, min(picture.size).bit_length())
    options = {"no_jp2": True, "irreversible": True, "mct": 1, "num_resolutions": levels}
    return _saved(picture, "JPEG2000", quality_mode="dB", quality_layers=[float(quality)], **options)


def _avif(picture: Image.Image, quality: int) -> bytes:
    # One thread: the bytes do not hang on the machine.
    return _saved(picture, "AVIF", quality=quality, speed=AVIF_SPEED, subsampling="4:2:0", max_threads=1)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    try:
        picture.save(data, kind, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise CodecError(kind, f"failed: {error}", "report this picture") from error
    return data.getvalue()


class Coded(NamedTuple):
    """A network that went through a coder."""

    bytes: int
    model: nn.Module  # as read back


def nncodec_coded(model: nn.Module, bits: int | None = None, qp: int = -32) -> Coded:
    """A network through ISO/IEC 15938-17 (NNC) as Fraunhofer's `nncodec` has it: DeepCABAC, dependent quantisation.

    Weights that a mask took out are sent as zeros.

    Args:
        model: changed in place to what the coder gives back.
        bits: of weights, as `quantise` has them; its own quantisation by `qp` where None.
        qp: quantisation parameter; a step smaller by 2 ^ (1 / 4) for each less.

    Raises:
        DataError: nncodec is not installed. It asks for numpy < 2, so that it lives in an environment of its own.
    """
    try:
        from nncodec.nn import decode, encode
    except ImportError as error:
        remedy = "install `nncodec` in another environment, with numpy < 2, and run this there"
        raise DataError("nncodec", f"cannot be imported ({error})", remedy) from error
    names = [name for name, _ in model.named_parameters()]
    values = {name: _acting(model, name).detach().float().cpu().numpy() for name in names}
    chosen = {"qp": qp} if bits is None else {"bitdepth": bits}
    with tempfile.TemporaryDirectory() as folder:  # it also writes a file
        stream = encode(values, args={"use_dq": bits is None, "verbose": False, "results": folder, **chosen})
    found = decode(stream)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(found[name]).reshape(parameter.shape)))
    return Coded(len(stream), model)


def _acting(model: nn.Module, name: str) -> torch.Tensor:
    """A parameter by its name, 0 where it is masked."""
    owner, _, kind = name.rpartition(".")
    return getattr(model.get_submodule(owner), f"acting_{kind}", model.get_parameter(name))
