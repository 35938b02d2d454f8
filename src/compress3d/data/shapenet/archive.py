"""Reading an archive's files in any order: a compressed one is unpacked to a plain tar, and that is indexed once.

The index holds one number pair a file: 43,784 objects with 26 files each take 50 MB.
"""

from __future__ import annotations

import errno
import gzip
import posixpath
import tarfile
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compress3d.data.shapenet.layout import FILES, Key, folder_in, parse_member
from compress3d.data.store import bytes_bar, check_disk
from compress3d.errors import DataError
from compress3d.io import atomic_path

TABLES = ("index.csv", "credits.csv")


@dataclass(frozen=True, slots=True)
class Members:
    """Files of one object that lie in a plain tar."""

    label: str  # archive!half/synset/model, for messages
    tar: str
    half: str
    spans: array  # offset and size of each of `FILES[half]`, in that order; offset -1 where it is missing

    def span(self, name: str) -> slice:
        """Where offset and size of a file stand in `spans`."""
        at = 2 * FILES[self.half].index(name)
        return slice(at, at + 2)

    def has(self, name: str) -> bool:
        return self.spans[self.span(name)][0] >= 0

    def read(self, name: str) -> bytes:
        """The bytes of one file; FileNotFoundError where it is missing, OSError where it cannot be read."""
        offset, size = self.spans[self.span(name)]
        if offset < 0:
            raise FileNotFoundError(name)
        with open(self.tar, "rb") as file:
            file.seek(offset)
            return file.read(size)


def is_compressed(archive: Path) -> bool:
    """Whether it is a gzip file; DataError where it cannot be read."""
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
    while unpacked < 0.99 * (size - 512):  # without gzip's own header, with room for a long file name
        unpacked += 1 << 32
    return unpacked


def plain_name(archive: Path, folder: Path) -> Path:
    """Where the plain tar of `archive` lies in `folder`: another place for a newer archive of the same name."""
    stat = archive.stat()
    return folder / f"{archive.name}.{stat.st_size:x}-{stat.st_mtime_ns:x}.plain.tar"


def still_to_unpack(archive: Path, folder: Path) -> int:
    """Bytes that `unpack` will write."""
    return 0 if plain_name(archive, folder).exists() else unpacked_bytes(archive)


def unpack(archive: Path, folder: Path) -> Path:
    """The archive where it is plain; else a plain tar in `folder`, made once. DataError: broken, or no room."""
    if not is_compressed(archive):
        return archive
    plain = plain_name(archive, folder)
    if plain.exists():
        return plain
    folder.mkdir(parents=True, exist_ok=True)
    check_disk(folder, 0, unpacked_bytes(archive))
    for left in folder.glob(f".{plain.name}.*"):  # by a killed build: gigabytes that nobody would look for
        left.unlink()
    try:
        with (
            atomic_path(plain) as beside,
            open(archive, "rb") as packed,
            gzip.open(packed) as stream,
            open(beside, "wb") as file,
            bytes_bar(archive.stat().st_size, f"unpacking {archive.name}") as bar,
        ):
            while block := stream.read(1 << 20):
                file.write(block)
                bar.update(packed.tell() - bar.n)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(folder, "the disk became full", "free some space, and run the same command again") from None
        raise DataError(archive, f"is no complete archive ({error})", "download it again") from None
    return plain


def index(archive: Path, plain: Path) -> tuple[dict[str, dict[Key, Members]], dict[str, str]]:
    """Where the files of every object lie in the tar `plain`, by half; and the tables that lie beside the halves."""
    found: dict[str, dict[Key, Members]] = {half: {} for half in FILES}
    tables: dict[str, str] = {}
    note = partial(_note, found, archive, str(plain))  # one string for all objects
    links: list[tuple[str, str]] = []
    try:
        with tarfile.open(plain, "r:") as tar, bytes_bar(plain.stat().st_size, f"listing {archive.name}") as bar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # more than a million: kept, they would fill 2 GB
                bar.update(member.offset_data + member.size - bar.n)
                if member.isfile():
                    note(member.name, [member.offset_data, member.size])
                    name = posixpath.basename(member.name)
                    if name in TABLES and not any(half in member.name for half in FILES):
                        with open(plain, "rb") as file:
                            file.seek(member.offset_data)
                            tables[name] = file.read(member.size).decode("utf-8")
                elif member.islnk() or member.issym():  # a hard link, counted from the top: the second name of a file
                    folder = posixpath.dirname(member.name) if member.issym() else ""
                    links.append((member.name, posixpath.join(folder, member.linkname)))
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(archive, f"is no complete archive ({error})", "download it again") from None
    for name, target in links:
        half, key, meant = parse_member(posixpath.normpath(target)) or ("", ("", ""), "")
        members = found.get(half, {}).get(key)
        if members and members.has(meant):
            note(name, members.spans[members.span(meant)])
    return found, tables


def _note(found: dict, archive: Path, plain: str, name: str, span: Iterable[int]) -> None:
    """Enter one file into the index, if it belongs to the data set."""
    parsed = parse_member(name)
    if parsed is None:
        return
    half, key, file = parsed
    if key not in found[half]:
        label, spans = f"{archive}!{half}/{folder_in(half, key)}", array("q", [-1, 0] * len(FILES[half]))
        found[half][key] = Members(label, plain, half, spans)
    members = found[half][key]
    members.spans[members.span(file)] = array("q", span)
