"""Where images and voxels come from: sources (`shapes`, `cad`, `shapenet`), one store for all, and the loader over it."""
