"""Which files are meant, and any picture file to upright 8-bit sRGB with alpha, at most 2047 pixels a side.

A picture of 50 megapixels is decoded, shrunk a band of rows at a time and let go; only the small one is kept.
"""

from __future__ import annotations

import glob
import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from compress3d.errors import DataError

#: What cameras, scanners and image editors write. Not all that Pillow knows: EPS would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM", "PSD", "QOI", "TGA")
WORKING_SIDE = 1024  # the long side is 1024..2047: an object on 5 % of the picture still has 230 pixels a side
MIN_SIDE = 8  # below, nothing can be seen
MOST_PIXELS = 200_000_000  # the largest sensor of a phone
#: Bytes a pixel that reading takes at its peak, measured on 50 megapixels; others take 5 (JPEG: progressive, 4:4:4).
_PEAK_BYTES = {"JPEG": 6.3, "MPO": 6.3, "TIFF": 8.1, "AVIF": 12, "WEBP": 18, "JPEG2000": 20}
_PEAK = 1.3e9  # bytes; with torch and a network, 0.4 GB, the whole command stays below 2 GB
_BAND = 4_000_000  # pixels shrunk at once
_DEPTHS = (8, 10, 12, 14, 16, 24, 32)  # bits that cameras and scanners really fill of a wide integer
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV")  # modes of which Pillow forms means
_ORIENTATION = 0x0112
_TURNS = {  # by EXIF orientation
    2: ("mirrored", Image.Transpose.FLIP_LEFT_RIGHT),
    3: ("turned by 180 degrees", Image.Transpose.ROTATE_180),
    4: ("flipped upside down", Image.Transpose.FLIP_TOP_BOTTOM),
    5: ("mirrored and turned left", Image.Transpose.TRANSPOSE),
    6: ("turned right", Image.Transpose.ROTATE_270),
    7: ("mirrored and turned right", Image.Transpose.TRANSVERSE),
    8: ("turned left", Image.Transpose.ROTATE_90),
}
_REMEDY = "save the picture again as JPEG or PNG"
#: Endings taken from a folder or a pattern; a file that is named itself is tried whatever its name.
SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pbm .pgm .png .pnm .ppm .psd .qoi .tga .tif"
    " .tiff .webp".split()
)
_ENDINGS = "*.jpg, *.png, *.webp or *.tif"


def collect(names: Iterable[str | Path]) -> list[Path]:
    """Picture files behind names, each once, in the order given; a folder's by name, IMG_2 before IMG_10.

    Args:
        names: files, folders (their own pictures, not those of folders below) and patterns such as `shots/*.jpg`. A
            single file that does not exist is kept: reading it says so, as of any other broken photo.

    Raises:
        DataError: there is no name, or a folder or pattern holds no picture.
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name)
        inside = [path]
        if path.is_dir():
            inside = _pictures(path.iterdir())
            if not inside:
                raise DataError(path, "holds no picture", f"name a folder with files such as {_ENDINGS}")
        elif not path.exists() and glob.has_magic(str(name)):
            inside = _pictures(Path(hit) for hit in glob.glob(str(name), recursive=True))
            if not inside:
                raise DataError(str(name), "matches no picture", f"give a pattern that files such as {_ENDINGS} fit")
        found.update(dict.fromkeys(inside))
    if not found:
        raise DataError("photos", "none were named", "name picture files, a folder of them, or a pattern")
    return list(found)


def _pictures(paths: Iterable[Path]) -> list[Path]:
    # macOS puts a "._IMG_1.jpg" beside each file on foreign disks: it holds no picture.
    kept = (path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted((path for path in kept if path.is_file()), key=_natural)


def _natural(path: Path) -> tuple:
    """Sorts numbers in names by value."""
    words = re.split(r"(\d+)", path.name.lower())
    return (str(path.parent), [int(word) if word.isdigit() else word for word in words], path.name)


# -- one picture -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decoded:
    """A picture as read."""

    pixels: np.ndarray  # uint8 (h, w, 4), sRGB with straight alpha, upright
    size: tuple[int, int]  # width and height of the whole upright picture; `pixels` may be smaller by `factor`
    mode: str  # this and `format` as Pillow calls them, such as "CMYK" and "JPEG"
    format: str
    orientation: int  # EXIF value 1..8; 1 is upright
    notes: tuple[str, ...]  # what was done to it, in words
    bits: int = 8  # of a channel in the file; Pillow hands over 8 of the 16 of RGB and RGBA

    @property
    def factor(self) -> tuple[float, float]:
        """Pixels of the whole picture for one of `pixels`, across and down."""
        return self.size[0] / self.pixels.shape[1], self.size[1] / self.pixels.shape[0]


def decode(path: str | Path, whole: bool = False) -> Decoded:
    """Read a picture file.

    `whole`: every pixel of the file, however many, once its checksums were compared. Pillow compares those of PNG's
    pixels only when asked: without, a changed byte can pass as changed pixels.

    Of an animation the first frame counts. Integers wider than 8 bits are scaled from the depth they fill (8, 10, 12,
    14, 16, ...), floats from [0, 1], [0, 255] or their own range. A colour profile is applied, EXIF orientation too.

    Raises:
        DataError: the file is missing, empty, no picture, damaged, smaller than 8 pixels a side, or too large.
    """
    path = Path(path)
    head = _head(path)
    try:
        with _large_pictures_allowed():
            if whole:
                with Image.open(path, formats=_known_formats()) as image:
                    image.verify()
            with Image.open(path, formats=_known_formats()) as image:
                _check_size(path, image)
                return _decode(image, None if whole else WORKING_SIDE)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(path, f"is no picture that can be read ({_guess(head)})", _REMEDY) from None
    except Exception as error:  # Pillow: OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError ...
        raise DataError(path, f"is a damaged picture ({error})", "copy it from the camera again") from None


def _head(path: Path) -> bytes:
    """The first bytes of a file."""
    if path.is_dir():
        raise DataError(path, "is a folder", "name the pictures in it")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "check its name and permissions") from None
    if not head:
        raise DataError(path, "is empty (0 bytes)", "copy it from the camera again")
    return head


def _guess(head: bytes) -> str:
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "HEIC, as iPhones write it"
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return "an unknown format"
    return "it looks like text" if text.isprintable() or text.split() else "an unknown format"


def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # AVIF and WebP are missing from some builds


@contextmanager
def _large_pictures_allowed() -> Iterator[None]:
    """Pillow's limit, a global 89 megapixels, gives way to `_check_size` while one file is read, and comes back."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF, palettes with transparency: nothing the reader can mend
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise DataError(path, f"is {width}x{height} pixels: too small to show an object", "give a larger picture")
    most = min(MOST_PIXELS, int(_PEAK / _PEAK_BYTES.get(image.format or "", 5)))
    if width * height > most:
        read = f"of {image.format} pictures up to {most / 1e6:.0f} are read"
        remedy = "make it smaller: 1 megapixel is plenty for networks that see 128 x 128 pixels or less"
        raise DataError(path, f"has {width * height / 1e6:.0f} megapixels; {read}", remedy)


def _decode(image: Image.Image, side: int | None) -> Decoded:
    """The picture, its long side not much above `side` where that is given."""
    bits = _bits(image)
    mode, kind, size = image.mode, image.format or "", image.size  # of JPEG now: drafts are smaller
    frames = getattr(image, "n_frames", 1)
    notes = [f"first of {frames} frames" if frames > 1 else ""]
    if side and kind in ("JPEG", "MPO"):
        # libjpeg decodes at 1/2, 1/4 or 1/8: 50 megapixels in 0.2 s and 1/64 of the memory
        image.draft(None, (side, side))
    before = _orientation(image)
    image.load()
    left = _orientation(image)  # Pillow turns TIFF pictures itself, size first, and forgets the tag when it loads them
    orientation = before if before != 1 else left
    profile = image.info.get("icc_profile")
    small, depth = _shrunk(image, max(1, max(image.size) // side) if side else 1)
    image.close()
    small, unusable = _srgb(small, profile)
    if left in _TURNS:
        small = small.transpose(_TURNS[left][1])
    notes += [depth, unusable, f"{_TURNS[orientation][0]} (EXIF {orientation})" if orientation in _TURNS else ""]
    if left >= 5:
        size = size[::-1]
    return Decoded(np.array(small), size, mode, kind, orientation, tuple(filter(None, notes)), bits)


def _bits(image: Image.Image) -> int:
    """Bits of a channel in the file, as its raw mode says (`RGBA;16B`), before it is loaded."""
    raw = " ".join(str(tile.args) for tile in getattr(image, "tile", []))
    return 16 if ";16" in raw else 32 if image.mode in ("I", "F") else 8


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF raises many things; the picture itself may well be whole
        return 1
    return value if value in _TURNS else 1


# -- shrinking -------------------------------------------------------------------------------------------------------


def _shrunk(image: Image.Image, factor: int) -> tuple[Image.Image, str]:
    """Means over squares of `factor` pixels a side, in a mode of 8 bits a channel; what was done to deep pixels."""
    # Band by band, so that no second picture of full size is ever made.
    width, height = image.size
    rows = max(factor, _BAND // width // factor * factor)
    low, high, words = _range(image, rows) if image.mode in _DEEP else (0.0, 1.0, "")
    parts = [_eight_bit(band, low, high).reduce(factor) for band in _bands(image, rows)]
    small = Image.new(parts[0].mode, (-(-width // factor), -(-height // factor)))
    for number, part in enumerate(parts):
        small.paste(part, (0, number * rows // factor))
    return small, words


def _bands(image: Image.Image, rows: int) -> Iterator[Image.Image]:
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(image.height, top + rows)))


def _eight_bit(band: Image.Image, low: float, high: float) -> Image.Image:
    if band.mode in _DEEP:
        values = np.nan_to_num(np.asarray(band).astype(np.float32), nan=low, posinf=high, neginf=low)
        return Image.fromarray(np.clip((values - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8))
    if band.has_transparency_data and band.mode != "LA":
        return band.convert("RGBA")
    return band if band.mode in _REDUCIBLE else band.convert("RGB")


def _range(image: Image.Image, rows: int) -> tuple[float, float, str]:
    """Which values become 0 and 255, and how to say it."""
    ends: list[float] = []
    for values in map(np.asarray, _bands(image, rows)):
        values = values[np.isfinite(values)]
        ends += [values.min(), values.max()] if values.size else []
    low, high = (float(min(ends)), float(max(ends))) if ends else (0.0, 0.0)
    if image.mode == "F":
        if low >= 0 and high <= 1:
            return 0.0, 1.0, "floats in [0, 1] scaled to 8 bit"
        if low >= 0 and high <= 255:
            return 0.0, 255.0, "floats in [0, 255] rounded to 8 bit"
    elif low >= 0:
        depth = next(bits for bits in _DEPTHS if high < 2**bits)
        return 0.0, 2.0**depth - 1, f"scaled from {depth} bit to 8 bit"
    return low, max(high, low + 1e-6), f"values {low:g} to {high:g} scaled to 8 bit"


# -- colours ---------------------------------------------------------------------------------------------------------


def _srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """The picture as RGBA in sRGB, and a note where a profile could not be used."""
    if not profile:
        return image.convert("RGBA"), ""
    colours = image.convert({"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(colours, source, target, outputMode="RGB")
        assert converted is not None  # it is, out of place
    except (ImportError, OSError, ValueError, ImageCms.PyCMSError):  # ImportError: Pillow built without Little CMS
        return image.convert("RGBA"), "colour profile ignored (unusable)"
    if image.mode in ("LA", "RGBA"):
        converted.putalpha(image.getchannel("A"))
    return converted.convert("RGBA"), ""
