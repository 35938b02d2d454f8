"""compress3d: image compression optimised for 3D reconstruction, as an executable paper companion."""

__version__ = "0.1.0"
