"""Which objects train and which test: both published splits, and what tables beside the data say."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

from compress3d.data.shapenet.layout import Key
from compress3d.data.shapenet.source import record_of
from compress3d.data.store import ObjectRecord
from compress3d.errors import DataError

_SPLITS = ("train", "val", "test")


def sorted_split(models: list[str]) -> dict[str, str]:
    """The first published split: of one category's sorted model names the first int(0.8 n) train, the rest test.

    As in 3D-R2N2, which lists the folders of ShapeNetVox32; "test" serves validation and test there.
    """
    cut = int(0.8 * len(models))
    return {model: "train" if rank < cut else "test" for rank, model in enumerate(sorted(models))}


def read_split_file(path: str | Path) -> dict[tuple[str, str], str]:
    """The second published split, a list of ids: {(synset, model): "train" | "val" | "test"}.

    Two forms are read: JSON as of Pix2Vox, a list of {"taxonomy_id", "train": [...], "val": [...], "test": [...]}, and
    CSV as of ShapeNet's `all.csv`, with the columns synsetId, modelId, split. DataError: it is missing, or neither.
    """
    path = Path(path)
    remedy = "give Pix2Vox's ShapeNet.json or ShapeNet's all.csv (synsetId, modelId, split)"
    try:
        text = path.read_text("utf-8")
        if text.lstrip().startswith("["):
            found = {
                (entry["taxonomy_id"], model): split
                for entry in json.loads(text)
                for split in _SPLITS
                for model in entry.get(split, [])
            }
        else:
            found = {(row["synsetId"], row["modelId"]): row["split"] for row in csv.DictReader(io.StringIO(text))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(path, f"is no list of ids ({error!r})", remedy) from None
    wrong = sorted(set(found.values()) - set(_SPLITS), key=str)
    if not found or wrong:
        raise DataError(path, f"names the splits {wrong}" if wrong else "names no model", remedy)
    return found


def records(
    keys: list[Key], solid: set[Key], tables: dict[str, str], split: str | Path | None
) -> dict[Key, ObjectRecord]:
    """The record of every object that takes part: split, group and credits filled in.

    Args:
        keys, solid: all objects of the source, and those that ShapeNetVox32 holds.
        tables: text of index.csv and credits.csv, where there are such.
        split: "sorted" (made among `solid`, as in 3D-R2N2); "index" (the source's index.csv); None: "index" where there
            is one, else "sorted"; or the path of a list of ids (DataError: missing or broken). Objects that a list does
            not name take no part, and those that it names and the source lacks do: the build lists them.
    """
    rows = {(row["class"], row["model"]): row for row in _table(tables, "index.csv")}
    credits = {row["uid"]: row for row in _table(tables, "credits.csv")}
    if split == "sorted" or (split is None and not rows):
        parts = dict.fromkeys(keys, "train")  # objects without voxels cannot be built: their split says nothing
        for folder in {folder for folder, _ in solid}:
            names = [model for other, model in keys if other == folder and (folder, model) in solid]
            parts |= {(folder, model): part for model, part in sorted_split(names).items()}
    elif split in (None, "index"):
        parts = {key: row.get("split", "") for key, row in rows.items()}
    else:
        parts = read_split_file(split)
        folders = {folder for folder, _ in keys}  # of a category that was never there nothing is missing
        keys = sorted({*keys, *(key for key in parts if key[0] in folders)})
    return {key: _record(key, parts[key], rows.get(key), credits) for key in keys if parts.get(key)}


def _table(tables: dict[str, str], name: str) -> csv.DictReader:
    return csv.DictReader(io.StringIO(tables.get(name, "")))


def _record(key: Key, split: str, row: dict[str, str] | None, credits: dict[str, dict[str, str]]) -> ObjectRecord:
    record = dataclasses.replace(record_of(key), split=split, group="/".join(key))
    if row is None:
        return record
    uid, credit = row.get("uid") or record.uid, credits.get(row.get("uid", ""), {})
    about = {name: credit.get(name, "") for name in ("title", "creator", "url")}
    licence, group = credit.get("licence") or row.get("licence", ""), row.get("group") or uid
    flags = row.get("flags", "")
    return dataclasses.replace(record, uid=uid, source="cad", group=group, licence=licence, flags=flags, **about)
