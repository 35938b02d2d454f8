"""A wheel brings what `compress3d reconstruct` needs: one network, its results, the test set, the viewer's scripts."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = (
    "weights/demo/implicit-r384-s0.safetensors",
    "results/demo/implicit-r384-s0.json",
    "results/demo/confidence.json",
    "data/cad-test.tgz",
    *(str(path) for path in sorted(Path("data/scenes").rglob("*")) if path.is_file()),
    "book/assets/compress3d.css",
    "book/assets/plotly-book.js",
    "book/assets/voxel-viewer.js",
)


class BuildWithShippedFiles(build_py):
    """Copies them from the checkout into compress3d/_shipped/ of the wheel; an editable install reads the checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for name in SHIPPED:
            target = Path(self.build_lib) / "compress3d" / "_shipped" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(name, str(target))


setup(cmdclass={"build_py": BuildWithShippedFiles})
