"""Names: the 13 synsets, the two halves of the data set, and which files an object has in each."""

from __future__ import annotations

from pathlib import PurePosixPath

from compress3d.data.store import VIEWS

#: The 13 synsets of 3D-R2N2's `shapenet_1000.json` and their names.
SYNSETS = {
    "02691156": "airplane", "02828884": "bench", "02933112": "cabinet", "02958343": "car", "03001627": "chair",
    "03211117": "display", "03636649": "lamp", "03691459": "loudspeaker", "04090263": "rifle", "04256520": "sofa",
    "04379243": "table", "04401088": "telephone", "04530566": "watercraft",
}  # fmt: skip
CATEGORIES = tuple(SYNSETS.values())
#: Other names in use for the same classes.
_ALIASES = {"plane": "airplane", "speaker": "loudspeaker", "vessel": "watercraft", "boat": "watercraft"}

RENDERING, VOXELS = "ShapeNetRendering", "ShapeNetVox32"
VIEW_FILES = tuple(f"{view:02d}.png" for view in range(VIEWS))
CAMERA_FILE, VOXEL_FILE = "rendering_metadata.txt", "model.binvox"
#: What is read of an object, by half. `renderings.txt` only repeats the names of the views.
FILES = {RENDERING: (*VIEW_FILES, CAMERA_FILE), VOXELS: (VOXEL_FILE,)}
_SUBFOLDER = {RENDERING: ("rendering",), VOXELS: ()}
_HALVES = {half.lower(): half for half in FILES}

#: (category folder, model): what names an object in both halves.
Key = tuple[str, str]


def category_name(folder: str) -> str:
    """The category of a folder's name: a synset id, a class name, or another name of a class."""
    return SYNSETS.get(folder, _ALIASES.get(folder, folder))


def half_named(name: str) -> str | None:
    """The half that a folder is named after, in upper or lower case: "ShapeNetRendering", "ShapeNetVox32" or None."""
    return _HALVES.get(name.lower())


def folder_in(half: str, key: Key) -> str:
    """Where an object's files lie below the folder of a half: `<synset>/<model>[/rendering]`."""
    return "/".join((*key, *_SUBFOLDER[half]))


def parse_member(name: str) -> tuple[str, Key, str] | None:
    """Half, object and file of an archive member, or None for what is no file of the data set.

    Folders above (`./`, `data/`) are passed over; so are hidden files, such as the `._` twins that macOS adds.
    """
    parts = PurePosixPath(name).parts
    at = max((n for n, part in enumerate(parts[:-3]) if half_named(part)), default=None)
    if at is None or parts[0] == "__MACOSX":
        return None
    half, synset, model, *between, file = (_HALVES[parts[at].lower()], *parts[at + 1 :])
    if file.lower() not in FILES[half] or tuple(map(str.lower, between)) != _SUBFOLDER[half]:
        return None
    return half, (synset, model), file.lower()
