"""One model as a package lists it, before anything of its geometry is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from compress3d.data.mesh import Mesh
from compress3d.errors import DataError


@dataclass(frozen=True)
class Model:
    """Who made it, under which licence, and how to read it.

    Attributes:
        uid: unique over all packages: library or package, two underscores, the name there.
        category: ShapeNet's word for the class, a further class, or "other".
        package: the Debian package that brings it.
        path: the file that holds it.
        read: function of the model that gives its triangles, Y up and front -Z (a module's function: it is pickled).
        details: what `read` needs beside the path.
    """

    uid: str
    category: str
    title: str
    creator: str
    licence: str
    url: str
    package: str
    path: Path
    read: Callable[[Model], Mesh]
    details: dict = field(default_factory=dict, hash=False)

    def mesh(self) -> Mesh:
        """The model centred, of diagonal 1, Y up, front -Z.

        Raises:
            DataError: the file is missing or broken.
        """
        try:
            return self.read(self).cleaned(self.path)
        except DataError:
            raise
        except (OSError, ValueError, IndexError, KeyError, ArithmeticError) as error:
            problem = f"model {self.uid} cannot be read ({error!r})"
            raise DataError(self.path, problem, "get the package again") from None
