"""Reading an archive's files in any order: a compressed one is unpacked to a plain tar, and that is indexed once.

The index holds one number pair a file: 43,784 objects with 26 files each take 50 MB.
"""

from __future__ import annotations

import errno
import gzip
import posixpath
import shutil
import tarfile
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from compress3d.data.shapenet.layout import FILES, Key, folder_in, parse_member
from compress3d.data.store import in_words
from compress3d.errors import DataError
from compress3d.io import atomic_path

ENDINGS = (".tar", ".tgz", ".tar.gz")
TABLES = ("index.csv", "credits.csv")
_AGAIN = "download it again"
_BLOCK = 1 << 20
_GZIP_HEADER = 512  # bytes of a gzip file that are no contents, with room for a long file name


@dataclass(frozen=True, slots=True)
class Members:
    """Files of one object that lie in a plain tar.

    Attributes:
        label: `archive!half/synset/model`, for messages.
        tar: the plain tar.
        half: which of `FILES` this is.
        spans: offset and size of each of `FILES[half]`, in that order; offset -1 where it is missing.
    """

    label: str
    tar: str
    half: str
    spans: array

    def where(self, name: str) -> str:
        return f"{self.label}/{name}"

    def read(self, name: str) -> bytes:
        """The bytes of one file; FileNotFoundError where it is missing, OSError where it cannot be read."""
        at = 2 * FILES[self.half].index(name)
        offset, size = self.spans[at], self.spans[at + 1]
        if offset < 0:
            raise FileNotFoundError(self.where(name))
        with open(self.tar, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def has(self, name: str) -> bool:
        return self.spans[2 * FILES[self.half].index(name)] >= 0


def is_compressed(archive: Path) -> bool:
    try:
        with open(archive, "rb") as file:
            return file.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise DataError(archive, f"cannot be read ({error.strerror})", "make it readable") from None


def unpacked_bytes(archive: Path) -> int:
    """The size of the plain tar of a compressed archive, 0 of a plain one.

    gzip's last four bytes hold the size modulo 4 GiB. Pictures hardly shrink in a tar, so the true size is the first
    that is not below the archive's own.
    """
    if not is_compressed(archive):
        return 0
    size = archive.stat().st_size
    with open(archive, "rb") as file:
        file.seek(max(0, size - 4))
        unpacked = int.from_bytes(file.read(4), "little")
    while unpacked < 0.99 * (size - _GZIP_HEADER):
        unpacked += 1 << 32
    return unpacked


def plain_name(archive: Path, folder: Path) -> Path:
    """Where the plain tar of `archive` lies in `folder`; a newer archive of the same name gets another one."""
    stat = archive.stat()
    return folder / f"{archive.name}.{stat.st_size:x}-{stat.st_mtime_ns:x}.plain.tar"


def still_to_unpack(archive: Path, folder: Path) -> int:
    """Bytes that `unpack` will write."""
    return 0 if plain_name(archive, folder).exists() else unpacked_bytes(archive)


def unpack(archive: Path, folder: Path) -> Path:
    """The archive itself where it is plain; else a plain tar of it in `folder`, made where it is missing.

    Raises:
        DataError: the archive is broken, or the disk is full.
    """
    if not is_compressed(archive):
        return archive
    plain = plain_name(archive, folder)
    if plain.exists():
        return plain
    folder.mkdir(parents=True, exist_ok=True)
    need, free = unpacked_bytes(archive), shutil.disk_usage(folder).free
    if need > free:
        problem = f"{in_words(need)} are needed to unpack {archive.name}, {in_words(free)} are free"
        raise DataError(folder, problem, "free some space, or choose another disk")
    for left in folder.glob(f".{plain.name}.*"):  # by a killed build: gigabytes that nobody would look for
        left.unlink()
    try:
        with (
            atomic_path(plain) as beside,
            open(archive, "rb") as packed,
            gzip.open(packed) as stream,
            open(beside, "wb") as file,
            _bar(archive.stat().st_size, f"unpacking {archive.name}") as bar,
        ):
            while block := stream.read(_BLOCK):
                file.write(block)
                bar.update(packed.tell() - bar.n)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(folder, "the disk became full", "free some space, and run the same command again") from None
        raise DataError(archive, f"is no complete archive ({error})", _AGAIN) from None
    return plain


def index(archive: Path, plain: Path) -> tuple[dict[str, dict[Key, Members]], dict[str, str]]:
    """Where the files of every object lie in a plain tar, by half; and the tables that lie beside the halves.

    Args:
        archive: as the user named it, for messages.
        plain: the tar that is read.

    Raises:
        DataError: the tar is broken.
    """
    found: dict[str, dict[Key, Members]] = {half: {} for half in FILES}
    tables: dict[str, str] = {}
    where = str(plain)  # one string for all objects
    links: list[tuple[str, str]] = []
    try:
        with tarfile.open(plain, "r:") as tar, _bar(plain.stat().st_size, f"listing {archive.name}") as bar:
            for member in tar:
                tar.members = []  # the real archive has more than a million: kept, they would fill 2 GB
                bar.update(member.offset_data + member.size - bar.n)
                if member.isfile():
                    _note(found, archive, where, member.name, member.offset_data, member.size)
                    name = posixpath.basename(member.name)
                    if name in TABLES and not any(half in member.name for half in FILES):
                        tables[name] = tar.extractfile(member).read().decode("utf-8")
                elif member.islnk():  # tar writes the second name of a file so
                    links.append((member.name, member.linkname))
                elif member.issym():
                    links.append((member.name, posixpath.join(posixpath.dirname(member.name), member.linkname)))
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(archive, f"is no complete archive ({error})", _AGAIN) from None
    for name, target in links:
        meant = parse_member(posixpath.normpath(target))
        members = meant and found[meant[0]].get(meant[1])
        if members and members.has(meant[2]):
            at = 2 * FILES[meant[0]].index(meant[2])
            _note(found, archive, where, name, *members.spans[at : at + 2])
    return found, tables


def _note(found: dict, archive: Path, plain: str, name: str, offset: int, size: int) -> None:
    """Enter one file into the index, if it belongs to the data set."""
    parsed = parse_member(name)
    if parsed is None:
        return
    half, key, file = parsed
    members = found[half].get(key)
    if members is None:
        label, spans = f"{archive}!{half}/{folder_in(half, key)}", array("q", [-1, 0] * len(FILES[half]))
        members = found[half][key] = Members(label, plain, half, spans)
    at = 2 * FILES[half].index(file)
    members.spans[at], members.spans[at + 1] = offset, size


def _bar(total: int, what: str) -> tqdm:
    return tqdm(total=total, unit="B", unit_scale=True, desc=what, disable=None, delay=2, leave=False)
