"""Three scales of one network: `smoke` for tests, `demo` for a laptop, `paper` for a GPU.

Width multiplies every channel count of the paper; the code length follows the image's area, so that a
compression rate means the same at every scale (384:1 is 384:1).
"""

from __future__ import annotations

from dataclasses import dataclass

from compress3d.errors import ConfigError


@dataclass(frozen=True)
class Scale:
    """Sizes of images, grids and channels."""

    name: str
    image_size: int  # H = W, pixels
    width: float  # factor on every channel count of the paper's networks
    grid: int  # voxels a side of the reconstructed cube

    def channels(self, full: int) -> int:
        """Channel count at this width of a layer that has `full` channels in the paper."""
        return max(1, round(full * self.width))

    @property
    def code_size(self) -> int:
        """K of the uncompressed network: 1024 at 128 pixels, in proportion to the image's area."""
        return 1024 * self.image_size**2 // 128**2


SCALES = {
    "smoke": Scale("smoke", image_size=32, width=1 / 8, grid=16),
    "demo": Scale("demo", image_size=64, width=1 / 4, grid=32),
    "paper": Scale("paper", image_size=128, width=1.0, grid=32),
}


def scale(name: str) -> Scale:
    """The scale called `name`; ConfigError where there is none."""
    if name not in SCALES:
        raise ConfigError(f"scale {name!r}", "does not exist", f"choose one of {', '.join(SCALES)}")
    return SCALES[name]
