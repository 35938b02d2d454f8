"""Training needs neither the book's packages nor a codec nor a ray caster."""

import subprocess
import sys

BLOCKED = ("matplotlib", "plotly", "glymur", "embreex", "papermill", "nbformat", "jupytext", "yaml", "IPython")

PROGRAM = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
import compress3d.engine.train, compress3d.engine.evaluate, compress3d.cli
import compress3d.figures.voxels, compress3d.figures.viewer, compress3d.figures.curves, compress3d.figures.tables
import compress3d.figures.display, tools.notebooks, tools.book_build
from compress3d.data.voxel_mesh import exposed_mesh
import numpy
print(len(exposed_mesh(numpy.ones((1, 1, 1), bool))[1]))
"""


def test_package_imports_without_its_extras():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "12"
