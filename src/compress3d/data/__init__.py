"""Images and voxels: the sources (`shapes`, `cad`, `shapenet`), one store for all of them, and the loader over it."""
